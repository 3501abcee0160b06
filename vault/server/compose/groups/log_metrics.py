# SPDX-License-Identifier: EUPL-1.2
"""How the log is, as metrics: what was written and signed, and how far each device is behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from vault.framework.telemetry.metrics import Metrics
from vault.log.common_log import CommonLog
from vault.log.forward.status import DeviceStatus


def show_log(metrics: Metrics, common: CommonLog) -> None:
    """Show the log and, under the names that the configuration gives them, the devices that it is sent to."""
    chain, began = common.writer.chain, common.writer.chain.written
    metrics.gauge("coffre.log.records_total", lambda: float(chain.written - began))
    metrics.gauge("coffre.log.unsigned_records", lambda: float(_unsigned(common, began)))
    for device in common.sent_to:
        show = partial(_of, common, device)
        metrics.gauge(
            "coffre.log.device_failing", partial(show, lambda told: float(told.failing)), device=device
        )
        metrics.gauge(
            "coffre.log.device_lag_records",
            partial(show, lambda told: float(told.lag_records)),
            device=device,
        )
        metrics.gauge(
            "coffre.log.device_lag_seconds", partial(show, lambda told: told.lag_seconds), device=device
        )


def _unsigned(common: CommonLog, began: int) -> int:
    """Return how many records no checkpoint of this process covers, of those that it has written itself."""
    return common.writer.chain.written - max(common.checkpoints.signed, began)


def _of(common: CommonLog, name: str, read: Callable[[DeviceStatus], float]) -> float:
    """Return what is known of a device; NaN before anything is."""
    known = () if common.devices is None else common.devices.devices
    return next((read(told) for told in known if told.name == name), math.nan)
