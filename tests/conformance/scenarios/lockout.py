# SPDX-License-Identifier: EUPL-1.2
"""Lockout after failed logins: thresholds, tuning, who is locked, and unlocking."""

from tests.conformance.scenario import Scenario, Step, get, lst, post
from tests.conformance.scenario import delete as remove
from tests.conformance.scenarios import approle, userpass
from tests.conformance.scenarios.approle import AUTH, TOKEN
from tests.conformance.scenarios.auto_unseal import ask

LOCKED = "sys/locked-users"


def guess(at: str, *names: str) -> list[Step]:
    """Fails to log in, once for each name."""
    return [post(f"auth/{at}/login/{name}", {"password": "bad"}, token="") for name in names]


def right(at: str, name: str, **options: object) -> Step:
    """Logs in with the right password."""
    return post(f"auth/{at}/login/{name}", {"password": "x"}, token="", **options)


def accessor(at: str, name: str) -> Step:
    """Captures the accessor of the mount `at` as `name`."""
    return get(f"sys/auth/{at}", pick=("data.type",), save=(f"{name}:data.accessor",))


USERS = [
    userpass.mount("lk"),
    accessor("lk", "lk"),
    post("auth/lk/users/bob", userpass.hashed("x")),
    post("auth/lk/users/eve", userpass.hashed("x")),
    *guess("lk", "bob", "Bob", "BOB", "bob", "bOb"),
    right("lk", "bob"),
    right("lk", "BOB"),
    post("auth/lk/login/bob", {}, token=""),
    *guess("lk", "bob"),
    get(LOCKED + "?mount_accessor={lk}"),
    get(LOCKED + "?mount_accessor=zz"),
    post(LOCKED, {}),
    lst(LOCKED),
    get(LOCKED + "/x"),
    post(LOCKED + "/{lk}/unlock/BOB"),
    get(LOCKED + "?mount_accessor={lk}"),
    post(LOCKED + "/{lk}/unlock/bob"),
    get(LOCKED + "?mount_accessor={lk}"),
    post(LOCKED + "/{lk}/unlock/bob", {}),
    post(LOCKED + "/zz/unlock/bob", {}),
    get(LOCKED + "/{lk}/unlock/bob"),
    remove(LOCKED + "/{lk}/unlock/bob"),
    right("lk", "bob", pick=AUTH),
    *guess("lk", "eve", "eve", "eve", "eve"),
    right("lk", "eve", pick=AUTH),
    *guess("lk", "eve", "eve", "eve", "eve"),
    right("lk", "eve", pick=AUTH),
    *guess("lk", "nobody", "nobody", "nobody", "nobody", "nobody"),
    post("auth/lk/login/nobody", {"password": "bad"}, token="", divergence="DV-41"),
    post("auth/lk/users/near", {**userpass.hashed("x"), "token_bound_cidrs": "10.0.0.0/8"}),
    *(right("lk", "near") for _ in range(7)),
    post("sys/auth/lk/tune", {"user_lockout_config": {"lockout_threshold": "2"}}),
    *guess("lk", "eve", "eve", "eve"),
    right("lk", "eve"),
    post("sys/auth/lk/tune", {"user_lockout_config": {"lockout_disable": True}}),
    right("lk", "eve", pick=AUTH),
    *guess("lk", "eve", "eve", "eve", "eve", "eve", "eve"),
]

TUNE = "sys/auth/lt/tune"
TUNED: list[tuple[dict[str, object], str]] = [
    ({"lockout_threshold": "3"}, ""),
    (
        {
            "lockout_threshold": "3",
            "lockout_duration": "5m",
            "lockout_counter_reset_duration": "6m",
            "lockout_disable": True,
        },
        "",
    ),
    ({"lockout_threshold": 4}, ""),
    ({"lockout_threshold": "x"}, "DV-02"),
    ({"lockout_threshold": "0"}, ""),
    ({"lockout_duration": "x"}, "DV-02"),
    ({"lockout_counter_reset_duration": 0}, ""),
    ({"lockout_disable": "x"}, ""),
    ({"nope": "x"}, ""),
    ({}, ""),
    ({"lockout_disable": False}, ""),
]
TUNING = [
    userpass.mount("lt"),
    get(TUNE),
    *(
        one
        for config, known in TUNED
        for one in (post(TUNE, {"user_lockout_config": config}, divergence=known), get(TUNE))
    ),
    get("sys/auth/lt"),
    post("sys/auth/lt2", {"type": "userpass", "config": {"user_lockout_config": {"lockout_threshold": "2"}}}),
    post("sys/auth/lt2", {"type": "userpass", "user_lockout_config": {"lockout_threshold": "2"}}),
    get("sys/auth/lt2/tune"),
    post("sys/auth/token/tune", {"user_lockout_config": {"lockout_threshold": "2"}}),
    post("sys/mounts/cubbyhole/tune", {"user_lockout_config": {"lockout_threshold": "2"}}),
]

AL = "auth/al/login"
ROLES = [
    approle.mount("al"),
    accessor("al", "al"),
    *approle.role("al", "al-r"),
    *(post(AL, {"role_id": "al-r", "secret_id": "bad"}, token="") for _ in range(6)),
    post(AL, {"role_id": "al-r", "secret_id": "al-r"}, token=""),
    post(AL, {"role_id": "al-r"}, token=""),
    get(LOCKED + "?mount_accessor={al}"),
    post(LOCKED + "/{al}/unlock/al-r"),
    approle.enter("al", "al-r", "al-r"),
    *(post(AL, {"role_id": "al-none", "secret_id": "bad"}, token="") for _ in range(5)),
    post(AL, {"role_id": "al-none", "secret_id": "bad"}, token="", divergence="DV-41"),
    *approle.role("al", "al-far", secret_id_bound_cidrs="10.0.0.0/8"),
    *(post(AL, {"role_id": "al-far", "secret_id": "al-far"}, token="") for _ in range(6)),
    *(post(AL, {"role_id": "al-far"}, token="") for _ in range(6)),
    remove("sys/auth/al"),
]

SEEN = ("data.total", "data.by_namespace.0.mount_accessors", "data.by_namespace.0.counts")
INSIDE = {"X-Vault-Namespace": "lns"}
NAMESPACES = [
    post("sys/namespaces/lns", {}),
    post("sys/auth/ln", {"type": "userpass"}, headers=INSIDE),
    get("sys/auth/ln", headers=INSIDE, pick=("data.type",), save=("ln:data.accessor",)),
    post("auth/ln/users/kim", {**userpass.hashed("x"), "token_ttl": "1h"}, headers=INSIDE),
    right("ln", "kim", headers=INSIDE, pick=AUTH, save=("t:auth.client_token",)),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    get(LOCKED, headers=INSIDE, pick=SEEN),
    *(post("auth/ln/login/kim", {"password": "bad"}, token="", headers=INSIDE) for _ in range(6)),
    get(LOCKED, headers=INSIDE, pick=SEEN),
    get(LOCKED + "?mount_accessor={ln}"),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    post(LOCKED + "/{ln}/unlock/kim", headers=INSIDE),
    right("ln", "kim", headers=INSIDE, pick=AUTH),
]
MOVED = [
    userpass.mount("lm"),
    post("auth/lm/users/kim", userpass.hashed("x")),
    right("lm", "kim", pick=AUTH, save=("t:auth.client_token",)),
    post("sys/remount", {"from": "auth/lm", "to": "auth/lm2"}),
    get("auth/token/lookup-self", token="{t}", settle=403),
    right("lm2", "kim", pick=AUTH),
]
CONFIGURED = """
user_lockout "all" {
  lockout_threshold     = "7"
  lockout_duration      = "1500ms"
  lockout_counter_reset = 90
}
"""
SHOWN = [
    ask(
        "POST",
        "sys/init",
        {"secret_shares": 1, "secret_threshold": 1},
        save=("top:root_token", "share:keys.0"),
    ),
    ask("POST", "sys/unseal", {"key": "{share}"}),
    get(
        "sys/config/state/sanitized",
        token="{top}",
        pick=("data.user_lockout_configs.0", "data.user_lockout_configs.1"),
    ),
]

SCENARIOS = [
    Scenario("lockout", "lockout-users", USERS),
    Scenario("lockout", "lockout-tuning", TUNING),
    Scenario("lockout", "lockout-roles", ROLES),
    Scenario("lockout", "lockout-namespaces", NAMESPACES),
    Scenario("lockout", "lockout-moved", MOVED),
    Scenario("lockout", "lockout-configured", SHOWN, fresh=True, seal=CONFIGURED),
]
