# SPDX-License-Identifier: EUPL-1.2
"""How old stored moments are, whatever the wall clock is set to meanwhile.

A lock or a pause begins with a moment that is stored, for other processes and the next start must know of it. From
when this process first meets the moment, its age grows with the monotonic clock: a wall clock that is set neither ends
the lock at once nor makes it last for days.
"""

from __future__ import annotations

from typing import Final

from vault.cache.follow import BoundedCache
from vault.framework.clock import Clock
from vault.values.times import Nanos, exact_seconds, nanos_of, time_between

_MOST: Final = 65_536
"""Moments that are remembered; of one that was pushed out, only the wall clock knows."""


class Ages:
    """The ages of moments (nanoseconds since the epoch) that this process has met."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: BoundedCache[int, float] = BoundedCache(_MOST)
        """When each moment was, by the monotonic clock."""

    def begin(self) -> Nanos:
        """Return this moment, whose age is measured from now on."""
        moment = self._clock.nanos()
        self._began.put(moment, self._clock.monotonic())
        return moment

    def of(self, moment: Nanos) -> Nanos:
        """Return how many nanoseconds ago `moment` was; 0 for one that the wall clock puts into the future."""
        began, now = self._began.get(moment), self._clock.monotonic()
        if began is None:
            began = now - exact_seconds(max(Nanos(0), time_between(moment, self._clock.nanos())))
            self._began.put(moment, began)
        return nanos_of(now - began)
