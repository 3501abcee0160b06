# SPDX-License-Identifier: EUPL-1.2
"""Reads on one connection. They run inline on the event loop: a statement costs microseconds, a thread more.

But for values that are long: the statement tells how long, and a thread reads them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from vault.storage.order import is_text, names_below, paths_below
from vault.storage.protocol import LONG, StorageFailure
from vault.storage.single_thread import SingleThread
from vault.storage.sqlite.database import Connection
from vault.storage.sqlite.row_cache import Look, Point, Rows

BEHIND_TEXT: Final = b""
"""An upper bound above every path: SQLite orders any blob behind any text."""

_GET: Final = """
    SELECT epoch, stamp, (
        SELECT CASE WHEN length(value) > ? THEN length(value) ELSE value END FROM entry WHERE path = ?
    ) FROM head
"""
_WHOLE: Final = "SELECT epoch, (SELECT value FROM entry WHERE path = ?) FROM head"
_HEAD: Final = "SELECT epoch, stamp FROM head"
_SEEK: Final = "SELECT path FROM entry WHERE path >= ? AND path < ? ORDER BY path"

_FIND: Final = {"list": names_below, "scan": paths_below}


def _look(connection: Connection, prefix: str, look: Look) -> tuple[Point, Sequence[str]]:
    """Return the state and what is found below `prefix`, from one snapshot; a writer's transaction is its own."""
    raw = connection.raw
    name, after, limit = look

    def seek(start: str, end: str | None) -> Iterable[str]:
        rows = raw.execute(_SEEK, (start, BEHIND_TEXT if end is None else end))
        return (path for (path,) in rows)

    connection.announce(name)
    inside = raw.in_transaction
    try:
        if not inside:
            raw.execute("BEGIN")
        try:
            seen = Point(*raw.execute(_HEAD).fetchone())
            return seen, _FIND[name](seek, prefix, after, limit)
        finally:
            if not inside:
                raw.execute("COMMIT")
    except sqlite3.Error as error:
        raise connection.failure(error) from error


Found = tuple[int, bytes | None]
"""The epoch, and what is at a path."""
Whole = Callable[[str], Awaitable[Found]]
"""Reads what is at a path in a thread, however long it is, from one snapshot. Raises `StorageFailure`."""


def whole_row(connection: Connection, path: str) -> Found:
    """Return the epoch and the whole value at `path`, from one snapshot. It takes as long as the value is."""
    try:
        epoch, value = connection.raw.execute(_WHOLE, (path,)).fetchone()
    except sqlite3.Error as error:
        raise connection.failure(error) from error
    return epoch, value


class LongRows:
    """Reads what is long in a thread, one after the other, on a connection that is opened when it is first needed."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._thread = SingleThread("vault-read")

    async def read(self, path: str) -> Found:
        """See `Whole`."""
        try:
            reading = self._thread.do(partial(self._read, path))
        except RuntimeError as error:  # it is closed, or the system starts no more threads
            raise StorageFailure(f"storage: a long value cannot be read: {error}") from error
        return await reading

    def _read(self, path: str) -> Found:
        if self._connection is None:
            self._connection = self._connect()
        return whole_row(self._connection, path)

    def close(self) -> None:
        """Let what was begun end, and close the connection."""
        self._thread.end()
        if self._connection is not None:
            self._connection.raw.close()


class Reader:
    """Reads on one connection, each statement in a snapshot of its own."""

    def __init__(self, connection: Connection, whole: Whole) -> None:
        """`whole` reads what is long."""
        self.epoch = 0
        self._connection = connection
        self._whole = whole

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        self.epoch, value = self.row(path)
        if isinstance(value, int):
            self.epoch, value = await self._whole(path)
        return value

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        self.epoch, value = self.row(path)
        return value is not None

    def row(self, path: str) -> tuple[int, bytes | int | None]:
        """Return the epoch and the value at `path`, from one snapshot; of a long value its length."""
        try:
            epoch, _, value = self._connection.row("get", _GET, (LONG, path))
        except UnicodeEncodeError:
            return self.row("")[0], None
        return epoch, value

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        return self.below(prefix, ("list", after, limit))

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        return self.below(prefix, ("scan", after, limit))

    def below(self, prefix: str, look: Look) -> Sequence[str]:
        """Return what is found below `prefix`, and note the epoch."""
        if not is_text(prefix):
            self.epoch = self.row("")[0]
            return []
        seen, found = _look(self._connection, prefix, look)
        self.epoch = seen.epoch
        return found


class RememberingReader(Reader):
    """Reads of committed data; what was read is not asked for again before anybody else commits anything."""

    def __init__(self, connection: Connection, whole: Whole, rows: Rows) -> None:
        self.epoch = 0  # all that `Reader` has, and not by way of it: there is one for each read
        self._connection = connection
        self._whole = whole
        self._rows = rows

    def row(self, path: str) -> tuple[int, bytes | int | None]:
        """See `Reader.row`."""
        known = self._rows.find(path)
        if known is not None:
            self._connection.announce("get")
            return known
        try:
            epoch, stamp, value = self._connection.row("get", _GET, (LONG, path))
        except UnicodeEncodeError:
            return self.row("")[0], None
        if not isinstance(value, int):
            self._rows.keep(path, Point(epoch, stamp), value)
        return epoch, value

    def below(self, prefix: str, look: Look) -> Sequence[str]:
        """See `Reader.below`."""
        known = self._rows.find_below(prefix, look)
        if known is not None:
            self._connection.announce(look[0])
            self.epoch, names = known
            return list(names)
        if not is_text(prefix):
            return super().below(prefix, look)
        seen, found = _look(self._connection, prefix, look)
        self._rows.keep_below(prefix, look, seen, found)
        self.epoch = seen.epoch
        return found
