# SPDX-License-Identifier: EUPL-1.2
"""All that a vault stores, carried into another storage: whole, and compared entry by entry, or not there at all.

What is carried is sealed as it lies. Changes stay behind, as do stamps and versions: they are for servers that have the
storage open, and none has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from vault.storage.copies.snapshot import Progress
from vault.storage.order import refuse_unfit
from vault.storage.protocol import StorageFailure, Timer, UnfitPath

_MOST: Final = 512
_HEAVIEST: Final = 4 << 20
"""Entries or timers that are handed over at a time, and bytes of values after which no more are gathered."""

Entry = tuple[str, bytes]
T = TypeVar("T")


class Origin(Protocol):
    """Where a vault is: nobody else writes there meanwhile."""

    async def count(self) -> tuple[int, int]:
        """Return how many entries and timers there are."""
        ...

    async def size(self) -> int:
        """Return how many bytes all of it will take in a file, about."""
        ...

    def entries(self) -> AsyncIterator[Entry]:
        """Yield every path with its value, in byte order."""
        ...

    def timers(self) -> AsyncIterator[Timer]:
        """Yield every timer, by kind and key in byte order, as if none were claimed."""
        ...


class Target(Origin, Protocol):
    """Where it goes, and where nothing was: of what is put there nothing is kept before `finish`."""

    async def put(self, entries: Sequence[Entry]) -> None:
        """Take entries."""
        ...

    async def at(self, timers: Sequence[Timer]) -> None:
        """Take timers."""
        ...

    async def finish(self) -> None:
        """Keep all of it, on the disk."""
        ...


class MoveResult(msgspec.Struct, frozen=True):
    """What was carried."""

    entries: int
    timers: int
    bytes: int
    """Those of the values."""


async def move(origin: Origin, target: Target, progress: Progress) -> MoveResult:
    """Copy everything, compare it, and keep it. Raises `StorageFailure`; then nothing is kept."""
    entries, timers = await origin.count()
    if not entries:
        raise StorageFailure("there is no vault in it; nothing was changed")
    whole, size, done = entries + timers, 0, 0
    batch: list[Entry] = []
    weight = 0
    async for path, value in origin.entries():
        _refuse_unfit(path)
        batch.append((path, value))
        weight += len(value)
        if weight > _HEAVIEST or len(batch) == _MOST:
            await target.put(batch)
            size, done = size + weight, done + len(batch)
            batch, weight = [], 0
            progress("copying", min(99, done * 100 // whole))
    await target.put(batch)
    alarms: list[Timer] = []
    async for timer in origin.timers():
        alarms.append(timer)
        if len(alarms) == _MOST:
            await target.at(alarms)
            done += len(alarms)
            alarms = []
            progress("copying", min(99, done * 100 // whole))
    await target.at(alarms)
    progress("copying", 100)
    await _compare(origin, target, whole, progress)
    await target.finish()
    return MoveResult(entries, timers, size + weight)


def _refuse_unfit(path: str) -> None:
    try:
        refuse_unfit(path)
    except UnfitPath as unfit:
        raise StorageFailure(
            f"not every storage takes one entry: {unfit}; delete it and begin anew"
        ) from None


async def _compare(origin: Origin, target: Target, whole: int, progress: Progress) -> None:
    """Compare everything with what the target would keep. Raises `StorageFailure`."""
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        if done % _MOST == 0:
            progress("comparing", min(99, done * 100 // whole))

    await _pairs(origin.entries(), target.entries(), tell)
    await _pairs(origin.timers(), target.timers(), tell)
    progress("comparing", 100)


async def _pairs(mine: AsyncIterator[T], theirs: AsyncIterator[T], tell: Callable[[], None]) -> None:
    async for one in mine:
        if one != await anext(theirs, None):
            raise _differs(one)
        tell()
    surplus = await anext(theirs, None)
    if surplus is not None:
        raise _differs(surplus)


def _differs(what: object) -> StorageFailure:
    if isinstance(what, Timer):
        name = f"the timer {what.kind} {what.key}"
    else:
        name = str(what[0]) if isinstance(what, tuple) else ""
    return StorageFailure(f"the destination differs from the source at {name}; nothing was kept: begin anew")
