# SPDX-License-Identifier: EUPL-1.2
"""Health, seal status, leader, key status and the other questions a probe asks."""

from tests.conformance.scenario import Scenario, get, login, lst, policy, post, put, step

HEALTH = [
    get("sys/health", token=""),
    step("HEAD", "sys/health", token=""),
    get("sys/health?activecode=299", token=""),
    get("sys/health?activecode=999", token=""),
    get("sys/health?activecode=abc", token=""),
    get("sys/health?activecode=", token=""),
    get("sys/health?standbycode=418&sealedcode=419&uninitcode=420", token=""),
    get("sys/health?standbycode=x", token=""),
    get("sys/health?standbyok=true&perfstandbyok=true", token=""),
    get("sys/health?standbyok", token=""),
    get("sys/health?standbyok=maybe", token=""),
    get("sys/health?drsecondarycode=1&perfstandbycode=2", token=""),
    get("sys/health?unknown=1", token=""),
    put("sys/health", {}, token=""),
    step("PATCH", "sys/health", {}, token=""),
    lst("sys/health", token=""),
]

MACHINE = (
    "data.cpu.0.cpu", "data.cpu.0.vendorId", "data.cpu.0.family", "data.cpu.0.model", "data.cpu.0.stepping",
    "data.cpu.0.physicalId", "data.cpu.0.coreId", "data.cpu.0.cores", "data.cpu.0.modelName", "data.cpu.0.cacheSize",
    "data.cpu.0.flags", "data.cpu.0.microcode", "data.cpu_times.0.cpu", "data.host.hostname", "data.host.bootTime",
    "data.host.os", "data.host.platform", "data.host.platformFamily", "data.host.platformVersion",
    "data.host.kernelVersion", "data.host.kernelArch", "data.host.hostid", "data.memory.total",
    "data.memory.vmalloctotal", "data.memory.hugepagesize", "data.disk.0.path", "data.disk.0.total",
    "data.disk.0.inodesTotal",
)  # fmt: skip
"""What two looks at one machine must agree on."""

OTHERS = [
    policy("status-weak", 'path "nothing" { capabilities = ["read"] }'),
    login("weak", "status-weak"),
    get("sys/seal-status", token=""),
    get("sys/seal-status", token="garbage"),
    get("sys/leader", token=""),
    get("sys/init", token=""),
    get("sys/key-status"),
    get("sys/key-status", token=""),
    get("sys/key-status", token="{weak}"),
    get("sys/rotate/config"),
    get("sys/rotate/keyring/config"),
    post("sys/rotate/config", {"max_operations": 5}),
    post("sys/rotate/config", {"interval": "1h"}),
    post("sys/rotate/config", {"max_operations": 9999999999999}),
    post("sys/rotate/config", {"interval": "48h"}),
    get("sys/rotate/config"),
    post("sys/rotate/config", {"enabled": False, "interval": 0, "max_operations": 2000000}),
    get("sys/rotate/keyring/config"),
    post("sys/rotate/keyring/config", {"enabled": True, "max_operations": 3865470566}),
    get("sys/rotate/config", token="{weak}"),
    get("sys/host-info", token=""),
    get("sys/host-info", pick=MACHINE),
    get("sys/host-info", shape=3, pick=("data.host", "data.memory", "data.disk.0", "data.cpu_times.0")),
    get("sys/in-flight-req", shape=0, pick=("nothing",)),
    get("sys/in-flight-req", token=""),
    get("sys/in-flight-req", token="{weak}"),
    get("sys/config/state/sanitized", token=""),
    get("sys/metrics", token=""),
    get("sys/metrics", token="{weak}"),
    get("sys/metrics", shape=1),
    get("sys/metrics?format=bogus", divergence="DV-02"),
    post("sys/unseal", {"key": "00"}),
    post("sys/unseal", {}),
    post("sys/unseal", {"reset": True}),
    post("sys/init", {"secret_shares": 1, "secret_threshold": 1}),
]

SCENARIOS = [
    Scenario("status", "health", HEALTH),
    Scenario("status", "others", OTHERS),
]
