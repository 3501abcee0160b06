# SPDX-License-Identifier: EUPL-1.2
"""What waits for the collector, and the threads that hand it over. A collector that is away costs nobody but what is dropped."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics

Signal = Literal["logs", "metrics", "traces"]
T = TypeVar("T")
C = TypeVar("C", contravariant=True)

EVERY: Final = 1.0
"""Seconds between two times that a thread hands over what waits."""
MOST: Final[Mapping[Signal, int]] = {"logs": 2048, "metrics": 4, "traces": 2048}
"""How much waits of each kind: lines, readings, requests. Whatever comes then, the oldest is dropped."""
FIRST_PAUSE: Final = 1.0
"""Seconds for which a collector is left alone that did not take a batch; twice as many each time that it does not again."""
LONGEST_PAUSE: Final = 60.0
"""The longest of these."""
BATCH: Final = 256
"""How much of one kind is handed over at once."""
_END: Final = 2.0
"""Seconds that the end of the server waits for what is left to be handed over."""


class NotTaken(Exception):
    """The collector has not taken a batch. The text says why, in words of ours."""

    def __init__(self, why: str, *, again: bool, wait: float = 0.0) -> None:
        """`again` says whether the same may be sent again; `wait` after how many seconds at the earliest."""
        super().__init__(why)
        self.again = again
        self.wait = wait


class Deliver(Protocol[C]):
    """Hands a batch over. Blocks for seconds."""

    def __call__(self, batch: Sequence[C], /) -> int:
        """Return how much of it the collector will not have, by its own count. Raises `NotTaken`."""
        ...


class Queue(Generic[T]):
    """What waits of one kind. Where there is no more room, the oldest makes some."""

    def __init__(
        self, signal: Signal, deliver: Deliver[T], metrics: Metrics, now: Callable[[], float] = monotonic
    ) -> None:
        """`now` counts seconds, by a clock that nobody sets."""
        self.signal: Final = signal
        self._deliver, self._now = deliver, now
        self._waiting: deque[T] = deque()
        self._most: Final = MOST[signal]
        self._crowded = self._lost = 0
        self.trouble = ""
        """Why the collector did not take the last batch; empty where it did."""
        self._pause = 0.0
        self._next = -math.inf
        self._sent: Final = metrics.counter("coffre.telemetry.sent_total", signal=signal)
        self._failures: Final = metrics.counter("coffre.telemetry.failures_total", signal=signal)
        self._rejected: Final = metrics.counter("coffre.telemetry.rejected_total", signal=signal)
        metrics.gauge(
            "coffre.telemetry.dropped_total", lambda: float(self._crowded + self._lost), signal=signal
        )

    def put(self, one: T) -> None:
        """Have this sent. Of the event loop."""
        if len(self._waiting) >= self._most:
            self._crowded += len(self._taken(1))
        self._waiting.append(one)

    def _taken(self, most: int) -> list[T]:
        taken: list[T] = []
        with contextlib.suppress(IndexError):  # the other thread may have taken the last one
            while len(taken) < most:
                taken.append(self._waiting.popleft())
        return taken

    def hand_over(self) -> bool:
        """Hand over a batch of what waits; return whether there is more to hand over now. Of the thread.

        A collector that does not take it is left alone for a while.
        """
        if not self._waiting or self._now() < self._next:
            return False
        batch = self._taken(BATCH)
        try:
            rejected = self._deliver(batch)
        except NotTaken as failure:
            self._keep(batch if failure.again else [])
            self._lost += 0 if failure.again else len(batch)
            self._leave_alone(str(failure), failure.wait)
        except Exception as defect:  # noqa: BLE001 -- a defect of one batch ends neither the thread nor those after it
            self._lost += len(batch)
            self._leave_alone(f"a defect here ({type(defect).__name__})", 0)
        else:
            self.trouble, self._pause = "", 0.0
            self._sent.count += len(batch)
            self._rejected.count += rejected
        return bool(self._waiting) and self._now() >= self._next

    def _keep(self, batch: list[T]) -> None:
        """Put back what was not taken, as far as there is room: the newest of it."""
        room = max(0, self._most - len(self._waiting))
        kept = batch[max(0, len(batch) - room) :]
        self._waiting.extendleft(reversed(kept))
        self._lost += len(batch) - len(kept)

    def _leave_alone(self, why: str, wait: float) -> None:
        self._failures.count += 1
        self.trouble = why
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        self._next = self._now() + max(self._pause, wait)


class Outbox:
    """The queues, each with a thread of its own: what hangs with one kind keeps no other waiting."""

    def __init__(self, queues: Sequence[Queue[Any]], end: Callable[[], None], log: Log) -> None:
        """`end` ends deliveries that are under way."""
        self._queues, self._end, self._log = queues, end, log
        self._told: set[Signal] = set()
        self._ended = threading.Event()
        self._threads: Sequence[threading.Thread] = ()

    def start(self) -> None:
        """Begin to hand over, in threads that end with the process at the latest."""
        self._threads = [
            threading.Thread(target=self._run, args=(queue,), name=f"otlp-{queue.signal}", daemon=True)
            for queue in self._queues
        ]
        for thread in self._threads:
            thread.start()

    def look(self) -> None:
        """Log it where the collector begins or ceases to take a kind. Of the event loop."""
        for queue in self._queues:
            if queue.trouble and queue.signal not in self._told:
                self._told.add(queue.signal)
                self._log.caution(
                    "server",
                    "the collector does not take what it is sent",
                    type=queue.signal,
                    reason=queue.trouble,
                )
            elif not queue.trouble and queue.signal in self._told:
                self._told.discard(queue.signal)
                self._log.note("server", "the collector takes what it is sent again", type=queue.signal)

    def stop(self) -> None:
        """Hand over what waits, for two seconds at most in all, and end."""
        threads, self._threads = self._threads, ()
        if not threads:
            return
        self._ended.set()
        until = monotonic() + _END
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        self._end()

    def _run(self, queue: Queue[Any]) -> None:
        while not self._ended.wait(EVERY):
            while queue.hand_over() and not self._ended.is_set():
                pass
        while queue.hand_over():
            pass
