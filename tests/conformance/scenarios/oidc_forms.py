# SPDX-License-Identifier: EUPL-1.2
"""oidc: what a provider posts in a form, sign-ins without a code, and pages that ask for a click or do not."""

from collections.abc import Sequence
from dataclasses import replace

from tests.conformance.scenario import Scenario, Step, delete, get, post, put
from tests.conformance.scenarios.approle import AUTH
from tests.conformance.scenarios.jwt import mount
from tests.conformance.scenarios.oidc import CONFIG, HOME, KEPT

MOUNT = "oidc-forms"
AT = f"auth/{MOUNT}/oidc/"
HERE = f"https://vault.example/v1/auth/{MOUNT}/oidc/callback"
IMPLICIT = {"oidc_response_mode": "form_post", "oidc_response_types": "id_token"}
CODE = {"oidc_response_mode": "form_post"}
PAGE = "DV-67"


def configure(**changes: object) -> Step:
    """Writes the configuration anew."""
    return post(f"auth/{MOUNT}/config", {**CONFIG, **changes})


def role(**changes: object) -> Step:
    """Changes the role."""
    usual = {"user_claim": "sub", "allowed_redirect_uris": [HOME, HERE]}
    return post(f"auth/{MOUNT}/role/main", {**usual, **changes})


def ask(uri: str = HERE) -> Step:
    """Begins a sign-in with the nonce `cn`."""
    body = {"role": "main", "redirect_uri": uri, "client_nonce": "cn"}
    return post(AT + "auth_url", body, token="", save=KEPT)


def form(divergence: str = PAGE, **fields: object) -> Step:
    """What the provider posts."""
    return post(AT + "callback", {"state": "{state}", **fields}, token="", divergence=divergence)


def come(query: str = "&client_nonce=cn", **options: object) -> Step:
    """The client, or the browser, comes back."""
    where = f"{AT}callback?state={{state}}{query}"
    return get(where, **{"token": "", "pick": AUTH, **options})


def signed(name: str, divergence: str = "") -> Sequence[Step]:
    """A whole sign-in without a code."""
    return [ask(), form(id_token=f"{{signed_{name}}}"), come(divergence=divergence)]


GONE = delete(f"sys/auth/{MOUNT}")
POLL = post(AT + "poll", {"state": "{state}", "client_nonce": "cn"}, token="", pick=AUTH)

FORMS = [
    mount(MOUNT, "oidc"),
    post(AT + "callback", {"state": "x", "code": "y"}, token=""),
    configure(),
    role(),
    ask(),
    form("", code="good.{nonce}"),
    come("&code=good.{nonce}&client_nonce=cn"),
    configure(oidc_response_mode="query", oidc_response_types="code"),
    ask(),
    configure(oidc_response_types="code"),
    ask(),
    configure(**CODE),
    ask(HOME),
    form(code="good.{nonce}"),
    come("&code=good.{nonce}&client_nonce=cn"),
    ask(),
    form(code="good.{nonce}"),
    come("&code=good.{nonce}&client_nonce=cn"),
    come("&code=no_code&client_nonce=cn"),
    ask(),
    form(code="good.{nonce}"),
    come("&code=no_code&client_nonce=cn"),
    ask(),
    form(code="good.{nonce}"),
    come(),
    ask(),
    form(),
    come(),
    ask(),
    form(error="access_denied", error_description="<b>x"),
    come(),
    ask(),
    form(id_token="{signed_good}"),
    come(divergence="DV-72"),
    *(
        step(AT + "callback", body, token="", divergence=PAGE)
        for step, body in (
            (post, {"state": "none", "code": "y"}),
            (post, {"code": "y"}),
            (post, {}),
            (put, {"state": "none", "id_token": "y"}),
        )
    ),
    GONE,
]

IMPLIED = [
    mount(MOUNT, "oidc"),
    role(),
    configure(oidc_response_mode="form_post", oidc_response_types="code,id_token"),
    ask(),
    configure(**IMPLICIT),
    *signed("good"),
    come(),
    come("&client_nonce=cn&id_token={signed_good}"),
    ask(),
    form(id_token="{signed_good}"),
    come("&code=no_code&client_nonce=cn"),
    ask(),
    form(id_token="{signed_good}"),
    come("&code=good.{nonce}&client_nonce=cn", divergence="DV-02"),
    ask(),
    come("&code=good.{nonce}&client_nonce=cn", divergence="DV-02"),
    ask(),
    come("&code=no_code&client_nonce=cn"),
    ask(),
    form(id_token="{signed_bob}"),
    form(id_token="{signed_good}"),
    come(),
    ask(),
    form(id_token="{signed_good}"),
    form(),
    come(),
    ask(),
    form(id_token="{signed_good}"),
    come("&client_nonce=other"),
    come(),
    *(
        one
        for name in ("old", "early", "issuer", "audience", "several", "nonce", "nobody")
        for one in signed(name, "DV-02")
    ),
    ask(),
    form(id_token="x.y.z"),
    come(divergence="DV-02"),
    *signed("party"),
    role(groups_claim="groups", bound_claims={"z": "1"}),
    *signed("mine"),
    *signed("good"),
    role(bound_claims=None, groups_claim="", bound_audiences="other"),
    *signed("mine", "DV-02"),
    GONE,
]

DIRECT = [
    mount(MOUNT, "oidc"),
    configure(),
    role(callback_mode="direct"),
    ask(),
    come("&code=good.{nonce}", divergence=PAGE),
    POLL,
    role(callback_mode="direct", oidc_disable_confirmation=True),
    ask(),
    come("&code=good.{nonce}", divergence=PAGE),
    come("&code=good.{nonce}"),
    come(""),
    POLL,
    POLL,
    *(
        one
        for code in ("bad", "old", "nobody")
        for one in (ask(), come(f"&code={code}.{{nonce}}", divergence=PAGE), POLL)
    ),
    come("&error=access_denied", divergence=PAGE),
    POLL,
    come("&code=good.{nonce}", divergence=PAGE),
    POLL,
    ask(),
    come("&code=bad.{nonce}", divergence=PAGE),
    post(AT + "poll", {"state": "{state}", "client_nonce": "other"}, token=""),
    POLL,
    role(callback_mode="direct", oidc_disable_confirmation=True, token_bound_cidrs="10.0.0.0/8"),
    ask(),
    come("&code=good.{nonce}"),
    come(""),
    POLL,
    role(callback_mode="direct", oidc_disable_confirmation=True, token_bound_cidrs=""),
    come("&code=good.{nonce}", divergence=PAGE),
    POLL,
    configure(**IMPLICIT),
    role(callback_mode="direct", oidc_disable_confirmation=False),
    ask(),
    form(id_token="{signed_good}"),
    come("", divergence=PAGE),
    POLL,
    GONE,
]


def device(*scopes: str, **changes: object) -> Sequence[Step]:
    """Begins a sign-in with a device, whose user does what the last scope says."""
    usual = {
        "callback_mode": "device",
        "allowed_redirect_uris": "x",
        "oidc_scopes": scopes,
    }
    begin = post(
        AT + "auth_url", {"role": "main", "client_nonce": "cn"}, token="", save=("state:data.state",)
    )
    return [delete(f"auth/{MOUNT}/role/main"), role(**{**usual, **changes}), begin]


def unverified(*scopes: str, **changes: object) -> Sequence[Step]:
    """A device's sign-in with an ID token that is not good."""
    return [*device(*scopes, **changes), replace(POLL, divergence="DV-72")]


DEVICE = [
    mount(MOUNT, "oidc"),
    configure(),
    *device("profile", "good"),
    POLL,
    POLL,
    *(
        one
        for end in ("slow_down", "access_denied", "expired_token", "bad", "nobody")
        for one in (*device(end), POLL, POLL)
    ),
    *device("bare"),
    replace(POLL, divergence="DV-02"),
    POLL,
    *device("mine", groups_claim="groups", bound_claims={"z": "1"}, token_policies="p", token_ttl="5m"),
    POLL,
    *device("good", bound_claims={"z": "1"}),
    POLL,
    POLL,
    *device("good", bound_subject="carl"),
    POLL,
    POLL,
    *device("good"),
    post(AT + "poll", {"state": "{state}", "client_nonce": "other"}, token=""),
    POLL,
    *device("good"),
    come("&code=good&client_nonce=cn", divergence="DV-02"),
    POLL,
    *device("nonce"),
    POLL,
    *(one for token in ("old", "issuer", "audience", "several", "unsigned") for one in unverified(token)),
    *unverified("aged", max_age=60),
    *unverified("mine", bound_audiences="nobody"),
    *unverified("good", token_bound_cidrs="10.0.0.0/8"),
    GONE,
]

SCENARIOS = [
    Scenario("oidc", "oidc-device", DEVICE),
    Scenario("oidc", "oidc-forms-code", FORMS),
    Scenario("oidc", "oidc-forms-token", IMPLIED),
    Scenario("oidc", "oidc-forms-direct", DIRECT),
]
