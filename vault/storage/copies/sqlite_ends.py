# SPDX-License-Identifier: EUPL-1.2
"""SQLite's ends of a move: a database that nobody else has open, and a file that gets its name when it is whole."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from vault.storage.copies.atomic_file import acting_for_owner, flush, partial
from vault.storage.copies.backup import check_free
from vault.storage.copies.encryption import new_copy
from vault.storage.copies.move import Entry
from vault.storage.copies.snapshot import (
    Content,
    Progress,
    check_allowed,
    connect,
    examine,
    files_told,
    sign_off,
    size_of,
    told,
)
from vault.storage.protocol import StorageFailure, Timer
from vault.storage.sqlite.database import (
    APPLICATION_ID,
    foreign_journal,
    has_foreign_journal,
    newest_schema,
    prepare,
)
from vault.storage.sqlite.files import BESIDE, refuse_marked
from vault.values.times import Millis

_PATIENCE: Final = 2.0


class Rows:
    """What lies in a database. See `Origin`."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self._file = file
        self._connection = connection

    async def count(self) -> tuple[int, int]:
        """See `Origin.count`."""
        with told(self._file):
            (entries,) = self._connection.execute("SELECT count(*) FROM entry").fetchone()
            (timers,) = self._connection.execute("SELECT count(*) FROM timer").fetchone()
        return entries, timers

    async def size(self) -> int:
        """See `Origin.size`."""
        with told(self._file):
            return size_of(self._connection, free=False)

    async def entries(self) -> AsyncIterator[Entry]:
        """See `Origin.entries`."""
        with told(self._file):
            for path, value in self._connection.execute("SELECT path, value FROM entry ORDER BY path"):
                yield path, value

    async def timers(self) -> AsyncIterator[Timer]:
        """See `Origin.timers`."""
        wanted = "SELECT kind, key, due, attempts FROM timer ORDER BY kind, key"
        with told(self._file):
            for kind, key, due, attempts in self._connection.execute(wanted):
                yield Timer(kind, key, Millis(due), attempts)


class NewFile(Rows):
    """A database that is made. See `Target`."""

    def __init__(self, file: Path, connection: sqlite3.Connection, end: Callable[[], None]) -> None:
        """`end` does what is left to do with a finished file."""
        super().__init__(file, connection)
        self._end = end

    async def put(self, entries: Sequence[Entry]) -> None:
        """See `Target.put`."""
        with told(self._file):
            self._connection.executemany("INSERT INTO entry (path, value) VALUES (?, ?)", entries)

    async def at(self, timers: Sequence[Timer]) -> None:
        """See `Target.at`."""
        rows = [(timer.kind, timer.key, timer.due, timer.attempts) for timer in timers]
        with told(self._file):
            self._connection.executemany(
                "INSERT INTO timer (kind, key, due, claimed_until, attempts) VALUES (?, ?, ?, NULL, ?)", rows
            )

    async def finish(self) -> None:
        """See `Target.finish`."""
        with told(self._file):
            self._connection.execute("COMMIT")
        self._end()


@contextmanager
@files_told()
def origin(file: Path) -> Iterator[Rows]:
    """Open a database that nobody else has open, and let nobody open it meanwhile. Raises `StorageFailure`."""
    if not file.is_file():
        raise StorageFailure(f"storage {file}: there is no such database; check the path")
    check_allowed(file, os.R_OK | os.W_OK)
    refuse_marked(file)
    if has_foreign_journal(file):
        raise foreign_journal(file)
    with acting_for_owner(file), told(file), closing(connect(file, "mode=rw", _PATIENCE)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise StorageFailure(
                f"storage {file}: a server or another program has it open; stop every server that uses it first"
            ) from None
        _check_ours(file, connection)
        yield Rows(file, connection)
        connection.execute("ROLLBACK")


def _check_ours(file: Path, connection: sqlite3.Connection) -> None:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if mark != APPLICATION_ID:
        raise StorageFailure(f"storage {file}: this is no database of a vault; check the path")
    if version != newest_schema():
        raise StorageFailure(
            f"storage {file}: its schema is {version}, and this release's {newest_schema()}; start and stop a server of this "
            "release on it once"
        )


@contextmanager
@files_told()
def target(name: Path) -> Iterator[NewFile]:
    """Make a database beside `name`, which it gets when it is finished; it is removed otherwise. Raises `StorageFailure`."""
    if not name.parent.is_dir():
        raise StorageFailure(f"storage {name}: its directory is not there; make it")
    for there in (name, *(Path(f"{name}{end}") for end in BESIDE)):
        if os.path.lexists(there):
            raise StorageFailure(f"storage {there}: it is there already; name a file that is not")
    with acting_for_owner(name), partial(name) as made, _filled(made.file) as connection:

        def end() -> None:
            connection.close()
            flush(made.file)
            made.place(name, over=False)

        yield NewFile(made.file, connection, end)


@contextmanager
@files_told()
def new_backup(
    name: Path, *, over: bool, progress: Progress, recipients: Sequence[object] = ()
) -> Iterator[tuple[NewFile, Callable[[], Content]]]:
    """Make a backup: verified, with a digest of itself at its end, and encrypted to `recipients`.

    Beside it there is what tells what it holds, once it is finished. Raises `StorageFailure`.
    """
    check_free(name, over=over)
    newest = newest_schema()  # read now: whom root acts for need not be allowed to read this program
    found: list[Content] = []
    with (
        acting_for_owner(name),
        new_copy(name, recipients, force=over, progress=progress) as new,
        _filled(new.made.file) as connection,
    ):

        def end() -> None:
            with told(name):
                found.append(examine(name, connection, newest, progress))
            connection.close()
            sign_off(new.made)
            new.finish()

        new.made.hide()
        yield NewFile(new.made.file, connection, end), lambda: found[0]


@contextmanager
def _filled(file: Path) -> Iterator[sqlite3.Connection]:
    """Make the tables of a database, and begin the one transaction that fills it, which is never undone but with the file."""
    prepare(file, patience=_PATIENCE)
    with told(file), closing(connect(file, "mode=rw", _PATIENCE)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA journal_mode=OFF")  # a file without a name could not have one
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # behind that: a journal would stay until the end
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN EXCLUSIVE")
        yield connection
