# SPDX-License-Identifier: EUPL-1.2
"""The default storage: one SQLite file, for one node with any number of processes.

Reads run inline on the event loop, on a connection of their own: a statement costs microseconds, a thread
would cost twenty times that. Long values are read in threads. Writes go through `GroupCommit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Final

from vault.storage.protocol import Change, Node, ReadTx, StorageFailure, Timer, Tx
from vault.storage.single_thread import SingleThread
from vault.storage.sqlite.database import Connection, OnStatement, prepare
from vault.storage.sqlite.files import Files
from vault.storage.sqlite.group_commit import GroupCommit
from vault.storage.sqlite.group_size import GroupSize
from vault.storage.sqlite.journal_index import Index
from vault.storage.sqlite.reads import LongRows, RememberingReader
from vault.storage.sqlite.row_cache import Rows
from vault.storage.sqlite.transaction import Transaction
from vault.storage.sqlite.turnstile import Turnstile
from vault.values.times import Millis

_NEXT_DUE: Final = "SELECT coalesce(claimed_until, due) FROM timer ORDER BY 1 LIMIT 1"
_NEWS: Final = """
    SELECT head.epoch, EXISTS (SELECT 1 FROM change WHERE n = ?1), change.n, change.kind, change.key
    FROM head LEFT JOIN change ON change.n > ?1 AND EXISTS (SELECT 1 FROM change WHERE n = ?1)
    ORDER BY change.n, change.kind, change.key
"""
"""The epoch, and whether the other one is known here, beside each change: one statement, so one snapshot. Without any, one row of nulls."""

_READ_PATIENCE: Final = 1.0
"""Seconds that a read may wait, on the event loop: only while another process recovers or closes the file."""


class _Write:
    """The block of one transaction."""

    def __init__(self, reader: Connection, long: LongRows, group: GroupCommit, rows: Rows) -> None:
        self._reader = reader
        self._long = long
        self._group = group
        self._rows = rows

    async def __aenter__(self) -> Transaction:
        await self._group.enter()
        self._tx = Transaction(self._reader, self._long.read, self._group, self._rows)
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._tx.end()
            self._group.undo()
            return
        try:
            ended = self._group.release(self._tx.finish())
        except BaseException:
            self._group.undo()
            raise
        finally:
            self._tx.end()
        outcome = await ended  # cancelling the wait undoes nothing
        if outcome is not None:
            raise type(outcome)(str(outcome)) from outcome


def committing_thread(file: Path) -> SingleThread:
    """Return the thread that commits to `file`, running already: none can be missing when somebody waits for it.

    Raises `StorageFailure`.
    """
    thread = SingleThread("vault-commit")
    try:
        thread.begin()
    except RuntimeError as error:
        raise StorageFailure(
            f"storage {file}: the system starts no more threads; raise its limit of processes and threads"
        ) from error
    return thread


class SqliteStorage:
    """See `Storage`. `open` it; the constructor takes what `open` made."""

    def __init__(
        self,
        reader: Connection,
        long: tuple[LongRows, LongRows],
        group: GroupCommit,
        rows: Rows,
        index: Index,
        files: Files,
    ) -> None:
        """`long` reads what is long: for readers, and for the one who writes, on whom others wait."""
        self._index = index
        self._files = files
        self._reader = reader
        self._long, self._writers_long = long
        self._group = group
        self._rows = rows

    @classmethod
    def open(
        cls,
        file: Path,
        *,
        patience: float = 10.0,
        readers_patience: float = _READ_PATIENCE,
        on_statement: OnStatement | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> SqliteStorage:
        """Open `file`, or make it with mode 0600. Raises `StorageFailure` that says what to do.

        `patience` is how many seconds to wait for other processes that write to the same file, `readers_patience`
        how many a read waits, once the file is open.
        `on_statement` is called with the name of each statement before it runs; what it raises
        (a `StorageFailure`) fails that statement: tests inject faults with it. By `clock`, in seconds, commits are measured.
        """
        prepare(file, patience=patience)
        thread = committing_thread(file)
        files = Files(file)

        def reading(on_statement: OnStatement | None = None) -> Connection:
            connection = Connection(file, on_statement, patience=patience, files=files)
            connection.run("open", "PRAGMA query_only=ON")
            connection.wait_for_lock(readers_patience)
            return connection

        reader = reading(on_statement)
        reader.stamp()
        index = Index(file)
        rows = Rows(index.head, reader.stamp)
        group = GroupCommit(
            lambda: Connection(file, on_statement, patience=0, files=files),
            thread,
            Turnstile(file),
            files,
            rows,
            GroupSize(clock),
            patience=patience,
        )
        files.remember(index)
        return cls(reader, (LongRows(reading), LongRows(reading)), group, rows, index, files)

    def reader(self) -> ReadTx:
        """See `Storage.reader`."""
        return RememberingReader(self._reader, self._long.read, self._rows)

    def write(self, *, optimistic: bool = False) -> AbstractAsyncContextManager[Tx]:
        """See `Storage.write`.

        Cancellation while the commit runs does not undo it: the caller never learns how it went.
        """
        return _Write(self._reader, self._writers_long, self._group, self._rows)

    async def claim(self, now: Millis, limit: int, *, hold: Millis) -> Sequence[Timer]:
        """See `Storage.claim`; the longest claimable are taken first. Without any due, nothing is written."""
        first = await self.next_due()
        if first is None or first > now:
            return []
        async with _Write(self._reader, self._writers_long, self._group, self._rows) as tx:
            return await tx.claim(now, limit, hold=hold)

    async def next_due(self) -> Millis | None:
        """See `Storage.next_due`."""
        rows = self._reader.rows("next_due", _NEXT_DUE)
        return rows[0][0] if rows else None

    async def size(self) -> int | None:
        """See `Storage.size`."""
        return None

    async def risks(self) -> Sequence[str]:
        """See `Storage.risks`."""
        return ()

    async def now(self) -> Millis | None:
        """See `Storage.now`."""
        return None

    async def news(self, since: int) -> tuple[int, Sequence[Change] | None]:
        """See `Storage.news`."""
        rows = self._reader.rows("news", _NEWS, (since,))
        epoch, known = rows[0][:2]
        if since == epoch:
            return epoch, []
        if not known:
            return epoch, None
        return epoch, [Change(*row[2:]) for row in rows if row[2] is not None]

    async def meet(self, node: Node) -> Sequence[Node]:
        """See `Storage.meet`: others on this machine may have the file open, and are not asked."""
        return [node]

    async def part(self, node: Node) -> None:
        """See `Storage.part`."""

    async def check(self) -> None:
        """See `Storage.check`."""
        await self._group.check()
        self._reader.check_content()

    async def close(self) -> None:
        """See `Storage.close`."""
        with self._files.released():
            await self._group.close()
            self._long.close()
            self._writers_long.close()
            self._reader.raw.close()
        self._index.close()
        self._rows.forget()
