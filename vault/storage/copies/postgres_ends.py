# SPDX-License-Identifier: EUPL-1.2
"""PostgreSQL's ends of a move: one transaction that holds the turn to write, in which nobody else commits.

A snapshot is read without it, while servers write: it sees what had been committed when it began, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from vault.storage.copies.move import Entry
from vault.storage.postgres import parts, schema
from vault.storage.postgres.batches import Batch, arguments
from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.database import Database
from vault.storage.postgres.lanes import EntryRow
from vault.storage.postgres.unit import Unit
from vault.storage.protocol import LONG, StorageFailure, Timer
from vault.values.times import Millis

_PAGE: Final = 64
_TIMERS: Final = 1024


class Rows:
    """What lies in a database. See `Origin`."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._connection = connection

    async def count(self) -> tuple[int, int]:
        """See `Origin.count`."""
        entries, timers = await self._connection.row(schema.COUNTS)
        return entries, timers

    async def size(self) -> int:
        """See `Origin.size`."""
        (found,) = await self._connection.row(schema.SIZE)
        return int(found)

    async def entries(self) -> AsyncIterator[Entry]:
        """See `Origin.entries`."""
        after, found = "", True
        while found:
            rows = await self._connection.rows(schema.ENTRIES, after, _PAGE)
            for path, value, version, length in rows:
                row = EntryRow(0, value, version, length)
                yield path, await parts.get_in(self._connection, path, row) or b""
            found = len(rows) == _PAGE
            after = rows[-1][0] if rows else ""

    async def timers(self) -> AsyncIterator[Timer]:
        """See `Origin.timers`."""
        after, found = ("", ""), True
        while found:
            rows = await self._connection.rows(schema.TIMERS, *after, _TIMERS)
            for kind, key, due, attempts in rows:
                yield Timer(kind, key, Millis(due), attempts)
            found = len(rows) == _TIMERS
            after = (rows[-1][0], rows[-1][1]) if rows else after


class NewRows(Rows):
    """A database that is filled. See `Target`."""

    async def put(self, entries: Sequence[Entry]) -> None:
        """See `Target.put`."""
        unit = Unit(0)
        for path, value in entries:
            unit.put(path, value, await parts.send_in(self._connection, value) if len(value) > LONG else None)
        await self._commit(unit)

    async def at(self, timers: Sequence[Timer]) -> None:
        """See `Target.at`."""
        unit = Unit(0)
        unit.timers = {(timer.kind, timer.key): timer for timer in timers}
        await self._commit(unit)

    async def finish(self) -> None:
        """See `Target.finish`: whoever has the database open believes nothing any more."""
        unit = Unit(0)
        unit.untrue["", ""] = None
        await self._commit(unit)
        await self._connection.run("COMMIT")

    async def _commit(self, unit: Unit) -> None:
        if unit.writes:
            batch = Batch()
            batch.add(unit)
            await self._connection.row(schema.COMMIT, *arguments(batch, self._database))


@asynccontextmanager
async def _in_turn(address: Address) -> AsyncIterator[tuple[Database, Connection]]:
    """Hold the turn of a database that no server has open. Raises `StorageFailure`."""
    database = Database(address)
    connection = await database.connect()
    try:
        await connection.run(schema.TAKE_TURN)
        await connection.take_time()
        living = await connection.rows(schema.LIVING, schema.LIVES)
        if living:
            names = ", ".join(sorted({host for (host,) in living}))
            raise StorageFailure(
                f"storage {address}: servers have it open, on {names}; stop every server that uses it first"
            )
        yield database, connection
    finally:
        await connection.close()


@asynccontextmanager
async def snapshot(address: Address) -> AsyncIterator[Rows]:
    """Open a database that servers may have open, as it is at this moment. Raises `StorageFailure`."""
    database = Database(address)
    connection = await database.connect()
    try:
        await connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.take_time()
        yield Rows(database, connection)
    finally:
        await connection.close()


@asynccontextmanager
async def origin(address: Address) -> AsyncIterator[Rows]:
    """Open a database that no server has open. Raises `StorageFailure`."""
    async with _in_turn(address) as (database, connection):
        yield Rows(database, connection)


@asynccontextmanager
async def target(address: Address) -> AsyncIterator[NewRows]:
    """Open a database that has its tables and nothing in them. Raises `StorageFailure`."""
    async with _in_turn(address) as (database, connection):
        rows = NewRows(database, connection)
        if await rows.count() != (0, 0):
            raise StorageFailure(f"storage {address}: there is something in it; name an empty database")
        yield rows
