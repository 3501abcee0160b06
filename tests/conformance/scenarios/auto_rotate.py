# SPDX-License-Identifier: EUPL-1.2
"""New shares and another root key: for a seal of shares, and for one that opens by itself."""

from dataclasses import replace
from pathlib import Path

from tests.conformance.scenario import ROOT, Scenario, Step, delete, get, login, lst, policy, post, put
from tests.conformance.scenarios.auto_unseal import OURS, STATIC, ask, init, status, unseal

PGP = (Path(__file__).parents[1] / "pgp_public_key.b64").read_text().replace("\n", "")
ROTATE = "sys/rotate/root"
RECOVERY = "sys/rotate/recovery"


def as_top(step: Step) -> Step:
    """The step with the token of the initialisation."""
    return replace(step, token="{top}") if step.token == ROOT else step


def update(where: str, key: str, nonce: str, **more: object) -> Step:
    """Gives a share."""
    return post(f"{where}/update", {"key": key, "nonce": nonce}, **more)


def verify(where: str, key: str, nonce: str, **more: object) -> Step:
    """Gives a new share back."""
    return post(f"{where}/verify", {"key": key, "nonce": nonce}, **more)


BEGUN = {"save": ("n:data.nonce",)}


def finished(shares: int) -> dict[str, tuple[str, ...]]:
    """Captures of the new shares."""
    return {"save": ("vn:data.verification_nonce", *(f"s{n}:data.keys.{n}" for n in range(shares)))}


WRONG = [
    {},
    {"secret_shares": 1},
    {"secret_threshold": 1},
    {"secret_shares": 2, "secret_threshold": 1},
    {"secret_shares": 2, "secret_threshold": 3},
    {"secret_shares": 256, "secret_threshold": 3},
    {"secret_shares": -1, "secret_threshold": 1},
    {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": ["x"]},
]

SHAMIR = [
    ask(
        "POST",
        "sys/init",
        {"secret_shares": 2, "secret_threshold": 2},
        save=("top:root_token", "k0:keys.0", "k1:keys.1"),
    ),
    ask("POST", "sys/unseal", {"key": "{k0}"}),
    ask("POST", "sys/unseal", {"key": "{k1}"}),
    get(ROTATE, settle=405),
    get(f"{ROTATE}/init"),
    get(f"{ROTATE}/verify"),
    get(f"{ROTATE}/backup"),
    delete(f"{ROTATE}/init"),
    delete(f"{ROTATE}/verify"),
    delete(f"{ROTATE}/backup"),
    lst(f"{ROTATE}/init"),
    get(f"{RECOVERY}/init"),
    post(f"{RECOVERY}/init", {"secret_shares": 1, "secret_threshold": 1}),
    update(RECOVERY, "{k0}", "x"),
    get(f"{RECOVERY}/verify"),
    get(f"{RECOVERY}/backup"),
    delete(f"{RECOVERY}/init"),
    delete(f"{RECOVERY}/verify"),
    delete(f"{RECOVERY}/backup"),
    get(RECOVERY),
    post(RECOVERY, {}),
    *(post(f"{ROTATE}/init", body) for body in WRONG),
    post(f"{ROTATE}/init", {"secret_shares": "x"}),
    post(f"{ROTATE}/init", {"secret_shares": 1, "secret_threshold": 1, "require_verification": "maybe"}),
    update(ROTATE, "{k0}", "x"),
    verify(ROTATE, "{k0}", "x"),
    post(f"{ROTATE}/update", {}),
    post(f"{ROTATE}/verify", {}),
    post(
        f"{ROTATE}/init", {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}, **BEGUN
    ),
    post(f"{ROTATE}/init", {"secret_shares": 3, "secret_threshold": 2}),
    get(f"{ROTATE}/init"),
    get(f"{ROTATE}/verify"),
    verify(ROTATE, "{k0}", "{n}"),
    post(f"{ROTATE}/update", {"key": "zz"}),
    post(f"{ROTATE}/update", {"key": "zz", "nonce": "x"}),
    post(f"{ROTATE}/update", {"nonce": "{n}"}),
    update(ROTATE, "{k0}", "x"),
    update(ROTATE, "{k0}", "{n}"),
    update(ROTATE, "{k0}", "{n}"),
    update(ROTATE, "00" * 33, "{n}"),
    get(f"{ROTATE}/init"),
    update(ROTATE, "{k0}", "{n}"),
    update(ROTATE, "11" * 32, "{n}"),
    update(ROTATE, "{k0}", "{n}"),
    update(ROTATE, "{k1}", "{n}", **finished(3)),
    get(f"{ROTATE}/init"),
    get(f"{ROTATE}/verify"),
    update(ROTATE, "{k0}", "{n}"),
    verify(ROTATE, "{s0}", "x"),
    verify(ROTATE, "zz", "{vn}"),
    verify(ROTATE, "{s0}", "{vn}"),
    verify(ROTATE, "{s0}", "{vn}"),
    get(f"{ROTATE}/verify", save=("vn:data.nonce",)),
    delete(f"{ROTATE}/verify", save=("vn:data.nonce",)),
    verify(ROTATE, "00" * 33, "{vn}"),
    verify(ROTATE, "{s1}", "{vn}"),
    get(f"{ROTATE}/verify", save=("vn:data.nonce",)),
    verify(ROTATE, "{s2}", "{vn}"),
    verify(ROTATE, "{s1}", "{vn}"),
    get(f"{ROTATE}/init"),
    get("auth/token/lookup-self"),
    post(ROTATE, {}),
    get("sys/key-status"),
    get("auth/token/lookup-self"),
    put("sys/seal", {}),
    get(f"{ROTATE}/init"),
    ask("POST", "sys/unseal", {"key": "{k0}"}),
    ask("POST", "sys/unseal", {"key": "{k1}"}),
    ask("POST", "sys/unseal", {"key": "{s1}"}),
    ask("POST", "sys/unseal", {"key": "{s0}"}),
    get("auth/token/lookup-self", settle=200),
    post(
        f"{ROTATE}/init",
        {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": [PGP, PGP], "backup": True},
        **BEGUN,
    ),
    update(ROTATE, "{s0}", "{n}"),
    update(ROTATE, "{s2}", "{n}", shape=2),
    get(f"{ROTATE}/backup", shape=1),
    get(f"{RECOVERY}/backup"),
    delete(f"{ROTATE}/backup"),
    get(f"{ROTATE}/backup"),
]

AUTO = [
    init(3, 2),
    get(f"{ROTATE}/init", settle=200),
    get(f"{RECOVERY}/init"),
    get(f"{RECOVERY}/verify"),
    get(f"{RECOVERY}/backup"),
    delete(f"{RECOVERY}/verify"),
    delete(f"{RECOVERY}/backup"),
    post(ROTATE, {}),
    put(ROTATE, {}),
    get("auth/token/lookup-self"),
    status(),
    post(f"{ROTATE}/init", {"backup": True, "require_verification": True}),
    post(f"{ROTATE}/init", {"pgp_keys": ["a"]}),
    post(f"{ROTATE}/init", {"require_verification": True}),
    post(f"{ROTATE}/init", {"secret_shares": 5, "secret_threshold": 3}, **BEGUN),
    post(f"{ROTATE}/init", {}),
    update(ROTATE, "{r0}", "{n}"),
    update(ROTATE, "{r2}", "{n}"),
    get(f"{ROTATE}/init"),
    get("auth/token/lookup-self"),
    *(post(f"{RECOVERY}/init", body) for body in WRONG),
    post(f"{RECOVERY}/init", {"secret_shares": 1, "secret_threshold": 1, "backup": True}),
    get(f"{RECOVERY}/init"),
    delete(f"{RECOVERY}/init"),
    update(RECOVERY, "{r0}", "x"),
    post(f"{RECOVERY}/init", {"secret_shares": 3, "secret_threshold": 2}, **BEGUN),
    update(RECOVERY, "{r0}", "x"),
    update(RECOVERY, "00" * 34, "{n}"),
    update(RECOVERY, "{r0}", "{n}"),
    update(RECOVERY, "{r0}", "{n}"),
    update(RECOVERY, "{r0}", "{n}"),
    update(RECOVERY, "00" * 33, "{n}"),  # no share of anybody has the last byte 00
    get(f"{RECOVERY}/init"),
    update(RECOVERY, "{r1}", "{n}"),
    update(RECOVERY, "{r2}", "{n}", **finished(3)),
    get(f"{RECOVERY}/init"),
    status(),
    post(
        f"{RECOVERY}/init", {"secret_shares": 2, "secret_threshold": 2, "require_verification": True}, **BEGUN
    ),
    update(RECOVERY, "{s0}", "{n}"),
    update(RECOVERY, "{s1}", "{n}", save=("vn:data.verification_nonce", "v0:data.keys.0", "v1:data.keys.1")),
    get(f"{RECOVERY}/init"),
    status(),
    verify(RECOVERY, "{v0}", "{vn}"),
    get(f"{RECOVERY}/verify"),
    delete(f"{RECOVERY}/verify", save=("vn:data.nonce",)),
    get(f"{RECOVERY}/verify"),
    verify(RECOVERY, "{v0}", "{vn}"),
    verify(RECOVERY, "{v1}", "{vn}"),
    status(),
    policy("rotator", 'path "sys/*" { capabilities = ["read", "update", "delete"] }'),
    login("rotator", "rotator"),
    get(f"{ROTATE}/init", token="{rotator}"),
    post(ROTATE, {}, token="{rotator}"),
    delete(f"{RECOVERY}/init", token="{rotator}"),
    post(ROTATE, token=""),
    get(f"{ROTATE}/init", token=""),
    put("sys/seal", {}),
    unseal({"key": "{s0}"}),
    ask("POST", "sys/unseal", {"key": "{s1}"}),
    unseal({"key": "{v0}"}),
    unseal({"key": "{v1}"}),
    get("auth/token/lookup-self", settle=200),
]

NOBODY = [
    ask("POST", "sys/init", {}, save=("top:root_token",)),
    get(f"{RECOVERY}/init", settle=200),
    post(f"{RECOVERY}/init", {}),
    post(
        f"{RECOVERY}/init",
        {"secret_shares": 2, "secret_threshold": 2, "require_verification": True},
        save=("vn:data.verification_nonce", "v0:data.keys.0", "v1:data.keys.1"),
    ),
    get(f"{RECOVERY}/init"),
    get(f"{RECOVERY}/verify"),
    ask("GET", "sys/seal-status", extra=OURS),
    verify(RECOVERY, "{v0}", "{vn}"),
    verify(RECOVERY, "{v1}", "{vn}"),
    status(),
    post(f"{RECOVERY}/init", {"secret_shares": 1, "secret_threshold": 1}),
    put("sys/seal", {}),
    unseal({"key": "{v0}"}),
    unseal({"key": "{v1}"}),
]

SCENARIOS = [
    Scenario("auto-rotate", "shamir", [as_top(one) for one in SHAMIR], fresh=True),
    Scenario("auto-rotate", "static", [as_top(one) for one in AUTO], fresh=True, seal=STATIC),
    Scenario("auto-rotate", "nobody", [as_top(one) for one in NOBODY], fresh=True, seal=STATIC),
]
