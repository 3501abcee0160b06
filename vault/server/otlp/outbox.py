# SPDX-License-Identifier: EUPL-1.2
"""What waits for the collector, and the thread that hands it over. A collector that is away costs nobody but what is dropped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics

Signal = Literal["logs", "metrics", "traces"]
T = TypeVar("T")
C = TypeVar("C", contravariant=True)

EVERY: Final = 1.0
"""Seconds between two times that the thread hands over what waits."""
MOST: Final[Mapping[Signal, int]] = {"logs": 2048, "metrics": 4, "traces": 2048}
"""How much waits of each kind: lines, readings, requests. What comes then is dropped."""
BATCH: Final = 256
"""How much of one kind is handed over at once."""
_END: Final = 2.0
"""Seconds that the end of the server waits for what is left to be handed over."""


class Deliver(Protocol[C]):
    """Hands a batch over. Blocks for seconds."""

    def __call__(self, batch: Sequence[C], /) -> bool:
        """Return whether the collector took it."""
        ...


class Queue(Generic[T]):
    """What waits of one kind."""

    def __init__(self, signal: Signal, deliver: Deliver[T], metrics: Metrics) -> None:
        self.signal: Final = signal
        self._deliver = deliver
        self._waiting: deque[T] = deque()
        self._most: Final = MOST[signal]
        self._crowded = self._lost = 0
        self.failing = False
        """Whether the collector did not take the last batch."""
        self._sent: Final = metrics.counter("coffre.telemetry.sent_total", signal=signal)
        self._failures: Final = metrics.counter("coffre.telemetry.failures_total", signal=signal)
        metrics.gauge(
            "coffre.telemetry.dropped_total", lambda: float(self._crowded + self._lost), signal=signal
        )

    def put(self, one: T) -> None:
        """Have this sent, or drop it where too much waits. Of the event loop."""
        if len(self._waiting) >= self._most:
            self._crowded += 1
        else:
            self._waiting.append(one)

    def drain(self, ended: Callable[[], bool]) -> None:
        """Hand over what waits, until nothing does, the collector does not take it, or `ended` says so. Of the thread."""
        waiting = self._waiting
        while waiting and not ended():
            batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH))]
            try:
                self.failing = not self._deliver(batch)
            except Exception:  # noqa: BLE001 -- a defect of one batch ends neither the thread nor those after it
                self.failing = True
            if self.failing:
                self._failures.count += 1
                self._lost += len(batch)
                return
            self._sent.count += len(batch)


class Outbox:
    """The queues, and their thread."""

    def __init__(self, queues: Sequence[Queue[Any]], end: Callable[[], None], log: Log) -> None:
        """`end` ends a delivery that is under way."""
        self._queues, self._end, self._log = queues, end, log
        self._told: set[Signal] = set()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to hand over, in a thread that ends with the process at the latest."""
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Log it where the collector begins or ceases to take a kind. Of the event loop."""
        for queue in self._queues:
            if queue.failing and queue.signal not in self._told:
                self._told.add(queue.signal)
                self._log.caution("server", "the collector does not take what it is sent", type=queue.signal)
            elif not queue.failing and queue.signal in self._told:
                self._told.discard(queue.signal)
                self._log.note("server", "the collector takes what it is sent again", type=queue.signal)

    def stop(self) -> None:
        """Hand over what waits, for two seconds at most, and end."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ended.set()
        thread.join(_END)
        self._end()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            for queue in self._queues:
                queue.drain(self._ended.is_set)
        for queue in self._queues:
            queue.drain(lambda: False)
