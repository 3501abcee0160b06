# SPDX-License-Identifier: EUPL-1.2
"""What the metrics tell of tokens."""

from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.settings import settings_from
from hsm.errors import SlotUnavailable
from vault.framework.telemetry.exposition import render_prometheus
from vault.framework.telemetry.metrics import Metrics
from vault.server.seals.metrics import SlotMetrics


def test_a_tokens_operations_and_errors_are_shown_by_slot() -> None:
    stanza: dict[str, str | int | float | bool] = {
        "lib": "/l.so", "token_label": "t", "key_label": "k", "pin": "file:///p", "name": "hsm-a",
    }  # fmt: skip
    slot = Pkcs11Slot(settings_from(stanza, literal_pin=False), chance=lambda: 0.0, environment={})
    slot.counters.starts, slot.counters.operations = 2, 7
    slot.counters.count(SlotUnavailable("away", ckr="CKR_DEVICE_ERROR"))
    slot.counters.took("unwrap", 0.5)
    metrics = Metrics()
    shown = SlotMetrics(metrics)
    for _ in range(2):
        shown.update({"hsm-a": False}, None, {}, [slot])
    found = {(name, *(value for _, value in labels)): value for name, labels, value in metrics.gauges()}
    assert found == {
        ("seal.slot.up", "hsm-a"): 0,
        ("seal.slot.stored", "hsm-a"): 0,
        ("hsm.agent.starts", "hsm-a"): 2,
        ("hsm.operations", "hsm-a"): 7,
        ("hsm.errors", "hsm-a", "SlotUnavailable", "CKR_DEVICE_ERROR"): 1,
        ("hsm.latency.seconds", "hsm-a", "unwrap"): 0.5,
        ("hsm.latency.count", "hsm-a", "unwrap"): 1,
    }
    assert 'vault_hsm_operations{slot="hsm-a"} 7.0' in render_prometheus(metrics).decode()
