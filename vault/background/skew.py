# SPDX-License-Identifier: EUPL-1.2
"""How far this machine's clock is from the one that all nodes share, that of the database.

Versions, epochs and the fence rest on no clock. When a token ends is judged by each node's own: so one whose clock is far
off makes none. A timer is due when both clocks say so: by its own a node finds that there is something to do, and by the
shared one no node takes it before the others would.
"""

from __future__ import annotations

from typing import Final

from vault.framework.clock import Clock
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.storage.protocol import Storage
from vault.values.times import Millis

_TOLD: Final = 2_000
_MOST: Final = 30_000
"""Milliseconds that it may be off before it is told, and before no tokens are made."""
_NO_TOKENS: Final = "this server's clock differs from the database's by more than 30 s: it makes no tokens"


class Skew:
    """What was measured last; 0 where storage is of this machine alone."""

    def __init__(self, storage: Storage, clock: Clock, log: Log) -> None:
        self._storage = storage
        self._clock = clock
        self._log = log
        self.ahead = Millis(0)
        """By how much this clock is ahead; behind, where it is negative."""

    async def now(self) -> Millis:
        """Measure it, and return the earlier of both clocks' moments. Raises `StorageFailure`.

        What may be the way to the database and back is not taken for a difference.
        """
        before = self._clock.millis()
        theirs = await self._storage.now()
        if theirs is None:
            return before
        after = self._clock.millis()
        self._note(Millis(before - theirs if theirs < before else min(after - theirs, 0)))
        return min(before, theirs)

    def shared(self) -> Millis:
        """Return the moment by the clock that all nodes share, as far as it was measured: what one stores and others judge."""
        return Millis(self._clock.millis() - self.ahead)

    def due(self) -> Millis:
        """Return the moment for a timer that is due at once: it has come by both clocks, as far as they were measured."""
        return Millis(self._clock.millis() - max(self.ahead, 0))

    def _note(self, ahead: Millis) -> None:
        was, self.ahead = self._degree, ahead
        if self._degree == was:
            return
        off = f"{ahead / 1000:.1f} s"
        if self._degree == 0:
            self._log.note("clock", "the clock agrees with the database's again", ahead=off)
        elif self._degree == 1:
            self._log.caution("clock", "the clock differs from the database's; repair it", ahead=off)
        else:
            self._log.failure(
                "clock",
                "the clock differs from the database's: no tokens are made until it is repaired",
                ahead=off,
            )

    @property
    def _degree(self) -> int:
        """0 where nothing is to be told, 1 where it is, 2 where tokens would end at the wrong moment."""
        return (abs(self.ahead) > _TOLD) + (abs(self.ahead) > _MOST)

    @property
    def told(self) -> bool:
        """Whether it is more than what clocks that are kept differ by."""
        return self._degree > 0

    @property
    def too_far(self) -> bool:
        """Whether whoever balances load is to send requests elsewhere."""
        return self._degree == 2

    def require(self) -> None:
        """Raise `Unavailable` where a token that is made now would end at the wrong moment."""
        if self.too_far:
            raise Unavailable(_NO_TOKENS)
