# SPDX-License-Identifier: EUPL-1.2
"""Clients behind a proxy: a token that is bound to addresses tells whose address counts."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, get, post, put
from tests.conformance.scenarios.auto_unseal import ask

FAR = "192.0.2.7"
NEAR = "198.51.100.9"
BEHIND = '  x_forwarded_for_authorized_addrs = ["127.0.0.0/8"]\n'
SELF = "auth/token/lookup-self"


def opened(**headers: str) -> Sequence[Step]:
    """An open vault with a token that is good from `FAR` alone, and the mounts that it may see."""
    return [
        ask(
            "POST",
            "sys/init",
            {"secret_shares": 1, "secret_threshold": 1},
            save=("top:root_token", "k:keys.0"),
            headers=headers,
        ),
        ask("POST", "sys/unseal", {"key": "{k}"}, headers=headers),
        get(SELF, token="{top}", settle=200, headers=headers),
        put("auth/token/roles/far", {"token_bound_cidrs": [FAR]}, token="{top}", headers=headers),
        post(
            "auth/token/create/far",
            {"policies": ["default"]},
            token="{top}",
            save=("far:auth.client_token",),
            headers=headers,
        ),
    ]


def come(*chain: str, token: str = "{far}", **more: object) -> Step:
    """A request that proxies handed on."""
    return get(SELF, token=token, headers={"X-Forwarded-For": ", ".join(chain)}, **more)


CHAIN = [
    *opened(),
    get(SELF, token="{far}"),
    come(FAR),
    come(NEAR),
    come(FAR, NEAR),
    come(NEAR, FAR),
    come(NEAR, f" {FAR} "),
    come("::1"),
    come("nobody", token="{top}", divergence="DV-04"),
    come(FAR, "", token="{top}", divergence="DV-04"),
    come(f"{FAR}:80", token="{top}", divergence="DV-04"),
]
SKIPPED = [
    *opened(),
    get(SELF, token="{far}"),
    come(FAR),
    come(FAR, NEAR),
    come(NEAR, FAR),
    come(NEAR, FAR, NEAR),
    ask("GET", "sys/health", headers={"X-Forwarded-For": FAR}),
]
REQUIRED = [
    ask("GET", "sys/health"),
    get("sys/mounts"),
    *opened(**{"X-Forwarded-For": FAR}),
    come(FAR),
    come(NEAR),
]
STRANGERS = [*opened(), get(SELF, token="{top}"), come(FAR, token="{top}"), come(NEAR, token="")]
IGNORED = [*opened(), come(FAR), come(FAR, token="{top}")]

SCENARIOS = [
    Scenario("forwarded", "chain", CHAIN, fresh=True, listener=BEHIND),
    Scenario(
        "forwarded", "skipped", SKIPPED, fresh=True, listener=BEHIND + "  x_forwarded_for_hop_skips = 1"
    ),
    Scenario(
        "forwarded",
        "required",
        REQUIRED,
        fresh=True,
        listener=BEHIND + "  x_forwarded_for_reject_not_present = true",
    ),
    Scenario(
        "forwarded",
        "strangers",
        STRANGERS,
        fresh=True,
        listener='  x_forwarded_for_authorized_addrs = "10.0.0.0/8"\n  x_forwarded_for_reject_not_authorized = true',
    ),
    Scenario(
        "forwarded",
        "ignored",
        IGNORED,
        fresh=True,
        listener='  x_forwarded_for_authorized_addrs = "10.0.0.0/8"',
    ),
]
