# SPDX-License-Identifier: EUPL-1.2
"""Reads on one connection. They run inline on the event loop: a statement costs microseconds, a thread more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from vault.storage.commits import Look, Rows
from vault.storage.database import Connection, failure
from vault.storage.order import names_below, paths_below

BEHIND_TEXT: Final = b""
"""An upper bound above every path: SQLite orders any blob behind any text."""

_GET: Final = "SELECT (SELECT n FROM epoch), (SELECT value FROM entry WHERE path = ?)"
_EPOCH: Final = "SELECT n FROM epoch"
_SEEK: Final = "SELECT path FROM entry WHERE path >= ? AND path < ? ORDER BY path"

_FIND: Final = {"list": names_below, "scan": paths_below}


def _look(connection: Connection, prefix: str, look: Look) -> tuple[int, Sequence[str]]:
    """Return the epoch and what is found below `prefix`, from one snapshot; a writer's transaction is its own."""
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
            (epoch,) = raw.execute(_EPOCH).fetchone()
            return epoch, _FIND[name](seek, prefix, after, limit)
        finally:
            if not inside:
                raw.execute("COMMIT")
    except sqlite3.Error as error:
        raise failure(connection.file, error) from error


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
        row: tuple[int, bytes | None] = self._connection.row("get", _GET, (path,))
        return row

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        return self.below(prefix, ("list", after, limit))

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        return self.below(prefix, ("scan", after, limit))

    def below(self, prefix: str, look: Look) -> Sequence[str]:
        """Return what is found below `prefix`, and note the epoch."""
        self.epoch, found = _look(self._connection, prefix, look)
        return found


class RememberingReader(Reader):
    """Reads of committed data; what was read is not asked for again before another process commits anything."""

    def __init__(self, connection: Connection, rows: Rows) -> None:
        super().__init__(connection)
        self._rows = rows

    def row(self, path: str) -> tuple[int, bytes | None]:
        """See `Reader.row`."""
        row = self._rows.find(path)
        if row is None:
            before = self._rows.before()
            row = super().row(path)
            self._rows.keep(path, row, before)
        else:
            self._connection.announce("get")
        return row

    def below(self, prefix: str, look: Look) -> Sequence[str]:
        """See `Reader.below`."""
        known = self._rows.find_below(prefix, look)
        if known is not None:
            self._connection.announce(look[0])
            self.epoch, names = known
            return list(names)
        before = self._rows.before()
        found = super().below(prefix, look)
        self._rows.keep_below(prefix, look, (self.epoch, found), before)
        return found
