# SPDX-License-Identifier: EUPL-1.2
"""Request headers: token precedence, bearer, namespaces, wrapping times, consistency, unknown ones."""

from tests.conformance.scenario import Scenario, delete, get, login, policy, post

KEY = "hdr/a"

PREPARE = [
    post("sys/mounts/hdr", {"type": "kv"}),
    post(KEY, {"x": "1"}),
    policy("hdr", 'path "hdr/a" { capabilities = ["read"] }'),
    login("weak", "hdr"),
]


def bearer(text: str, **others: str) -> dict[str, str]:
    """An Authorization header."""
    return {"Authorization": text, **others}


TOKENS = PREPARE + [
    get(KEY, token="", headers=bearer("Bearer {weak}")),
    get(KEY, token="", headers=bearer("bearer {weak}")),
    get(KEY, token="", headers=bearer("BEARER {weak}")),
    get(KEY, token="", headers=bearer("Bearer  {weak}")),
    get(KEY, token="", headers=bearer("Bearer {weak} ")),
    get(KEY, token="", headers=bearer("Bearer")),
    get(KEY, token="", headers=bearer("Basic dTpw")),
    get(KEY, token="", headers=bearer("{weak}")),
    get(KEY, token="garbage", headers=bearer("Bearer {weak}")),
    get(KEY, token="{weak}", headers=bearer("Bearer garbage")),
    get(KEY, token="", headers={"X-Bao-Token": "{weak}"}),
    get(KEY, token="", headers={"X-VAULT-TOKEN": "{weak}"}),
    get(KEY, token="", headers={"X-Vault-Token": ""}),
    get(KEY, token="{weak}", headers={"X-Vault-Request": "true"}),
    get(KEY, token="{weak}", headers={"X-Vault-Request": "false"}),
    get(KEY, token="{weak}", headers={"X-Vault-Policy-Override": "true"}),
    get(KEY, token="{weak}", headers={"X-Vault-No-Request-Forwarding": "1"}),
    get(KEY, token="{weak}", headers={"Origin": "https://example.org"}),
    get(KEY, token="{weak}", headers={"Accept": "text/html"}),
    get("sys/health", token="garbage"),
    get("sys/internal/ui/mounts/hdr", token="garbage"),
    post("sys/wrapping/lookup", {"token": "x"}, token="garbage"),
]

NAMESPACES = PREPARE + [
    get(KEY, headers={"X-Vault-Namespace": ""}),
    get(KEY, headers={"X-Vault-Namespace": "root"}),
    get(KEY, headers={"X-Vault-Namespace": "/"}),
    get(KEY, headers={"X-Vault-Namespace": "root/"}),
    get(KEY, headers={"X-Vault-Namespace": "/root"}),
    get(KEY, headers={"X-Vault-Namespace": "unknown"}),
    get(KEY, headers={"X-Vault-Namespace": "unknown/deep/"}),
    get(KEY, token="", headers={"X-Vault-Namespace": "unknown"}),
    get(KEY, token="garbage", headers={"X-Vault-Namespace": "unknown"}),
    get("sys/health", headers={"X-Vault-Namespace": "unknown"}),
    get("sys/seal-status", headers={"X-Vault-Namespace": "unknown"}),
    get("sys/health", headers={"X-Vault-Namespace": "root"}),
]

WRAP_TIMES = (
    PREPARE
    + [
        get(KEY, headers={"X-Vault-Wrap-TTL": value})
        for value in ("0", "-1", "-5s", "", "60", "5m", "1d", "9999h", "1h30m", " 60 ", "0s")
    ]
    + [get(KEY, headers={"X-Vault-Wrap-TTL": value}, divergence="DV-02") for value in ("abc", "1.5")]
    + [
        get("hdr/absent", headers={"X-Vault-Wrap-TTL": "60"}),
        delete("hdr/absent", headers={"X-Vault-Wrap-TTL": "60"}),
        get("sys/health", headers={"X-Vault-Wrap-TTL": "60"}),
        get("sys/health", headers={"X-Vault-Wrap-TTL": "abc"}),
        get("sys/seal-status", headers={"X-Vault-Wrap-TTL": "60"}),
        get(KEY, token="", headers={"X-Vault-Wrap-TTL": "60"}),
        get(KEY, token="", headers={"X-Vault-Wrap-TTL": "abc"}, divergence="DV-02"),
        get(KEY, headers={"X-Vault-Wrap-TTL": "60", "X-Vault-Wrap-Format": "bogus"}),
    ]
)

CONSISTENCY = PREPARE + [
    get(KEY, headers={"X-Vault-Index": "not base64!"}),
    get(KEY, headers={"X-Vault-Index": "e30="}),
    get(KEY, headers={"X-Vault-Index": ""}),
    get(KEY, headers={"X-Vault-Inconsistent": "fail"}),
    get(KEY, headers={"X-Vault-Inconsistent": "forward-active-node"}),
    get(KEY, headers={"X-Vault-Inconsistent": "await-state"}),
    get(KEY, headers={"X-Vault-Inconsistent": "bogus"}),
    get(KEY, headers={"X-Vault-Inconsistent": ""}),
    get(KEY, headers={"X-Vault-MFA": "x:y"}),
]

SCENARIOS = [
    Scenario("headers", "tokens", TOKENS),
    Scenario("headers", "namespaces", NAMESPACES),
    Scenario("headers", "wrap-times", WRAP_TIMES),
    Scenario("headers", "consistency", CONSISTENCY),
]
