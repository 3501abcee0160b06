# SPDX-License-Identifier: EUPL-1.2
"""What a policy allows: match choice, wildcards, deny, merging, sudo; observed through KV requests."""

from tests.conformance.scenario import Scenario, delete, get, login, lst, patch, policy, post, put, scan

W = "{w}"


def rule(path: str, *capabilities: str, more: str = "") -> str:
    """One path block."""
    listed = ", ".join(f'"{one}"' for one in capabilities)
    return f'path "{path}" {{ capabilities = [{listed}]\n{more} }}\n'


FILL = [post("sys/mounts/acl", {"type": "kv"}), post("sys/mounts/acl2", {"type": "kv-v2"})] + [
    post(f"acl/{name}", {"x": "1"})
    for name in ("a", "b", "p/a", "p/b", "p/q/c", "pq", "deep/a/b/c", "x+y", "star*")
]

MATCH = (
    FILL
    + [
        policy(
            "acl-match",
            rule("acl/p/*", "read")
            + rule("acl/+/b", "deny")
            + rule("acl/p*", "deny")
            + rule("acl/+", "read")
            + rule("acl/*", "list")
            + rule("acl/deep/+/b/c", "read")
            + rule("acl/deep/a/+/c", "update")
            + rule("acl/x+y", "read")
            + rule("acl/st*r", "read")
            + rule("/acl/b", "read", "create"),
        ),
        login("w", "acl-match"),
    ]
    + [
        get(f"acl/{name}", token=W)
        for name in (
            "a",
            "b",
            "p/a",
            "p/b",
            "p/q/c",
            "pq",
            "deep/a/b/c",
            "x+y",
            "xzy",
            "star*",
            "st*r",
            "p",
            "q/b",
            "",
        )
    ]
    + [
        lst("acl", token=W),
        lst("acl/p", token=W),
        lst("acl/deep/", token=W),
        post("acl/b", {"x": "2"}, token=W),
        post("acl/b2", {"x": "2"}, token=W),
        scan("acl", token=W),
        post(
            "sys/capabilities",
            {
                "token": W,
                "paths": ["acl/a", "acl/b", "acl/p/b", "acl/pq", "acl/deep/a/b/c", "acl/", "acl", "acl/p/"],
            },
        ),
    ]
)

MERGE = FILL + [
    policy("acl-m1", rule("acl/a", "read") + rule("acl/b", "read") + rule("acl/p/*", "read")),
    policy("acl-m2", rule("acl/a", "update", "delete") + rule("acl/b", "deny") + rule("acl/p/a", "deny")),
    policy(
        "acl-m3",
        rule("acl/c", "create", "read") + rule("acl/d", "update") + rule("acl/e", "create", "update"),
    ),
    login("w", "acl-m1", "acl-m2", "acl-m3"),
    get("acl/a", token=W),
    put("acl/a", {"x": "3"}, token=W),
    get("acl/b", token=W),
    get("acl/p/a", token=W),
    get("acl/p/b", token=W),
    post("acl/c", {"x": "1"}, token=W),
    post("acl/c", {"x": "2"}, token=W),
    get("acl/c", token=W),
    post("acl/d", {"x": "1"}, token=W),
    post("acl/d", {"x": "1"}),
    post("acl/d", {"x": "2"}, token=W),
    post("acl/e", {"x": "1"}, token=W),
    post("acl/e", {"x": "2"}, token=W),
    delete("acl/a", token=W),
    policy("acl-m2", rule("acl/b", "list")),
    get("acl/b", token=W),
    delete("sys/policies/acl/acl-m1"),
    get("acl/b", token=W),
]

SLASHES = (
    FILL
    + [
        policy("acl-l1", rule("acl/p/", "list")),
        policy("acl-l2", rule("acl/p", "list")),
        policy("acl-l3", rule("acl/p/*", "list")),
        policy("acl-l4", rule("acl/+", "list", "scan")),
    ]
    + [
        one
        for name in ("acl-l1", "acl-l2", "acl-l3", "acl-l4")
        for one in (
            login("w", name),
            lst("acl/p", token=W),
            lst("acl/p/", token=W),
            lst("acl/p/q", token=W),
            lst("acl", token=W),
            scan("acl/p", token=W),
            get("acl/p/?list=true", token=W),
            get("acl/p/a", token=W),
        )
    ]
)

VERBS = FILL + [
    post("acl2/data/a", {"data": {"x": "1"}}),
    policy("acl-v2r", rule("acl2/data/a", "read") + rule("acl2/metadata/*", "list")),
    policy("acl-v2p", rule("acl2/data/a", "patch") + rule("acl2/data/n", "create")),
    login("r", "acl-v2r"),
    login("p", "acl-v2p"),
    get("acl2/data/a", token="{r}"),
    post("acl2/data/a", {"data": {}}, token="{r}"),
    patch("acl2/data/a", {"data": {"y": "1"}}, token="{r}"),
    delete("acl2/data/a", token="{r}"),
    lst("acl2/metadata", token="{r}"),
    scan("acl2/metadata", token="{r}"),
    get("acl2/metadata/a", token="{r}"),
    patch("acl2/data/a", {"data": {"y": "1"}}, token="{p}"),
    get("acl2/data/a", token="{p}"),
    post("acl2/data/n", {"data": {}}, token="{p}"),
    post("acl2/data/n", {"data": {}}, token="{p}"),
    get("acl2/config", token="{r}"),
]

SUDO = [
    policy(
        "acl-nosudo",
        rule("sys/*", "create", "read", "update", "delete", "list")
        + rule("auth/token/*", "update", "list", "read"),
    ),
    policy(
        "acl-sudo",
        rule("sys/*", "create", "read", "update", "delete", "list", "sudo")
        + rule("auth/token/*", "list", "sudo"),
    ),
] + [
    one
    for name in ("acl-nosudo", "acl-sudo")
    for one in (
        login("w", name),
        get("sys/audit", token=W),
        get("sys/auth", token=W, pick=("lease_id",)),
        post(
            "sys/auth/acl-nope",
            {"type": "nope"},
            token=W,
            divergence="DV-02" if name == "acl-sudo" else "",
        ),
        get("sys/auth/token/tune", token=W),
        post("sys/mounts/acl-sudo", {"type": "kv"}, token=W),
        delete("sys/mounts/acl-sudo", token=W),
        get("sys/config/cors", token=W),
        get("sys/config/auditing/request-headers", token=W),
        lst("sys/leases/lookup/x", token=W),
        post("sys/rotate", {}, token=W),
        post("sys/audit-hash/file", {"input": "x"}, token=W),
        delete("sys/audit/file", token=W),
        post("sys/remount", {"from": "a", "to": "b"}, token=W),
        get("sys/raw/core", token=W),
        lst("auth/token/accessors", token=W, pick=("lease_id",)),
        post("auth/token/revoke-orphan", {"token": "x"}, token=W),
        get("sys/policies/acl/default", token=W, pick=("lease_id",)),
    )
]

SCENARIOS = [
    Scenario("acl", "match-choice", MATCH),
    Scenario("acl", "merging", MERGE),
    Scenario("acl", "slashes", SLASHES),
    Scenario("acl", "verbs", VERBS),
    Scenario("acl", "sudo", SUDO),
]
