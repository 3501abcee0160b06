# SPDX-License-Identifier: EUPL-1.2
"""Log levels, counts, plugins, leadership, and the endpoints that are off: what operators ask now and then."""

from tests.conformance.scenario import Scenario, delete, get, login, lst, patch, policy, post, put, step
from tests.conformance.scenarios.acl import rule
from tests.conformance.scenarios.seal import init, unseal

LOGS = "sys/loggers"
PLUGINS = "sys/plugins"
DIGEST = "aa" * 32

LOGGERS = [
    get(LOGS, pick=("data.core", "data.expiration")),
    get(f"{LOGS}/core", pick=("data",)),
    get(f"{LOGS}/nope", pick=("data",)),
    *(
        one
        for level in ("debug", "WARN", "trace", "notice", "warning", "warn", "err", "error", "Info")
        for one in (post(f"{LOGS}/core", {"level": level}), get(f"{LOGS}/core", pick=("data",)))
    ),
    *(post(f"{LOGS}/core", body) for body in ({}, {"level": ""})),
    *(
        post(f"{LOGS}/core", body, divergence="DV-02")
        for body in ({"level": "x"}, {"level": 5}, {"level": "off"})
    ),
    post(f"{LOGS}/nope", {"level": "info"}),
    post(LOGS, {"level": "error"}),
    get(LOGS, pick=("data.core", "data.expiration")),
    put(LOGS, {}),
    post(LOGS, {"level": "bogus"}, divergence="DV-02"),
    delete(f"{LOGS}/core"),
    get(f"{LOGS}/core", pick=("data",)),
    get(f"{LOGS}/expiration", pick=("data",)),
    delete(f"{LOGS}/nope"),
    delete(LOGS),
    get(f"{LOGS}/expiration", pick=("data",)),
    patch(LOGS, {}),
    get(LOGS, token=""),
]

RELOAD = [
    post(f"{PLUGINS}/reload/backend", {}),
    post(f"{PLUGINS}/reload/backend", {"plugin": "nope"}, divergence="DV-02"),
    *(
        post(f"{PLUGINS}/reload/backend", body)
        for body in (
            {"plugin": "token"},
            {"plugin": "kv", "mounts": ["secret/"]},
            {"plugin": "kv", "scope": "x"},
            {"mounts": ["auth/token/"]},
            {"mounts": ["cubbyhole/"]},
            {"mounts": ["sys/"]},
            {"mounts": ["nope/"]},
            {"mounts": [""]},
            {"mounts": ["a", "b"]},
            {"plugin": "kv"},
            {"plugin": "kv", "scope": "global"},
            {"mounts": ["ops-kv/"]},
            {"mounts": "ops-kv"},
        )
    ),
]

CATALOG = [
    *(
        post(f"{PLUGINS}/catalog/secret/foo", body)
        for body in (
            {},
            {"sha256": "x"},
            {"sha256": DIGEST},
            {"sha256": "aa", "command": "x"},
            {"sha256": "zz", "command": "x"},
            {"sha_256": "aa", "command": "x"},
        )
    ),
    post(f"{PLUGINS}/catalog/secret/foo", {"sha256": DIGEST, "command": "x"}, divergence="DV-07"),
    post(f"{PLUGINS}/catalog/nope/foo", {}),
    delete(f"{PLUGINS}/catalog/secret/foo"),
    get(f"{PLUGINS}/catalog", pick=("nothing",)),
    get(f"{PLUGINS}/catalog/secret/kv"),
    get(f"{PLUGINS}/catalog/secret/nope"),
    lst(f"{PLUGINS}/catalog/secret", pick=("nothing",)),
    lst(f"{PLUGINS}/catalog/nope"),
    *(step(method, f"{PLUGINS}/catalog/{name}") for method in ("GET", "DELETE") for name in ("foo", "kv")),
    get(f"{PLUGINS}/catalog/secret"),
    post(f"{PLUGINS}/catalog/foo", {}),
    post(f"{PLUGINS}/catalog/foo", {"sha256": "zz", "command": "x"}),
    post(f"{PLUGINS}/catalog/foo", {"sha256": DIGEST, "command": "x"}, divergence="DV-07"),
    delete(f"{PLUGINS}/catalog/foo", token=""),
    *(
        one
        for name in ("kv", "nope", "secret", "auth")
        for one in (
            get(f"{PLUGINS}/catalog/{name}"),
            get(f"{PLUGINS}/catalog/{name}", token=""),
            delete(f"{PLUGINS}/catalog/{name}"),
            delete(f"{PLUGINS}/catalog/{name}", token=""),
            post(f"{PLUGINS}/catalog/{name}", {}),
            post(f"{PLUGINS}/catalog/{name}", {"sha256": "x"}),
            post(f"{PLUGINS}/catalog/{name}", {"sha256": "aa", "command": "x"}),
            post(f"{PLUGINS}/catalog/{name}", {"sha_256": "zz", "command": "x"}),
        )
    ),
    post(f"{PLUGINS}/catalog/kv", {"sha256": DIGEST, "command": "x"}, divergence="DV-07"),
    delete(f"{PLUGINS}/catalog/kv?colour=red"),
]

MONITOR = [
    get("sys/monitor?log_level=nope"),
    get("sys/monitor?log_level=notice"),
    get("sys/monitor?log_format=nope"),
    get("sys/monitor", token=""),
    get("sys/monitor", headers={"X-Vault-Namespace": "team"}),
    *(step(method, "sys/monitor") for method in ("POST", "PUT", "LIST", "DELETE")),
]

OFF = ("rekey/init", "rekey/update", "rekey/verify", "generate-root/attempt", "generate-root/update")
ABSENT = [
    *(
        step(method, f"sys/{path}", body, token=token)
        for path in OFF
        for method, body in (
            ("GET", None),
            ("POST", {}),
            ("PUT", {}),
            ("DELETE", None),
            ("LIST", None),
            ("PATCH", {}),
        )
        for token in ("", "{root}")
        if (method, token) != ("LIST", "{root}")
    ),
    *(step(method, "sys/rekey-recovery-key/init") for method in ("GET", "PUT", "DELETE")),
    get("sys/rekey-recovery-key/update", token=""),
    get("sys/rekey/nope"),
    get("sys/generate-root/nope"),
    *(
        step(method, f"sys/rekey/{kind}")
        for kind in ("backup", "recovery-key-backup")
        for method in ("GET", "DELETE")
    ),
    post("sys/rekey/backup", {}),
    get("sys/rekey/backup", token=""),
    *(
        get(f"sys/internal/inspect/{path}")
        for path in ("router/root", "router/uuid", "router/nope", "request")
    ),
    *(get(f"sys/internal/inspect/{path}") for path in ("", "router", "requests", "nope")),
    post("sys/internal/inspect/request", {}),
    get("sys/internal/inspect/request", token=""),
    get("sys/raw"),
    get("sys/raw/core/x"),
    lst("sys/raw/"),
    post("sys/raw/x", {"value": "x"}),
    delete("sys/raw/x"),
    get("sys/raw/x", token=""),
    post("sys/config/reload/license", {}),
    get("sys/config/reload"),
    get("sys/mfa/method"),
    get("sys/storage/raft/configuration"),
    get("sys/internal/counters/requests"),
    get("sys/internal/counters/activity"),
    get("sys/internal/counters/config"),
    lst("sys/version-history", shape=2),
    get("sys/version-history"),
]

RIGHTS = [
    policy(
        "operators-weak",
        "".join(
            rule(path, "read", "update", "delete", "list")
            for path in ("sys/loggers*", "sys/plugins/*", "sys/rekey/*", "sys/step-down", "sys/internal/*")
        ),
    ),
    login("w", "operators-weak"),
    post(f"{LOGS}/core", {"level": "info"}, token="{w}"),
    post(f"{PLUGINS}/reload/backend", {}, token="{w}"),
    get("sys/rekey/backup", token="{w}"),
    post("sys/step-down", {}, token="{w}"),
    get("sys/internal/inspect/request", token="{w}"),
    get("sys/internal/inspect/router/root", token="{w}"),
    delete(f"{PLUGINS}/catalog/secret/x", token="{w}"),
    post(f"{PLUGINS}/catalog/secret/x", {}, token="{w}"),
    get("sys/internal/counters/tokens", token="{w}", shape=3),
    get("sys/internal/counters/tokens", token=""),
]

COUNT = [
    init(1, 1),
    unseal("{k0}"),
    get("sys/internal/counters/entities", token="{top}"),
    post("identity/entity", {"name": "counted"}, token="{top}"),
    post("sys/namespaces/apart", {}, token="{top}"),
    post("apart/identity/entity", {"name": "counted"}, token="{top}"),
    get("sys/internal/counters/entities", token="{top}"),
    get("apart/sys/internal/counters/entities", token="{top}", divergence="DV-66"),
    get("sys/internal/counters/tokens", token="{top}"),
    post("auth/token/create", {"policies": ["default"]}, token="{top}"),
    post("auth/token/create", {"policies": ["default"], "type": "batch"}, token="{top}"),
    get("sys/internal/counters/tokens", token="{top}"),
]

SCENARIOS = [
    Scenario("operators", "loggers", LOGGERS),
    Scenario("operators", "reload", [post("sys/mounts/ops-kv", {"type": "kv"}), *RELOAD]),
    Scenario("operators", "catalog", CATALOG),
    Scenario("operators", "monitor", MONITOR),
    Scenario("operators", "absent", ABSENT),
    Scenario("operators", "rights", RIGHTS),
    Scenario("operators", "count", COUNT, fresh=True),
]
