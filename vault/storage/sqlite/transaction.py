# SPDX-License-Identifier: EUPL-1.2
"""One writer's transaction: what it writes waits in memory, and what it reads is looked for there first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from vault.storage.order import end_of, is_text, refuse_unfit
from vault.storage.protocol import MOST_REMOVED, Basis, Check, StorageFailure, Timer
from vault.storage.sqlite.database import Connection
from vault.storage.sqlite.group_commit import GroupCommit
from vault.storage.sqlite.pending_writes import PendingWrites
from vault.storage.sqlite.reads import BEHIND_TEXT, Reader, RememberingReader, Whole
from vault.storage.sqlite.row_cache import Look, Rows
from vault.values.times import Millis

_DELETE_RANGE: Final = "DELETE FROM entry WHERE path >= ? AND path < ?"
_FIRST: Final = """
    WITH first AS (
        SELECT path, length(value) AS bytes FROM entry WHERE path >= ? AND path < ? ORDER BY path LIMIT ?
    ), known AS (
        SELECT path, row_number() OVER above AS number, sum(bytes) OVER above - bytes AS before
        FROM first WINDOW above AS (ORDER BY path)
    )
    SELECT max(path), count(*) < (SELECT count(*) FROM first) FROM known WHERE number <= ? AND before < ?
"""
"""The last of the first paths in a range, up to a number and so many bytes, and whether more follow. No value is read for it."""
_DELETE_FIRST: Final = "DELETE FROM entry WHERE path >= ? AND path <= ?"
_CLAIM: Final = """
    UPDATE timer SET claimed_until = ?, attempts = attempts + 1
    WHERE (kind, key) IN (
        SELECT kind, key FROM timer WHERE coalesce(claimed_until, due) <= ?
        ORDER BY coalesce(claimed_until, due), kind, key LIMIT ?
    )
    RETURNING kind, key, due, attempts - 1
"""
_FEW: Final = 16
"""Rows that are removed one by one, rather than as a range by SQLite, which then has to know of everything."""
_KNOWN: Final = 64
"""Rows that a transaction remembers."""
_LARGEST: Final = 1 << 63
"""SQLite's integers lie between this and its negative."""


class Transaction(RememberingReader):
    """What one writer does. After a statement failed nothing more is accepted, and nothing is kept."""

    def __init__(self, reader: Connection, whole: Whole, group: GroupCommit, rows: Rows) -> None:
        """`reader` sees what is committed: all that there is, but for what waits in memory until SQLite gets it.

        So does `whole`, which reads what is long.
        """
        super().__init__(reader, whole, rows)
        self.committed = 0
        self._group = group
        self._own = PendingWrites()
        self._known: dict[str, bytes | int | None] = {}
        """What this writer found, or wrote: it has its turn, so nobody else changes it. Nothing that SQLite has to be asked for."""
        self._broken: StorageFailure | None = None
        self._ended = False

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        value = self._look(path)
        if not isinstance(value, int):
            return value
        try:
            whole = self._group.whole if self._group.open.spilled else self._whole
            self.epoch, found = await whole(path)
        except StorageFailure as problem:
            self._broken = problem
            raise
        return found

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        return self._look(path) is not None

    def _look(self, path: str) -> bytes | int | None:
        """Return what is at `path`, or how long it is where that is much."""
        if self._ended or self._broken is not None:
            self._check()
        known = self._known
        try:
            if path in known and self.epoch:
                self._connection.announce("get")
                return known[path]
            found = self._look_behind(path)
        except StorageFailure as problem:
            self._broken = problem
            raise
        if path in known:
            return known[path]
        if len(known) < _KNOWN:
            known[path] = found
        return found

    def _look_behind(self, path: str) -> bytes | int | None:
        """Return what is at `path` but for what this writer did, and note the epoch."""
        batch = self._group.open
        waits, before = batch.pending.rows, batch.before
        if before is not None and path not in waits:
            waits = before.pending.rows
        if path in waits and self.epoch:
            self._connection.announce("get")
            return waits[path]
        self.epoch, value = self._inner().row(path) if batch.spilled else self.row(path)
        return waits.get(path, value)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        return await self._find(prefix, ("list", after, limit))

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        return await self._find(prefix, ("scan", after, limit))

    async def _find(self, prefix: str, look: Look) -> Sequence[str]:
        """Look below a prefix, where SQLite has to know all that was written there."""
        self._check()
        try:
            batch = self._group.open
            if batch.before is not None and batch.before.pending.touches(prefix):
                await batch.founded()
                batch = self._group.open
            if self._own.touches(prefix) or batch.pending.touches(prefix):
                await self._spill()
            if not batch.spilled:
                return self.below(prefix, look)
            inner = self._inner()
            found = inner.below(prefix, look)
        except StorageFailure as problem:
            self._broken = problem
            raise
        self.epoch = inner.epoch
        return found

    async def _spill(self) -> None:
        """Let SQLite know of all that was written; what it is about to do with that is not known yet."""
        self._known.clear()
        await self._group.spill(self._own)

    def _inner(self) -> Reader:
        """Return what reads in the transaction of the batch, for when SQLite knows more of it than is committed."""
        return Reader(self._group.connection, self._group.whole)

    async def put(self, path: str, value: bytes) -> None:
        """See `Tx.put`."""
        self._write("put")
        refuse_unfit(path)
        own = self._own
        if own.full:
            await self._unload()
        own.put(path, value)
        self._known[path] = value

    async def delete(self, path: str) -> None:
        """See `Tx.delete`."""
        self._write("delete")
        if not is_text(path):
            return
        if self._own.full:
            await self._unload()
        self._own.delete(path)
        self._known[path] = None

    async def delete_prefix(self, prefix: str) -> int:
        """See `Tx.delete_prefix`."""
        self._write("delete_prefix")
        if not is_text(prefix):
            return 0
        few = await self._find(prefix, ("scan", "", _FEW))
        if len(few) < _FEW:
            for path in few:
                await self.delete(prefix + path)
            return len(few)
        end = end_of(prefix)
        bounds = (f"{prefix}\0", BEHIND_TEXT if end is None else end)
        with self._statement():
            await self._spill()
            return await self._group.work(
                lambda: self._group.connection.run("delete_prefix", _DELETE_RANGE, bounds).rowcount
            )

    async def delete_some(self, prefix: str, limit: int, *, after: str = "") -> str:
        """See `Tx.delete_some`."""
        self._write("delete_some")
        if not is_text(prefix + after):
            return ""
        few = await self._find(prefix, ("scan", after, min(limit + 1, _FEW)))
        if len(few) < _FEW:
            for path in few[:limit]:
                await self.delete(prefix + path)
            return few[limit - 1] if len(few) > limit else ""
        end = end_of(prefix)
        start, beyond = f"{prefix}{after}\0", BEHIND_TEXT if end is None else end

        def remove() -> str:
            connection = self._group.connection
            bounds = (start, beyond, limit + 1, limit, MOST_REMOVED)
            ((last, more),) = connection.rows("delete_some", _FIRST, bounds)
            connection.run("delete_some", _DELETE_FIRST, (start, last))
            return str(last)[len(prefix) :] if more else ""

        with self._statement():
            await self._spill()
            return await self._group.work(remove)

    async def at(self, timer: Timer) -> None:
        """See `Tx.at`."""
        if not -_LARGEST <= timer.due < _LARGEST:
            raise OverflowError("a timer is due beyond what can be stored")
        self._write("at")
        refuse_unfit(timer.kind + timer.key)
        if self._own.full:
            await self._unload()
        self._own.set_timer(timer.kind, timer.key, timer)

    async def cancel(self, kind: str, key: str) -> None:
        """See `Tx.cancel`."""
        self._write("cancel")
        if not is_text(kind + key):
            return
        if self._own.full:
            await self._unload()
        self._own.set_timer(kind, key, None)

    @property
    def outdates(self) -> bool:
        """See `Tx.outdates`."""
        return bool(self._own.untrue)

    async def invalidate(self, kind: str, key: str) -> None:
        """See `Tx.invalidate`."""
        self._write("invalidate")
        refuse_unfit(kind + key)
        self._own.untrue[kind, key] = None

    def before_commit(self, check: Check) -> None:
        """See `Tx.before_commit`."""
        self._group.open.checks[check] = None

    def rest_on(self, basis: Basis) -> bool:
        """See `Tx.rest_on`: no epoch is newer than a transaction's."""
        del basis
        return False

    async def claim(self, now: Millis, limit: int, *, hold: Millis) -> Sequence[Timer]:
        """See `Storage.claim`."""
        with self._statement():
            await self._spill()
            rows = self._group.connection.rows("claim", _CLAIM, (now + hold, now, limit))
            return sorted((Timer(*row) for row in rows), key=lambda timer: (timer.due, timer.kind, timer.key))

    def finish(self) -> PendingWrites:
        """Return what is still to be written. Raises `StorageFailure` where a statement had failed."""
        self._check()
        return self._own

    def end(self) -> None:
        """Refuse whatever is still tried in this transaction."""
        self._ended = True

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction has ended; open another one")
        if self._broken is not None:
            raise StorageFailure(str(self._broken)) from self._broken

    def _write(self, name: str) -> None:
        """Announce what will wait. What SQLite would not take never waits: it would cost others of the batch theirs."""
        if self._ended or self._broken is not None:
            self._check()
        try:
            self._connection.announce(name)
        except StorageFailure as problem:
            self._broken = problem
            raise

    async def _unload(self) -> None:
        """Give SQLite what is more than should wait in memory."""
        with self._statement():
            await self._spill()

    @contextmanager
    def _statement(self) -> Iterator[None]:
        self._check()
        try:
            yield
        except StorageFailure as problem:
            self._broken = problem
            raise
