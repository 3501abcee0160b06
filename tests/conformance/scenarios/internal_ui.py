# SPDX-License-Identifier: EUPL-1.2
"""sys/internal/ui/mounts and its preflight, and the OpenAPI document."""

from tests.conformance.scenario import Scenario, get, login, policy, post
from tests.conformance.scenarios.acl import rule

UI = "sys/internal/ui/mounts"
W = "{w}"

PREPARE = [
    post(
        "sys/mounts/ui-open",
        {"type": "kv", "config": {"listing_visibility": "unauth"}, "description": "open"},
    ),
    post("sys/mounts/ui-two", {"type": "kv-v2", "options": {"version": "2"}}),
    post("sys/mounts/ui-hidden/deep", {"type": "kv"}),
    policy("ui", rule("ui-two/data/x/*", "read") + rule("ui-hidden/deep/a", "list")),
    policy("ui-deny", rule("ui-two/*", "deny")),
    login("w", "ui"),
    login("d", "ui-deny"),
]

PICK = ("data.secret.ui-open/", "data.secret.ui-two/", "data.secret.ui-hidden/deep/", "data.auth", "warnings")

MOUNTS = PREPARE + [
    get(UI, pick=PICK),
    get(UI, token=W, pick=PICK),
    get(UI, token="{d}", pick=PICK),
    get(UI, token="", pick=PICK),
    get(UI, token="bad", pick=PICK),
]

PREFLIGHT = [
    get(f"{UI}/{path}", token=token)
    for path in (
        "ui-two",
        "ui-two/",
        "ui-two/data/x/y",
        "ui-two/other",
        "ui-hidden/deep/a/b",
        "ui-hidden",
        "nope/x",
    )
    for token in ("{root}", W)
] + [
    get(f"{UI}/{path}", token=token)
    for path in ("ui-open/a", "ui-two/a", "nope", "cubbyhole/x", "sys/x", "auth/token/create", "identity/x")
    for token in ("", "bad", "{d}", "{root}")
]

OPENAPI = [
    get("sys/internal/specs/openapi", shape=1),
    get("sys/internal/specs/openapi", token="", shape=1),
    get("sys/internal/specs/openapi?generic_mount_paths=true", shape=1),
    post("sys/internal/specs/openapi", {}, shape=1),
    post("sys/internal/specs/openapi", {"generic_mount_paths": True}, token="", shape=1),
    get("sys/internal/specs/openapi?generic_mount_paths=x", shape=1),
    get("sys/internal/specs/nope", token=""),
    get("sys/internal/specs/nope"),
    get("sys/internal/ui/namespaces", token="", divergence="DV-07"),
    get("sys/internal/counters/nope"),
]

SCENARIOS = [
    Scenario("internal-ui", "mounts", MOUNTS),
    Scenario("internal-ui", "preflight", PREPARE + PREFLIGHT),
    Scenario("openapi", "document", OPENAPI),
]
