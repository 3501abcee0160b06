# SPDX-License-Identifier: EUPL-1.2
"""The log as metrics: what was written and signed, and devices that are behind."""

import asyncio
import math
from pathlib import Path

from tests.unit.log.folders import opened
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.log.common_log import CommonLog
from vault.log.forward.report import Report, write_report
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.status import DeviceStatus
from vault.log.forward.watch import DeviceWatch
from vault.server.compose.groups.log_metrics import show_log


def _read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {(name, *(value for _, value in labels)): value for name, labels, value in metrics.gauges()}


async def _until_read(watch: DeviceWatch) -> None:
    watch.start()
    for _ in range(6000):
        if watch.devices:
            break
        await asyncio.sleep(0.01)
    await watch.stop()


def test_records_signatures_and_devices_are_shown(tmp_path: Path) -> None:
    common = CommonLog(opened(tmp_path), origin="o", clock=Clock(), entropy=Entropy(), log=Log(), status={})
    settings = DeviceSettings(
        name="siem", kind="http", policy="required", address="https://siem.example", deadline=5
    )
    watch = common.watch([settings], lambda _event, _said: None)
    assert watch is not None
    metrics = Metrics()
    show_log(metrics, common)
    before = _read(metrics)
    assert before["coffre.log.records_total",] == before["coffre.log.unsigned_records",] == 0
    assert math.isnan(before["coffre.log.device_failing", "siem"])
    common.write(common.notice("esa.server.start", {}), 0.0)
    report = Report(
        at=1.0,
        devices=(
            DeviceStatus(
                name="siem", kind="http", policy="required", deadline=5, state="stuck", lag_records=7, lag_seconds=2.5
            ),
        ),
    )  # fmt: skip
    write_report(tmp_path, report)
    asyncio.run(_until_read(watch))
    found = _read(metrics)
    assert found.keys() == before.keys()
    assert found["coffre.log.records_total",] == found["coffre.log.unsigned_records",] == 1
    assert [found[f"coffre.log.device_{what}", "siem"] for what in ("failing", "lag_records", "lag_seconds")] == [
        1, 7, 2.5,
    ]  # fmt: skip
    common.close()
