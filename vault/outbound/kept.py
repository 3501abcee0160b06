# SPDX-License-Identifier: EUPL-1.2
"""Answers of others that are kept for a while, so that who logs in does not decide how often others are asked.

An answer is asked for when it is first needed, and used while it is fresh. Later it is asked for anew beside those who
need it, who go on with what there is; but who needs it after nobody did for long waits for the new one, for keys may
have been withdrawn. Where nobody answers all go on until it is stale, and those who have nothing to go on with are told
why. One question is asked at a time, whoever waits for it, and none straight after a failure. All
of this is measured by a clock that is never set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from vault.cache.follow import BoundedCache
from vault.framework.clock import Clock
from vault.outbound.failure import Unreachable

T = TypeVar("T")
Ask = Callable[[], Awaitable[T]]
"""Asks others. Raises `Unreachable`."""

FRESH: Final = 600.0
"""Seconds for which an answer is used without asking again."""
STALE: Final = 86_400.0
"""Seconds for which it is used while nobody answers."""
_IDLE: Final = 2
"""Times as long as an answer is fresh: one that is older is used only where there is no newer one to be had."""
PAUSE: Final = 2.0
"""Seconds after a failure in which nobody asks again."""
_BURST: Final = 5
_REFILL: Final = 10.0
"""Seconds until one who asks before time may do so once more."""
_MOST: Final = 1024


@dataclass(slots=True)
class _Entry(Generic[T]):
    """What is known by one key. Times are the clock's monotonic seconds; None for never."""

    value: T | None = None
    asked: float | None = None
    failed: float | None = None
    reason: str = ""
    spare: float = _BURST
    counted: float = 0.0
    running: asyncio.Task[None] | None = field(default=None, repr=False)


class AnswerCache(Generic[T]):
    """Answers by key. A key must hold all that its answer depends on, the mount included (SL-28)."""

    def __init__(self, clock: Clock, *, fresh: float = FRESH, stale: float = STALE) -> None:
        self._clock = clock
        self._fresh = fresh
        self._stale = stale
        self._entries: BoundedCache[Hashable, _Entry[T]] = BoundedCache(_MOST)

    async def get(self, key: Hashable, ask: Ask[T]) -> T:
        """Return the answer. Raises `Unreachable` where there is none to be had."""
        one = self._entry(key)
        if one.value is not None and one.asked is not None:
            age = self._clock.monotonic() - one.asked
            if age < self._fresh:
                return one.value
            if age < self._stale:
                running = self._start(one, ask)
                if running is not None and one.failed is None and age >= _IDLE * self._fresh:
                    await asyncio.shield(running)
                return one.value
        return await self._wait(one, ask)

    async def newer(self, key: Hashable, ask: Ask[T]) -> T | None:
        """Return the answer after asking again, because the one that is kept did not do; None where that may not be now.

        Strangers can cause it, so it may be done five times, and once more every ten seconds; who only waits for what is
        asked already uses none of that.
        """
        one = self._entry(key)
        now = self._clock.monotonic()
        one.spare = min(_BURST, one.spare + (now - one.counted) / _REFILL)
        one.counted = now
        if one.running is None:
            if one.spare < 1 or self._paused(one):
                return None
            one.spare -= 1
        try:
            return await self._wait(one, ask)
        except Unreachable:
            return None

    def drop(self, key: Hashable) -> None:
        """Forget an answer: the next who needs it asks."""
        self._entries.drop(key)

    async def settled(self) -> None:
        """Wait until nothing is asked any more."""
        for one in tuple(self._entries.values()):
            if one.running is not None:
                await asyncio.wait([one.running])

    def _entry(self, key: Hashable) -> _Entry[T]:
        found = self._entries.get(key)
        if found is None:
            found = _Entry(counted=self._clock.monotonic())
            self._entries.put(key, found)
        return found

    def _start(self, one: _Entry[T], ask: Ask[T]) -> asyncio.Task[None] | None:
        """Ask beside those who wait or do not; one question at a time, and none straight after a failure."""
        if one.running is None and not self._paused(one):
            one.running = asyncio.get_running_loop().create_task(self._refresh(one, ask))
        return one.running

    def _paused(self, one: _Entry[T]) -> bool:
        return one.failed is not None and self._clock.monotonic() - one.failed < PAUSE

    async def _wait(self, one: _Entry[T], ask: Ask[T]) -> T:
        running = self._start(one, ask)
        if running is not None:
            await asyncio.shield(running)
        if one.reason or one.value is None:
            raise Unreachable(one.reason)
        return one.value

    async def _refresh(self, one: _Entry[T], ask: Ask[T]) -> None:
        try:
            one.value = await ask()
            one.asked, one.failed, one.reason = self._clock.monotonic(), None, ""
        except Unreachable as failure:
            one.failed, one.reason = self._clock.monotonic(), str(failure)
        finally:
            one.running = None
