# SPDX-License-Identifier: EUPL-1.2
"""Tokens and wrapping at their edges: bound addresses of root tokens, odd times and texts, wraps of wraps."""

from collections.abc import Mapping

from tests.conformance.scenario import Scenario, Step, delete, get, login, lst, policy, post, put

C = "auth/token/create"
R = "auth/token/roles/"
T = ("t:auth.client_token", "acc:auth.accessor")
SELF = "auth/token/lookup-self"
WRAP = {"X-Vault-Wrap-TTL": "60"}
W = ("w:wrap_info.token", "wa:wrap_info.accessor")

ROLES = ("far", "near", "strict")
ROOTED = ("rfar", "rnear", "rstrict")
LIMITS: Mapping[str, Mapping[str, object]] = {
    "far": {"token_bound_cidrs": "10.0.0.0/8", "orphan": True},
    "near": {"token_bound_cidrs": ["127.0.0.1", "::1"]},
    "strict": {"token_strictly_bind_ip": True},
}


def used() -> list[Step]:
    """What a token that was just made may do."""
    return [
        get(SELF, token="{t}"),
        post("auth/token/lookup", {"token": "{t}"}),
        post(C, {}, token="{t}", shape=2),
        post("auth/token/renew-self", {"increment": "1h"}, token="{t}", shape=2),
        post("sys/capabilities-self", {"path": "sys/mounts"}, token="{t}"),
        post("sys/wrapping/wrap", {"a": "b"}, token="{t}", headers=WRAP, save=W, shape=2),
        post("auth/token/revoke-self", {}, token="{t}"),
    ]


BOUND = [
    policy("edge", 'path "auth/token/create*" { capabilities = ["create", "update", "sudo"] }'),
    *(
        step
        for name, limits in LIMITS.items()
        for role, allowed in ((name, "edge,default"), (f"r{name}", "root,edge"))
        for step in (post(R + role, {"allowed_policies": allowed, **limits}), get(R + role))
    ),
    *(
        step
        for role, body in (
            *((role, {"policies": ["edge"], **more}) for role in ROLES for more in ({}, {"type": "batch"})),
            *((role, {"policies": ["root"], "ttl": "1h"}) for role in ROOTED),
            *((role, {"policies": ["edge"]}) for role in ROOTED),
        )
        for step in (post(f"{C}/{role}", body, save=T), *used())
    ),
    post(f"{C}/rfar", {"policies": ["root"]}, save=T),
    get(SELF, token="{t}", divergence="DV-40"),
    post("auth/token/revoke", {"token": "{t}"}),
    post(R + "far", {"token_bound_cidrs": ""}),
    get(R + "far"),
    post(R + "far", {"bound_cidrs": "10.0.0.1", "token_bound_cidrs": "10.0.0.2"}),
    get(R + "far"),
    post(R + "far", {"token_bound_cidrs": "fe80::/10,10.1.2.3/8"}),
    get(R + "far"),
]

INHERITED = [
    policy("edge", 'path "auth/token/create*" { capabilities = ["create", "update", "sudo"] }'),
    post(R + "narrow", {"allowed_policies": "edge,default", "token_bound_cidrs": "127.0.0.0/8"}),
    post(R + "narrower", {"allowed_policies": "edge,default", "token_bound_cidrs": "127.0.0.1,10.0.0.0/8"}),
    post(R + "plain", {"allowed_policies": "edge,default"}),
    post(f"{C}/narrow", {"policies": ["edge"]}, save=("near:auth.client_token",)),
    *(
        step
        for path, more in (
            (C, {}),
            (C, {"type": "batch"}),
            (C, {"period": "1h"}),
            (C, {"num_uses": 3}),
            (C, {"no_parent": True}),
            ("auth/token/create-orphan", {}),
            (f"{C}/plain", {}),
            (f"{C}/narrower", {}),
        )
        for step in (
            post(path, {"policies": ["edge"], **more}, token="{near}", save=T),
            post("auth/token/lookup", {"token": "{t}"}),
        )
    ),
    post(C, {"policies": ["edge"]}, token="{near}", save=T),
    post(C, {"policies": ["default"]}, token="{t}", save=("grandchild:auth.client_token",)),
    post("auth/token/lookup", {"token": "{grandchild}"}),
]

TIMES = [
    *(
        post(C, {"policies": ["default"], field: value})
        for field in ("ttl", "explicit_max_ttl", "period", "lease")
        for value in (60, "60", "60s", "1m", "1.5h", "2d", "9000h", "0", "", 0, None, 90061)
    ),
    *(
        post(C, {"policies": ["default"], field: value}, divergence="DV-02")
        for field in ("ttl", "period")
        for value in ("x", "1w", "60 s")
    ),
    *(post(C, {"policies": ["default"], "ttl": value}) for value in (-1, "-1s", "-60")),
    post(C, {"policies": ["default"], "ttl": "2h", "explicit_max_ttl": "1h"}),
    post(C, {"policies": ["default"], "period": "2h", "explicit_max_ttl": "1h"}),
    post(C, {"policies": ["default"], "period": "9000h"}),
    post(C, {"policies": ["default"], "period": "9000h", "explicit_max_ttl": "9000h"}),
    post(C, {"policies": ["default"], "num_uses": 1, "period": "1h"}),
    post(C, {"policies": ["default"], "ttl": "1h", "renewable": False, "period": "1h"}),
    post(C, {"policies": ["default"], "type": "batch", "ttl": "9000h"}),
    post(C, {"policies": ["default"], "type": "batch", "explicit_max_ttl": "1h"}),
    post(C, {"policies": ["default"], "type": "batch", "period": "1h"}),
    post(C, {"policies": ["default"], "type": "batch", "num_uses": 1}),
    post(C, {"policies": ["default"], "type": "batch", "renewable": True}),
    post(C, {"policies": ["default"], "type": "batch", "id": "mine"}),
    post(C, {"policies": ["root"], "type": "batch"}),
    post(C, {"policies": ["default"], "ttl": "1h"}, save=T),
    *(
        post("auth/token/renew-self", {"increment": value}, token="{t}")
        for value in (60, "60", "2h", "9000h")
    ),
    *(  # a second later it would be warned of: what is asked for is then more than what is left
        post("auth/token/renew-self", {"increment": value}, token="{t}", pick=("auth",))
        for value in (0, "", None)
    ),
    post("auth/token/renew-self", {"increment": -5}, token="{t}", divergence="DV-02"),
    post("auth/token/renew", {"token": "{t}", "increment": "30m"}),
    post("auth/token/renew-accessor", {"accessor": "{acc}", "increment": "20m"}),
    post("auth/token/renew/{t}", {"increment": "10m"}),
    post("sys/policies/acl/maker", {"policy": 'path "auth/token/create" { capabilities = ["update"] }'}),
    post(C, {"policies": ["maker"], "ttl": "1h"}, save=T),
    *(post(C, {"period": value}, token="{t}") for value in ("0s", "0", 0, "", "1s", "-1s")),
]

TEXTS = [
    *(
        post(C, {"policies": ["default"], "display_name": name}, save=T)
        for name in ("plain", "With Space", "ünï", "a/b", "-x-", "a" * 300)
    ),
    get(SELF, token="{t}"),
    *(
        post(C, {"policies": value})
        for value in (
            "default",
            "default,edge",
            ["Default", " default ", "EDGE"],
            ["default", ""],
            "",
            [""],
            ["a,b"],
        )
    ),
    post(C, {"policies": ["response-wrapping"]}),
    post(C, {"policies": ["default"], "meta": {"a": "b", "c": ""}}),
    post(C, {"policies": ["default"], "metadata": {"a": "b"}}),
    post(C, {"policies": ["default"], "meta": None}),
    post(C, {"policies": ["default"], "no_such": 1}),
    post(C, {"policies": ["default"], "num_uses": 2}, save=T),
    get(SELF, token="{t}"),
    get(SELF, token="{t}"),
    get(SELF, token="{t}"),
    post(C, {"policies": ["default"], "num_uses": -1}),
    post(C, {"policies": ["default"], "id": "edge-id-one"}),
    post(C, {"policies": ["default"], "id": "edge-id-one"}),
    post(C, {"policies": ["default"], "id": "s.edge"}),
    post(C, {"policies": ["default"], "id": "edge.dot"}),
    get(SELF, token="edge-id-one", pick=("data.path", "data.policies", "data.type", "data.orphan")),
    post("auth/token/revoke", {"token": "edge-id-one"}),
    get(SELF, token="edge-id-one"),
    post("auth/token/revoke", {}),
    post("auth/token/revoke", {"token": "none"}),
    post("auth/token/revoke-accessor", {"accessor": "none"}),
    post("auth/token/revoke-accessor", {}),
    post("auth/token/revoke-orphan", {}),
    post("auth/token/revoke-orphan", {"token": "none"}),
    post("auth/token/lookup-accessor", {}),
    post("auth/token/lookup-accessor", {"accessor": ""}),
    post("auth/token/lookup", {"token": ""}, token="{t}"),
    get("auth/token/lookup", token="garbage"),
    get("auth/token/lookup/garbage"),
    lst("auth/token/accessors", token="garbage"),
    lst("auth/token/accessors", pick=("data.nothing",)),
    post("auth/token/tidy"),
]

WRAPS = [
    *(
        post(
            "sys/wrapping/wrap",
            {"a": "b"},
            headers={"X-Vault-Wrap-TTL": value},
            pick=("wrap_info.ttl", "wrap_info.creation_path"),
        )
        for value in ("60", "60s", "1h", "2d", "9999h", "0.5h")
    ),
    *(
        post("sys/wrapping/wrap", {"a": "b"}, headers={"X-Vault-Wrap-TTL": value})
        for value in ("0", "", "-1")
    ),
    *(
        post("sys/wrapping/wrap", {"a": "b"}, headers={"X-Vault-Wrap-TTL": value}, divergence="DV-02")
        for value in ("abc", "1 h")
    ),
    post("sys/wrapping/wrap", {}, headers=WRAP, save=W),
    post("sys/wrapping/wrap", headers=WRAP, save=W),
    post(
        "sys/wrapping/wrap",
        {"a": "b"},
        headers={**WRAP, "X-Vault-Wrap-Format": "jwt"},
        pick=("wrap_info.ttl",),
    ),
    post(
        "sys/wrapping/wrap",
        {"a": "b"},
        headers={**WRAP, "X-Vault-Wrap-Format": "other"},
        pick=("wrap_info.ttl",),
    ),
    post("sys/wrapping/wrap", {"a": {"b": [1, None, "x"]}}, headers=WRAP, save=W),
    post("sys/wrapping/lookup", {"token": "{w}"}, token=""),
    get("sys/wrapping/lookup", token="{w}"),
    post("auth/token/lookup", {"token": "{w}"}),
    post("auth/token/lookup-accessor", {"accessor": "{wa}"}),
    post("sys/wrapping/rewrap", {"token": "{w}"}, save=W),
    post("sys/wrapping/lookup", {"token": "{w}"}),
    post("sys/wrapping/unwrap", {"token": "{w}"}, headers=WRAP, save=W),
    post("sys/wrapping/unwrap", {"token": "{w}"}, save=("w:wrap_info.token",)),
    post("sys/wrapping/unwrap", {"token": "{w}"}),
    post("sys/wrapping/wrap", {"a": "b"}, headers=WRAP, save=W),
    post("sys/wrapping/unwrap", token="{w}"),
    post("sys/wrapping/unwrap", token="{w}"),
    post("sys/wrapping/wrap", {"a": "b"}, headers=WRAP, save=W),
    get(SELF, token="{w}"),
    post("sys/wrapping/unwrap", {"token": "{w}"}),
    post("sys/wrapping/wrap", {"a": "b"}, headers=WRAP, save=W),
    get("cubbyhole/response", token="{w}"),
    get("cubbyhole/response", token="{w}"),
    post("sys/wrapping/wrap", {"a": "b"}, headers=WRAP, save=W),
    post("auth/token/revoke-accessor", {"accessor": "{wa}"}),
    post("sys/wrapping/unwrap", {"token": "{w}"}),
    post("sys/wrapping/wrap", {"a": "b"}, headers=WRAP, save=W),
    post("auth/token/renew", {"token": "{w}"}),
    post("sys/wrapping/unwrap", {"token": "{w}"}),
    login("plain", "default"),
    post("sys/wrapping/unwrap", {"token": "{plain}"}),
    post("sys/wrapping/lookup", {"token": "{plain}"}),
    post("sys/wrapping/rewrap", {"token": "{plain}"}),
    post("sys/wrapping/unwrap", {"token": ""}),
    post("sys/wrapping/unwrap", {}),
    post("sys/wrapping/rewrap", {}),
    post("sys/wrapping/lookup", {}),
    get(SELF, headers=WRAP, token="{plain}", save=W, pick=("wrap_info.ttl", "wrap_info.creation_path")),
    post("sys/wrapping/unwrap", {"token": "{w}"}, token="{plain}", pick=("data.policies", "data.path")),
    post(
        C,
        {"policies": ["default"]},
        headers=WRAP,
        save=("w:wrap_info.token", "inner:wrap_info.wrapped_accessor"),
    ),
    post("auth/token/lookup-accessor", {"accessor": "{inner}"}, pick=("data.policies",)),
    post("sys/wrapping/unwrap", {"token": "{w}"}, save=T),
    get(SELF, token="{t}", pick=("data.policies",)),
    get("sys/none", headers=WRAP),
    post("auth/token/revoke", {"token": "{t}"}, headers=WRAP),
    delete("cubbyhole/x", headers=WRAP),
    get("sys/health", headers=WRAP, pick=("initialized",)),
    put("sys/tools/hash", {"input": "YQ=="}, headers=WRAP, pick=("wrap_info.creation_path",)),
    get("sys/internal/ui/mounts", headers=WRAP, token="", shape=1),
    lst("sys/policies/acl", headers=WRAP, pick=("wrap_info.creation_path",)),
    policy(
        "wbound",
        'path "cubbyhole/*" { capabilities = ["create", "update", "read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "2m" }',
    ),
    login("wb", "wbound"),
    *(
        post("cubbyhole/a", {"x": "y"}, token="{wb}", headers=h)
        for h in ({}, {"X-Vault-Wrap-TTL": "59"}, {"X-Vault-Wrap-TTL": "121"}, {"X-Vault-Wrap-TTL": "60"})
    ),
    get("cubbyhole/a", token="{wb}", headers={"X-Vault-Wrap-TTL": "61"}, pick=("wrap_info.ttl",)),
]

SCENARIOS = [
    Scenario("token-edges", "bound", BOUND),
    Scenario("token-edges", "inherited addresses", INHERITED),
    Scenario("token-edges", "times", TIMES),
    Scenario("token-edges", "texts", TEXTS),
    Scenario("token-edges", "wraps", WRAPS),
]
