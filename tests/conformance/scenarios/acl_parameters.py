# SPDX-License-Identifier: EUPL-1.2
"""Parameter, wrapping, pagination and filter rules of a policy; expiration of rules; the default policy."""

from tests.conformance.scenario import Scenario, delete, get, login, lst, policy, post, scan
from tests.conformance.scenarios.acl import rule

W = "{w}"
FILL = [post("sys/mounts/par", {"type": "kv"}), post("sys/mounts/par2", {"type": "kv-v2"})]

SEARCHES = ", ".join(f'"*{number}*"' for number in range(10, 20))
PARAMETERS = (
    FILL
    + [
        policy(
            "par",
            rule(
                "par/allowed",
                "create",
                "update",
                more='allowed_parameters = { "a" = ["1", "x*"] "b" = [] "n" = [5, true] }',
            )
            + rule("par/star", "create", "update", more='allowed_parameters = { "a" = ["1"] "*" = [] }')
            + rule(
                "par/denied", "create", "update", more='denied_parameters = { "a" = ["1", "*z"] "b" = [] }'
            )
            + rule("par/search", "create", "update", more=f'denied_parameters = {{ "a" = [{SEARCHES}] }}')
            + rule("par/deniedall", "create", "update", more='denied_parameters = { "*" = [] }')
            + rule(
                "par/both",
                "create",
                "update",
                more='allowed_parameters = { "*" = [] }\n denied_parameters = { "A" = [] }',
            )
            + rule("par/required", "create", "update", "read", more='required_parameters = ["a", "B"]')
            + rule("par2/data/q", "read", more='allowed_parameters = { "version" = ["1"] }'),
        ),
        login("w", "par"),
        post("par/search", {"a": "x" * 400_000}, token=W),
        post("par/search", {"a": "x" * 800_000}, token=W, divergence="DV-98"),
    ]
    + [
        post(f"par/{path}", body, token=W)
        for path, body in (
            ("allowed", {"a": "1"}),
            ("allowed", {"a": "2"}),
            ("allowed", {"A": "1"}),
            ("allowed", {"a": "xyz"}),
            ("allowed", {"b": "anything"}),
            ("allowed", {"c": "1"}),
            ("allowed", {"a": "1", "c": "1"}),
            ("allowed", {"a": ["1"]}),
            ("allowed", {"a": 1}),
            ("allowed", {"n": 5}),
            ("allowed", {"n": True}),
            ("allowed", {"n": "5"}),
            ("allowed", {"n": 6}),
            ("star", {"a": "1"}),
            ("star", {"a": "2"}),
            ("star", {"z": "2"}),
            ("denied", {"a": "1"}),
            ("denied", {"a": "2"}),
            ("denied", {"a": "fizz"}),
            ("denied", {"b": "1"}),
            ("denied", {"c": "1"}),
            ("denied", {"c": {"b": "1"}}),
            ("deniedall", {"a": "1"}),
            ("both", {"a": "1"}),
            ("both", {"b": "1"}),
            ("required", {"a": "1"}),
            ("required", {"a": "1", "b": "2"}),
            ("required", {"a": "", "b": ""}),
            ("required", {}),
        )
    ]
    + [
        get("par/required", token=W),
        get("par/required?a=1&b=2", token=W),
        post("par2/data/q", {"data": {"x": "1"}}),
        post("par2/data/q", {"data": {"x": "2"}}),
        get("par2/data/q", token=W),
        get("par2/data/q?version=1", token=W),
        get("par2/data/q?version=2", token=W),
        get("par2/data/q?foo=2", token=W),
    ]
)

PARAMETER_MERGE = FILL + [
    policy("par-a", rule("par/m", "create", "update", more='allowed_parameters = { "a" = ["1"] }')),
    policy("par-b", rule("par/m", "create", "update", more='allowed_parameters = { "a" = ["2"] "b" = [] }')),
    policy("par-c", rule("par/m", "create", "update", more='required_parameters = ["a"]')),
    policy("par-d", rule("par/m", "create", "update", more='denied_parameters = { "a" = ["1"] }')),
    login("w", "par-a", "par-b"),
    post("par/m", {"a": "1"}, token=W),
    post("par/m", {"a": "2"}, token=W),
    post("par/m", {"a": "3"}, token=W),
    post("par/m", {"b": "3"}, token=W),
    post("par/m", {"c": "3"}, token=W),
    login("w", "par-a", "par-c", "par-d"),
    post("par/m", {"a": "1"}, token=W),
    post("par/m", {"a": "2"}, token=W),
    post("par/m", {"b": "2"}, token=W),
]

WRAPPING = (
    FILL
    + [
        post("par/w1", {"x": "1"}),
        post("par/w2", {"x": "1"}),
        post("par/w3", {"x": "1"}),
        policy(
            "par-wrap",
            rule("par/w1", "read", more='min_wrapping_ttl = "1m"\n max_wrapping_ttl = "1h"')
            + rule("par/w2", "read", more='max_wrapping_ttl = "90s"')
            + rule("par/w3", "read", more='min_wrapping_ttl = "10s"'),
        ),
        login("w", "par-wrap"),
    ]
    + [
        get(f"par/{key}", token=W, headers={"X-Vault-Wrap-TTL": value} if value else {})
        for key in ("w1", "w2", "w3")
        for value in ("", "30s", "5m", "2h", "60", "0")
    ]
    + [
        policy(
            "par-wrap2", rule("par/w1", "read", more='min_wrapping_ttl = "10s"\n max_wrapping_ttl = "2m"')
        ),
        login("w", "par-wrap", "par-wrap2"),
        get("par/w1", token=W, headers={"X-Vault-Wrap-TTL": "30s"}),
        get("par/w1", token=W, headers={"X-Vault-Wrap-TTL": "5m"}),
        get("par/w1", token=W),
    ]
)

PAGES = (
    FILL
    + [post(f"par2/data/k{n}", {"data": {}}) for n in range(5)]
    + [
        policy("par-page", rule("par2/metadata/", "list", "scan", more="pagination_limit = 2")),
        policy("par-page2", rule("par2/metadata/", "list", more="pagination_limit = 3")),
        policy("par-page3", rule("par2/metadata/", "list", more='required_parameters = ["limit"]')),
        login("w", "par-page"),
        *(
            lst("par2/metadata" + query, token=W)
            for query in (
                "",
                "?limit=1",
                "?limit=2",
                "?limit=3",
                "?limit=0",
                "?limit=-1",
                "?limit=max",
                "?limit=x",
                "?after=k1",
            )
        ),
        scan("par2/metadata", token=W),
        scan("par2/metadata?limit=1", token=W),
        login("w", "par-page", "par-page2"),
        lst("par2/metadata", token=W),
        login("w", "par-page3"),
        lst("par2/metadata", token=W),
        lst("par2/metadata?limit=4", token=W),
    ]
)

FILTERS = (
    FILL
    + [post(f"par/f/{name}", {"x": "1"}) for name in ("a", "b", "d/e", "g/h")]
    + [
        policy(
            "par-filter",
            rule(
                "par/f/", "list", "scan", more='list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}"'
            )
            + rule("par/f/a", "read")
            + rule("par/f/d/", "list"),
        ),
        login("w", "par-filter"),
        lst("par/f", token=W),
        lst("par/f/", token=W),
        scan("par/f", token=W),
        get("par/f/b", token=W),
        policy(
            "par-filter",
            rule("par/f/", "list", more='list_scan_response_keys_filter_path = "none/{{ .key }}"'),
        ),
        lst("par/f", token=W),
        lst("par/f"),
    ]
)

EXPIRED = FILL + [
    post("par/e", {"x": "1"}),
    policy("par-exp", rule("par/e", "read", more='expiration = "2001-01-01T00:00:00Z"')),
    policy("par-unexp", rule("par/e", "read", more='expiration = "2099-01-01T00:00:00Z"')),
    login("w", "par-exp"),
    get("par/e", token=W),
    login("w", "par-unexp"),
    get("par/e", token=W),
]

DEFAULT = [
    post(
        "auth/token/create",
        {"policies": ["default"], "ttl": "1h"},
        save=("w:auth.client_token", "acc:auth.accessor"),
    ),
    get("auth/token/lookup-self", token=W),
    post("auth/token/renew-self", {}, token=W),
    post("sys/capabilities-self", {"paths": ["a", "cubbyhole/x"]}, token=W),
    get("sys/internal/ui/resultant-acl", token=W),
    post("sys/leases/lookup", {"lease_id": "x"}, token=W),
    post("sys/leases/renew", {"lease_id": "x"}, token=W),
    post("sys/renew", {"lease_id": "x"}, token=W),
    post("cubbyhole/x", {"a": "b"}, token=W),
    get("cubbyhole/x", token=W),
    lst("cubbyhole", token=W),
    delete("cubbyhole/x", token=W),
    post(
        "sys/wrapping/wrap",
        {"a": "b"},
        token=W,
        headers={"X-Vault-Wrap-TTL": "60"},
        save=("wrap:wrap_info.token",),
    ),
    post("sys/wrapping/lookup", {"token": "{wrap}"}, token=W),
    post("sys/wrapping/rewrap", {"token": "{wrap}"}, token=W),
    post("sys/wrapping/unwrap", {"token": "{wrap}"}, token=W),
    post("sys/tools/hash", {"input": "YQ=="}, token=W),
    post("sys/tools/hash/sha2-512", {"input": "YQ=="}, token=W),
    post("sys/tools/random", {}, token=W),
    get("sys/mounts", token=W),
    get("sys/policies/acl/default", token=W),
    post("sys/capabilities", {"token": W, "paths": ["a"]}, token=W),
    post("auth/token/create", {}, token=W),
    get("identity/entity/id/x", token=W),
    post("auth/token/revoke-self", {}, token=W),
    get("auth/token/lookup-self", token=W),
]

SCENARIOS = [
    Scenario("acl", "parameters", PARAMETERS),
    Scenario("acl", "parameter-merging", PARAMETER_MERGE),
    Scenario("acl", "wrapping-bounds", WRAPPING),
    Scenario("acl", "pagination-limit", PAGES),
    Scenario("acl", "list-filter", FILTERS),
    Scenario("acl", "expired-rules", EXPIRED),
    Scenario("acl", "default-policy", DEFAULT),
]
