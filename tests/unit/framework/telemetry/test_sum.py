# SPDX-License-Identifier: EUPL-1.2
"""Metrics of several workers are shown as one server's."""

import asyncio

from vault.framework.telemetry.exposition import render_json, render_prometheus
from vault.framework.telemetry.metrics import Metrics
from vault.framework.telemetry.sum import Sum, measured

HOUR = 3600 * 10**9


def worker(count: int, *nanos: int) -> Metrics:
    made = Metrics()
    made.counter("core.handled", mount="secret/").count = count
    for each in nanos:
        made.timing("core.handle_request").observe(each)
    made.gauge("core.unsealed", lambda: float(count > 1))
    return made


def test_counters_and_durations_are_added_up_and_a_gauge_says_whose_it_is() -> None:
    one, other = worker(3, 1000, HOUR), worker(1, 500)
    both = Sum(one, "4", [("7", measured(other))])
    assert [(name, labels, counter.count) for name, labels, counter in both.counters()] == [
        ("core.handled", (("mount", "secret/"),), 4)
    ]
    ((_, _, timing),) = both.timings()
    assert (timing.count, timing.total, timing.low, timing.high) == (3, HOUR + 1500, 500, HOUR)
    assert timing.squares >= HOUR**2
    assert list(both.gauges()) == [
        ("core.unsealed", (("worker", "4"),), 1.0),
        ("core.unsealed", (("worker", "7"),), 0.0),
    ]
    text = asyncio.run(render_prometheus(both)).decode()
    assert 'vault_core_handled{mount="secret/"} 4' in text
    assert 'vault_core_unsealed{worker="7"} 0.0' in text
    assert b"core.unsealed" in asyncio.run(render_json(both))
    assert both.began == one.began


def test_what_one_worker_measured_stays_its_own() -> None:
    one, other = worker(3, 1000), worker(1, 500)
    Sum(one, "1", [("2", measured(other))])
    assert [counter.count for _, _, counter in one.counters()] == [3]
    assert [timing.count for _, _, timing in one.timings()] == [1]
