# SPDX-License-Identifier: EUPL-1.2
"""Metrics as they are read for a collector."""

import asyncio
import math

from vault.framework.telemetry.metrics import Metrics
from vault.server.otlp.readings import BOUNDS, reading


def test_counters_gauges_and_durations_are_read_and_what_is_not_known_is_left_out() -> None:
    metrics = Metrics()
    metrics.counter("audit.log_request_failure").count += 2
    metrics.gauge("coffre.hsm.operations_total", lambda: 7.0, slot="a")
    metrics.gauge("core.unsealed", lambda: 1.0, cluster="c")
    metrics.gauge("coffre.disk.free_bytes", lambda: math.nan, what="log")
    for nanos in (100, 1_000_000, 2_000_000_000_000):
        metrics.timing("core.handle_request").observe(nanos)
    found = asyncio.run(reading(metrics, "house"))
    assert found.grown == (
        ("house.audit.log_request_failure", (), 2.0),
        ("coffre.hsm.operations_total", (("slot", "a"),), 7.0),
    )
    assert found.held == (("house.core.unsealed", (("cluster", "c"),), 1.0),)
    (spread,) = found.spread
    assert (spread.name, sum(spread.counts), len(spread.counts)) == (
        "house.core.handle_request",
        3,
        len(BOUNDS) + 1,
    )
    assert (spread.counts[0], spread.counts[-1]) == (1, 1)
    assert spread.counts[next(at for at, bound in enumerate(BOUNDS) if bound > 0.001)] == 1
    assert (spread.low, spread.high) == (1e-7, 2000)
    assert found.began <= found.at
