# SPDX-License-Identifier: EUPL-1.2
"""What is built apart and used together: wrapping a filtered list, renewing after a tune, moving what is limited."""

from typing import Any

from tests.conformance.scenario import (
    MERGE,
    Scenario,
    Step,
    delete,
    get,
    login,
    lst,
    patch,
    policy,
    post,
    scan,
)
from tests.conformance.scenarios.userpass import hashed

TTL = {"X-Vault-Wrap-TTL": "120"}
KEPT = ("k:wrap_info.token",)
MOVED = ("m:migration_id",)
UNWRAP = "sys/wrapping/unwrap"
LIMIT = "sys/quotas/rate-limit/moved"


def _inside(namespace: str) -> dict[str, str]:
    return {"X-Vault-Namespace": namespace}


def _move(source: str, target: str, **options: Any) -> list[Step]:
    """Moves a mount, and waits until it is there."""
    return [
        post("sys/remount", {"from": source, "to": target}, save=MOVED, **options),
        get("sys/remount/status/{m}", settle_on="success", **options),
    ]


FILTERED = [
    post("sys/mounts/tgf", {"type": "kv", "options": {"version": "2"}}),
    post("tgf/data/a", {"data": {"x": 1}}),
    post("tgf/data/b", {"data": {"x": 1}}),
    post("tgf/data/d/c", {"data": {"x": 1}}),
    policy(
        "tgf",
        """path "tgf/metadata/*" {
          capabilities = ["list", "scan"]
          list_scan_response_keys_filter_path = "tgf/data/{{ .key }}"
        }
        path "tgf/data/b" { capabilities = ["read"] }
        path "tgf/data/d/*" { capabilities = ["read"] }""",
    ),
    login("w", "tgf"),
    lst("tgf/metadata/", token="{w}"),
    scan("tgf/metadata/", token="{w}"),
    lst("tgf/metadata/d", token="{w}"),
    scan("tgf/metadata/d", token="{w}"),
    lst("tgf/metadata/", token="{w}", headers=TTL, save=KEPT),
    post(UNWRAP, {}, token="{k}"),
    scan("tgf/metadata/", token="{w}", headers=TTL, save=KEPT),
    post(UNWRAP, {}, token="{k}"),
    scan("tgf/metadata/d", token="{w}", headers=TTL, save=KEPT),
    post(UNWRAP, {"token": "{k}"}),
    lst("tgf/metadata/d", token="{w}", headers=TTL),
    lst("tgf/metadata/none", headers=TTL),
    lst("tgf/metadata/?limit=1", token="{w}", headers=TTL),
]

RENEWED = [
    post("sys/auth/tgr", {"type": "userpass"}),
    post("auth/tgr/users/a", {**hashed("p"), "token_ttl": "2h", "token_max_ttl": "4h"}),
    post("auth/tgr/login/a", {"password": "p"}, token="", save=("t:auth.client_token", "acc:auth.accessor")),
    post("sys/auth/tgr/tune", {"max_lease_ttl": "1h", "default_lease_ttl": "30m"}),
    post("auth/token/renew-self", {"increment": "3h"}, token="{t}"),
    post("auth/token/renew", {"token": "{t}", "increment": "20m"}),
    post("auth/tgr/users/a", {"token_period": "7m"}),
    post("auth/token/renew-self", {}, token="{t}"),
    post("auth/tgr/users/a", {"token_policies": ["x"]}),
    post("auth/token/renew-self", {}, token="{t}"),
    post("auth/token/renew-accessor", {"accessor": "{acc}", "increment": "5s"}),
    delete("auth/tgr/users/a"),
    post("auth/token/renew-self", {}, token="{t}"),
    post("sys/auth/tgr/tune", {"token_type": "batch"}),
    *_move("auth/tgr", "auth/tgs"),
    get("auth/token/lookup-self", token="{t}"),
    post("auth/tgs/users/a", hashed("p")),
    post("auth/tgs/login/a", {"password": "p"}, token="", save=("b:auth.client_token",)),
    post("auth/token/renew-self", {}, token="{b}"),
    post("auth/token/revoke-orphan", {"token": "{b}"}),
    post("auth/token/revoke-orphan", {"token": "b.AAAA"}),
    post("auth/token/revoke", {"token": "b.AAAA"}),
    post("auth/token/create", {"type": "batch", "ttl": "5m"}, headers=TTL, save=KEPT),
    post(UNWRAP, {"token": "{k}"}, save=("c:auth.client_token",)),
    get("auth/token/lookup-self", token="{c}"),
    delete("sys/auth/tgs"),
]

MOVING = [
    post("sys/mounts/tgm", {"type": "kv", "options": {"version": "2"}}),
    post("tgm/data/a", {"data": {"x": "1"}}),
    post("tgm/metadata/a", {"max_versions": 2, "custom_metadata": {"o": "p"}}),
    *_move("tgm", "tgn"),
    patch("tgn/data/a", {"data": {"y": "2"}}),
    patch("tgm/data/a", {"data": {"y": "2"}}),
    patch("tgn/data/a", {"options": {"cas": 1}, "data": {"y": None}}),
    patch("tgn/metadata/a", {"custom_metadata": {"q": "r"}}),
    get("tgn/metadata/a"),
    post("sys/namespaces/tgns"),
    *_move("tgn", "tgns/tgo"),
    get("tgns/tgo/data/a"),
    patch("tgo/data/a", {"data": {"z": "3"}}, headers={**MERGE, **_inside("tgns")}),
    post("sys/mounts/tgp", {"type": "kv"}, headers=_inside("tgns")),
    post("sys/remount", {"from": "tgns/tgo", "to": "tgns/tgp"}),
    post("sys/remount", {"from": "tgo", "to": "tgp"}, headers=_inside("tgns")),
    post("sys/remount", {"from": "tgo", "to": "tgp/deep"}, headers=_inside("tgns")),
    *_move("tgo", "tgq", headers=_inside("tgns")),
    get("tgq/data/a", headers=_inside("tgns")),
    delete("sys/namespaces/tgns"),
]

LIMITED = [
    post("sys/mounts/tgl", {"type": "kv"}),
    post(LIMIT, {"rate": 2, "interval": "24h", "path": "tgl/"}),
    *[get("tgl/a")] * 3,
    post(LIMIT, {"rate": 2, "interval": "24h", "path": "tgl/"}),
    *[get("tgl/a")] * 3,
    post("sys/mounts/tgl/tune", {"description": "x"}),
    get("tgl/a"),
    *_move("tgl", "tgk"),
    get(LIMIT),
    get("tgk/a", divergence="DV-95"),
    delete(LIMIT),
    get("tgk/a"),
]

LOCKED = [
    post("sys/namespaces/tgx"),
    post(
        "auth/token/create",
        {"policies": ["default"]},
        headers=_inside("tgx"),
        save=("t:auth.client_token",),
    ),
    post("sys/namespaces/api-lock/lock/tgx", save=("unlock:data.unlock_key",)),
    get("auth/token/lookup-self", token="{t}", headers=_inside("tgx")),
    get("auth/token/lookup-self", token="{t}", divergence="DV-95"),
    get("cubbyhole/x", token="{t}"),
    post("auth/token/lookup", {"token": "{t}"}),
    post("sys/namespaces/api-lock/unlock/tgx", {"unlock_key": "{unlock}"}),
    get("auth/token/lookup-self", token="{t}"),
    delete("sys/namespaces/tgx"),
]

UNCOUNTED = [
    post("sys/auth/tgu", {"type": "userpass"}),
    post("auth/tgu/users/a", hashed("p")),
    post("sys/auth/tgu/tune", {"user_lockout_config": {"lockout_threshold": "2", "lockout_duration": "1h"}}),
    *[post("auth/tgu/login/a", {"password": "x"}, token="")] * 2,
    post("auth/tgu/login/a", {"password": "p"}, token=""),
    *_move("auth/tgu", "auth/tgv"),
    post("auth/tgv/login/a", {"password": "p"}, token=""),
    post("sys/auth/tgv/tune", {"user_lockout_config": {"lockout_disable": True}}),
    post("auth/tgv/login/a", {"password": "p"}, token=""),
    post("sys/auth/tgv/tune", {"user_lockout_config": {"lockout_disable": False}}),
    post("auth/tgv/login/a", {"password": "p"}, token=""),
    post("auth/tgv/users/a/password", {"password": "q"}),
    post("auth/tgv/login/a", {"password": "q"}, token=""),
    delete("sys/auth/tgv"),
]

SCENARIOS = [
    Scenario("together", "wrapped lists are filtered", FILTERED),
    Scenario("together", "renewed after changes", RENEWED),
    Scenario("together", "moved and patched", MOVING),
    Scenario("together", "limited and moved", LIMITED),
    Scenario("together", "locked out and not counted", UNCOUNTED),
    Scenario("together", "a token of a locked namespace", LOCKED),
]
