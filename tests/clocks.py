# SPDX-License-Identifier: EUPL-1.2
"""Clocks that a test moves: time passes on both, and the wall clock can be set apart from it."""

from vault.framework.clock import Clock
from vault.values.times import Millis, Nanos, nanos_to_millis

SECOND = 1_000_000_000
DAY = 86_400
MONTH = 30 * DAY
"""Seconds by which tests set the wall clock ahead and back."""
MOST_TURNS = 100_000
"""Turns of an event loop, until what works in the background must have ended."""


class MovedClock(Clock):
    """A clock that moves a microsecond at each look, and further when told."""

    def __init__(self, now: int) -> None:
        """Begin at `now`, in nanoseconds since the epoch."""
        self.now = now
        self._set = 0

    def nanos(self) -> Nanos:
        self.now += 1000
        return Nanos(self.now)

    def millis(self) -> Millis:
        return nanos_to_millis(self.nanos())

    def monotonic(self) -> float:
        return (self.nanos() - self._set) / SECOND

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock ahead, or back where negative: no time passes."""
        self.now += int(seconds * SECOND)
        self._set += int(seconds * SECOND)
