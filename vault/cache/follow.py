# SPDX-License-Identifier: EUPL-1.2
"""Facts kept in memory, and how they stop being believed: the epoch that every storage statement returns.

A fact may enter only at the epoch at which it was read, and a reply may leave only if what it rests on is true at the
epoch that its statement saw (the fence in the pipeline). So a revocation that has committed
anywhere is obeyed here by the next request, whether or not anybody was told.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence, ValuesView
from contextlib import suppress
from typing import Final, Generic, TypeVar

from vault.storage.protocol import Change, Storage, Tx

K = TypeVar("K")
T = TypeVar("T")
_EPOCHS: Final = 1000
_PAUSE: Final = 0.1
_MOVING: Final = -1
"""The epoch while facts are being dropped: no statement sees it, so nothing read meanwhile is kept or let out."""
Drop = Callable[[str | None], Awaitable[None]]
"""Forget one key, or everything when the key is None."""


class BoundedCache(Generic[K, T]):
    """A mapping of at most `size` entries; the one that came first leaves first (SL-71).

    `leave` is told of every value that leaves: pushed out, replaced or forgotten.
    """

    __slots__ = ("_entries", "_leave", "_size", "get")

    def __init__(self, size: int, leave: Callable[[T], None] = lambda _: None) -> None:
        self._entries: OrderedDict[K, T] = OrderedDict()
        self.get: Final[Callable[[K], T | None]] = self._entries.get
        """Return what is kept for a key."""
        self._size: Final = size
        self._leave: Final = leave

    def put(self, key: K, value: T) -> None:
        """Keep `value`."""
        self.drop(key)
        self._entries[key] = value
        if len(self._entries) > self._size:
            self._leave(self._entries.popitem(last=False)[1])

    def drop(self, key: K | None) -> None:
        """Forget `key`, or everything."""
        if key is None:
            while self._entries:
                self._leave(self._entries.popitem()[1])
        elif key in self._entries:
            self._leave(self._entries.pop(key))

    def discard(self, stale: Callable[[T], bool]) -> None:
        """Forget all entries that are `stale`."""
        for key in [key for key, value in self._entries.items() if stale(value)]:
            self.drop(key)

    def values(self) -> ValuesView[T]:
        """Return all that is kept."""
        return self._entries.values()

    def __len__(self) -> int:
        """Return how many entries are kept."""
        return len(self._entries)


class Follower:
    """Knows the epoch at which this process's facts are true, and brings them up to date.

    Each owner registers its kind of fact; a kind that nobody registered drops everything, so that a new
    kind of invalidation can never be overlooked. One that falls on everybody's facts may say which of them need not be read anew.
    """

    def __init__(self, storage: Storage, *, most_epochs: int = _EPOCHS, pause: float = _PAUSE) -> None:
        """`most_epochs` of one era are known: whoever was let in before that begins again.

        `pause` is in seconds: before a look that `learn` asks for.
        """
        self._storage = storage
        self._most_epochs = most_epochs
        self._owners: dict[str, Drop] = {}
        self._wide: dict[str, Mapping[str, Drop]] = {}
        self._first: set[str] = set()
        self._marking: set[str] = set()
        self._knowing: set[str] = set()
        self.epoch = 0
        self.state = object()
        """Stands for everything that is true now: another object as soon as anything may have become untrue."""
        self.era = object()
        """As `state`, but for what only identities rest on that are `held`: those are told one by one."""
        self._epochs: set[int] = set()
        """Those that the facts have stood at in this era, which no other history has."""
        self._pause = pause
        self._soon: asyncio.TimerHandle | None = None
        self._behind: asyncio.Future[None] | None = None
        """The look that `learn` asked for: it is kept, so that it is not collected."""
        self._looking: asyncio.Event | None = None
        self._begun = self._ended = 0
        """Looks at the storage, of which one is under way at most; the newest that did all it had to."""

    def own(
        self, kind: str, drop: Drop, *, first: bool = False, marks: bool = False, knows: bool = False
    ) -> None:
        """Register the owner of `kind`; one that `marks` says so of each identity that it held and drops.

        One that comes `first` is told before all others: they read with what it keeps. One that `knows` who callers are knows
        nobody after `forget`.
        """
        self._owners[kind] = drop
        if first:
            self._first.add(kind)
        self._owners = dict(sorted(self._owners.items(), key=lambda owner: owner[0] not in self._first))
        if marks:
            self._marking.add(kind)
        if knows:
            self._knowing.add(kind)

    def own_widely(self, kind: str, narrowly: Mapping[str, Drop]) -> None:
        """Say that of whatever became untrue by `kind`, owners drop everything, but those of the kinds that are named.

        These are called with the key of the change, in their place. So whoever comes to keep facts later drops them all.
        """
        self._wide[kind] = narrowly

    def lasts(self, epoch: int) -> bool:
        """Whether what was true at an epoch of the facts still is, but for what only identities rest on that are `held`.

        It is not where that epoch is of a time while facts were being dropped.
        """
        return epoch in self._epochs

    async def follow(self, committed: int = 0) -> None:
        """Catch up if the epoch moved; after a commit of our own, so that the next answer knows of it.

        `committed` is the epoch that the commit saw; without it, storage is asked.
        """
        if not committed:
            reader = self._storage.reader()
            await reader.get("")
            committed = reader.epoch
        await self.reach(committed)

    async def learn(self, done: Tx) -> None:
        """Catch up after a transaction that made facts untrue; where it only saw that others did, soon.

        It may have rested on older facts; and the next ones are compared, in their turn, with all that changed since those.
        What fails here takes back nothing: it is told to whoever asks next, whose look fails as this one.
        """
        if done.outdates:
            with suppress(Exception):
                await self.follow(done.committed)
        elif 0 < self.epoch != done.committed > 0 and self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(self._pause, self._begin_look)

    def _begin_look(self) -> None:
        self._behind = asyncio.ensure_future(self._keep_up())

    async def _keep_up(self) -> None:
        try:
            if self.epoch > 0:
                await self.catch_up()
        except Exception:  # noqa: BLE001 -- it is told to whoever asks: their look comes next, and fails as this one
            return
        finally:
            self._soon = None

    async def reach(self, epoch: int) -> None:
        """Catch up with a statement that saw `epoch`, which another history may have."""
        begun = self._begun
        while self.epoch != epoch and self._ended <= begun:
            await self._share()

    async def catch_up(self) -> None:
        """Drop every fact that became untrue since `epoch`, and move `epoch` on."""
        begun = self._begun
        while self._ended <= begun:
            await self._share()

    async def _share(self) -> None:
        """Look once, or wait for the one who does: who came meanwhile may have seen more, and shares the next look."""
        if self._looking is not None:
            await self._looking.wait()
            return
        looking = self._looking = asyncio.Event()
        self._begun += 1
        try:
            await self._look()
            self._ended = self._begun
        finally:
            self._looking = None
            looking.set()

    async def _look(self) -> None:
        since = self.epoch
        seen, changes = await self._storage.news(since)
        if since <= 0 or self.epoch != since:  # nothing was known, or is no longer: it was sealed meanwhile
            changes = None
        elif not changes:
            if seen == since:
                return
            changes = None  # it moved, and nobody says why
        self.epoch = _MOVING
        state = self.state = object()
        falls = changes is None or any(change.kind not in self._marking for change in changes)
        if falls:
            self.era = object()
        if changes is None or any(
            change.kind not in self._owners and change.kind not in self._wide for change in changes
        ):
            for drop in self._owners.values():
                await drop(None)
        elif any(change.kind in self._wide for change in changes):
            await self._drop_widely(changes)
        else:
            # A fact that changed early may have changed again since, and is read as it is now: under keys that are told of last.
            for change in sorted(changes, key=lambda change: change.kind not in self._first):
                await self._owners[change.kind](change.key)
        if self.state is state:
            self.epoch = seen
            if falls or len(self._epochs) > self._most_epochs:
                self._epochs.clear()
            self._epochs.add(seen)

    async def _drop_widely(self, changes: Sequence[Change]) -> None:
        """Have all owners drop everything, but who is told what to drop for the changes that fall on everybody."""
        wide = [change for change in changes if change.kind in self._wide]
        for kind, drop in self._owners.items():
            if not all(kind in self._wide[change.kind] for change in wide):
                await drop(None)
                continue
            for change in changes:
                if change.kind == kind:
                    await drop(change.key)
            for change in wide:
                await self._wide[change.kind][kind](change.key)

    async def begin_anew(self) -> None:
        """Drop every fact while open: what they were read with is other, and no change in storage tells of it."""
        self.epoch = 0
        self.state, self.era = object(), object()
        self._epochs.clear()
        await self.catch_up()

    async def forget(self) -> None:
        """Start over at the next unseal: everything is read anew, and nobody is known until then."""
        self.epoch = 0
        self.state, self.era = object(), object()
        self._epochs.clear()
        for kind in self._knowing:
            await self._owners[kind](None)
