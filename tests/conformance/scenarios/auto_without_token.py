# SPDX-License-Identifier: EUPL-1.2
"""New shares and root tokens without a token, where the listener lets anybody begin: `sys/rekey`, `sys/generate-root`."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, get
from tests.conformance.scenarios.auto_rotate import PGP, as_top
from tests.conformance.scenarios.auto_unseal import STATIC, ask, init

OPEN = (
    "  disable_unauthed_rekey_endpoints         = false\n  disable_unauthed_generate_root_endpoints = false"
)
REKEY = "sys/rekey"
RECOVERY = "sys/rekey-recovery-key"
ROOT = "sys/generate-root"


def give(where: str, key: str, nonce: str, **more: object) -> Step:
    """Gives a share."""
    return ask("POST", where, {"key": key, "nonce": nonce}, **more)


def around(where: str, **unmade: str) -> Sequence[Step]:
    """What is asked while nothing is being made; `unmade` is about a share for shares that there are not."""
    return [
        ask("GET", f"{where}/init"),
        ask("GET", f"{where}/verify"),
        ask("GET", f"{where}/update"),
        ask("GET", f"{where}/nope"),
        ask("DELETE", f"{where}/init"),
        ask("DELETE", f"{where}/verify"),
        ask("GET", f"{where}/init", headers={"X-Vault-Namespace": "team"}),
        ask("POST", f"{where}/update", {}),
        ask("POST", f"{where}/update", {"key": "zz"}),
        give(f"{where}/update", "00" * 33, "x", **unmade),
        ask("POST", f"{where}/verify", {}),
        give(f"{where}/verify", "00" * 33, "x"),
    ]


NOT_ENOUGH: Sequence[object] = (
    {},
    {"secret_shares": 1},
    {"secret_shares": 2, "secret_threshold": 1},
    {"secret_shares": 2, "secret_threshold": 3},
    {"secret_shares": 256, "secret_threshold": 3},
    {"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["x"]},
)
WRONG = (
    {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": ["x"]},
    {"secret_shares": 1, "secret_threshold": 1, "backup": True},
)
ONE = {"secret_shares": 1, "secret_threshold": 1}
BEGUN = ("n:nonce",)


def shares(where: str, first: str, second: str, **wrong: str) -> Sequence[Step]:
    """New shares by the two old ones, checked by giving them back; `wrong` is about shares that are not the old ones."""
    return [
        *around(where),
        *(ask("POST", f"{where}/init", body, divergence="DV-07") for body in NOT_ENOUGH),
        *(ask("POST", f"{where}/init", body) for body in WRONG),
        ask("DELETE", f"{where}/init"),
        ask("PUT", f"{where}/init", {**ONE, "require_verification": True}, save=BEGUN),
        ask("POST", f"{where}/init", ONE),
        ask("GET", f"{where}/init"),
        ask("GET", f"{where}/verify"),
        give(f"{where}/verify", first, "{n}"),
        give(f"{where}/update", first, ""),
        give(f"{where}/update", first, "x"),
        give(f"{where}/update", "00", "{n}"),
        give(f"{where}/update", first, "{n}"),
        give(f"{where}/update", first, "{n}"),
        ask("GET", f"{where}/init"),
        give(f"{where}/update", second, "{n}", save=("vn:verification_nonce", "new:keys.0")),
        ask("GET", f"{where}/init"),
        ask("GET", f"{where}/verify"),
        give(f"{where}/update", second, "{n}"),
        give(f"{where}/verify", "{new}", "x"),
        ask("DELETE", f"{where}/verify", save=("vn:nonce",)),
        give(f"{where}/verify", "{new}", "{vn}"),
        ask("GET", f"{where}/init"),
        ask("POST", f"{where}/init", {"secret_shares": 2, "secret_threshold": 2}, save=BEGUN),
        give(f"{where}/update", "{new}", "{n}", save=("k0:keys.0", "k1:keys.1")),
        ask("POST", f"{where}/init", {**ONE, "pgp_keys": [PGP], "backup": True}, save=BEGUN),
        give(f"{where}/update", "{k0}", "{n}"),
        give(f"{where}/update", "00" * 33, "{n}", **wrong),
        ask("LIST", f"{where}/init"),
        ask("GET", f"{where}/init"),
        ask("DELETE", f"{where}/init"),
        ask("GET", f"{where}/init"),
    ]


def root(first: str, second: str) -> Sequence[Step]:
    """A root token by two shares."""
    return [
        ask("GET", f"{ROOT}/attempt"),
        ask("GET", f"{ROOT}/update"),
        ask("LIST", f"{ROOT}/attempt"),
        ask("GET", ROOT),
        ask("POST", f"{ROOT}/update", {}),
        give(f"{ROOT}/update", first, "x"),
        ask("DELETE", f"{ROOT}/attempt"),
        ask("POST", f"{ROOT}/attempt", {"otp": "short"}),
        ask("POST", f"{ROOT}/attempt", {"pgp_key": "x"}),
        ask("POST", f"{ROOT}/attempt", {}, save=(*BEGUN, "pad:otp")),
        ask("POST", f"{ROOT}/attempt", {}),
        ask("GET", f"{ROOT}/attempt"),
        give(f"{ROOT}/update", first, "x"),
        give(f"{ROOT}/update", "00", "{n}"),
        give(f"{ROOT}/update", first, "{n}"),
        give(f"{ROOT}/update", first, "{n}"),
        give(f"{ROOT}/update", second, "{n}", save=("hidden:encoded_token",)),
        ask("GET", f"{ROOT}/attempt"),
        ask(
            "POST",
            "sys/decode-token",
            {"encoded_token": "{hidden}", "otp": "{pad}"},
            save=("made:data.token",),
        ),
        get("auth/token/lookup-self", token="{made}"),
        ask("POST", f"{ROOT}/attempt", {"pgp_key": PGP}, save=BEGUN),
        give(f"{ROOT}/update", first, "{n}"),
        give(f"{ROOT}/update", "00" * 33, "{n}"),
        ask("GET", f"{ROOT}/attempt"),
        ask("DELETE", f"{ROOT}/attempt"),
    ]


SHARES = [
    ask("GET", f"{REKEY}/init"),
    ask("GET", f"{ROOT}/attempt"),
    ask(
        "POST",
        "sys/init",
        {"secret_shares": 2, "secret_threshold": 2},
        save=("top:root_token", "a:keys.0", "b:keys.1"),
    ),
    ask("POST", f"{REKEY}/init", ONE),
    ask("POST", "sys/unseal", {"key": "{a}"}),
    ask("POST", "sys/unseal", {"key": "{b}"}),
    ask("GET", f"{REKEY}/init", settle=200),
    *root("{a}", "{b}"),
    *around(RECOVERY, divergence="DV-07"),
    ask("POST", f"{RECOVERY}/init", ONE),
    *shares(REKEY, "{a}", "{b}", divergence="DV-07"),
    as_top(get(f"{REKEY}/backup")),
]

SLOT = [
    init(2, 2),
    ask("GET", f"{REKEY}/init", settle=200),
    *root("{r0}", "{r1}"),
    *around(REKEY),
    ask("POST", f"{REKEY}/init", {**ONE, "require_verification": True}),
    ask("POST", f"{REKEY}/init", ONE, save=BEGUN),
    give(f"{REKEY}/update", "{r0}", "{n}"),
    give(f"{REKEY}/update", "{r1}", "{n}"),
    *shares(RECOVERY, "{r0}", "{r1}"),
]

SCENARIOS = [
    Scenario("without-token", "shares", SHARES, fresh=True, listener=OPEN),
    Scenario("without-token", "slot", SLOT, fresh=True, seal=STATIC, listener=OPEN),
]
