# SPDX-License-Identifier: EUPL-1.2
"""Initialisation, unsealing and sealing on fresh servers."""

from pathlib import Path

from tests.conformance.scenario import Scenario, Step, delete, get, post, put, step

INIT = "sys/init"
UNSEAL = "sys/unseal"
STATUS = "sys/seal-status"
PGP = (Path(__file__).parents[1] / "pgp_public_key.b64").read_text().replace("\n", "")


def ask(method: str, path: str, body: object = None, **options: object) -> Step:
    """A request without a token."""
    return step(method, path, body, token="", **options)


def init(shares: int, threshold: int, **more: object) -> Step:
    """Initialises and captures every share twice (hex, base64) and the root token."""
    save = [f"k{n}:keys.{n}" for n in range(shares)] + [f"b{n}:keys_base64.{n}" for n in range(shares)]
    body = {"secret_shares": shares, "secret_threshold": threshold, **more}
    return ask("POST", INIT, body, save=("top:root_token", *save))


def unseal(key: str, **more: object) -> Step:
    """Submits a share."""
    return ask("POST", UNSEAL, {"key": key, **more})


BEFORE = [
    ask("GET", INIT),
    ask("GET", STATUS),
    ask("GET", "sys/health"),
    ask("HEAD", "sys/health"),
    ask("GET", "sys/health?uninitcode=299"),
    ask("GET", "sys/leader"),
    unseal("00" * 33),
    ask("POST", UNSEAL, {"reset": True}),
    ask("POST", UNSEAL, {}),
    get("sys/mounts", token="x"),
    ask("GET", "sys/mounts"),
    ask("GET", "secret/x"),
    ask("GET", "nope"),
    ask("POST", "sys/seal", {}),
    post("sys/seal", {}, token="x"),
    ask("GET", "sys/seal"),
    ask("GET", "sys/key-status"),
    ask("GET", "sys/internal/ui/mounts"),
    ask("GET", "sys/internal/specs/openapi"),
    ask("GET", "sys/metrics"),
    ask("GET", "sys/in-flight-req"),
    ask("GET", "sys/wrapping/lookup"),
    ask("OPTIONS", "sys/init"),
    ask("GET", "sys/mounts?help=1"),
    ask("LIST", INIT),
    ask("DELETE", INIT),
    ask("FOO", "secret/x"),
    ask("GET", "/nothing"),
    ask("POST", "secret/x", b"bad", divergence="DV-03"),
    ask("GET", "secret/x", headers={"X-Vault-Wrap-TTL": "abc"}, divergence="DV-02"),
    ask("GET", "secret/x", headers={"X-Vault-Namespace": "unknown"}),
]

BAD_INIT = [
    ask("POST", INIT, {}),
    ask("POST", INIT, b""),
    ask("POST", INIT, b"bad", divergence="DV-02"),
    ask("POST", INIT, b"[]"),
    ask("POST", INIT, {"secret_shares": 0, "secret_threshold": 0}),
    ask("POST", INIT, {"secret_shares": 1}),
    ask("POST", INIT, {"secret_threshold": 1}),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 2}),
    ask("POST", INIT, {"secret_shares": 2, "secret_threshold": 1}),
    ask("POST", INIT, {"secret_shares": 256, "secret_threshold": 2}),
    ask("POST", INIT, {"secret_shares": 3, "secret_threshold": 256}),
    ask("POST", INIT, {"secret_shares": -1, "secret_threshold": 1}),
    ask("POST", INIT, {"secret_shares": 3, "secret_threshold": -2}),
    ask("POST", INIT, {"secret_shares": "x", "secret_threshold": 1}),
    ask("POST", INIT, {"secret_shares": "3", "secret_threshold": 0}),
    ask("POST", INIT, {"secret_shares": 1.5, "secret_threshold": 1}, divergence="DV-02"),
    ask("POST", INIT, {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": ["x"]}),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["x"]}),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["eHh4"]}),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1, "pgp_keys": "text"}),
    ask("POST", INIT, {"recovery_shares": 1, "recovery_threshold": 1}),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1, "recovery_shares": 1}),
    ask("GET", INIT),
    ask("GET", STATUS),
]

ONE = [
    ask(
        "PUT",
        INIT,
        {"secret_shares": 1, "secret_threshold": 1},
        save=("top:root_token", "k0:keys.0", "b0:keys_base64.0"),
    ),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1}),
    ask("GET", INIT),
    ask("GET", STATUS),
    ask("GET", "sys/health", divergence="DV-09"),
    ask("HEAD", "sys/health"),
    ask("GET", "sys/health?sealedcode=299"),
    ask("GET", "sys/leader"),
    get("sys/mounts", token="{top}", divergence="DV-09"),
    get("auth/token/lookup-self", token="{top}"),
    post("sys/seal", {}, token="{top}"),
    ask("POST", UNSEAL, {}),
    ask("POST", UNSEAL, b""),
    ask("POST", UNSEAL, b"bad", divergence="DV-02"),
    ask("POST", UNSEAL, b"[]"),
    ask("POST", UNSEAL, {"key": ""}),
    ask("POST", UNSEAL, {"key": 5}),
    ask("POST", UNSEAL, {"key": "zz"}),
    ask("POST", UNSEAL, {"key": "!!"}),
    unseal("0011"),
    unseal("00" * 32),
    unseal("00" * 33),
    unseal("ff" * 40),
    ask("POST", UNSEAL, {"reset": True}),
    ask("POST", UNSEAL, {"key": "{k0}", "migrate": True}, divergence="DV-07"),
    ask("PUT", UNSEAL, {"key": "{b0}"}),
    ask("GET", STATUS),
    unseal("{k0}"),
    get("auth/token/lookup-self", token="{top}"),
    get("sys/health", token=""),
    get("sys/key-status", token="{top}"),
    post("sys/rotate", {}, token="{top}"),
    get("sys/key-status", token="{top}"),
    put("sys/rotate/keyring", {}, token="{top}"),
    get("sys/key-status", token="{top}"),
    post("sys/rotate/root", {}, token="{top}"),
    post("sys/mounts/kv", {"type": "kv"}, token="{top}"),
    post("kv/a", {"x": "1"}, token="{top}"),
    get("sys/seal", token="{top}"),
    ask("POST", "sys/seal", {}),
    post("sys/seal", {}, token="bad"),
    post("auth/token/create", {"policies": ["default"]}, token="{top}", save=("weak:auth.client_token",)),
    post("sys/seal", {}, token="{weak}"),
    put("sys/seal", {}, token="{top}"),
    ask("GET", STATUS),
    get("kv/a", token="{top}"),
    ask("GET", "kv/a"),
    post("sys/seal", {}, token="{top}"),
    ask("POST", "sys/seal", {}),
    ask("POST", "kv/a", b"bad", divergence="DV-03"),
    ask("OPTIONS", "kv/a"),
    ask("FOO", "kv/a"),
    get("sys/mounts?help=1", token="{top}"),
    get("sys/internal/ui/mounts", token=""),
    delete("sys/seal", token="{top}"),
    unseal("{b0}"),
    get("kv/a", token="{top}"),
    get("sys/key-status", token="{top}"),
]

THREE = [
    init(3, 2),
    unseal("{k0}"),
    unseal("{k0}"),
    unseal("{b0}"),
    ask("GET", STATUS),
    ask("POST", UNSEAL, {"key": "{k1}", "reset": True}),
    ask("GET", STATUS),
    unseal("{k1}"),
    unseal("00" * 33),
    ask("GET", STATUS),
    unseal("{k2}"),
    unseal("{b1}"),
    ask("GET", STATUS),
    get("auth/token/lookup-self", token="{top}"),
]

FIVE = [
    init(5, 3),
    unseal("{k4}"),
    unseal("{b2}"),
    unseal("{k2}"),
    ask("GET", STATUS),
    unseal("{k0}"),
    ask("GET", STATUS),
    post("sys/seal", {}, token="{top}"),
    unseal("{k0}"),
    unseal("{k1}"),
    unseal("{k3}"),
    ask("GET", "sys/health"),
]

# The reference answers 400 and is initialised all the same, its only share never shown.
LOST_KEYS = [
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1, "root_token_pgp_key": "x"}),
    ask("GET", INIT, divergence="DV-01"),
    ask("GET", "sys/health", divergence="DV-01"),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1}, divergence="DV-01"),
]

PGP_SHARES = [
    ask("POST", INIT, {"secret_shares": 3, "secret_threshold": 2, "pgp_keys": [PGP, PGP]}),
    ask(
        "POST",
        INIT,
        {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": [PGP, PGP], "root_token_pgp_key": PGP},
    ),
    ask("GET", STATUS),
    unseal("00" * 33),
    ask("POST", UNSEAL, {"reset": True}),
]

SCENARIOS = [
    Scenario("seal", "before-init", BEFORE, fresh=True),
    Scenario("seal", "bad-init", BAD_INIT, fresh=True),
    Scenario("seal", "one-share", ONE, fresh=True),
    Scenario("seal", "three-shares", THREE, fresh=True),
    Scenario("seal", "five-shares", FIVE, fresh=True),
    Scenario("seal", "lost-keys", LOST_KEYS, fresh=True),
    Scenario("seal", "pgp", PGP_SHARES, fresh=True),
]
