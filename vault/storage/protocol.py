# SPDX-License-Identifier: EUPL-1.2
"""The contract of every storage: transactions over ordered paths, timers and one epoch.

Storage speaks `Tx`. Views of the barrier read as it does and write what `vault.barrier.stored` makes alone, so an engine
never knows how deep it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from vault.values.times import Millis

LONG: Final = 1 << 18
"""Bytes of a value that is read, written, encrypted and decrypted off the event loop: of more that takes milliseconds."""


LONGEST_PATH: Final = 2600
"""Bytes of a path, or of kind and key of a timer or a change: PostgreSQL's index takes hardly more."""


MOST_REMOVED: Final = 16 << 20
"""Bytes of values after which `Tx.delete_some` takes no further path: a database frees each page of a long value."""


Check = Callable[[], None]
"""Has the last word before a commit; a `CommitRefused` that it raises undoes what was to be committed."""


class Timer(msgspec.Struct, frozen=True):
    """Do `kind` for `key` at `due`.

    `due` is in milliseconds since the Unix epoch. There is at most one timer per (kind, key):
    setting it again moves it. `attempts` counts failed runs; it is 0 for a timer being set.
    """

    kind: str
    key: str
    due: Millis
    attempts: int = 0


class Change(msgspec.Struct, frozen=True):
    """One cached fact that became untrue: everything cached as (`kind`, `key`) must be dropped."""

    epoch: int
    kind: str
    key: str


class Basis(msgspec.Struct, frozen=True):
    """What a transaction rests on beside what it reads: facts that were true at `epoch`.

    They are at a later one too, if all that changed since are facts of one kind under other keys than these.
    """

    epoch: int
    kind: str
    keys: Sequence[str]

    def outlasts(self, kind: str, key: str) -> bool:
        """Whether it is as it was where the fact (`kind`, `key`) became untrue."""
        return kind == self.kind and key not in self.keys


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One server of those that share a storage; its host and the address that clients have of it tell it from others."""

    hostname: str
    api_addr: str
    cluster_addr: str
    version: str
    """Its release."""
    api: str
    """The release of OpenBao whose API it speaks."""
    serves: bool
    """Whether it is unsealed."""
    aside: float = 0
    """For how many seconds more it stands aside; of the one that says so, from now on if it is not for longer already."""
    seen: Millis = Millis(0)
    """When it was heard of last, in milliseconds since the Unix epoch."""


class ReadTx(Protocol):
    """Reads; each statement sees committed data and records the epoch that it saw."""

    epoch: int
    """The epoch that the last statement saw; 0 before the first. Only durable epochs are ever seen."""

    async def get(self, path: str) -> bytes | None:
        """Return the value at exactly `path`, or None."""
        ...

    async def has(self, path: str) -> bool:
        """Tell whether there is a value at exactly `path`, however long it is."""
        ...

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """Return the names directly below `prefix` in byte order of UTF-8; a folder ends in `/`.

        `prefix` is empty or ends in `/`. `after` is exclusive; `limit` 0 means all.
        A name that is both leaf and folder is listed as both (`a`, `a/`).
        """
        ...

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """Return every path below `prefix`, relative to it, in byte order; leaves only."""
        ...


class Tx(ReadTx, Protocol):
    """A transaction: all of it becomes durable, or none of it."""

    committed: int
    """Once it is durable, the epoch that its commit saw; 0 where the storage does not say, and has to be asked."""

    @property
    def outdates(self) -> bool:
        """Whether anything that is cached becomes untrue when it commits."""
        ...

    async def put(self, path: str, value: bytes) -> None:
        """Store `value` at `path`, replacing what was there. Raises `UnfitPath`, as `at` and `invalidate` do."""
        ...

    async def delete(self, path: str) -> None:
        """Remove `path`; removing what is not there is no error."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Remove every path below `prefix` (which ends in `/`); return how many there were.

        Nobody else writes meanwhile: where there may be many, `delete_some` goes by rounds.
        """
        ...

    async def delete_some(self, prefix: str, limit: int, *, after: str = "") -> str:
        """Remove the first paths below `prefix` (which ends in `/`) and behind `after`; return the last, empty if none are left.

        They are `limit` at most, and may be fewer where they hold more than `MOST_REMOVED`. What is returned is relative to
        `prefix`, as `after` is: who goes on from there spares the database a look at all that it has removed.
        """
        ...

    async def at(self, timer: Timer) -> None:
        """Set a timer, or move the one with the same kind and key."""
        ...

    async def cancel(self, kind: str, key: str) -> None:
        """Remove a timer; removing what is not there is no error."""
        ...

    async def invalidate(self, kind: str, key: str) -> None:
        """Say that what is cached as (`kind`, `key`) becomes untrue when this transaction commits."""
        ...

    def before_commit(self, check: Check) -> None:
        """Call `check` on the event loop before this transaction is committed, after everything in it.

        Transactions that share a commit share the call, and are all undone if it refuses.
        """
        ...

    def rest_on(self, basis: Basis) -> bool:
        """Have the commit make sure that what this transaction rests on is true then too, whatever epoch its statements see.

        Return whether it will. A storage where nobody else commits meanwhile has no use for that: it does nothing, and the
        epoch of the statements says the same.
        """
        ...


class Storage(Protocol):
    """A transactional, ordered key-value store."""

    def reader(self) -> ReadTx:
        """Return a reader whose statements each see the newest committed data."""
        ...

    def write(self, *, optimistic: bool = False) -> AbstractAsyncContextManager[Tx]:
        """Open a serialisable transaction.

        An `optimistic` one may raise `Conflict` where its block is left, and within: nothing was kept, and whoever opened
        it runs the block again. So it need not wait for others; a storage that has no use for that ignores it.

        Leaving the block normally returns only after the transaction is durable; leaving it by an
        exception (cancellation included) undoes it whole. Raises `StorageFailure` when it cannot commit.
        Cancelled when it has been left already and only waits for the disk, it is kept all the same.

        Writers run one after the other, so a block does no slow work of other kinds. A task that is in a
        block cannot open another or `claim`: that is a `RuntimeError`, as it would wait for itself.
        After a statement failed, nothing more is accepted and the block cannot commit.
        """
        ...

    async def claim(self, now: Millis, limit: int, *, hold: Millis) -> Sequence[Timer]:
        """Claim up to `limit` timers due at `now` (ms), for `hold` ms: nobody else gets them until then.

        A claimed timer stays until it is cancelled or set again; an unfinished one comes back after
        `hold` with `attempts` one higher. At least once, so handlers are idempotent.
        """
        ...

    async def next_due(self) -> Millis | None:
        """Return when (ms) the earliest timer can next be claimed, or None without timers."""
        ...

    async def now(self) -> Millis | None:
        """Return the moment by the clock that all who use this storage share; None where that is this machine's."""
        ...

    async def size(self) -> int | None:
        """Return how many bytes a database takes where its server keeps it; None where it is this machine's, or none."""
        ...

    async def risks(self) -> Sequence[str]:
        """Return in sentences how what was acknowledged can be lost, as the database is set up now. Raises `StorageFailure`."""
        ...

    async def news(self, since: int) -> tuple[int, Sequence[Change] | None]:
        """Return the epoch, and the changes after epoch `since` in order, by one statement.

        They are None where `since` is not known (any more): drop everything. No two histories share an epoch. So one that
        was seen before a backup was put in place is not known, unless the backup has it too.
        """
        ...

    async def meet(self, node: Node) -> Sequence[Node]:
        """Note that a server lives, and return all that do, this one included. Who says so no more is soon forgotten."""
        ...

    async def part(self, node: Node) -> None:
        """Forget a server that ends."""
        ...

    async def check(self) -> None:
        """Raise `StorageFailure` where what it has open is no longer what has its name, or something else wrote to it."""
        ...

    async def close(self) -> None:
        """Finish what is open and release the files."""
        ...


class StorageFailure(Exception):
    """The storage could not do what was asked; nothing of the transaction was kept."""


class Conflict(StorageFailure):
    """Others changed what an optimistic transaction had read; run again, it takes its turn as all others do."""


class StorageBusy(StorageFailure):
    """Too many wait for the storage already; this one may try again in a moment."""


class OutcomeUnknown(StorageFailure):
    """The storage was lost while it committed: what was to be written may have been, or not."""


class CommitRefused(StorageFailure):
    """A `Check` refused the commit: nothing is wrong with the storage."""


class StorageLost(StorageFailure):
    """What is in the place of the storage is not what was opened: nothing works any more before it is started again."""


class UnfitPath(Exception):
    """What was to be stored would have a path that not every storage takes; the message is for the client."""
