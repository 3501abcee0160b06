# SPDX-License-Identifier: EUPL-1.2
"""No way in goes past a second factor that its mount demands: every route that answers somebody without a token."""

import ast
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.routes.driver import TARGETS, Answer
from tests.routes.logins import LOGINS, World, world

pytestmark = pytest.mark.loopback

OTHERWISE: Mapping[str, str] = {
    "POST sys/mfa/validate": "takes the factor itself, of a login that waits",
    "GET auth/{}/oidc/callback": "where the client waits: among the logins; else it shows a page",
    "POST auth/{}/oidc/callback": "keeps what a provider posted, and shows a page",
    "POST auth/{}/oidc/auth_url": "begins a sign-in, and answers a URL",
    "POST auth/userpass/login/{rest:any}": "refuses what is no user's name",
    "POST nhi/oauth2/introspect": "tells of a token that is shown",
    "POST nhi/oauth2/revoke": "ends a token that is shown",
    "GET ssh/public_key": "shows the public key that hosts trust",
    "GET ssh/issuer/{issuer_ref:word}/public_key": "shows a public key",
    "POST ssh/verify": "tells a host of a password that is shown, once",
}
"""Routes for somebody without a token, of auth methods and engines, that give none; and why."""
PUBLISHED = (
    "GET sys/",
    "GET identity/",
    "GET nhi/",
    "sys/init",
    "sys/unseal",
    "sys/rekey",
    "sys/generate-root",
    "sys/decode-token",
    "sys/wrapping/lookup",
    "sys/internal/specs/openapi",
    "identity/oidc/provider/",
)
"""What anybody may read, and what operators do with key shares; a provider's own tokens open `userinfo` alone."""
MAKERS: Mapping[str, str] = {
    "vault/token/issue.py": "asks `Factors.demand` before a token is made",
    "vault/engines/token/issue.py": "for a token that got in already, and holds `auth/token/create`",
    "vault/engines/token/engine.py": "renews a token that got in already",
    "vault/engines/system/seal/generate_root.py": "by the shares of the operators",
    "vault/engines/system/seal/genesis.py": "the first root token",
    "vault/server/compose/unseal.py": "the root token of the development mode",
    "vault/wrap/wrapper.py": "a token that opens one answer",
    "nhi/biscuit/issue/service.py": "workloads, which have no second factor: no enforcement may be about their mounts",
    "nhi/identity/mfa/second_factors.py": "tells a login what it waits for: its token is empty",
    "nhi/identity/provider/token_routes.py": "opens `userinfo` of this provider, and nothing else",
}
"""The modules that make tokens, or describe new ones, and why no login gets past its second factor by them."""
IDS = [f"{route} {which}".strip() for route, which in LOGINS]
_MAKING = {"to_auth", "Auth", "new_token"}
_OF_STORES = {"create", "issue"}
_STORES = {"tokens", "_tokens", "batch", "_batch"}


@pytest.fixture(scope="module")
def everybody(memory: str) -> Iterator[World]:
    """An application that somebody can log in to in every way."""
    with world() as made:
        method = made.root("identity/mfa/method/totp", {"issuer": "I"})
        made.method = method["data"]["method_id"]
        yield made


def test_every_route_for_somebody_without_a_token_is_a_login_or_gives_none() -> None:
    entered = {route for route, _ in LOGINS}
    unknown = []
    for target in TARGETS:
        if not target.route.access.public or str(target) in entered:
            continue
        plain = str(target).replace("auth/jwt/", "auth/{}/").replace("auth/oidc/", "auth/{}/")
        listed = plain in OTHERWISE or any(
            str(target).startswith(one) or f" {one}" in str(target) for one in PUBLISHED
        )
        if not listed:
            unknown.append(str(target))
    assert not unknown
    assert entered <= {str(target) for target in TARGETS}


def test_every_module_that_makes_tokens_is_known() -> None:
    found = set()
    for root in ("vault", "nhi"):
        for file in Path(root).rglob("*.py"):
            calls = (
                node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
            )
            if any(map(_makes, calls)):
                found.add(file.as_posix())
    assert found == set(MAKERS)


def _makes(function: ast.expr) -> bool:
    """Whether what is called makes a token."""
    if isinstance(function, ast.Name):
        return function.id in _MAKING
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value
    named = (
        owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    )
    return function.attr in _MAKING or (function.attr in _OF_STORES and named in _STORES)


@pytest.mark.parametrize(("route", "which"), LOGINS, ids=IDS)
def test_a_login_gives_a_token_where_nothing_is_demanded(everybody: World, route: str, which: str) -> None:
    """So that those which are refused below are refused for what they lack."""
    answer = LOGINS[route, which](everybody)
    assert answer.status == 200, answer.body
    assert _token(answer)


@pytest.mark.parametrize("by", ["auth_method_accessors", "auth_method_types"])
@pytest.mark.parametrize(("route", "which"), LOGINS, ids=IDS)
def test_no_login_goes_past_what_its_mount_demands(everybody: World, route: str, which: str, by: str) -> None:
    kind = route.split()[1].removeprefix("auth/").split("/")[0]
    about = kind
    if by == "auth_method_accessors":
        table = "auth" if "auth/" in route else "mounts"
        about = everybody.root(f"sys/{table}/{kind}", method="GET")["data"]["accessor"]
    rule = {"mfa_method_ids": [everybody.method], by: [about]}
    path = "/v1/identity/mfa/login-enforcement/all"
    written = everybody.application.request("POST", path, rule, token="root")
    if kind == "nhi":
        assert written.status == 400  # who has no second factor is not asked for one: nothing seems enforced
        return
    assert written.status == 204, written.body
    try:
        for headers in (
            {},
            {"x-vault-wrap-ttl": "60s"},
            {"x-vault-mfa": f"{everybody.method}:123456"},
        ):
            everybody.headers = headers
            answer = LOGINS[route, which](everybody)
            assert not _token(answer), (headers, answer.body)
            if which == "nameless" or "x-vault-mfa" in headers:
                assert answer.status == 403  # nobody, who has no factor; or a wrong one
            else:
                assert answer.json()["auth"]["mfa_requirement"]["mfa_request_id"]
    finally:
        everybody.headers = {}
        everybody.application.request("DELETE", path, token="root")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("auth/jwt/cel/login", {"role": "nameless"}),
        ("auth/jwt/cel/login", {"role": "named"}),
        ("auth/userpass/login/x", {"password": "x"}),
    ],
)
def test_a_login_within_a_request_is_refused_where_a_factor_is_demanded(
    everybody: World, path: str, body: dict[str, str]
) -> None:
    if "jwt" in path:
        body = {**body, "jwt": everybody.proof()}
    parameters = {
        f"x-vault-inline-auth-parameter-{name}": _inline(name, value) for name, value in body.items()
    }
    everybody.headers = {"x-vault-inline-auth-path": path, **parameters}
    kind = path.split("/")[1]
    try:
        assert everybody.send("GET", "sys/internal/ui/resultant-acl").status == 200
        rule = {"mfa_method_ids": [everybody.method], "auth_method_types": [kind]}
        everybody.root("identity/mfa/login-enforcement/all", rule)
        assert everybody.send("GET", "sys/internal/ui/resultant-acl").status == 403
    finally:
        everybody.headers = {}
        everybody.root("identity/mfa/login-enforcement/all", method="DELETE")


def test_what_a_namespace_demands_holds_for_nobody_below_it(everybody: World) -> None:
    """An enforcement by kind of a namespace holds below it, and for a login that is nobody's too."""
    everybody.root("sys/namespaces/below")
    everybody.root("below/sys/auth/jwt", {"type": "jwt"})
    config = {"oidc_discovery_url": everybody.issuer, "oidc_client_id": "client", "oidc_client_secret": "x"}
    everybody.root("below/auth/jwt/config", config)
    role = {"cel_program": {"expression": 'pb.Auth{policies: ["default"]}'}, "bound_audiences": ["a"]}
    everybody.root("below/auth/jwt/cel/role/r", role)

    def login() -> Answer:
        body = {"role": "r", "jwt": everybody.proof()}
        return everybody.send("POST", "below/auth/jwt/cel/login", body)

    assert _token(login())
    rule = {"mfa_method_ids": [everybody.method], "auth_method_types": ["jwt"]}
    everybody.root("identity/mfa/login-enforcement/all", rule)
    try:
        assert (login().status, _token(login())) == (403, "")
    finally:
        everybody.root("identity/mfa/login-enforcement/all", method="DELETE")


def _inline(name: str, value: str) -> str:
    pair = json.dumps({"key": name, "value": value}).encode()
    return urlsafe_b64encode(pair).rstrip(b"=").decode()


def _token(answer: Answer) -> str:
    """Return the token of an answer in whichever way it is given, "" for none."""
    body: dict[str, Any] = answer.json()
    wrapped = (body.get("wrap_info") or {}).get("token", "")
    return str((body.get("auth") or {}).get("client_token", "") or wrapped or body.get("access_token", ""))
