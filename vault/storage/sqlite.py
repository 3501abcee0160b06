# SPDX-License-Identifier: EUPL-1.2
"""The default storage: one SQLite file, for one node with any number of processes.

Reads run inline on the event loop, on a connection of their own: a statement costs microseconds, a thread
would cost twenty times that. Writes go through `GroupCommit`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from vault.storage.batch import GroupCommit
from vault.storage.commits import Commits, Rows
from vault.storage.database import Connection, OnStatement, failure, prepare
from vault.storage.order import Seek, end_of, names_below, paths_below
from vault.storage.protocol import Change, ReadTx, StorageFailure, Timer, Tx
from vault.storage.turnstile import Turnstile

KEPT_CHANGES: Final = 10_000
"""How many changes are kept at least, in whole epochs; a cache that is further behind drops everything."""

_PRUNE_EVERY: Final = 128
"""Pruning looks at all kept changes, so it happens once in so many epochs or changes."""

_BEHIND_TEXT: Final = b""
"""An upper bound above every path: SQLite orders any blob behind any text."""

_GET = "SELECT (SELECT n FROM epoch), (SELECT value FROM entry WHERE path = ?)"
_EPOCH = "SELECT n FROM epoch"
_SEEK = "SELECT path FROM entry WHERE path >= ? AND path < ? ORDER BY path"
_PUT = "INSERT OR REPLACE INTO entry (path, value) VALUES (?, ?)"
_DELETE = "DELETE FROM entry WHERE path = ?"
_DELETE_RANGE = "DELETE FROM entry WHERE path >= ? AND path < ?"
_AT = "INSERT OR REPLACE INTO timer (kind, key, due, claimed_until, attempts) VALUES (?, ?, ?, NULL, ?)"
_CANCEL = "DELETE FROM timer WHERE kind = ? AND key = ?"
_CLAIM = """
    UPDATE timer SET claimed_until = ?, attempts = attempts + 1
    WHERE (kind, key) IN (
        SELECT kind, key FROM timer WHERE coalesce(claimed_until, due) <= ?
        ORDER BY coalesce(claimed_until, due), kind, key LIMIT ?
    )
    RETURNING kind, key, due, attempts - 1
"""
_NEXT_DUE = "SELECT coalesce(claimed_until, due) FROM timer ORDER BY 1 LIMIT 1"
_MOVE_EPOCH = "UPDATE epoch SET n = n + 1 RETURNING n"
_CHANGE = "INSERT INTO change (n, kind, key) VALUES (?, ?, ?)"
_PRUNE = "DELETE FROM change WHERE n <= (SELECT n FROM change ORDER BY n DESC LIMIT 1 OFFSET ?)"
_CHANGES = """
    SELECT epoch.n, (SELECT min(n) FROM change), change.n, change.kind, change.key
    FROM epoch LEFT JOIN change ON change.n > ?
    ORDER BY change.n, change.kind, change.key
"""
"""Epoch and oldest change beside each change: one statement, so one snapshot. Without any, one row of nulls."""

_READ_PATIENCE: Final = 1.0
"""Seconds that a read may wait, on the event loop: only while another process recovers or closes the file."""

Find = Callable[[Seek, str, str, int], Sequence[str]]
"""One of the two ways to look below a prefix: `names_below` and `paths_below`."""


def _look(
    connection: Connection, name: str, find: Find, wanted: tuple[str, str, int]
) -> tuple[int, Sequence[str]]:
    """Return the epoch and what `find` finds, from one snapshot; a writer's transaction is its own."""
    raw = connection.raw

    def seek(start: str, end: str | None) -> Iterable[str]:
        rows = raw.execute(_SEEK, (start, _BEHIND_TEXT if end is None else end))
        return (path for (path,) in rows)

    connection.announce(name)
    inside = raw.in_transaction
    try:
        if not inside:
            raw.execute("BEGIN")
        try:
            (epoch,) = raw.execute(_EPOCH).fetchone()
            return epoch, find(seek, *wanted)
        finally:
            if not inside:
                raw.execute("COMMIT")
    except sqlite3.Error as error:
        raise failure(connection.file, error) from error


class _Reader:
    """Reads on one connection, each statement in a snapshot of its own."""

    def __init__(self, connection: Connection) -> None:
        self.epoch = 0
        self._connection = connection

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        value: bytes | None
        self.epoch, value = self._connection.row("get", _GET, (path,))
        return value

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        self.epoch, names = _look(self._connection, "list", names_below, (prefix, after, limit))
        return names

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        self.epoch, paths = _look(self._connection, "scan", paths_below, (prefix, after, limit))
        return paths


class _RememberingReader(_Reader):
    """Reads of committed data; what was read is not asked for again before something is committed."""

    def __init__(self, connection: Connection, rows: Rows) -> None:
        super().__init__(connection)
        self._rows = rows

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        row = self._rows.find(path)
        if row is None:
            before = self._rows.before()
            row = self._connection.row("get", _GET, (path,))
            self._rows.keep(path, row, before)
        else:
            self._connection.announce("get")
        self.epoch, value = row
        return value


class _Transaction(_Reader):
    """One writer's savepoint. After a statement failed nothing more is accepted, and nothing is kept."""

    def __init__(self, group: GroupCommit) -> None:
        super().__init__(group.connection)
        self._untrue: dict[tuple[str, str], None] = {}
        self._broken: StorageFailure | None = None
        self._ended = False

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        with self._statement():
            return await super().get(path)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        with self._statement():
            return await super().list(prefix, after=after, limit=limit)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        with self._statement():
            return await super().scan(prefix, after=after, limit=limit)

    async def put(self, path: str, value: bytes) -> None:
        """See `Tx.put`."""
        with self._statement():
            self._connection.run("put", _PUT, (path, value))

    async def delete(self, path: str) -> None:
        """See `Tx.delete`."""
        with self._statement():
            self._connection.run("delete", _DELETE, (path,))

    async def delete_prefix(self, prefix: str) -> int:
        """See `Tx.delete_prefix`."""
        end = end_of(prefix)
        bounds = (f"{prefix}\0", _BEHIND_TEXT if end is None else end)
        with self._statement():
            return self._connection.run("delete_prefix", _DELETE_RANGE, bounds).rowcount

    async def at(self, timer: Timer) -> None:
        """See `Tx.at`."""
        with self._statement():
            self._connection.run("at", _AT, (timer.kind, timer.key, timer.due, timer.attempts))

    async def cancel(self, kind: str, key: str) -> None:
        """See `Tx.cancel`."""
        with self._statement():
            self._connection.run("cancel", _CANCEL, (kind, key))

    async def invalidate(self, kind: str, key: str) -> None:
        """See `Tx.invalidate`."""
        with self._statement():
            self._connection.announce("invalidate")
            self._untrue[kind, key] = None

    def claim(self, now: int, limit: int, hold: int) -> Sequence[Timer]:
        """See `Storage.claim`."""
        with self._statement():
            rows = self._connection.rows("claim", _CLAIM, (now + hold, now, limit))
            return sorted((Timer(*row) for row in rows), key=lambda timer: (timer.due, timer.kind, timer.key))

    def finish(self) -> bool:
        """Write what became untrue, as the last statements; tell whether there was anything."""
        with self._statement():
            if not self._untrue:
                return False
            (epoch,) = self._connection.row("epoch", _MOVE_EPOCH)
            for kind, key in self._untrue:
                self._connection.run("change", _CHANGE, (epoch, kind, key))
            if epoch % _PRUNE_EVERY == 0 or len(self._untrue) >= _PRUNE_EVERY:
                self._connection.run("prune", _PRUNE, (KEPT_CHANGES,))
            return True

    def end(self) -> None:
        """Refuse whatever is still tried in this transaction."""
        self._ended = True

    @contextmanager
    def _statement(self) -> Iterator[None]:
        if self._ended:
            raise RuntimeError("this transaction has ended; open another one")
        if self._broken is not None:
            raise StorageFailure(str(self._broken)) from self._broken
        try:
            yield
        except StorageFailure as problem:
            self._broken = problem
            raise


class _Write:
    """The block of one transaction."""

    def __init__(self, group: GroupCommit) -> None:
        self._group = group

    async def __aenter__(self) -> _Transaction:
        await self._group.enter()
        self._tx = _Transaction(self._group)
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._tx.end()
            self._group.undo()
            return
        try:
            moved = self._tx.finish()
            ended = self._group.release(alone=moved)
        except BaseException:
            self._group.undo()
            raise
        finally:
            self._tx.end()
        await self._group.durable(ended)


class SqliteStorage:
    """See `Storage`. `open` it; the constructor takes what `open` made."""

    def __init__(self, reader: Connection, group: GroupCommit, commits: Commits) -> None:
        self._reader = reader
        self._group = group
        self._rows = Rows(commits)

    @classmethod
    def open(
        cls, file: Path, *, patience: float = 10.0, on_statement: OnStatement | None = None
    ) -> SqliteStorage:
        """Open `file`, or make it with mode 0600. Raises `StorageFailure` that says what to do.

        `patience` is how many seconds to wait for other processes that write to the same file.
        `on_statement` is called with the name of each statement before it runs; what it raises
        (a `StorageFailure`) fails that statement: tests inject faults with it.
        """
        prepare(file, patience=patience)
        reader = Connection(file, on_statement, patience=_READ_PATIENCE)
        reader.run("open", "PRAGMA query_only=ON")
        commits = Commits(file)
        group = GroupCommit(
            lambda: Connection(file, on_statement, patience=0), Turnstile(file), commits, patience=patience
        )
        return cls(reader, group, commits)

    def reader(self) -> ReadTx:
        """See `Storage.reader`."""
        return _RememberingReader(self._reader, self._rows)

    def write(self) -> AbstractAsyncContextManager[Tx]:
        """See `Storage.write`.

        Cancellation while the commit runs does not undo it: the caller never learns how it went.
        """
        return _Write(self._group)

    async def claim(self, now: int, limit: int, hold: int) -> Sequence[Timer]:
        """See `Storage.claim`; the longest claimable are taken first. Without any due, nothing is written."""
        first = await self.next_due()
        if first is None or first > now:
            return ()
        async with _Write(self._group) as tx:
            return tx.claim(now, limit, hold)

    async def next_due(self) -> int | None:
        """See `Storage.next_due`."""
        rows = self._reader.rows("next_due", _NEXT_DUE)
        return rows[0][0] if rows else None

    async def changes(self, since: int) -> Sequence[Change] | None:
        """See `Storage.changes`."""
        rows = self._reader.rows("changes", _CHANGES, (since,))
        epoch, oldest = rows[0][:2]
        if oldest is None:
            oldest = epoch + 1
        if not oldest - 1 <= since <= epoch:
            return None
        return [Change(*row[2:]) for row in rows if row[2] is not None]

    async def close(self) -> None:
        """See `Storage.close`."""
        await self._group.close()
        self._reader.raw.close()
        self._rows.forget()
