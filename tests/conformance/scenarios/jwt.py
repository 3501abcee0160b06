# SPDX-License-Identifier: EUPL-1.2
"""jwt: configuration, roles, and logins with tokens good and bad."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.conformance.scenario import Scenario, Step, delete, get, lst, patch, post, put
from tests.conformance.scenarios.approle import AUTH, TOKEN
from tests.tokens import EDWARDS, KEY, OTHER, pem, token

NOW = int(time.time())
ISSUER = "https://issuer.example"
GOOD: Mapping[str, Any] = {
    "iss": ISSUER,
    "sub": "alice",
    "aud": "a",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 7200,
}
STATIC = {"jwt_validation_pubkeys": pem(KEY), "bound_issuer": ISSUER}
DEAD = "http://127.0.0.1:1"


def mount(name: str, kind: str = "jwt", **config: object) -> Step:
    """Enables the method at `name`."""
    return post(f"sys/auth/{name}", {"type": kind, "config": config})


def claims(**changes: object) -> dict[str, Any]:
    """The claims of a good token, with changes; None leaves a claim out."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


def enter(at: str, role: str, given: str, **options: object) -> Step:
    """Logs in, and captures the token as `t`."""
    options = {"token": "", "pick": AUTH, "save": ("t:auth.client_token",), **options}
    return post(f"auth/{at}/login", {"role": role, "jwt": given}, **options)


def role(at: str, name: str, **fields: object) -> Sequence[Step]:
    """Writes a role anew."""
    body = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "a", **fields}
    return [delete(f"auth/{at}/role/{name}"), post(f"auth/{at}/role/{name}", body)]


C = "auth/jwt-config/config"
CONFIGS: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"bound_issuer": "x"}, ""),
    ({"jwks_url": DEAD, "oidc_discovery_url": DEAD}, ""),
    ({"jwt_validation_pubkeys": "zz"}, ""),
    ({"jwt_validation_pubkeys": [pem(KEY), "zz"]}, ""),
    ({"jwt_validation_pubkeys": pem(KEY)}, ""),
    ({"jwt_validation_pubkeys": f"before {pem(KEY)} after"}, ""),
    ({"jwt_validation_pubkeys": [pem(KEY), pem(EDWARDS)], "bound_issuer": "i", "default_role": "Dr"}, ""),
    ({"jwt_validation_pubkeys": pem(KEY), "jwt_supported_algs": ["ES256", "RS256"]}, ""),
    ({"jwt_validation_pubkeys": pem(KEY), "jwt_supported_algs": "HS256"}, "DV-02"),
    ({"jwt_validation_pubkeys": pem(KEY), "jwt_supported_algs": "none"}, "DV-02"),
    ({"jwt_validation_pubkeys": pem(KEY), "oidc_client_id": "a"}, ""),
    ({"jwt_validation_pubkeys": pem(KEY), "oidc_client_id": "a", "oidc_client_secret": "b"}, ""),
    ({"jwt_validation_pubkeys": pem(KEY), "namespace_in_state": False}, ""),
    ({"jwt_validation_pubkeys": pem(KEY), "override_allowed_server_names": "a,b"}, ""),
    ({"jwt_validation_pubkeys": pem(KEY), "skip_jwks_validation": True}, ""),
    ({"jwks_url": f"{DEAD}/keys"}, "DV-02"),
    ({"jwks_url": "https://a..b/keys"}, "DV-02"),
    ({"jwks_url": f"{DEAD}/keys", "skip_jwks_validation": True}, ""),
    ({"jwks_url": "{service}/keys"}, ""),
    ({"jwks_url": "{service}/broken/keys"}, "DV-02"),
    ({"jwks_url": "{service}/junk"}, "DV-02"),
    ({"jwks_url": "{service}/keys", "jwks_ca_pem": "zz"}, ""),
    ({"oidc_discovery_url": "{service}"}, ""),
    ({"oidc_discovery_url": "{service}/"}, "DV-02"),
    ({"oidc_discovery_url": "{service}/other"}, "DV-02"),
    ({"oidc_discovery_url": "{service}/junk"}, "DV-02"),
    ({"oidc_discovery_url": "{service}/nothing"}, "DV-02"),
    ({"oidc_discovery_url": DEAD}, "DV-02"),
    ({"oidc_discovery_url": "{service}", "oidc_client_id": "a"}, ""),
    ({"oidc_discovery_url": "{service}", "oidc_client_secret": "a"}, ""),
    ({"oidc_discovery_url": "{service}", "oidc_client_id": "a", "oidc_client_secret": "b"}, ""),
    ({"oidc_discovery_url": "{service}", "oidc_response_mode": "x"}, "DV-02"),
    ({"oidc_discovery_url": "{service}", "oidc_response_types": "x"}, "DV-02"),
    ({"oidc_discovery_url": "{service}", "oidc_response_types": "id_token"}, ""),
    (
        {"oidc_discovery_url": "{service}", "oidc_response_types": "id_token", "oidc_response_mode": "query"},
        "",
    ),
    (
        {
            "oidc_discovery_url": "{service}",
            "oidc_response_types": "id_token",
            "oidc_response_mode": "form_post",
        },
        "",
    ),
    ({"unknown": 1, "jwt_validation_pubkeys": pem(KEY)}, ""),
    ({"jwt_validation_pubkeys": {"a": 1}}, "DV-02"),
    ({"namespace_in_state": "maybe", "jwt_validation_pubkeys": pem(KEY)}, ""),
]
CONFIG = [
    mount("jwt-config"),
    get(C),
    post("auth/jwt-config/login", {}, token=""),
    post("auth/jwt-config/login", {"jwt": "x", "role": "y"}, token=""),
    *(one for body, known in CONFIGS for one in (post(C, body, divergence=known), get(C))),
    delete(C),
    lst(C),
    get(C, token=""),
    get("auth/jwt-config/nope"),
    get("auth/jwt-config/login", token=""),
    lst("auth/jwt-config/login", token=""),
]

R = "auth/jwt-roles/role/"
ROLES: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"bound_claims": {"a": 5}}, ""),
    ({"bound_claims": {"a": ["x", "y"], "b": True}}, ""),
    ({"bound_claims": {"a": {"x": 1}, "b": None, "c": []}}, ""),
    ({"bound_claims": "x"}, ""),
    ({"bound_claims": {"a": "x*"}, "bound_claims_type": "glob"}, ""),
    ({"bound_claims": {"a": 5}, "bound_claims_type": "glob"}, "DV-02"),
    ({"bound_claims": {"a": ["x", 5]}, "bound_claims_type": "glob"}, "DV-02"),
    ({"bound_claims_type": "x"}, "DV-02"),
    ({"claim_mappings": {"a": "b"}}, ""),
    ({"claim_mappings": "a=b"}, ""),
    ({"claim_mappings": {"a": 5}}, ""),
    ({"claim_mappings": {"a": "role"}}, ""),
    ({"claim_mappings": {"a": "x", "b": "x"}}, "DV-02"),
    ({"claim_mappings": "ab"}, ""),
    ({"groups_claim": "/a/b"}, ""),
    ({"user_claim": "/a/b", "user_claim_json_pointer": True}, ""),
    ({"clock_skew_leeway": -1, "expiration_leeway": "2m", "not_before_leeway": "-1"}, ""),
    ({"clock_skew_leeway": "x"}, "DV-02"),
    ({"max_age": "1h"}, ""),
    ({"max_age": -1}, "DV-02"),
    ({"verbose_oidc_logging": True}, ""),
    ({"oidc_scopes": "a,b", "allowed_redirect_uris": ["http://a", "b"]}, ""),
    ({"callback_mode": "direct"}, ""),
    ({"callback_mode": "device", "poll_interval": 7}, ""),
    ({"callback_mode": "x"}, "DV-02"),
    ({"poll_interval": "x"}, ""),
    ({"oidc_disable_confirmation": True}, ""),
    ({"oauth2_metadata": "access_token,id_token"}, ""),
    ({"oauth2_metadata": ["x"]}, "DV-02"),
    ({"token_policies_template_claims": True, "token_policies": ["a-{{.sub}}", "{{ .a.b }}-c"]}, ""),
    ({"token_policies_template_claims": True, "token_policies": "a-{{x}}"}, "DV-44"),
    ({"token_policies_template_claims": True, "token_policies": "a-{{.x"}, "DV-44"),
    ({"token_policies": "a-{{.x"}, ""),
    ({"bound_subject": "s"}, ""),
    ({"bound_audiences": []}, ""),
    ({"bound_audiences": ""}, ""),
    ({"bound_audiences": [], "token_bound_cidrs": "10.0.0.0/8"}, ""),
    ({"token_ttl": "1h", "token_policies": "B,a,b"}, ""),
    ({"token_type": "default-batch"}, "DV-02"),
    ({"token_type": "batch", "token_num_uses": 2}, ""),
    ({"token_type": "batch", "token_period": "1h"}, ""),
    ({"token_bound_cidrs": "zz"}, "DV-02"),
    ({"token_ttl": "2h", "token_max_ttl": "1h"}, ""),
    ({"token_max_ttl": "9000h"}, ""),
    ({"policies": "x", "ttl": "1m", "max_ttl": "2m", "bound_cidrs": "10.0.0.0/8", "num_uses": 3}, ""),
    ({"period": "1m", "bound_cidrs": "127.0.0.1/32"}, ""),
    ({"user_claim": ""}, ""),
    ({"user_claim": {"a": 1}}, ""),
    ({"unknown": 1}, ""),
]
ROLE = [
    mount("jwt-roles"),
    lst(R[:-1]),
    get(R + "r"),
    post(R + "r", {}),
    post(R + "r", {"role_type": "jwt"}),
    post(R + "r", {"role_type": "x", "user_claim": "sub"}, divergence="DV-02"),
    post(R + "r", {"role_type": "jwt", "user_claim": "sub"}),
    post(R + "r", {"user_claim": "sub"}),
    post(R + "r", {"user_claim": "sub", "allowed_redirect_uris": "http://x"}),
    get(R + "r"),
    post(R + "r", {"role_type": "jwt", "bound_audiences": "a"}),
    get(R + "r"),
    post(R + "r", {"bound_audiences": "b"}),
    get(R + "r"),
    post(R + "r", {"role_type": "jwt", "bound_audiences": "b,c", "token_ttl": "1h"}),
    get(R + "r"),
    post(R + "r", {"role_type": "jwt", "bound_claims": {"a": "b*"}, "bound_claims_type": "glob"}),
    post(R + "r", {"role_type": "jwt", "token_ttl": "2h"}),
    get(R + "r"),
    *(
        one
        for body, known in ROLES
        for one in (
            delete(R + "w"),
            post(
                R + "w",
                {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "a", **body},
                divergence=known,
            ),
            get(R + "w"),
        )
    ),
    post(R + "Mixed", {"role_type": "jwt", "user_claim": "sub", "bound_subject": "x"}),
    get(R + "MIXED"),
    lst(R[:-1]),
    lst(R[:-1] + "?limit=1"),
    lst(R[:-1] + "?after=mixed&limit=1"),
    post(R + "a%20b", {"user_claim": "sub"}),
    post(R + "-a", {"user_claim": "sub"}),
    post(R + "a/b", {"user_claim": "sub"}),
    delete(R + "mixed"),
    delete(R + "mixed"),
    patch(R + "r", {}),
    get(R + "r", token=""),
]

TIMES: list[dict[str, object]] = [
    {"iss": "x"},
    {"iss": None},
    {"aud": "z"},
    {"aud": ["z", "a"]},
    {"aud": ["a"]},
    {"aud": None},
    {"aud": ""},
    {"aud": []},
    {"aud": [""]},
    {"aud": 5},
    {"aud": ["a", 5]},
    {"aud": {}},
    {"exp": NOW - 1000, "nbf": NOW - 2000, "iat": NOW - 2000},
    {"exp": NOW - 30, "nbf": NOW - 2000, "iat": NOW - 2000},
    {"nbf": NOW + 5000},
    {"nbf": NOW + 30},
    {"iat": NOW + 5000, "nbf": None},
    {"iat": NOW + 5000},
    {"exp": None},
    {"exp": None, "nbf": None},
    {"exp": None, "nbf": None, "iat": None},
    {"nbf": None, "iat": None},
    {"exp": None, "iat": None},
    {"exp": None, "nbf": None, "iat": NOW - 5000},
    {"exp": str(NOW + 100)},
    {"exp": NOW + 5000.5},
    {"exp": 0},
    {"exp": -1},
    {"exp": 10**30},
    {"nbf": "x"},
    {"iat": True},
    {"sub": None},
    {"iss": "x", "aud": "z", "exp": 1},
    {"aud": "z", "exp": 1},
    {"exp": 1, "nbf": NOW + 9999},
]
L = "auth/jwt-login/login"
LOGIN = [
    mount("jwt-login"),
    post("auth/jwt-login/config", STATIC),
    *role("jwt-login", "r", token_policies="p,q", token_ttl="1h"),
    enter("jwt-login", "r", token(GOOD)),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    enter("jwt-login", "R", token(GOOD)),
    put(L, {"jwt": token(GOOD), "role": "r"}, token="", pick=AUTH),
    post(L, {"jwt": token(GOOD), "role": "r"}, token="bad", pick=AUTH),
    post(L, {"jwt": token(GOOD), "role": "r"}, token="", headers={"X-Vault-Wrap-TTL": "60"}),
    post(L, {"jwt": token(GOOD)}, token=""),
    post(L, {}, token=""),
    post(L, {"role": "none"}, token="", divergence="DV-02"),
    post(L, {"role": "r"}, token=""),
    post(L, {"role": "r", "jwt": ""}, token=""),
    post(L, {"role": "none", "jwt": "x"}, token="", divergence="DV-02"),
    post(L, {"role": "r", "jwt": "x"}, token=""),
    post(L, {"role": "r", "jwt": "....."}, token=""),
    post(L, {"role": "r", "jwt": "a.b.c"}, token="", divergence="DV-02"),
    post(L, {"role": "r", "jwt": "!.!.!"}, token="", divergence="DV-02"),
    post(L, {"role": "r", "jwt": 5}, token=""),
    post(L, {"role": "r", "jwt": {"a": 1}}, token=""),
    enter("jwt-login", "r", token(GOOD, OTHER)),
    enter("jwt-login", "r", token(GOOD, EDWARDS, "EdDSA")),
    enter("jwt-login", "r", token(GOOD, EDWARDS, "ES256")),
    enter("jwt-login", "r", token(GOOD, algorithm="none")),
    enter("jwt-login", "r", token(GOOD, pem(KEY).encode(), "HS256")),
    enter("jwt-login", "r", token(GOOD, algorithm="ES384")),
    enter("jwt-login", "r", token(GOOD, algorithm="XX")),
    enter("jwt-login", "r", token(GOOD, kid="zz")),
    enter("jwt-login", "r", token(GOOD, kid="../../etc/passwd")),
    enter("jwt-login", "r", token(GOOD, jku="http://127.0.0.1:1/")),
    enter("jwt-login", "r", token(GOOD, crit=["x"], x=1)),
    enter("jwt-login", "r", token(GOOD, crit=["b64"], b64=False)),
    enter("jwt-login", "r", token(GOOD, typ="at+jwt")),
    enter("jwt-login", "r", token(b"[]")),
    enter("jwt-login", "r", token(b"zz")),
    *(enter("jwt-login", "r", token(claims(**change))) for change in TIMES),
    enter("jwt-login", "r", token(claims(sub="")), divergence="DV-07"),
    enter("jwt-login", "r", token(claims(iss=5)), divergence="DV-02"),
    enter("jwt-login", "r", token(claims(sub=5)), divergence="DV-02"),
    enter("jwt-login", "r", token(claims(sub="rik"))),
    enter("jwt-login", "r", token(claims(sub="RIK")), divergence="DV-96"),
    enter("jwt-login", "r", token(claims(sub="ri\u212a")), divergence="DV-96"),
    *role("jwt-login", "skew", clock_skew_leeway=-1, expiration_leeway=-1, not_before_leeway=-1),
    enter("jwt-login", "skew", token(claims(exp=NOW - 30, iat=NOW - 90, nbf=NOW - 90))),
    enter("jwt-login", "skew", token(claims(exp=None, nbf=None, iat=NOW - 20))),
    enter("jwt-login", "skew", token(claims(nbf=None, iat=None))),
    *role("jwt-login", "early", not_before_leeway=9999),
    enter("jwt-login", "early", token(claims(nbf=None, iat=None))),
    *role("jwt-login", "aged", max_age=60),
    enter("jwt-login", "aged", token(GOOD)),
    enter("jwt-login", "aged", token(claims(auth_time=NOW - 5000))),
    *role("jwt-login", "cidr", token_bound_cidrs="10.0.0.0/8"),
    enter("jwt-login", "cidr", token(GOOD)),
    enter("jwt-login", "cidr", "x"),
    *role("jwt-login", "near", token_bound_cidrs="127.0.0.0/8"),
    enter("jwt-login", "near", token(GOOD)),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    *role("jwt-login", "strict", token_strictly_bind_ip=True),
    enter("jwt-login", "strict", token(GOOD)),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    *role("jwt-login", "rooted", token_policies="root"),
    enter("jwt-login", "rooted", token(GOOD)),
    *role("jwt-login", "bare", token_no_default_policy=True),
    enter("jwt-login", "bare", token(GOOD)),
    *role("jwt-login", "batch", token_type="batch"),
    enter("jwt-login", "batch", token(GOOD)),
    *role("jwt-login", "uses", token_num_uses=3, token_period="1h"),
    enter("jwt-login", "uses", token(GOOD)),
    post("auth/jwt-login/role/browser", {"user_claim": "sub", "allowed_redirect_uris": "http://x"}),
    post("auth/jwt-login/oidc/auth_url", {"role": "browser", "redirect_uri": "http://x"}, token=""),
    post("auth/jwt-login/oidc/auth_url", {"role": "none", "redirect_uri": "http://x"}, token=""),
    post("auth/jwt-login/oidc/auth_url", {}, token=""),
    post("auth/jwt-login/oidc/poll", {"state": "x", "client_nonce": "y"}, token=""),
    get("auth/jwt-login/oidc/callback?state=x&code=y", token=""),
    post("auth/jwt-login/oidc/callback", {"state": "x", "code": "y"}, token=""),
    enter("jwt-login", "browser", token(GOOD)),
    post("auth/jwt-login/config", {**STATIC, "default_role": "R"}),
    post(L, {"jwt": token(GOOD)}, token="", pick=AUTH),
    post("auth/jwt-login/config", {**STATIC, "default_role": "none"}),
    post(L, {"jwt": token(GOOD)}, token="", pick=AUTH, divergence="DV-02"),
    post("auth/jwt-login/config", {"jwt_validation_pubkeys": [pem(KEY), pem(EDWARDS)]}),
    enter("jwt-login", "r", token(claims(iss=None))),
    enter("jwt-login", "r", token(claims(iss="any"), EDWARDS, "EdDSA")),
    post("auth/jwt-login/config", {"jwt_validation_pubkeys": [pem(KEY)], "jwt_supported_algs": "RS256"}),
    enter("jwt-login", "r", token(GOOD)),
    enter("jwt-login", "r", token(GOOD, algorithm="none")),
]

RENEWAL = [
    mount("jwt-renewal", "oidc"),
    post("auth/jwt-renewal/config", STATIC),
    *role("jwt-renewal", "r", token_ttl="1h", token_policies="a"),
    enter("jwt-renewal", "r", token(GOOD)),
    post("auth/jwt-renewal/role/r", {"role_type": "jwt", "token_policies": "b", "token_ttl": "2h"}),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    delete("auth/jwt-renewal/role/r"),
    post("auth/token/renew-self", {}, token="{t}"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    delete("sys/auth/jwt-renewal"),
    get("auth/token/lookup-self", token="{t}"),
]

SCENARIOS = [
    Scenario("jwt", "jwt-config", CONFIG),
    Scenario("jwt", "jwt-roles", ROLE),
    Scenario("jwt", "jwt-logins", LOGIN),
    Scenario("jwt", "jwt-renewal", RENEWAL),
]
