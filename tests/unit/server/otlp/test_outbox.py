# SPDX-License-Identifier: EUPL-1.2
"""What waits for the collector is bounded, what it does not take is counted, and nobody waits for it."""

import io
import threading
import time
from collections.abc import Sequence

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.otlp.outbox import BATCH, MOST, Outbox, Queue


def counted(metrics: Metrics) -> dict[str, float]:
    grown = {name: float(counter.count) for name, _, counter in metrics.counters()}
    return grown | {name: value for name, _, value in metrics.gauges()}


class Collector:
    """Takes batches or not."""

    def __init__(self) -> None:
        self.takes = True
        self.batches: list[Sequence[int]] = []

    def __call__(self, batch: Sequence[int]) -> bool:
        self.batches.append(batch)
        if self.takes is None:
            raise ValueError("a defect")
        return self.takes


def test_all_that_waits_is_handed_over_in_batches_and_in_order() -> None:
    collector, metrics = Collector(), Metrics()
    queue: Queue[int] = Queue("traces", collector, metrics)
    for number in range(BATCH + 1):
        queue.put(number)
    queue.drain(lambda: False)
    assert [len(batch) for batch in collector.batches] == [BATCH, 1]
    assert [one for batch in collector.batches for one in batch] == [*range(BATCH + 1)]
    assert counted(metrics) == {
        "coffre.telemetry.sent_total": BATCH + 1,
        "coffre.telemetry.failures_total": 0,
        "coffre.telemetry.dropped_total": 0,
    }


def test_what_is_not_taken_and_what_comes_to_a_full_queue_is_dropped_and_counted() -> None:
    collector, metrics = Collector(), Metrics()
    queue: Queue[int] = Queue("traces", collector, metrics)
    for number in range(MOST["traces"] + 7):
        queue.put(number)
    assert counted(metrics)["coffre.telemetry.dropped_total"] == 7
    for takes in (False, None):
        collector.takes = takes  # type: ignore[assignment]  # None stands for a defect
        queue.drain(lambda: False)
        assert queue.failing
    assert counted(metrics)["coffre.telemetry.dropped_total"] == 7 + 2 * BATCH
    assert counted(metrics)["coffre.telemetry.failures_total"] == 2
    collector.takes = True
    queue.drain(lambda: False)
    assert not queue.failing
    assert counted(metrics)["coffre.telemetry.sent_total"] == MOST["traces"] - 2 * BATCH


def test_it_is_told_once_that_the_collector_takes_nothing_and_once_that_it_does() -> None:
    collector, stream = Collector(), io.StringIO()
    queue: Queue[int] = Queue("logs", collector, Metrics())
    outbox = Outbox([queue], lambda: None, Log(stream=stream))
    for takes in (True, False, False, True, True):
        collector.takes = takes
        queue.put(1)
        queue.drain(lambda: False)
        outbox.look()
    lines = stream.getvalue().splitlines()
    assert [line.partition("server: ")[2] for line in lines] == [
        "the collector does not take what it is sent: type=logs",
        "the collector takes what it is sent again: type=logs",
    ]


def test_a_thread_hands_over_and_the_end_waits_for_a_collector_that_hangs_for_a_moment_only() -> None:
    hung = threading.Event()

    def hang(batch: Sequence[int]) -> bool:
        return hung.wait(600)

    queue: Queue[int] = Queue("traces", hang, Metrics())
    outbox = Outbox([queue], hung.set, Log(stream=io.StringIO()))
    outbox.start()
    queue.put(1)
    began = time.monotonic()
    outbox.stop()
    assert hung.is_set()
    assert time.monotonic() - began < 60
    outbox.stop()  # without effect
