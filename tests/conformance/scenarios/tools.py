# SPDX-License-Identifier: EUPL-1.2
"""sys/tools, audit devices and audited request headers."""

from tests.conformance.scenario import Scenario, delete, get, login, lst, policy, post, put
from tests.conformance.scenarios.acl import rule

TEXT = "aGVsbG8="
ALGORITHMS = (
    "sha2-224",
    "sha2-256",
    "sha2-384",
    "sha2-512",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
)

TOOLS = [post(f"sys/tools/hash/{name}", {"input": TEXT}) for name in ALGORITHMS] + [
    *(post(f"sys/tools/hash/{name}", {"input": TEXT}, divergence="DV-02") for name in ("md5", "SHA2-256")),
    post("sys/tools/hash", {"input": TEXT}),
    post("sys/tools/hash", {"input": TEXT, "format": "base64"}),
    post("sys/tools/hash", {"input": TEXT, "format": "bogus"}, divergence="DV-02"),
    post("sys/tools/hash", {"input": TEXT, "algorithm": "sha2-512"}),
    post("sys/tools/hash/sha2-256", {"input": TEXT, "algorithm": "sha2-512"}),
    post("sys/tools/hash", {"input": ""}),
    post("sys/tools/hash", {}),
    post("sys/tools/hash", {"input": "not base64!"}),
    post("sys/tools/random", {}),
    post("sys/tools/random", b""),
    post("sys/tools/random", {"format": "hex"}),
    post("sys/tools/random", {"format": "bogus"}, divergence="DV-02"),
    post("sys/tools/random", {"bytes": 7, "format": "hex"}),
    post("sys/tools/random/16", {"format": "hex"}),
    post("sys/tools/random/abc", {"format": "hex"}, divergence="DV-02"),
    post("sys/tools/random/platform", {}),
    post("sys/tools/random/platform/9", {"format": "hex"}),
    post("sys/tools/random/seal/9", {}),
    post("sys/tools/random/all/9", {}),
    post("sys/tools/random/bogus/9", {}, divergence="DV-02"),
    post("sys/tools/random", {"source": "bogus"}),
    post("sys/tools/random", {"bytes": 0}),
    post("sys/tools/random", {"bytes": -1}),
    post("sys/tools/random", {"bytes": 131073}),
    post("sys/tools/random", {"bytes": 131072}),
    put("sys/tools/random", {"bytes": 3, "format": "hex"}),
    post("sys/tools/random", {}, token=""),
]

AUDIT = [
    get("sys/audit"),
    post("sys/audit-hash/file", {"input": "x"}),
    post("sys/audit-hash/file/", {"input": "x"}),
    post("sys/audit-hash/file", {"input": "x"}),
    post("sys/audit-hash/file", {"input": ""}),
    post("sys/audit-hash/file", {}),
    post("sys/audit-hash/file", {"input": 5}),
    post("sys/audit-hash/nope", {"input": "x"}),
    post("sys/audit-hash/", {"input": "x"}),
    post("sys/audit/second", {"type": "file", "options": {"file_path": "discard"}}),
    put("sys/audit/second", {"type": "nope"}),
    post("sys/audit/second", {}),
    post("sys/audit/file", {"type": "file"}),
    delete("sys/audit/file"),
    delete("sys/audit/nope"),
    get("sys/audit", token=""),
    policy("tools-hash", rule("sys/audit-hash/*", "update") + rule("sys/audit", "read")),
    login("w", "tools-hash"),
    post("sys/audit-hash/file", {"input": "x"}, token="{w}"),
    get("sys/audit", token="{w}"),
    get("sys/audit/", token="{w}"),
    lst("sys/audit"),
]

HEADERS = "sys/config/auditing/request-headers"

AUDITED = [
    get(HEADERS),
    get(f"{HEADERS}/X-Nope"),
    post(f"{HEADERS}/X-One", {"hmac": True}),
    post(f"{HEADERS}/X-Two", {}),
    put(f"{HEADERS}/X-Three", {"hmac": "false"}),
    post(f"{HEADERS}/X-Four", {"hmac": "maybe"}),
    get(f"{HEADERS}/X-One"),
    get(f"{HEADERS}/x-one"),
    get(HEADERS),
    lst(HEADERS),
    post(f"{HEADERS}/X-One", {"hmac": False}),
    get(f"{HEADERS}/X-One"),
    delete(f"{HEADERS}/X-One"),
    delete(f"{HEADERS}/X-One"),
    get(f"{HEADERS}/X-One"),
    post(f"{HEADERS}/", {"hmac": True}),
    post(HEADERS, {"hmac": True}),
    delete(f"{HEADERS}/X-Two"),
    delete(f"{HEADERS}/X-Three"),
    get(HEADERS),
    get(HEADERS, token=""),
]

SCENARIOS = [
    Scenario("tools", "tools", TOOLS),
    Scenario("audit", "devices", AUDIT),
    Scenario("audit", "request-headers", AUDITED),
]
