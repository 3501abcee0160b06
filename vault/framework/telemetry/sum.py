# SPDX-License-Identifier: EUPL-1.2
"""Metrics of several workers as one: counters and durations are added up, and a gauge says whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from vault.framework.telemetry.metrics import Counter, Labels, Metrics, Timing, TimingState


class _Measurements(msgspec.Struct, frozen=True, array_like=True):
    """What a worker has measured."""

    counters: list[tuple[str, Labels, int]]
    timings: list[tuple[str, Labels, TimingState]]
    gauges: list[tuple[str, Labels, float]]


_DECODER: Final = msgspec.msgpack.Decoder(_Measurements)


def measured(metrics: Metrics) -> bytes:
    """Return all metrics of a process, for `Sum` in another one."""
    return msgspec.msgpack.encode(
        _Measurements(
            counters=[(name, labels, counter.count) for name, labels, counter in metrics.counters()],
            timings=[(name, labels, timing.state) for name, labels, timing in metrics.timings()],
            gauges=list(metrics.gauges()),
        )
    )


class Sum(Metrics):
    """The metrics of this worker, called `name`, and of others, as they were when they were asked."""

    def __init__(self, own: Metrics, name: str, others: Sequence[tuple[str, bytes]]) -> None:
        super().__init__(own.clock)
        self.began = own.began
        self._own = own
        self._told = [(name, _DECODER.decode(measured(own)))]
        self._told += [(other, _DECODER.decode(told)) for other, told in others]

    @property
    def seconds(self) -> float:
        """See `Metrics`."""
        return self._own.seconds

    def counters(self) -> Iterator[tuple[str, Labels, Counter]]:
        """Every counter, by name."""
        found: dict[tuple[str, Labels], Counter] = {}
        for _, told in self._told:
            for name, labels, count in told.counters:
                found.setdefault((name, labels), Counter()).count += count
        for name, labels in sorted(found):
            yield name, labels, found[name, labels]

    def timings(self) -> Iterator[tuple[str, Labels, Timing]]:
        """Every timing that was used, by name."""
        found: dict[tuple[str, Labels], Timing] = {}
        for _, told in self._told:
            for name, labels, state in told.timings:
                found.setdefault((name, labels), Timing()).add(Timing.of(state))
        for name, labels in sorted(found):
            yield name, labels, found[name, labels]

    def gauges(self) -> Iterator[tuple[str, Labels, float]]:
        """Every gauge of each worker, by name, with the label `worker`."""
        shown = [
            (name, (*labels, ("worker", worker)), value)
            for worker, told in self._told
            for name, labels, value in told.gauges
        ]
        yield from sorted(shown)
