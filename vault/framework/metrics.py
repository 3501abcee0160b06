# SPDX-License-Identifier: EUPL-1.2
"""Counters, timings and gauges: plain integers on the request path, no locks, names that dashboards know.

Everything runs on one event loop, so `counter.count += 1` is whole. Labels are part of a metric's identity
and come from configuration (mounts, terms, devices), never from a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from vault.framework.clock import Clock

_SLOTS: Final = 4 * 64


class Counter:
    """A number that only grows."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Timing:
    """How long something took: count, sum, extremes, and quantiles within an eighth of the true value."""

    __slots__ = ("high", "low", "slots", "squares", "total")

    def __init__(self) -> None:
        self.total = 0
        self.squares = 0
        self.high = 0
        self.low = 1 << 63
        self.slots = [0] * _SLOTS

    def observe(self, nanos: int) -> None:
        """Count one duration in nanoseconds."""
        self.total += nanos
        self.squares += nanos * nanos
        self.high = max(self.high, nanos)
        self.low = min(self.low, nanos)
        bits = nanos.bit_length()
        self.slots[bits * 4 + (nanos >> bits - 3 & 3) if bits > 2 else nanos] += 1

    @property
    def count(self) -> int:
        """How many durations there were."""
        return sum(self.slots)

    def quantile(self, share: float) -> float:
        """Return the duration, in nanoseconds, that `share` of all stayed within; 0 when there were none."""
        wanted = share * self.count
        seen = 0
        for slot, count in enumerate(self.slots):
            seen += count
            if count and seen >= wanted:
                return float(min(max(_middle(slot), self.low), self.high))
        return 0.0


def _middle(slot: int) -> float:
    """Return the middle of a slot's range."""
    bits, quarter = divmod(slot, 4)
    if bits < 3:
        return float(slot)
    return float((4 + quarter) << bits - 3) + (1 << bits - 3) / 2


Labels = tuple[tuple[str, str], ...]
"""Names and values, in a fixed order."""


class Metrics:
    """Every metric of the process, made once by name and kept by those who count.

    Names are OpenBao's with dots (`core.handle_request`), without the prefix.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin to count now, by `clock`, or else the system's."""
        self.clock: Final = clock or Clock()
        self.began: Final = self.clock.nanos()
        self._counters: dict[tuple[str, Labels], Counter] = {}
        self._timings: dict[tuple[str, Labels], Timing] = {}
        self._gauges: dict[tuple[str, Labels], Callable[[], float]] = {}

    def counter(self, name: str, **labels: str) -> Counter:
        """Return the counter of this name and these labels, made at the first call. Keep what it returns."""
        return self._counters.setdefault((name, tuple(labels.items())), Counter())

    def timing(self, name: str, **labels: str) -> Timing:
        """Return the timing of this name and these labels, made at the first call. Keep what it returns."""
        found = self._timings.get((name, tuple(labels.items())))
        if found is None:
            found = self._timings[name, tuple(labels.items())] = Timing()
        return found

    def gauge(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Show what `read` returns, asked each time the metrics are."""
        self._gauges[name, tuple(labels.items())] = read

    def forget(self, name: str, **labels: str) -> None:
        """Show this gauge no longer."""
        self._gauges.pop((name, tuple(labels.items())), None)

    def counters(self) -> Iterator[tuple[str, Labels, Counter]]:
        """Every counter, by name."""
        for (name, labels), counter in sorted(self._counters.items(), key=lambda item: item[0]):
            yield name, labels, counter

    def timings(self) -> Iterator[tuple[str, Labels, Timing]]:
        """Every timing that was used, by name."""
        for (name, labels), timing in sorted(self._timings.items(), key=lambda item: item[0]):
            if timing.high or timing.count:
                yield name, labels, timing

    def gauges(self) -> Iterator[tuple[str, Labels, float]]:
        """Every gauge and its present value, by name."""
        for (name, labels), read in sorted(self._gauges.items(), key=lambda item: item[0]):
            yield name, labels, read()
