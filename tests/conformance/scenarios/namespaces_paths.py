# SPDX-License-Identifier: EUPL-1.2
"""How a request names a namespace, what only the root namespace has, and the API lock."""

from tests.conformance.scenario import Scenario, delete, get, lst, post, step
from tests.conformance.scenarios.namespaces import NS, inside

TUNE = "sys/mounts/kv/tune"

FORMS = [
    post(f"{NS}/form"),
    post(f"form/{NS}/inner"),
    post("form/sys/mounts/kv", {"type": "kv"}),
    post("form/kv/a", {"x": "1"}),
    *(
        get(TUNE, headers=inside(name))
        for name in (
            "form",
            "form/",
            "/form",
            "/form/",
            "//form",
            " form ",
            "FORM",
            "root/form",
            "form/inner",
        )
    ),
    *(get(TUNE, headers=inside(name)) for name in ("nowhere", "form/nowhere", "kv", "form/kv", "Root")),
    *(
        get(TUNE, headers=inside(name), divergence="DV-05")
        for name in ("form//inner", "form/../form", "./form")
    ),
    get(f"form/{TUNE}"),
    get(f"inner/{TUNE}", headers=inside("form")),
    get(f"form/{TUNE}", headers=inside("form")),
    get("form/kv/a"),
    get("form/kv/a", headers=inside("form")),
    get("root/sys/mounts"),
    *(
        get(path)
        for path in (
            "form",
            "form/",
            "form/none/x",
            "nowhere/kv/x",
            "form/sys/none",
            "form/kv",
            "form/inner/",
        )
    ),
    lst("form/kv"),
    lst("form/"),
    step("HEAD", "form/kv/a"),
    *(
        get(path, token=token)
        for token in ("", "bad")
        for path in (
            "form/kv/a",
            "nowhere/kv/a",
            "form/sys/internal/ui/mounts",
            "nowhere/sys/internal/ui/mounts",
        )
    ),
    *(
        get("sys/internal/ui/mounts", token=token, headers=inside(name))
        for token in ("", "bad")
        for name in ("form", "nowhere")
    ),
    get("sys/mounts", token="", headers=inside("form")),
    get("sys/mounts", token="bad", headers=inside("nowhere")),
]

ROOT_ONLY = [
    post(f"{NS}/only"),
    *(
        step(method, path, token=token, headers=inside("only"))
        for token in ("{root}", "")
        for method, path in (
            ("GET", "sys/audit"),
            ("PUT", "sys/audit/x"),
            ("POST", "sys/audit-hash/x"),
            ("GET", "sys/config/auditing/request-headers"),
            ("GET", "sys/config/state/sanitized"),
            ("GET", "sys/host-info"),
            ("GET", "sys/metrics"),
            ("GET", "sys/in-flight-req"),
            ("GET", "sys/health"),
            ("GET", "sys/init"),
            ("PUT", "sys/init"),
            ("PUT", "sys/seal"),
            ("PUT", "sys/unseal"),
            ("GET", "sys/replication/status"),
            ("GET", "sys/key-status"),
            ("POST", "sys/rotate"),
            ("GET", "sys/rotate/config"),
            ("GET", "sys/ha-status"),
            ("GET", "sys/none"),
        )
        if (path, token) != ("sys/ha-status", "{root}")
    ),
    *(
        get(f"only/{path}")
        for path in ("sys/audit", "sys/host-info", "sys/metrics", "sys/health", "sys/init", "sys/key-status")
    ),
    get("sys/leader", headers=inside("only")),
    post("only/sys/tools/hash", {"input": "YQ=="}),
]

LOCK = [
    post(f"{NS}/shut"),
    post(f"shut/{NS}/inner"),
    post(
        "shut/sys/policies/acl/all",
        {"policy": 'path "*" { capabilities = ["read", "update", "list", "sudo"] }'},
    ),
    post("shut/sys/policies/acl/bare", {"policy": f'path "{NS}/*" {{ capabilities = ["update"] }}'}),
    post("shut/auth/token/create", {"policies": ["all"]}, save=("t:auth.client_token",)),
    post("shut/auth/token/create", {"policies": ["bare"]}, save=("b:auth.client_token",)),
    post("shut/auth/token/create", {"policies": ["default"]}, save=("d:auth.client_token",)),
    post(f"{NS}/api-lock/lock"),
    post(f"{NS}/api-lock/unlock"),
    post(f"{NS}/api-lock/lock/nowhere"),
    post(f"{NS}/api-lock/unlock/shut"),
    post(f"{NS}/api-lock/lock/shut", save=("k:data.unlock_key",)),
    post(f"{NS}/api-lock/lock/shut"),
    get(f"{NS}/shut"),
    *(get("sys/mounts", headers=inside("shut"), token=token) for token in ("{root}", "{t}", "", "bad")),
    get("shut/sys/mounts"),
    get("shut/inner/sys/mounts"),
    get("shut/sys/internal/ui/mounts", token=""),
    post(f"shut/{NS}/api-lock/lock"),
    post(f"shut/{NS}/api-lock/lock/inner"),
    post(f"shut/{NS}/api-lock/unlock", {"unlock_key": "bad"}, token=""),
    post(f"shut/{NS}/api-lock/unlock", {"unlock_key": "bad"}, token="{t}"),
    post(f"shut/{NS}/api-lock/unlock", {"unlock_key": "{k}"}, token="{d}"),
    post(f"shut/{NS}/api-lock/unlock", {}, token="{b}"),
    post(f"shut/{NS}/api-lock/unlock", {"unlock_key": "{k}"}, token="{b}"),
    get("shut/sys/mounts", shape=1),
    post(f"shut/{NS}/api-lock/lock", token="{b}"),
    post(f"shut/{NS}/api-lock/unlock", {}, token="{t}"),
    post(f"{NS}/api-lock/lock/shut/inner", save=("i:data.unlock_key",)),
    get("shut/inner/sys/mounts"),
    get("shut/sys/mounts", shape=1),
    post(f"{NS}/api-lock/lock/shut"),
    get("shut/inner/sys/mounts"),
    post(f"{NS}/api-lock/unlock/shut"),
    post(f"shut/{NS}/api-lock/unlock/inner", {"unlock_key": "bad"}),
    post(f"shut/{NS}/api-lock/unlock/inner", {"unlock_key": "{i}"}),
    get("shut/inner/sys/mounts", shape=1),
    get(f"{NS}/shut"),
    delete(f"shut/{NS}/inner"),
]

SCENARIOS = (
    Scenario("namespaces", "forms", FORMS),
    Scenario("namespaces", "root-only", ROOT_ONLY),
    Scenario("namespaces", "lock", LOCK),
)
