# SPDX-License-Identifier: EUPL-1.2
"""A transaction that waits for nobody: what it read is checked when it commits, and it runs again where that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vault.storage.order import refuse_unfit
from vault.storage.postgres import parts
from vault.storage.postgres.batches import Batches
from vault.storage.postgres.database import Database
from vault.storage.postgres.lanes import EntryRow, Lanes, RangePage
from vault.storage.postgres.reads import (
    names_below,
    next_page,
    paths_below,
    storable,
)
from vault.storage.postgres.unit import Unit, merged
from vault.storage.protocol import LONG, Basis, Check, Conflict, StorageFailure, Timer

_LARGEST: Final = 1 << 63
"""PostgreSQL's integers lie between this and its negative."""
_FEW: Final = 1024
"""Rows that are removed one by one; of a folder with more, the turn is taken first."""
_FEW_AT_ONCE: Final = 64
"""The same, where the folder may be any, and so the rows as long as any."""


class Statements:
    """What both kinds of transaction write, and that none goes on once a statement failed."""

    def __init__(self, database: Database, lanes: Lanes, epoch: int) -> None:
        self._database = database
        self._lanes = lanes
        self.unit = Unit(epoch)
        self.committed = 0
        """See `Tx.committed`."""
        self._broken: StorageFailure | None = None
        self._ended = False

    def begin(self, name: str) -> None:
        """Announce a statement. Raises `StorageFailure`, and `RuntimeError` once it has ended."""
        if self._ended:
            raise RuntimeError("this transaction has ended; open another one")
        if self._broken is not None:
            raise type(self._broken)(str(self._broken)) from self._broken
        try:
            self._database.announce(name)
        except StorageFailure as failure:
            self._broken = failure
            raise

    def broke(self, failure: StorageFailure) -> None:
        """Accept nothing more after a failure."""
        self._broken = failure

    def end(self) -> None:
        """Refuse whatever is still tried."""
        self._ended = True

    async def room(self) -> None:
        """Make room for more writes."""

    async def put(self, path: str, value: bytes) -> None:
        """See `Tx.put`."""
        self.begin("put")
        refuse_unfit(path)
        await self.room()
        self.unit.put(path, value, await parts.send(self._lanes, value) if len(value) > LONG else None)

    async def delete(self, path: str) -> None:
        """See `Tx.delete`."""
        self.begin("delete")
        if storable(path) is not None:
            await self.room()
            self.unit.put(path, None)

    async def at(self, timer: Timer) -> None:
        """See `Tx.at`."""
        if not -_LARGEST <= timer.due < _LARGEST:
            raise OverflowError("a timer is due beyond what can be stored")
        self.begin("at")
        refuse_unfit(timer.kind + timer.key)
        await self.room()
        self.unit.timers[timer.kind, timer.key] = timer

    async def cancel(self, kind: str, key: str) -> None:
        """See `Tx.cancel`."""
        self.begin("cancel")
        if storable(kind + key) is not None:
            await self.room()
            self.unit.timers[kind, key] = None

    @property
    def outdates(self) -> bool:
        """See `Tx.outdates`."""
        return bool(self.unit.untrue)

    def before_commit(self, check: Check) -> None:
        """See `Tx.before_commit`."""
        self.unit.checks[check] = None

    def rest_on(self, basis: Basis) -> bool:
        """See `Tx.rest_on`. In the turn no epoch is newer."""
        del basis
        return False

    async def invalidate(self, kind: str, key: str) -> None:
        """See `Tx.invalidate`."""
        self.begin("invalidate")
        refuse_unfit(kind + key)
        self.unit.untrue[kind, key] = None


class Transaction(Statements):
    """See `Tx`. Its epoch is a guess until a statement saw one, and checked as what it read is."""

    def __init__(self, database: Database, lanes: Lanes, batches: Batches) -> None:
        super().__init__(database, lanes, database.epoch)
        self._batches = batches
        self._read: dict[str, bytes | None] = {}
        self._line: str | None = None

    def rest_on(self, basis: Basis) -> bool:
        """See `Tx.rest_on`."""
        self.unit.basis = basis
        return True

    @property
    def epoch(self) -> int:
        """The epoch that its facts have to be of."""
        return self.unit.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self.unit.epoch = value

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        self.begin("get")
        unit = self.unit
        for known in (unit.rows, self._read):
            if path in known:
                return known[path]
        row = await self._row(path)
        if isinstance(row, Unit):
            self._read[path] = row.rows[path]
        elif row.length > LONG:
            row = await parts.rest(self._lanes, path, row)
            self._saw(path, row.version, row.epoch)
            self._read[path] = row.value
        return self._read[path]

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        self.begin("get")
        for known in (self.unit.rows, self._read):
            if path in known:
                return known[path] is not None
        row = await self._row(path)
        return row.rows[path] is not None if isinstance(row, Unit) else row.version > 0

    async def _row(self, path: str) -> EntryRow | Unit:
        """Return what is at a path, or who wrote there and has not committed, and note that it was read."""
        if storable(path) is None:  # nothing is ever there, and no statement may name it
            row = await self._lanes.get(None)
            self._reached(row.epoch)
            self._read[path] = None
            return row
        if self._line is None and await self._batches.lines.join(path):
            self._line = path
        writer = self._batches.pending(path)
        if writer is None:
            row = self._lanes.recent(path) or await self._lanes.get(path)
            writer = self._batches.pending(path)
            if writer is None:
                self._saw(path, row.version, row.epoch)
                if row.length <= LONG:
                    self._read[path] = row.value
                return row
        self._saw(path, writer, 0)
        return writer

    def _saw(self, path: str, source: int | Unit, epoch: int) -> None:
        """Note what was read: what was read first is what it all rests on. Raises `Conflict` where that differs."""
        self._reached(epoch)
        first = self.unit.seen.setdefault(path, source)
        if first is not source and first != source and not self._same(path, first, source):
            self.broke(self._batches.lose(self.unit, "another transaction changed what this one had read"))
            self.begin("get")

    def _reached(self, epoch: int) -> None:
        """Note the epoch that a statement saw; 0 where none was asked."""
        if epoch:
            self.unit.asked = True
            self.unit.epoch = max(self.unit.epoch, epoch)

    @staticmethod
    def _same(path: str, first: int | Unit, source: int | Unit) -> bool:
        """Whether a version is what a unit that was read from has committed by now."""
        if isinstance(first, int) or isinstance(source, Unit) or path in first.replaced:
            return False
        return 0 < first.version == source

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        self.begin("list")
        return await names_below(self._page, prefix, after, limit)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        self.begin("scan")
        return await paths_below(self._page, prefix, after, limit)

    async def _page(self, start: str, beyond: str, most: int) -> RangePage:
        """Return a page of what is stored and was written here. What others are about to commit is waited for."""
        while self._batches.touches(start, beyond):
            await self._batches.settle()
        page = self._lanes.recent_page((start, beyond, most))
        if page is None:
            page = await next_page(self._database, self._lanes, start, beyond, most)
            self.unit.asked = True
        self.unit.ranges.append(page.seen)
        self.unit.epoch = max(self.unit.epoch, page.epoch)
        return page._replace(paths=[*merged(page.paths, self.unit, start, page.seen.beyond)])

    async def delete_prefix(self, prefix: str) -> int:
        """See `Tx.delete_prefix`."""
        self.begin("delete_prefix")
        doomed = await paths_below(self._page, prefix, "", _FEW)
        if len(doomed) == _FEW:
            self.broke(Conflict("there is too much to remove without the turn"))
            self.begin("delete_prefix")
        for path in doomed:
            await self.delete(prefix + path)
        return len(doomed)

    async def delete_some(self, prefix: str, limit: int, *, after: str = "") -> str:
        """See `Tx.delete_some`. Few rows are not much, however long each is."""
        self.begin("delete_some")
        found = await paths_below(self._page, prefix, after, min(limit, _FEW_AT_ONCE) + 1)
        if len(found) > _FEW_AT_ONCE:
            self.broke(Conflict("there is too much to remove without the turn"))
            self.begin("delete_some")
        for path in found[:limit]:
            await self.delete(prefix + path)
        return found[limit - 1] if len(found) > limit else ""

    async def commit(self) -> None:
        """Commit. Raises `Conflict` where what it read is not so any more; nothing was kept."""
        self.begin("commit")
        await self._end()
        self.committed = self.unit.epoch

    async def confirm(self) -> None:
        """Make sure that what was read is so, and write nothing. Raises `Conflict` where it is not.

        A refusal may not rest on what others had not committed, nor on facts of an epoch that was a guess.
        """
        if self._broken is None:
            self.unit.forget()
            await self._end()

    async def _end(self) -> None:
        try:
            try:
                durable = self._batches.commit(self.unit)
            finally:
                self.leave()
            if durable is not None:
                await durable
        except Conflict:
            self._lanes.doubt(self.unit.seen)
            raise

    def leave(self) -> None:
        """Let others have the row that this one stood in line for."""
        if self._line is not None:
            self._batches.lines.leave(self._line)
            self._line = None

    def end(self) -> None:
        """Refuse whatever is still tried."""
        self.leave()
        super().end()
