# SPDX-License-Identifier: EUPL-1.2
"""Reads on one connection. They run inline on the event loop: a statement costs microseconds, a thread more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from vault.storage.database import Connection
from vault.storage.order import names_below, paths_below
from vault.storage.rows import Look, Point, Rows

BEHIND_TEXT: Final = b""
"""An upper bound above every path: SQLite orders any blob behind any text."""

_GET: Final = "SELECT epoch, stamp, (SELECT value FROM entry WHERE path = ?) FROM head"
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


class Reader:
    """Reads on one connection, each statement in a snapshot of its own."""

    def __init__(self, connection: Connection) -> None:
        self.epoch = 0
        self._connection = connection

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        self.epoch, value = self.row(path)
        return value

    def row(self, path: str) -> tuple[int, bytes | None]:
        """Return the epoch and the value at `path`, from one snapshot."""
        epoch, _, value = self._connection.row("get", _GET, (path,))
        return epoch, value

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        return self.below(prefix, ("list", after, limit))

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        return self.below(prefix, ("scan", after, limit))

    def below(self, prefix: str, look: Look) -> Sequence[str]:
        """Return what is found below `prefix`, and note the epoch."""
        seen, found = _look(self._connection, prefix, look)
        self.epoch = seen.epoch
        return found


class RememberingReader(Reader):
    """Reads of committed data; what was read is not asked for again before anybody else commits anything."""

    def __init__(self, connection: Connection, rows: Rows) -> None:
        super().__init__(connection)
        self._rows = rows

    def row(self, path: str) -> tuple[int, bytes | None]:
        """See `Reader.row`."""
        known = self._rows.find(path)
        if known is not None:
            self._connection.announce("get")
            return known
        epoch, stamp, value = self._connection.row("get", _GET, (path,))
        self._rows.keep(path, Point(epoch, stamp), value)
        return epoch, value

    def below(self, prefix: str, look: Look) -> Sequence[str]:
        """See `Reader.below`."""
        known = self._rows.find_below(prefix, look)
        if known is not None:
            self._connection.announce(look[0])
            self.epoch, names = known
            return list(names)
        seen, found = _look(self._connection, prefix, look)
        self._rows.keep_below(prefix, look, seen, found)
        self.epoch = seen.epoch
        return found
