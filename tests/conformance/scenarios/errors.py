# SPDX-License-Identifier: EUPL-1.2
"""The table of errors, and unknown paths and verbs with root, a weak token and none."""

from tests.conformance.scenario import Scenario, delete, get, login, lst, patch, policy, post, scan, step

WEAK = "{weak}"
UNKNOWN = ["nope/foo", "sys/nope", "sys/policies/nope/x", "auth/nope/login", "auth/nope/x", "auth/token/nope"]
REMOVED = ["sys/license", "sys/replication/status", "sys/renew/x", "sys/revoke/x"]

WHO = [policy("err-weak", 'path "err-kv/allowed" { capabilities = ["read"] }'), login("weak", "err-weak")]

NO_SUCH_PATH = WHO + [
    get(path, token=token)
    for path in UNKNOWN + REMOVED + ["auth/nope", "auth", "sys"]
    for token in ("{root}", WEAK, "")
]

NO_SUCH_POST = (
    WHO
    + [post(path, {"a": "b"}, token=token) for path in UNKNOWN for token in ("{root}", WEAK, "")]
    + [
        lst("nope/foo"),
        scan("nope/foo"),
        delete("nope/foo"),
        patch("nope/foo", {"a": 1}),
        step("HEAD", "nope/foo"),
    ]
)

WRONG_VERBS = WHO + [
    post("sys/health", {}),
    delete("sys/health"),
    get("sys/unseal"),
    delete("sys/unseal"),
    delete("sys/init"),
    post("sys/seal-status", {}),
    post("sys/leader", {}),
    get("sys/seal"),
    lst("sys/seal-status"),
    delete("sys/capabilities-self"),
    get("sys/capabilities-self"),
    get("sys/tools/hash"),
    get("sys/tools/random"),
    delete("sys/mounts"),
    post("sys/mounts", {}),
    lst("sys/mounts"),
    delete("sys/key-status"),
    get("sys/rotate"),
    get("sys/remount"),
    get("auth/token/create"),
    delete("auth/token/create"),
    get("auth/token/revoke-self"),
    delete("auth/token/lookup-self"),
    get("auth/token/accessors"),
    post("auth/token/accessors", {}),
    post("sys/internal/ui/mounts", {}),
    post("sys/internal/ui/mounts", {}, token=""),
    post("sys/internal/ui/resultant-acl", {}),
    get("sys/wrapping/wrap"),
    get("sys/wrapping/rewrap"),
    get("sys/wrapping/unwrap"),
    get("sys/wrapping/lookup"),
    get("sys/wrapping/lookup", token=""),
    delete("sys/wrapping/lookup", token=""),
    get("sys/wrapping/unwrap", token=""),
    patch("sys/mounts/x", {"a": 1}),
    patch("auth/token/create", {"a": 1}),
    lst("auth/token/create"),
    post("sys/policies/acl", {}),
    delete("sys/policies/acl"),
    post("sys/audit", {}),
    get("sys/audit/file"),
    get("sys/audit-hash/file"),
]

TOKENS = WHO + [
    post("sys/mounts/err-kv", {"type": "kv"}),
    post("err-kv/allowed", {"x": "1"}),
    get("err-kv/allowed", token=WEAK),
    get("err-kv/denied", token=WEAK),
    get("err-kv/absent"),
    get("err-kv/allowed", token=""),
    get("err-kv/allowed", token="s.doesnotexist"),
    get("err-kv/allowed", token="garbage"),
    get("err-kv/allowed", token="b.garbage"),
    get("err-kv/allowed", token="hvs.garbage"),
    get("err-kv/allowed", token="s.aaaaaaaaaaaaaaaaaaaaaaaa"),
    get("err-kv/allowed", token="s.aaaaaaaaaaaaaaaaaaaaaaaa.nsid12"),
    get("err-kv/allowed", token="{weak}x"),
    get("err-kv/allowed", token="  {weak}  "),
    lst("err-kv/empty"),
    scan("err-kv/empty"),
    lst("err-kv/", token=WEAK),
    post("err-kv/allowed", {"x": "2"}, token=WEAK),
    delete("err-kv/allowed", token=WEAK),
    post("err-kv/new", {}),
    post("auth/token/revoke", {"token": "{weak}"}),
    get("err-kv/allowed", token=WEAK),
]

SCENARIOS = [
    Scenario("errors", "unknown-paths", NO_SUCH_PATH),
    Scenario("errors", "unknown-paths-written", NO_SUCH_POST),
    Scenario("errors", "wrong-verbs", WRONG_VERBS),
    Scenario("errors", "tokens", TOKENS),
]
