# SPDX-License-Identifier: EUPL-1.2
"""A new root token with the consent of those who hold shares, for both kinds of seal."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, delete, get, login, lst, policy, post
from tests.conformance.scenarios.auto_rotate import PGP, as_top
from tests.conformance.scenarios.auto_unseal import STATIC, ask, init

ATTEMPT = "sys/generate-root-token/attempt"
UPDATE = "sys/generate-root-token/update"
DECODE = "sys/decode-token"
BEGUN = ("n:data.nonce", "pad:data.otp")


def give(key: str, nonce: str = "{n}", **more: object) -> Step:
    """Gives a share."""
    return post(UPDATE, {"key": key, "nonce": nonce}, **more)


def refused(key: str, nonce: str = "{n}") -> Step:
    """A share that is not taken."""
    return give(key, nonce, divergence="DV-07")


def conversation(first: str, second: str) -> Sequence[Step]:
    """What is said with two shares in hand."""
    steps = [
        get(ATTEMPT, settle=200),
        get("sys/generate-root-token"),
        get(UPDATE),
        lst(ATTEMPT),
        delete(ATTEMPT),
        post(UPDATE, {}),
        post(UPDATE, {"key": first}),
        post(UPDATE, {"nonce": "x"}),
        refused(first, "x"),
        post(ATTEMPT, {"otp": "short"}),
        post(ATTEMPT, {"otp": 5}),
        post(ATTEMPT, {"pgp_key": "x"}),
        post(ATTEMPT, {"otp": "a" * 26, "pgp_key": PGP}),
        delete(ATTEMPT),
        post(ATTEMPT, {}, save=BEGUN),
        post(ATTEMPT, {}),
        get(ATTEMPT),
        refused(first, "x"),
        refused("zz"),
        refused("0011"),
        give(first),
        refused(first),
        refused("00" * 32 + "09"),
        get(ATTEMPT),
        give(first),
        refused("00" * 32),
        get(ATTEMPT),
        give(first),
        give(second, save=("hidden:data.encoded_token",)),
        get(ATTEMPT),
        post(DECODE, {"encoded_token": "{hidden}", "otp": "{pad}"}, token="", save=("made:data.token",)),
        post(DECODE, {"encoded_token": "{hidden}", "otp": "{pad}"}),
        post(DECODE, {}),
        post(DECODE, {"encoded_token": "{hidden}"}),
        post(DECODE, {"encoded_token": "{hidden}", "otp": "x"}),
        post(DECODE, {"encoded_token": "!!", "otp": "x"}),
        get("auth/token/lookup-self", token="{made}"),
        post(ATTEMPT, {"pgp_key": PGP}, save=BEGUN),
        get(ATTEMPT),
        give(first),
        give(second, shape=2),
        policy("asker", 'path "sys/*" { capabilities = ["read", "update", "delete"] }'),
        login("asker", "asker"),
        get(ATTEMPT, token="{asker}"),
        get(ATTEMPT, token=""),
        post(ATTEMPT, {}, token="{asker}"),
        delete(ATTEMPT, token="{asker}"),
        post(UPDATE, {}, token="{asker}"),
        post(UPDATE, {"key": first, "nonce": "x"}, token=""),
    ]
    return [as_top(one) for one in steps]


SHAMIR = [
    ask(
        "POST",
        "sys/init",
        {"secret_shares": 2, "secret_threshold": 2},
        save=("top:root_token", "k0:keys.0", "k1:keys.1"),
    ),
    ask("POST", "sys/unseal", {"key": "{k0}"}),
    ask("POST", "sys/unseal", {"key": "{k1}"}),
    *conversation("{k0}", "{k1}"),
]

SCENARIOS = [
    Scenario("auto-root-token", "shamir", SHAMIR, fresh=True),
    Scenario(
        "auto-root-token", "static", [init(2, 2), *conversation("{r0}", "{r1}")], fresh=True, seal=STATIC
    ),
]
