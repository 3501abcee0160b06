# SPDX-License-Identifier: EUPL-1.2
"""What a layer for metrics reads of a key slot; every number only ever grows."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec

from hsm.errors import AgentDied, HsmError, SlotUnavailable

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets of a histogram, in seconds."""


class Histogram(msgspec.Struct):
    """How long operations took."""

    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """How many took at most each of `BOUNDS` and longer than the one before; the last took longer than all."""
    seconds: float = 0.0
    """Sum over all operations."""

    def add(self, seconds: float) -> None:
        """Count one operation."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Counters(msgspec.Struct):
    """What happened to the requests of one client."""

    starts: int = 0
    """Agents that were started."""
    operations: int = 0
    errors: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)
    """By class of error and by what the module said."""
    latency: dict[str, Histogram] = msgspec.field(default_factory=dict)
    """By name of operation, for those that were answered, waiting included."""

    def count(self, error: HsmError) -> None:
        """Count one error."""
        kind = SlotUnavailable if isinstance(error, AgentDied) else type(error)
        key = (kind.__name__, error.ckr)
        self.errors[key] = self.errors.get(key, 0) + 1

    def took(self, operation: str, seconds: float) -> None:
        """Count one operation that was answered."""
        self.latency.setdefault(operation, Histogram()).add(seconds)
