# SPDX-License-Identifier: EUPL-1.2
"""What waits for the collector is bounded, comes again where that may help, and is counted where it does not."""

import io
import itertools
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.otlp.outbox import BATCH, FIRST_PAUSE, MOST, NotTaken, Outbox, Queue


def counted(metrics: Metrics) -> dict[str, float]:
    grown = {name: float(counter.count) for name, _, counter in metrics.counters()}
    return grown | {name: value for name, _, value in metrics.gauges()}


def drain(queue: Queue[int]) -> None:
    """Hand over all that can be now."""
    while queue.hand_over():
        pass


class Collector:
    """Takes batches, or fails."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.rejects = 0
        self.batches: list[Sequence[int]] = []

    def __call__(self, batch: Sequence[int]) -> int:
        self.batches.append(batch)
        if self.failure is not None:
            raise self.failure
        return self.rejects


class Watch:
    """A clock that is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


PASSING = NotTaken("it is full", again=True)
LASTING = NotTaken("it does not want it", again=False)
ALL = MOST["traces"]


def test_all_that_waits_is_handed_over_in_batches_and_in_order() -> None:
    collector, metrics = Collector(), Metrics()
    queue: Queue[int] = Queue("traces", collector, metrics)
    for number in range(BATCH + 1):
        queue.put(number)
    collector.rejects = 3
    drain(queue)
    assert [len(batch) for batch in collector.batches] == [BATCH, 1]
    assert [one for batch in collector.batches for one in batch] == [*range(BATCH + 1)]
    assert counted(metrics) == {
        "coffre.telemetry.sent_total": BATCH + 1,
        "coffre.telemetry.failures_total": 0,
        "coffre.telemetry.rejected_total": 6,
        "coffre.telemetry.dropped_total": 0,
    }


def test_what_the_collector_cannot_take_now_comes_again_and_the_oldest_makes_room() -> None:
    collector, metrics, now = Collector(), Metrics(), Watch()
    queue: Queue[int] = Queue("traces", collector, metrics, now)
    collector.failure = PASSING
    for number in range(ALL + 7):
        queue.put(number)
    drain(queue)
    queue.put(ALL + 7)
    assert counted(metrics)["coffre.telemetry.dropped_total"] == 8
    collector.failure, now.seconds = None, FIRST_PAUSE
    collector.batches.clear()
    drain(queue)
    assert [one for batch in collector.batches for one in batch] == [*range(8, ALL + 8)]
    assert counted(metrics)["coffre.telemetry.failures_total"] == 1
    assert not queue.trouble


def test_what_comes_while_a_batch_is_refused_leaves_room_for_the_newest_of_it() -> None:
    queue: Queue[int]

    def deliver(batch: Sequence[int]) -> int:
        for number in range(ALL - 1):
            queue.put(1000 + number)
        raise PASSING

    metrics = Metrics()
    queue = Queue("traces", deliver, metrics)
    queue.put(1)
    queue.put(2)
    drain(queue)
    assert list(queue._waiting)[:2] == [2, 1000]
    assert len(queue._waiting) == ALL
    assert counted(metrics)["coffre.telemetry.dropped_total"] == 1


@pytest.mark.parametrize("failure", [LASTING, ValueError("hunter2")])
def test_what_the_collector_will_never_take_is_dropped_and_counted(failure: Exception) -> None:
    collector, metrics, now = Collector(), Metrics(), Watch()
    queue: Queue[int] = Queue("traces", collector, metrics, now)
    collector.failure = failure
    for number in range(BATCH + 1):
        queue.put(number)
    drain(queue)
    assert counted(metrics)["coffre.telemetry.dropped_total"] == BATCH
    assert queue.trouble
    assert "hunter2" not in queue.trouble
    collector.failure, now.seconds = None, FIRST_PAUSE
    drain(queue)
    assert collector.batches[-1] == [BATCH]


def test_a_collector_that_takes_nothing_is_left_alone_ever_longer_and_as_long_as_it_asks() -> None:
    collector, now = Collector(), Watch()
    queue: Queue[int] = Queue("traces", collector, Metrics(), now)
    queue.put(1)
    tried: list[float] = []
    collector.failure = PASSING

    def until(seconds: float) -> None:
        while now.seconds < seconds:
            before = len(collector.batches)
            drain(queue)
            tried.extend([now.seconds] * (len(collector.batches) - before))
            now.seconds += 1

    until(200)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    tried.clear()
    collector.failure = NotTaken("it is full", again=True, wait=100)
    until(400)
    assert tried == [243, 343]
    collector.failure = None
    until(450)
    collector.failure = PASSING
    queue.put(2)
    tried.clear()
    until(454)
    assert tried == [450, 451, 453], "after a success the pause is the shortest again"


def test_it_is_told_once_that_the_collector_takes_nothing_and_once_that_it_does() -> None:
    collector, stream, now = Collector(), io.StringIO(), Watch()
    queue: Queue[int] = Queue("logs", collector, Metrics(), now)
    outbox = Outbox([queue], lambda: None, Log(stream=stream))
    for failure in (None, PASSING, LASTING, None, None):
        collector.failure = failure
        queue.put(1)
        now.seconds += 1000
        drain(queue)
        outbox.look()
    lines = stream.getvalue().splitlines()
    assert [line.partition("server: ")[2] for line in lines] == [
        'the collector does not take what it is sent: type=logs reason="it is full"',
        "the collector takes what it is sent again: type=logs",
    ]


def test_memory_is_bounded_while_two_threads_meet_in_a_full_queue() -> None:
    collector, metrics = Collector(), Metrics()
    collector.failure = PASSING
    queue: Queue[int] = Queue("traces", collector, metrics, itertools.count(0, 1000).__next__)
    ended = threading.Event()

    def hand_over() -> None:
        while not ended.is_set():
            queue.hand_over()

    thread = threading.Thread(target=hand_over)
    thread.start()
    most = 0
    for number in range(200_000):
        queue.put(number)
        most = max(most, len(queue._waiting))
    ended.set()
    thread.join(60)
    assert most <= ALL + BATCH
    found = counted(metrics)
    assert found["coffre.telemetry.dropped_total"] + len(queue._waiting) == 200_000


def test_a_thread_hands_over_and_the_end_waits_for_a_collector_that_hangs_for_a_moment_only() -> None:
    hung = threading.Event()

    def hang(batch: Sequence[int]) -> int:
        return int(hung.wait(600))

    queue: Queue[int] = Queue("traces", hang, Metrics())
    outbox = Outbox([queue], hung.set, Log(stream=io.StringIO()))
    outbox.start()
    queue.put(1)
    began = time.monotonic()
    outbox.stop()
    assert hung.is_set()
    assert time.monotonic() - began < 60
    outbox.stop()  # without effect


def test_a_kind_that_hangs_or_never_ends_holds_back_no_other() -> None:
    """As with a collector that takes traces more slowly than they come, and is silent where logs are sent."""
    hung, taken, over = threading.Event(), threading.Event(), threading.Event()
    traces: Queue[int]

    def slow(batch: Sequence[int]) -> int:
        for number in range(0 if over.is_set() else len(batch)):
            traces.put(number)
        return 0

    def hang(_batch: Sequence[int]) -> int:
        return int(hung.wait(600))

    def quick(_batch: Sequence[int]) -> int:
        taken.set()
        return 0

    traces = Queue("traces", slow, Metrics())
    queues: list[Queue[int]] = [traces, Queue("logs", hang, Metrics()), Queue("metrics", quick, Metrics())]
    outbox = Outbox(queues, hung.set, Log(stream=io.StringIO()))
    for queue in queues:
        queue.put(1)
    outbox.start()
    assert taken.wait(60)
    assert not hung.is_set()
    over.set()
    outbox.stop()


def test_the_end_hands_over_what_is_left_of_each_kind() -> None:
    taken: dict[str, list[int]] = {"traces": [], "logs": []}

    def collector(kind: str) -> Callable[[Sequence[int]], int]:
        def take(batch: Sequence[int]) -> int:
            taken[kind].append(len(batch))
            return 0

        return take

    queues: list[Queue[int]] = [
        Queue("traces", collector("traces"), Metrics()),
        Queue("logs", collector("logs"), Metrics()),
    ]
    outbox = Outbox(queues, lambda: None, Log(stream=io.StringIO()))
    for queue in queues:
        for number in range(BATCH + 1):
            queue.put(number)
    outbox.start()
    outbox.stop()
    assert taken == {"traces": [BATCH, 1], "logs": [BATCH, 1]}
