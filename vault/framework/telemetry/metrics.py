# SPDX-License-Identifier: EUPL-1.2
"""Counters, timings and gauges: plain integers on the request path, no locks, names that dashboards know.

Everything runs on one event loop, so `counter.count += 1` is whole. Labels are part of a metric's identity
and come from configuration (mounts, terms, devices), never from a request.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import accumulate
from operator import add, mul
from typing import Final

from vault.framework.clock import Clock

_SLOTS: Final = 4 * 64 + 4
_BATCH: Final = 1024
_ONE: Final = 126 * 4
"""Slot 0 in the upper half of a 32-bit float (IEEE 754: exponent and two bits of the fraction, shifted)."""
_UPPER: Final = slice(1 if sys.byteorder == "little" else 0, None, 2)


class Counter:
    """A number that only grows."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


TimingState = tuple[int, float, int, int, list[int]]
"""Sum, sum of squares, longest, shortest, and how many there were of each range."""


class Timing:
    """How long something took: count, sum, extremes, and quantiles within an eighth of the true value.

    Durations wait in a list and are added up by the thousand, which costs each of them a tenth of a microsecond.
    """

    __slots__ = ("_high", "_low", "_slots", "_squares", "_total", "_waiting")

    def __init__(self) -> None:
        self._total = 0
        self._squares = 0
        self._high = 0
        self._low = 1 << 63
        self._slots = [0] * _SLOTS
        self._waiting: list[int] = []

    def observe(self, nanos: int) -> None:
        """Count one duration in nanoseconds, 0 or more and below 2**63."""
        waiting = self._waiting
        waiting.append(nanos)
        if len(waiting) >= _BATCH:
            self._add_up()

    def extend(self, durations: Sequence[int]) -> None:
        """Count many durations at once."""
        self._waiting.extend(durations)
        if len(self._waiting) >= _BATCH:
            self._add_up()

    def _add_up(self) -> None:
        waiting = self._waiting
        if not waiting:
            return
        self._total += sum(waiting)
        self._squares += sum(map(mul, waiting, waiting))
        waiting.sort()
        self._high = max(self._high, waiting[-1])
        self._low = min(self._low, waiting[0])
        upper = memoryview(array("f", waiting)).cast("B").cast("H")[_UPPER]
        for half, count in Counted(upper).items():
            self._slots[max(0, (half >> 5) - _ONE)] += count
        waiting.clear()

    def add(self, other: Timing) -> None:
        """Add the durations of `other`."""
        self._add_up()
        other._add_up()
        self._total += other._total
        self._squares += other._squares
        self._high = max(self._high, other._high)
        self._low = min(self._low, other._low)
        self._slots = list(map(add, self._slots, other._slots))

    @property
    def state(self) -> TimingState:
        """All that is known of the durations, for `of`."""
        self._add_up()
        return self._total, float(self._squares), self._high, self._low, list(self._slots)

    @classmethod
    def of(cls, state: TimingState) -> Timing:
        """Return the durations of which `state` tells."""
        made = cls()
        made._total, squares, made._high, made._low, made._slots = state
        made._squares = int(squares)
        return made

    @property
    def total(self) -> int:
        """Sum of all durations, in nanoseconds."""
        self._add_up()
        return self._total

    @property
    def squares(self) -> int:
        """Sum of the squares of all durations."""
        self._add_up()
        return self._squares

    @property
    def high(self) -> int:
        """The longest duration, in nanoseconds; 0 when there was none."""
        self._add_up()
        return self._high

    @property
    def low(self) -> int:
        """The shortest duration, in nanoseconds; 2**63 when there was none."""
        self._add_up()
        return self._low

    @property
    def count(self) -> int:
        """How many durations there were."""
        self._add_up()
        return sum(self._slots)

    def below(self, powers: Sequence[int]) -> list[int]:
        """Return how many durations were shorter than 2 to each of `powers` nanoseconds, in single precision."""
        self._add_up()
        reached = [*accumulate(self._slots)]
        return [reached[4 * power + 3] for power in powers]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return the quantile of each share of the durations, in nanoseconds; 0 when there were none."""
        self._add_up()
        reached = [*accumulate(self._slots)]
        if not reached[-1]:
            return [0.0] * len(shares)
        slots = (bisect_left(reached, max(share * reached[-1], 1)) for share in shares)
        return [float(min(max(_middle(slot), self._low), self._high)) for slot in slots]


def _middle(slot: int) -> float:
    """Return the middle of a slot's range: slots are quarters of the range between two powers of two."""
    bits, quarter = divmod(slot, 4)
    return math.ldexp(4.5 + quarter, bits - 3) if slot else 0.0


Labels = tuple[tuple[str, str], ...]
"""Names and values, in a fixed order."""


class Metrics:
    """Every metric of the process, made once by name and kept by its users.

    Names are OpenBao's with dots (`core.handle_request`), without the prefix. Those of our own begin with `coffre.`, have
    their unit at their end and no prefix; `vault.framework.telemetry.described` says of each what it means.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin to count now; `clock` is the system's unless given."""
        self.clock: Final = clock or Clock()
        self.began = self.clock.nanos()
        self._since: Final = self.clock.monotonic()
        self._counters: dict[tuple[str, Labels], Counter] = {}
        self._timings: dict[tuple[str, Labels], Timing] = {}
        self._summaries: dict[str, Callable[[], Sequence[Timing]]] = {}
        self._gauges: dict[tuple[str, Labels], Callable[[], float]] = {}

    async def whole(self) -> Metrics:
        """Return itself: see `WholeMetrics`, of a server that is one process."""
        return self

    @property
    def seconds(self) -> float:
        """Seconds since counting began."""
        return self.clock.monotonic() - self._since

    def counter(self, name: str, /, **labels: str) -> Counter:
        """Return the counter of this name and these labels, made at the first call. Keep what it returns."""
        return self._counters.setdefault((name, tuple(labels.items())), Counter())

    def timing(self, name: str, /, **labels: str) -> Timing:
        """Return the timing of this name and these labels, made at the first call. Keep what it returns."""
        found = self._timings.get((name, tuple(labels.items())))
        if found is None:
            found = self._timings[name, tuple(labels.items())] = Timing()
        return found

    def summary(self, name: str, parts: Callable[[], Sequence[Timing]]) -> None:
        """Show under `name` the sum of what `parts` returns, so that a duration need not be counted twice."""
        self._summaries[name] = parts

    def gauge(self, name: str, read: Callable[[], float], /, **labels: str) -> None:
        """Show the result of `read`, which is called each time that metrics are read; NaN where that is not known now.

        One whose name ends in `_total` only grows.
        """
        self._gauges[name, tuple(labels.items())] = read

    def forget(self, name: str, /, **labels: str) -> None:
        """Remove this gauge."""
        self._gauges.pop((name, tuple(labels.items())), None)

    def counters(self) -> Iterator[tuple[str, Labels, Counter]]:
        """Every counter, by name."""
        for (name, labels), counter in sorted(self._counters.items(), key=lambda item: item[0]):
            yield name, labels, counter

    def timings(self) -> Iterator[tuple[str, Labels, Timing]]:
        """Every timing that was used, by name."""
        found = dict(self._timings)
        for name, parts in self._summaries.items():
            whole = found[name, ()] = Timing()
            for part in parts():
                whole.add(part)
        for (name, labels), timing in sorted(found.items(), key=lambda item: item[0]):
            if timing.count:
                yield name, labels, timing

    def gauges(self) -> Iterator[tuple[str, Labels, float]]:
        """Every gauge and its present value, by name."""
        for (name, labels), read in sorted(self._gauges.items(), key=lambda item: item[0]):
            yield name, labels, read()


WholeMetrics = Callable[[], Awaitable[Metrics]]
"""Returns the metrics of the whole server, whatever processes it has."""
