# SPDX-License-Identifier: EUPL-1.2
"""What the metrics tell of tokens."""

import asyncio

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
        ("coffre.seal.slot_up", "hsm-a"): 0,
        ("coffre.seal.slot_stored", "hsm-a"): 0,
        ("coffre.hsm.agent_starts_total", "hsm-a"): 2,
        ("coffre.hsm.operations_total", "hsm-a"): 7,
        ("coffre.hsm.errors_total", "hsm-a", "SlotUnavailable", "CKR_DEVICE_ERROR"): 1,
        ("coffre.hsm.answer_seconds_total", "hsm-a", "unwrap"): 0.5,
        ("coffre.hsm.answers_total", "hsm-a", "unwrap"): 1,
    }
    assert 'coffre_hsm_operations_total{slot="hsm-a"} 7.0' in asyncio.run(render_prometheus(metrics)).decode()
