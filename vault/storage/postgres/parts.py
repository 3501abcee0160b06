# SPDX-License-Identifier: EUPL-1.2
"""Long values: sent and fetched piece by piece, so that each turn of the event loop has to do with one piece alone."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from vault.storage.postgres import schema
from vault.storage.postgres.connection import Connection
from vault.storage.postgres.lanes import EntryRow, Lanes
from vault.storage.protocol import LONG
from vault.storage.single_thread import SingleThread

_THREAD: Final = SingleThread("vault-parts")


async def get(lanes: Lanes, path: str | None) -> EntryRow:
    """Return an entry, however long."""
    row = await lanes.get(path)
    if path is None or row.length <= LONG:
        return row
    return await rest(lanes, path, row)


async def rest(lanes: Lanes, path: str, row: EntryRow) -> EntryRow:
    """Return an entry that is long, or what is in its place by then."""

    async def part(version: int, start: int) -> bytes | None:
        return await lanes.ask(lambda connection: _part(connection, path, version, start))

    while (value := await _joined(part, row)) is None:
        row = await lanes.get(path)
        if row.length <= LONG:
            return row
    return row._replace(value=value)


async def get_in(connection: Connection, path: str, row: EntryRow) -> bytes | None:
    """Return the value of an entry that nobody can change meanwhile."""
    if row.length <= LONG:
        return row.value
    return await _joined(lambda version, start: _part(connection, path, version, start), row)


async def _joined(part: Callable[[int, int], Awaitable[bytes | None]], row: EntryRow) -> bytes | None:
    """Fetch all pieces of one version. None where it is not there any more."""
    parts: list[bytes] = []
    for start in range(1, row.length + 1, LONG):
        piece = await part(row.version, start)
        if piece is None:
            return None
        parts.append(piece)
    return await _THREAD.do(lambda: b"".join(parts))


async def _part(connection: Connection, path: str, version: int, start: int) -> bytes | None:
    rows = await connection.rows(schema.PART, path, version, start, LONG)
    return rows[0][0] if rows else None


async def send(lanes: Lanes, value: bytes) -> uuid.UUID:
    """Send a value ahead of the transaction that will store it; return what it is known by until then."""
    return await _sent(lambda *part: lanes.ask(lambda connection: _add(connection, *part)), value)


async def send_in(connection: Connection, value: bytes) -> uuid.UUID:
    """Send it within the transaction that will store it."""
    return await _sent(lambda *part: _add(connection, *part), value)


async def _sent(add: Callable[[uuid.UUID, int, bytes], Awaitable[None]], value: bytes) -> uuid.UUID:
    """Send all pieces of one value."""
    name = uuid.UUID(int=secrets.randbits(128), version=4)
    for number, start in enumerate(range(0, len(value), LONG)):
        await add(name, number, value[start : start + LONG])
    return name


async def _add(connection: Connection, name: uuid.UUID, number: int, piece: bytes) -> None:
    await connection.rows(schema.ADD_PART, name, number, piece)
