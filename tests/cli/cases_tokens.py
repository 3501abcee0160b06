# SPDX-License-Identifier: EUPL-1.2
"""Command lines for tokens, and the answers that they meet."""

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
CASES = [
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
