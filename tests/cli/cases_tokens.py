# SPDX-License-Identifier: EUPL-1.2
"""Command lines for tokens, and the answers that they meet."""

from typing import Final

from tests.cli.canned import Case
from tests.cli.cases_secrets import DONE, NO, WRAPPED

_AUTH = {
    "client_token": "s.made",
    "accessor": "acc",
    "policies": ["default", "a"],
    "token_policies": ["default", "a"],
    "identity_policies": ["b"],
    "metadata": {"team": "x"},
    "lease_duration": 3600,
    "renewable": True,
    "orphan": True,
    "token_type": "service",
}
_TOKEN = (200, {"auth": _AUTH, "warnings": ["shorter than asked for"]})
_ABOUT = (200, {"data": {"id": "s.made", "ttl": 3599, "policies": ["default"], "meta": None}})
_SELF = "GET /v1/auth/token/lookup-self"
_LOGIN = "PUT /v1/auth/userpass/login/ada"
_HELD = (
    200,
    {
        "data": {
            "accessor": "acc",
            "id": "s.given",
            "policies": ["default"],
            "ttl": 60,
            "renewable": True,
            "meta": None,
        }
    },
)
_LOGINS = [
    Case("login -token-only s.given", {_SELF: _HELD}),
    Case("login -field=token s.given", {_SELF: _HELD}),
    Case("login -format=json s.given", {_SELF: _HELD}),
    Case("login -no-print s.given", {_SELF: _HELD}),
    Case("login -no-print -", {_SELF: _HELD}, "s.typed\n"),
    Case("login -token-only token=s.given", {_SELF: _HELD}),
    Case("login s.given", {_SELF: NO}),
    Case("login -no-store -no-print s.given"),
    Case("login -token-only -method=userpass username=ada password=x", {_LOGIN: _TOKEN}),
    Case("login -format=json -method=userpass username=ada password=x", {_LOGIN: _TOKEN}),
    Case("login -field=policies -no-store -method=userpass username=ada password=x", {_LOGIN: _TOKEN}),
    Case(
        "login -token-only -method=userpass -path=people username=ada password=x",
        {"PUT /v1/auth/people/login/ada": _TOKEN},
    ),
    Case("login -method=userpass username=ada password=x", {_LOGIN: NO}),
    Case("login -method=userpass username=ada password=x", {_LOGIN: (200, {"data": {}})}),
    Case("login -method=userpass"),
    Case("print token"),
]
_READ: Final = {"GET /v1/x": (200, {"data": {"a": 1}})}
_ENVIRONMENT = [
    *(
        Case("read x", _READ, environ={name: value})
        for name, value in (
            ("BAO_FORMAT", "json"),
            ("VAULT_FORMAT", "yaml"),
            ("BAO_FORMAT", "bogus"),
            ("BAO_NAMESPACE", "/ns1/"),
            ("BAO_WRAP_TTL", "90s"),
            ("BAO_CLIENT_TIMEOUT", "0"),
            ("BAO_CLIENT_TIMEOUT", "50"),
            ("BAO_CLIENT_TIMEOUT", "soon"),
            ("BAO_MAX_RETRIES", "many"),
            ("BAO_SKIP_VERIFY", "perhaps"),
            ("BAO_DISABLE_REDIRECTS", "perhaps"),
            ("BAO_TOKEN", ""),
        )
    ),
    Case("read x", _READ, environ={"BAO_TOKEN": " s.padded "}),
    *(
        Case("status", environ={name: "perhaps"})
        for name in ("BAO_SKIP_VERIFY", "BAO_MAX_RETRIES", "BAO_CLIENT_TIMEOUT")
    ),
    Case("read -output-curl-string -tls-skip-verify x"),
    Case("read -mfa=a:b -mfa=c x", _READ),
    Case("read -format=table x", _READ, environ={"BAO_FORMAT": "json"}),
]

CASES = [
    *_ENVIRONMENT,
    *_LOGINS,
    *(
        Case(f"token create{flags}", {"POST /v1/auth/token/create": _TOKEN})
        for flags in (
            "",
            " -format=json",
            " -format=yaml",
            " -field=token",
            " -field=policies",
            " -id=mine -display-name=d -explicit-max-ttl=2h -ttl=1h -renewable=false -no-default-policy",
            " -type=batch -entity-alias=e -metadata=b=2 -metadata=a=1 -use-limit=2 -orphan -period=1h",
        )
    ),
    Case("token create -role=r -policy=a -policy=b", {"POST /v1/auth/token/create/r": _TOKEN}),
    Case("token create", {"POST /v1/auth/token/create": NO}),
    Case("token create -wrap-ttl=60s", {"POST /v1/auth/token/create": WRAPPED}),
    Case("token create -wrap-ttl=60s -format=json", {"POST /v1/auth/token/create": WRAPPED}),
    Case("token create -wrap-ttl=60s -field=wrapping_token", {"POST /v1/auth/token/create": WRAPPED}),
    Case("token lookup", {"GET /v1/auth/token/lookup-self": _ABOUT}),
    Case("token lookup s.made", {"POST /v1/auth/token/lookup": _ABOUT}),
    Case("token lookup -accessor acc", {"POST /v1/auth/token/lookup-accessor": _ABOUT}),
    Case("token lookup -accessor"),
    Case("token renew", {"PUT /v1/auth/token/renew-self": _TOKEN}),
    Case("token renew -i=90m s.made", {"PUT /v1/auth/token/renew": _TOKEN}),
    Case("token renew -increment=1h -accessor acc", {"POST /v1/auth/token/renew-accessor": _TOKEN}),
    Case("token renew", {"PUT /v1/auth/token/renew-self": NO}),
    Case("token revoke"),
    Case("token revoke s.made", {"PUT /v1/auth/token/revoke": DONE}),
    Case("token revoke -self", {"PUT /v1/auth/token/revoke-self": DONE}),
    Case("token revoke -accessor acc", {"POST /v1/auth/token/revoke-accessor": DONE}),
    Case("token revoke -mode=orphan s.made", {"PUT /v1/auth/token/revoke-orphan": DONE}),
    Case("token revoke -mode=path auth/token", {"PUT /v1/sys/leases/revoke-prefix/auth/token": DONE}),
    Case("token revoke -mode=other s.made"),
    Case("token revoke -mode=orphan -self"),
    Case("token revoke -self -accessor"),
    Case("token revoke -accessor -mode=orphan acc"),
    Case("token revoke -self s.made"),
    Case("token revoke s.made", {"PUT /v1/auth/token/revoke": NO}),
    *(
        Case(
            f"token capabilities{words}",
            {f"POST /v1/sys/{path}": (200, {"data": {"capabilities": ["b", "a"]}})},
        )
        for words, path in (
            (" x", "capabilities-self"),
            (" -format=json x", "capabilities-self"),
            (" s.made x", "capabilities"),
        )
    ),
    Case("token capabilities x", {"POST /v1/sys/capabilities-self": NO}),
]
