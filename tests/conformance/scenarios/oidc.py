# SPDX-License-Identifier: EUPL-1.2
"""oidc: signing in at a provider, in each callback mode, and what goes wrong on the way."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, get, lst, post
from tests.conformance.scenarios.approle import AUTH
from tests.conformance.scenarios.jwt import mount

AT = "auth/oidc-flow/oidc/"
ROLE = "auth/oidc-flow/role/"
HOME = "http://localhost:8250/oidc/callback"
CONFIG = {
    "oidc_discovery_url": "{service}",
    "oidc_client_id": "client",
    "oidc_client_secret": "very secret",
    "jwt_supported_algs": "ES256",
    "default_role": "main",
}
KEPT = ("state:data.auth_url?state", "nonce:data.auth_url?nonce")


def ask(role: str, **options: object) -> Step:
    """Begins a sign-in with the nonce `cn`, and captures its state and nonce."""
    body = {"role": role, "redirect_uri": HOME, "client_nonce": "cn"}
    return post(AT + "auth_url", body, token="", save=KEPT, **options)


def back(code: str, **options: object) -> Step:
    """Comes back with a code that stands for an ID token."""
    where = f"{AT}callback?state={{state}}&code={code}.{{nonce}}&client_nonce=cn"
    return get(where, **{"token": "", "pick": AUTH, **options})


def flow(role: str, code: str, **options: object) -> Sequence[Step]:
    """A whole sign-in."""
    return [ask(role), back(code, **options)]


def changed(**fields: object) -> Step:
    """Changes the role `other`."""
    usual = {"user_claim": "sub", "allowed_redirect_uris": HOME}
    return post(ROLE + "other", {**usual, **fields})


FLOW = [
    mount("oidc-flow", "oidc"),
    post(AT + "auth_url", {"role": "main", "redirect_uri": HOME}, token=""),
    get(AT + "callback?state=x&code=y", token=""),
    post("auth/oidc-flow/config", CONFIG),
    get("auth/oidc-flow/config"),
    post(
        ROLE + "main",
        {
            "user_claim": "sub",
            "allowed_redirect_uris": [HOME, "https://app.example/back"],
            "oidc_scopes": "profile",
            "claim_mappings": {"email": "mail"},
            "token_policies": "p",
        },
    ),
    get(ROLE + "main"),
    post(ROLE + "jwt", {"user_claim": "sub", "role_type": "jwt", "bound_subject": "x"}),
    lst("auth/oidc-flow/role"),
    post(ROLE + "direct", {"user_claim": "sub", "allowed_redirect_uris": HOME, "callback_mode": "direct"}),
    post(ROLE + "device", {"user_claim": "sub", "allowed_redirect_uris": "x", "callback_mode": "device"}),
    post(AT + "auth_url", {}, token=""),
    post(AT + "auth_url", {"role": "main"}, token=""),
    post(AT + "auth_url", {"redirect_uri": HOME}, token=""),
    post(AT + "auth_url", {"role": "none", "redirect_uri": HOME}, token="", divergence="DV-02"),
    post(AT + "auth_url", {"role": "jwt", "redirect_uri": HOME}, token=""),
    post(AT + "auth_url", {"role": "main", "redirect_uri": HOME}, token=""),
    post(AT + "auth_url", {"role": "main", "redirect_uri": "https://app.example/back"}, token=""),
    *(
        post(AT + "auth_url", {"role": "main", "redirect_uri": uri}, token="")
        for uri in (
            "http://localhost:9999/oidc/callback",
            "http://127.0.0.1:8250/oidc/callback",
            "http://localhost:8250/oidc/callback2",
            "http://localhost:8250/oidc/callback?x=1",
            "https://localhost:8250/oidc/callback",
            "https://app.example:444/back",
            "https://app.example.evil/back",
            "https://app.example/back/",
            "https://evil.example/?https://app.example/back",
            "x",
        )
    ),
    post(AT + "auth_url", {"role": "direct", "redirect_uri": HOME}, token=""),
    post(AT + "auth_url", {"role": "direct", "redirect_uri": HOME, "client_nonce": "cn"}, token=""),
    post(AT + "auth_url", {"role": "device"}, token=""),
    post(AT + "auth_url", {"role": "device", "client_nonce": "cn"}, token="", save=("dev:data.state",)),
    post(AT + "poll", {"state": "{dev}", "client_nonce": "cn"}, token=""),
    post(AT + "poll", {"state": "{dev}", "client_nonce": "other"}, token=""),
    post(AT + "poll", {"state": "{dev}", "client_nonce": "cn"}, token=""),
    post(AT + "poll", {}, token=""),
    post(AT + "poll", {"state": "x"}, token=""),
    *(
        get(f"{AT}callback{query}", token="")
        for query in ("", "?state=x", "?code=y", "?state=x&code=y", "?state=x&error=a&error_description=b")
    ),
    *flow("main", "good"),
    back("good"),
    ask("main"),
    get(f"{AT}callback?state={{state}}&code=good.{{nonce}}&client_nonce=other", token=""),
    back("good"),
    ask("main"),
    get(f"{AT}callback?state={{state}}&client_nonce=cn", token=""),
    back("good"),
    *flow("main", "party"),
    *flow("main", "bob"),
    *(
        one
        for code in (
            "bad",
            "old",
            "early",
            "issuer",
            "audience",
            "several",
            "nonce",
            "nobody",
            "unsigned",
            "bare",
        )
        for one in flow("main", code, divergence="DV-02")
    ),
    changed(groups_claim="groups"),
    *flow("other", "good"),
    *flow("other", "bob"),
    changed(bound_claims={"z": "1"}),
    *flow("other", "good"),
    *flow("other", "mine"),
    changed(bound_claims=None, bound_audiences="client"),
    *flow("other", "mine"),
    changed(bound_audiences="nobody"),
    *flow("other", "mine", divergence="DV-02"),
    changed(bound_audiences="client", max_age=60, oidc_scopes="openid,x"),
    *flow("other", "mine", divergence="DV-02"),
    *flow("other", "aged", divergence="DV-02"),
    changed(max_age=60, bound_claims={"groups": "told"}),
    *flow("other", "recent"),
    changed(max_age=0, user_claim="sub2", oauth2_metadata="access_token,refresh_token"),
    *flow("other", "good"),
    changed(bound_subject="carl"),
    *flow("other", "good"),
    changed(bound_subject="", token_bound_cidrs="10.0.0.0/8"),
    *flow("other", "good"),
    ask("direct"),
    post(AT + "poll", {"state": "{state}", "client_nonce": "cn"}, token=""),
    post(AT + "poll", {"state": "{state}", "client_nonce": "other"}, token=""),
    post(AT + "poll", {"state": "{state}", "client_nonce": "cn"}, token=""),
]

SCENARIOS = [Scenario("oidc", "oidc-flow", FLOW)]
