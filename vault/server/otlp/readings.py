# SPDX-License-Identifier: EUPL-1.2
"""All metrics, read on the event loop in slices of time, for the thread that sends them."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.telemetry.described import OWN, PROCESS
from vault.framework.telemetry.exposition import BUCKETS
from vault.framework.telemetry.metrics import Labels, Metrics
from vault.values.times import Nanos, exact_seconds


class DurationCounts(NamedTuple):
    """Durations, in seconds: how many were within each bound of `BUCKETS`, above the one before, and beyond the last."""

    name: str
    labels: Labels
    counts: tuple[int, ...]
    total: float
    low: float
    high: float


class MetricsReading(NamedTuple):
    """All metrics, by the names that they have there. Times are in nanoseconds since the epoch."""

    began: Nanos
    at: Nanos
    grown: tuple[tuple[str, Labels, float], ...]
    """What only grows."""
    held: tuple[tuple[str, Labels, float], ...]
    spread: tuple[DurationCounts, ...]


BOUNDS: Final = tuple(exact_seconds(Nanos(2**power)) for power in BUCKETS)
"""Upper bounds of a `DurationCounts`, in seconds."""


async def reading(metrics: Metrics, prefix: str) -> MetricsReading:
    """Read all metrics; what is not known is left out. Others are served meanwhile."""
    turn, at = TimeSlice(), metrics.clock.nanos()
    gauges = [(name, labels, value) for name, labels, value in metrics.gauges() if not math.isnan(value)]
    grown = [(named(name, prefix), labels, float(one.count)) for name, labels, one in metrics.counters()]
    grown += [
        (named(name, prefix), labels, value) for name, labels, value in gauges if name.endswith("_total")
    ]
    spread = []
    for name, labels, timing in metrics.timings():
        below = timing.below(BUCKETS)
        steps = [after - before for before, after in zip([0, *below], [*below, timing.count], strict=True)]
        spread.append(
            DurationCounts(
                named(name, prefix),
                labels,
                tuple(steps),
                exact_seconds(Nanos(timing.total)),
                exact_seconds(Nanos(timing.low)),
                exact_seconds(Nanos(timing.high)),
            )
        )
        await turn.step()
    return MetricsReading(
        began=metrics.began,
        at=at,
        grown=tuple(grown),
        held=tuple(
            (named(name, prefix), labels, value)
            for name, labels, value in gauges
            if not name.endswith("_total")
        ),
        spread=tuple(spread),
    )


def named(name: str, prefix: str) -> str:
    """Return what a metric is called there: `vault.core.handle_request`, and ours as they are."""
    return name if name.startswith((OWN, PROCESS)) else f"{prefix}.{name}"
