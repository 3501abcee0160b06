# SPDX-License-Identifier: EUPL-1.2
"""Transactions that hold the cluster's turn from the start: nobody else commits meanwhile, so nothing of them can conflict.

They have one connection, behind a lock of this process: who waits for the turn holds none that its holder needs.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar

from vault.storage.postgres import parts, schema
from vault.storage.postgres.batches import Batch, found_out, write, write_on
from vault.storage.postgres.connection import Connection, Lost, Silent
from vault.storage.postgres.database import Database, Slot
from vault.storage.postgres.lanes import Lanes, RangePage, row_at
from vault.storage.postgres.lines import Lines
from vault.storage.postgres.reads import bounds, names_below, page_of, paths_below, storable
from vault.storage.postgres.transaction import Statements
from vault.storage.postgres.unit import ask_all, merged
from vault.storage.protocol import MOST_REMOVED, StorageFailure

T = TypeVar("T")
Write = Callable[[Connection, Batch, Database], Awaitable[Sequence[Any]]]


class Turn:
    """The place of the one transaction of this process that holds the turn, or waits for it."""

    def __init__(self, database: Database, slot: Slot, lanes: Lanes, lines: Lines) -> None:
        self._database: Final = database
        self.lanes: Final = lanes
        self._lines: Final = lines
        self._slot: Final = slot
        self._tasks: set[asyncio.Task[Any]] = set()

    def block(self) -> TurnBlock:
        """Return the block of a transaction."""
        return TurnBlock(self._database, self)

    async def enter(self) -> Connection:
        """Wait for the turn, and return the connection that has it. Raises `StorageFailure`."""
        self._lines.turn_begins()
        try:
            await self._slot.lock.acquire()
        except BaseException:
            self._lines.turn_ends()
            raise
        taking = self.own(self._take())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self.own(self._give_up(taking))
            raise
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        self._slot.lock.release()
        self._lines.turn_ends()

    async def _take(self) -> Connection:
        try:
            return await self._begin()
        except Silent:
            raise
        except Lost:
            return await self._begin()

    async def _begin(self) -> Connection:
        connection = await self._slot.connection()
        try:
            await connection.run(schema.TAKE_TURN)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _give_up(self, taking: asyncio.Task[Connection]) -> None:
        """Undo what was begun for somebody who does not wait any more."""
        try:
            connection = await taking
        except StorageFailure:
            self._leave()
        else:
            await self._undo(connection)

    def own(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something that ends even if whoever asked for it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # if nobody waits any more, nobody is told

    async def undo(self, connection: Connection) -> None:
        """End a transaction of which nothing is kept, and hand the turn on."""
        await asyncio.shield(self.own(self._undo(connection)))

    async def _undo(self, connection: Connection) -> None:
        try:
            if connection.usable:
                await connection.run("ROLLBACK")
        except StorageFailure:
            connection.abort()
        finally:
            self._leave()

    async def commit(
        self, connection: Connection, last: Callable[[], Awaitable[int]], batch: uuid.UUID
    ) -> int:
        """Let `last` write what is left and commit; return the epoch. It is done, whoever waits for it or not."""
        return await asyncio.shield(self.own(self._commit(connection, last, batch)))

    async def _commit(
        self, connection: Connection, last: Callable[[], Awaitable[int]], batch: uuid.UUID
    ) -> int:
        try:
            newest = await last()
            try:
                await connection.run("COMMIT")
            except Lost as lost:
                connection, row = await found_out(self._slot, batch, lost)
                newest = row[1]
            return self._database.epoch_of(connection, newest)
        except BaseException:
            connection.abort()
            raise
        finally:
            self._leave()

    async def close(self) -> None:
        """Close the connection, after whoever has it or waits for it."""
        async with self._slot.lock:
            while self._tasks:
                await asyncio.wait(self._tasks)
            await self._slot.close()


class TurnTransaction(Statements):
    """See `Tx`. What it writes waits in memory until a list has to show it, or it ends."""

    def __init__(self, database: Database, turn: Turn, connection: Connection) -> None:
        super().__init__(database, turn.lanes, 0)
        self._turn = turn
        self._connection = connection
        self._written = False
        self.epoch = 0

    async def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what a statement does. After a failure nothing more is accepted; cancelled, it is over before the rollback."""
        doing = self._turn.own(work)
        try:
            return await asyncio.shield(doing)
        except StorageFailure as failure:
            self.broke(failure)
            raise
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            raise

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        self.begin("get")
        row = await self._ask(row_at(self._database, self._connection, storable(path)))
        self.epoch = row.epoch
        if path in self.unit.rows:
            return self.unit.rows[path]
        return await self._ask(parts.get_in(self._connection, path, row))

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        self.begin("get")
        newest, version = await self._ask(self._connection.row(schema.VERSION, storable(path)))
        self.epoch = self._database.epoch_of(self._connection, newest)
        if path in self.unit.rows:
            return self.unit.rows[path] is not None
        return version is not None

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        self.begin("list")
        return await names_below(self._page, prefix, after, limit)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        self.begin("scan")
        return await paths_below(self._page, prefix, after, limit)

    async def _page(self, start: str, beyond: str, most: int) -> RangePage:
        page = await self._ask(page_of(self._database, self._connection, start, beyond, most))
        self.epoch = page.epoch
        return page._replace(paths=[*merged(page.paths, self.unit, start, page.seen.beyond)])

    async def delete_prefix(self, prefix: str) -> int:
        """See `Tx.delete_prefix`."""
        self.begin("delete_prefix")
        between = bounds(prefix, "")
        if between is None:
            return 0
        await self._unload()
        self._written = True
        (removed,) = await self._ask(self._connection.row(schema.REMOVE_RANGE, *between))
        return int(removed)

    async def delete_some(self, prefix: str, limit: int, *, after: str = "") -> str:
        """See `Tx.delete_some`."""
        self.begin("delete_some")
        between = bounds(prefix, after)
        if between is None:
            return ""
        await self._unload()
        last, more = await self._ask(self._connection.row(schema.FIRST, *between, limit, MOST_REMOVED))
        if last is not None:
            self._written = True
            await self._ask(self._connection.row(schema.REMOVE_RANGE, between[0], f"{last}\1"))
        return last[len(prefix) :] if more else ""

    async def room(self) -> None:
        """Give the database what is more than should wait in memory."""
        if self.unit.full:
            await self._unload()

    async def _unload(self) -> None:
        """Write what waits, but for what became untrue: that comes last, and once."""
        if not (self.unit.rows or self.unit.timers):
            return
        untrue, self.unit.untrue = self.unit.untrue, {}
        try:
            await self._ask(self._write(Batch(), write_on))
        finally:
            self.unit.untrue = untrue
        self.unit.unload()

    async def _write(self, batch: Batch, writes: Write = write) -> int:
        batch.add(self.unit)
        self._written = True
        row = await writes(self._connection, batch, self._database)
        newest: int = row[1]
        return newest

    async def commit(self) -> None:
        """Commit what is left."""
        batch = Batch()

        async def last() -> int:
            if self._written or self.unit.writes:
                return await self._write(batch)
            return self._database.newest_of(self.epoch)

        self._turn.lanes.forget(self.unit.rows)
        self.committed = await self._turn.commit(self._connection, last, batch.id)


class TurnBlock:
    """The block of one transaction that holds the turn."""

    def __init__(self, database: Database, turn: Turn) -> None:
        self._database = database
        self._turn = turn

    async def __aenter__(self) -> TurnTransaction:
        self._connection = await self._turn.enter()
        self._tx = TurnTransaction(self._database, self._turn, self._connection)
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                await self._turn.undo(self._connection)
                return
            try:
                self._tx.begin("commit")
                ask_all([self._tx.unit])
            except BaseException:
                await self._turn.undo(self._connection)
                raise
            await self._tx.commit()
        finally:
            self._tx.end()
