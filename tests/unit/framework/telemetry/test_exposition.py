# SPDX-License-Identifier: EUPL-1.2
"""Metrics of our own as Prometheus reads them: seconds, histograms, counters that are read, and what is not known."""

import asyncio
import json
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.turns import of_others
from vault.framework.telemetry.exposition import BUCKETS, render_json, render_prometheus
from vault.framework.telemetry.metrics import Metrics
from vault.server.otlp.readings import reading


def _samples(metrics: Metrics) -> dict[tuple[object, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(
            asyncio.run(render_prometheus(metrics, prefix="house")).decode()
        )
        for sample in family.samples
    }


def test_a_timing_of_ours_is_a_histogram_in_seconds_under_its_own_name() -> None:
    metrics = Metrics()
    timing = metrics.timing("coffre.request.duration_seconds")
    for nanos in (1, 70_000, 1_000_000, 3_000_000_000, 200_000_000_000):
        timing.observe(nanos)
    found = _samples(metrics)
    name = "coffre_request_duration_seconds"
    bounds = [2**power / 1e9 for power in BUCKETS]
    counts = [found[f"{name}_bucket", ("le", repr(bound))] for bound in bounds]
    exact = [sum(nanos < bound * 1e9 for nanos in (1, 70_000, 1_000_000, 3_000_000_000)) for bound in bounds]
    assert counts == exact
    assert counts[0] == 1
    assert found[f"{name}_bucket", ("le", "+Inf")] == found[f"{name}_count",] == 5
    assert found[f"{name}_sum",] == pytest.approx(203.001070001)
    assert (
        "# TYPE coffre_request_duration_seconds histogram\n"
        in asyncio.run(render_prometheus(metrics)).decode()
    )
    (sample,) = json.loads(asyncio.run(render_json(metrics)))["Samples"]
    assert (sample["Name"], sample["Max"]) == ("coffre.request.duration_seconds", 200)


@pytest.mark.parametrize("power", BUCKETS)
def test_a_duration_at_a_bound_is_counted_above_it_and_one_below_is_not(power: int) -> None:
    timing = Metrics().timing("coffre.loop.delay_seconds")
    timing.extend([2**power, 2**power * 7 // 8])
    assert timing.below([power, power + 1]) == [1, 2]


def test_what_is_not_known_is_no_number_and_left_out_of_json() -> None:
    metrics = Metrics()
    metrics.gauge("coffre.disk.free_bytes", lambda: math.nan, what="storage")
    assert 'coffre_disk_free_bytes{what="storage"} NaN\n' in asyncio.run(render_prometheus(metrics)).decode()
    assert json.loads(asyncio.run(render_json(metrics)))["Gauges"] == []


def test_a_gauge_that_only_grows_is_told_to_be_a_counter_with_what_it_means() -> None:
    metrics = Metrics()
    metrics.gauge("coffre.hsm.operations_total", lambda: 7.0, slot="a")
    assert asyncio.run(render_prometheus(metrics)).decode().splitlines() == [
        "# HELP coffre_hsm_operations_total Operations that a token was asked for",
        "# TYPE coffre_hsm_operations_total counter",
        'coffre_hsm_operations_total{slot="a"} 7.0',
    ]


def _turns_of_others(work: Coroutine[Any, Any, object]) -> int:
    """How often others were served while something was done."""

    async def main() -> int:
        async with of_others() as turns:
            await asyncio.sleep(0)
            await work
        return turns.count

    return asyncio.run(main())


@pytest.mark.parametrize(
    "read", [render_prometheus, render_json, partial(reading, prefix="house")], ids=["text", "json", "otlp"]
)
def test_others_are_served_while_many_metrics_are_read(
    read: Callable[[Metrics], Coroutine[Any, Any, object]],
) -> None:
    metrics = Metrics()
    for number in range(3000):
        metrics.timing("route.read", mount=str(number)).extend([number, 10 * number])
    assert _turns_of_others(read(metrics)) > 3
