# SPDX-License-Identifier: EUPL-1.2
"""A seal that opens by itself, with a static key: init, recovery shares, rotation, restart and migration."""

from tests.conformance.scenario import Scenario, Step, get, post, put, restart, step

INIT = "sys/init"
UNSEAL = "sys/unseal"
STATIC = 'seal "static" {\n  current_key_id = "one"\n  current_key    = "file://{directory}/one.key"\n}\n'
NEWER = (
    'seal "static" {\n  current_key_id  = "two"\n  current_key     = "file://{directory}/two.key"\n'
    '  previous_key_id = "one"\n  previous_key    = "file://{directory}/one.key"\n}\n'
)
LEFT = STATIC.replace("}\n", '  disabled       = "true"\n}\n')
OURS = ("slots",)
"""What our server says of its slots besides."""
MIGRATED = ("migration",)
"""What the last share of a migration is answered with: true, unless the reference is done with it by then."""


def ask(method: str, path: str, body: object = None, **options: object) -> Step:
    """A request without a token."""
    return step(method, path, body, token="", **options)


def status(**options: object) -> Step:
    """The state of the seal."""
    return ask("GET", "sys/seal-status", extra=OURS, **options)


def unseal(body: object, **options: object) -> Step:
    """An unseal step that is answered with the state of the seal."""
    return ask("POST", UNSEAL, body, extra=OURS, **options)


def init(shares: int, threshold: int, **more: object) -> Step:
    """Initialises and captures the recovery shares and the root token."""
    save = [f"r{n}:recovery_keys.{n}" for n in range(shares)]
    save += [f"b{n}:recovery_keys_base64.{n}" for n in range(shares)]
    body = {"recovery_shares": shares, "recovery_threshold": threshold, **more}
    return ask("POST", INIT, body, save=("top:root_token", *save))


BEFORE = [
    ask("GET", INIT),
    status(),
    ask("GET", "sys/health"),
    ask("GET", "sys/leader"),
    ask("POST", UNSEAL, {"key": "00" * 33}),
    ask("POST", UNSEAL, {}),
    unseal({"reset": True}),
    ask("POST", UNSEAL, {"key": "00" * 33, "migrate": True}, divergence="DV-07"),
    ask("GET", "sys/mounts"),
    ask("POST", INIT, {"secret_shares": 1, "secret_threshold": 1}),
    ask("POST", INIT, {"secret_shares": 1, "recovery_shares": 1, "recovery_threshold": 1}),
    ask("POST", INIT, {"secret_threshold": 1}),
    ask("POST", INIT, {"pgp_keys": ["x"], "recovery_shares": 1, "recovery_threshold": 1}),
    ask("POST", INIT, {"recovery_threshold": 1}),
    ask("POST", INIT, {"recovery_shares": 2, "recovery_threshold": 1}),
    ask("POST", INIT, {"recovery_shares": 2}),
    ask("POST", INIT, {"recovery_shares": 1, "recovery_threshold": 2}),
    ask("POST", INIT, {"recovery_shares": 256, "recovery_threshold": 2}),
    ask("POST", INIT, {"recovery_shares": 3, "recovery_threshold": 256}),
    ask("POST", INIT, {"recovery_shares": -1, "recovery_threshold": 1}),
    ask("POST", INIT, {"recovery_shares": -1}),
    ask("POST", INIT, {"recovery_shares": 3, "recovery_threshold": -1}),
    ask("POST", INIT, {"recovery_shares": 2, "recovery_threshold": 2, "recovery_pgp_keys": ["x"]}),
    ask("POST", INIT, {"recovery_shares": 1, "recovery_threshold": 1, "recovery_pgp_keys": ["x"]}),
    ask("POST", INIT, {"recovery_pgp_keys": ["x"]}),
    ask("POST", INIT, {"recovery_shares": "x"}),
    ask("GET", INIT),
]

SHARES = [
    init(3, 2),
    ask("POST", INIT, {"recovery_shares": 1, "recovery_threshold": 1}),
    status(),
    ask("GET", "sys/health"),
    get("auth/token/lookup-self", token="{top}"),
    get("sys/key-status", token="{top}"),
    unseal({"key": "{r0}"}),
    ask("POST", UNSEAL, {"reset": True}),
    ask("POST", UNSEAL, {"key": "00"}),
    ask("POST", UNSEAL, {"key": "{r0}", "migrate": True}, divergence="DV-07"),
    post("sys/seal", {}, token="{top}"),
    status(),
    ask("GET", "sys/health"),
    ask("POST", UNSEAL, {}),
    ask("POST", UNSEAL, {"key": "zz"}),
    ask("POST", UNSEAL, {"key": "0011"}),
    unseal({"key": "00" * 33}),
    status(),
    ask("POST", UNSEAL, {"key": "{r0}"}),
    unseal({"key": "22" * 32 + "00"}),
    ask("POST", UNSEAL, {"key": "11" * 32 + "00"}),
    unseal({"key": "{r2}"}),
    unseal({"reset": True}),
    unseal({"key": "{r0}"}),
    unseal({"key": "{r0}"}),
    get("auth/token/lookup-self", token="{top}"),
    unseal({"key": "{b1}"}),
    status(),
    get("auth/token/lookup-self", token="{top}"),
]

ONE = [
    init(1, 1),
    status(),
    post("sys/seal", {}, token="{top}"),
    ask("POST", UNSEAL, {"key": "11" * 32}),
    ask("POST", UNSEAL, {"key": "11" * 33}),
    unseal({"key": "{r0}"}),
    get("auth/token/lookup-self", token="{top}"),
]

NONE = [
    ask("POST", INIT, {}, save=("top:root_token",)),
    status(),
    get("auth/token/lookup-self", token="{top}"),
    post("sys/seal", {}, token="{top}"),
    status(),
    ask("POST", UNSEAL, {"key": "00" * 32}),
    ask("POST", UNSEAL, {"key": "00" * 33}),
    status(),
]

RESTART = [
    init(3, 2),
    post("sys/mounts/kv", {"type": "kv"}, token="{top}", settle=204),
    post("kv/a", {"x": "1"}, token="{top}"),
    restart(STATIC),
    status(settle_on='"cluster_name"'),
    get("kv/a", token="{top}", settle=200),
    restart(NEWER),
    status(settle_on='"cluster_name"'),
    get("kv/a", token="{top}", settle=200),
    post("sys/seal", {}, token="{top}"),
    status(),
    restart(NEWER),
    status(settle_on='"cluster_name"'),
    get("kv/a", token="{top}", settle=200),
]

MIGRATION = [
    ask(
        "POST",
        INIT,
        {"secret_shares": 3, "secret_threshold": 2},
        save=("top:root_token", "k0:keys.0", "k1:keys.1", "k2:keys.2"),
    ),
    ask("POST", UNSEAL, {"key": "{k0}"}),
    ask("POST", UNSEAL, {"key": "{k1}"}),
    post("sys/mounts/kv", {"type": "kv"}, token="{top}", settle=204),
    post("kv/a", {"x": "1"}, token="{top}"),
    restart(STATIC),
    status(),
    ask("GET", "sys/health"),
    ask("POST", UNSEAL, {"key": "{k0}"}, divergence="DV-07"),
    unseal({"reset": True}),
    unseal({"key": "00" * 33, "migrate": True}),
    ask("POST", UNSEAL, {"key": "{k0}", "migrate": True}),
    unseal({"key": "{k0}", "migrate": True}),
    status(),
    ask("POST", UNSEAL, {"key": "{k1}"}, divergence="DV-07"),
    unseal({"key": "{k1}", "migrate": True}, passing=MIGRATED),
    status(settle_on=('"migration":false', '"cluster_name"')),
    get("kv/a", token="{top}", settle=200),
    restart(STATIC),
    status(settle_on='"cluster_name"'),
    get("kv/a", token="{top}", settle=200),
    restart(LEFT),
    status(),
    ask("POST", UNSEAL, {"key": "{k0}"}, divergence="DV-07"),
    unseal({"key": "00" * 33, "migrate": True}),
    ask("POST", UNSEAL, {"key": "{k0}", "migrate": True}),
    unseal({"key": "{k2}", "migrate": True}),
    unseal({"key": "{k1}", "migrate": True}, passing=MIGRATED),
    status(settle_on=('"migration":false', '"cluster_name"')),
    get("kv/a", token="{top}", settle=200),
    restart(),
    ask("GET", "sys/seal-status"),
    ask("POST", UNSEAL, {"key": "{k0}"}),
    ask("POST", UNSEAL, {"key": "{k2}"}),
    get("kv/a", token="{top}", settle=200),
    put("sys/seal", {}, token="{top}"),
]

SCENARIOS = [
    Scenario("auto-unseal", "before-init", BEFORE, fresh=True, seal=STATIC),
    Scenario("auto-unseal", "recovery-shares", SHARES, fresh=True, seal=STATIC),
    Scenario("auto-unseal", "one-share", ONE, fresh=True, seal=STATIC),
    Scenario("auto-unseal", "no-shares", NONE, fresh=True, seal=STATIC),
    Scenario("auto-unseal", "restart", RESTART, fresh=True, seal=STATIC, lasting=True),
    Scenario("auto-unseal", "migration", MIGRATION, fresh=True, lasting=True),
]
