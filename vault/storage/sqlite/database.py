# SPDX-License-Identifier: EUPL-1.2
"""One SQLite file: who may read it, whose it is, its schema, and what its failures mean.

Everything that goes wrong here says which file and what to do, and leaves the file as it is.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.files import BESIDE, Files, refuse_marked
from vault.storage.sqlite.journal_index import is_open

APPLICATION_ID: Final = 0x436F6672
"""What marks a database file as ours (`PRAGMA application_id`): "Cofr" in ASCII."""

_OLDEST_SQLITE: Final = (3, 37, 0)
"""The first version with STRICT tables; RETURNING is older."""

_PRAGMAS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA secure_delete=FAST",
    "PRAGMA cache_size=-16384",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA wal_autocheckpoint=8000",
)

_LONGEST_PART: Final = 2_000
_MOST_PARTS: Final = 100
"""Characters of a statement, and parts, that are looked at: more than any database of a vault has."""

_PARTS: Final = """
    SELECT type, name, substr(coalesce(sql, ''), 1, ?) FROM sqlite_schema WHERE name NOT GLOB 'sqlite_stat[1-4]' LIMIT ?
"""

_PAUSES: Final = (0.011, 0.017, 0.023, 0.031, 0.041, 0.053, 0.067)
"""Seconds between two tries to have a file alone: of processes that try at one time, each has another."""

_ALONE: Final = "PRAGMA locking_mode=EXCLUSIVE"
"""Before any other, which would make the file one of several connections."""

_MEANING: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, nothing stored was lost",
    sqlite3.SQLITE_BUSY: "another process keeps it locked; stop that process or wait for it",
    sqlite3.SQLITE_LOCKED: "another process keeps it locked; stop that process or wait for it",
    sqlite3.SQLITE_CORRUPT: "the file is damaged and was left as it is; keep a copy and restore a backup",
    sqlite3.SQLITE_NOTADB: "this is not a database, and it was left as it is; name another file",
    sqlite3.SQLITE_READONLY: "the file cannot be written; let the user of this process write it",
    sqlite3.SQLITE_PERM: "the file may not be opened; let the user of this process read and write it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its directory exists and can be written",
    sqlite3.SQLITE_IOERR: "the disk refused (full, over quota or failing); see the system log",
}

_SPOILED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)
"""What SQLite says of a file that somebody wrote to or cut."""

WAL: Final = 2
"""What bytes 18 and 19 of a database file say that is read with a journal beside it (SQLite file format, 1.3.3)."""

_STAMP: Final = "SELECT stamp FROM head"

OnStatement = Callable[[str], None]
"""Called with a statement's name before it runs; a `StorageFailure` that it raises fails the statement."""


def failure(file: Path, error: sqlite3.Error) -> StorageFailure:
    """Say what `error` means for `file` and what to do. Neither statement nor values are in it."""
    if isinstance(error, sqlite3.ProgrammingError):
        return StorageFailure(f"storage {file}: it is closed")
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    meaning = _MEANING.get(code & 0xFF, "SQLite refused the statement; check the file with `sqlite3`")
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    return StorageFailure(f"storage {file}: {meaning} ({name})")


def is_busy(problem: StorageFailure) -> bool:
    """Tell whether another process holds the lock, so that trying again can help."""
    code: int = getattr(problem.__cause__, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_BUSY


def uri_of(file: Path, how: str) -> str:
    """Name `file` to SQLite, with the parameters `how` (https://sqlite.org/uri.html)."""
    return f"{file.absolute().as_uri()}?{how}"


class Connection:
    """One connection in autocommit mode, announcing each statement and raising only `StorageFailure`."""

    def __init__(
        self,
        file: Path,
        on_statement: OnStatement | None,
        *,
        patience: float,
        files: Files | None = None,
        alone: bool = False,
    ) -> None:
        """Open `file`, which has to be there: SQLite would make an empty one, and delete the journal beside it.

        Nothing is read or written any more once there is a problem with its `files`. With `alone` nobody else has it open
        until this is closed.
        """
        if files is not None:
            files.check()
        self.file: Final = file
        self._files = files
        self._on_statement = on_statement
        try:
            self.raw: Final = sqlite3.connect(
                uri_of(file, "mode=rw"),
                uri=True,
                timeout=patience,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise failure(file, error) from error
        try:
            for pragma in (_ALONE, *_PRAGMAS) if alone else _PRAGMAS:
                self.raw.execute(pragma)
        except sqlite3.Error as error:
            self.raw.close()
            raise failure(file, error) from error

    def run(self, name: str, sql: str, values: Sequence[str | int | bytes] = ()) -> sqlite3.Cursor:
        """Announce the statement as `name`, then execute it."""
        self.announce(name)
        try:
            return self.raw.execute(sql, values)
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def many(self, name: str, sql: str, rows: Sequence[Sequence[str | int | bytes | None]]) -> int:
        """Announce the statement as `name`, then execute it once for each of `rows`; not at all without any.

        Returns how many rows of the table it changed.
        """
        if not rows:
            return 0
        self.announce(name)
        try:
            return self.raw.executemany(sql, rows).rowcount
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def rows(self, name: str, sql: str, values: Sequence[str | int | bytes] = ()) -> list[Any]:
        """Run the statement and return all its rows."""
        try:
            return self.run(name, sql, values).fetchall()
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def row(self, name: str, sql: str, values: Sequence[str | int | bytes] = ()) -> Any:  # noqa: ANN401 -- SQL
        """Run the statement and return its only row."""
        try:
            return self.run(name, sql, values).fetchone()
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def stamp(self) -> int:
        """Return the stamp of the last commit. Not announced: it is asked beside every other statement."""
        self._refuse_lost()
        try:
            stamp: int = self.raw.execute(_STAMP).fetchone()[0]
        except sqlite3.Error as error:
            raise self.failure(error) from error
        return stamp

    def failure(self, error: sqlite3.Error) -> StorageFailure:
        """Say what `error` means, and look first whether files or content are another's. Raises `StorageLost`."""
        code: int = getattr(error, "sqlite_errorcode", 0)
        if self._files is not None and code & 0xFF in _SPOILED:
            self._files.check()
        if code == sqlite3.SQLITE_ERROR:  # as for a table that is not there
            self.check_content()
        return failure(self.file, error)

    def announce(self, name: str) -> None:
        """Tell the listener, if there is one, that the statement `name` comes next. Raises `StorageFailure`."""
        files = self._files
        if files is not None and files.problem is not None and name != "rollback":
            files.refuse_lost()  # a rollback leaves the file as it is, and lets go of a journal that is to be saved
        if self._on_statement is not None:
            self._on_statement(name)

    def save_journal(self) -> bool:
        """Bring into the database what is in its journal, which lost its name; tell whether all of it is there."""
        try:
            busy, frames, saved = self.raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            return False
        return not busy and bool(frames == saved)

    def check_content(self) -> None:
        """Look whether somebody replaced the content by one that is not ours or not of the newest schema.

        Raises `StorageLost`, and each statement does from then on.
        """
        if self._files is None or self._files.problem is not None:
            return
        try:
            (mark,) = self.raw.execute("PRAGMA application_id").fetchone()
            (found,) = self.raw.execute("PRAGMA user_version").fetchone()
            (tables,) = self.raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            return  # whoever needs the content is told
        empty = not (mark or found or tables)
        self._files.check_content((mark, found), (APPLICATION_ID, newest_schema()), empty=empty)

    def _refuse_lost(self) -> None:
        if self._files is not None:
            self._files.refuse_lost()

    def wait_for_lock(self, seconds: float) -> None:
        """Let statements wait this long for another process; 0 makes them fail at once."""
        self.raw.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")


def prepare(file: Path, *, patience: float) -> None:
    """Create `file` or check that it is ours and private, and bring its schema up to date.

    Waits up to `patience` seconds for another process. Raises `StorageFailure`.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StorageFailure(f"SQLite {sqlite3.sqlite_version} is too old; install 3.37 or newer")
    real = Path(os.path.realpath(file))  # where SQLite keeps what is beside it
    refuse_marked(file)
    _create(real)
    _check_private(real)
    connection = Connection(file, None, patience=patience)
    try:
        migrations = _migrations()
        newest = migrations[-1][0]
        version = _check_ours(connection, newest=newest)
        if 0 < version < newest:
            connection.raw.close()
            connection = _alone(file, version, newest, patience)
        (mode,) = connection.run("journal", "PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise StorageFailure(f"storage {file}: its file system cannot share memory; use a local disk")
        for number, sql in migrations:
            _migrate(connection, number, sql)
        connection.run("check", "SELECT epoch FROM head").fetchone()
        _check_private(real)
    except sqlite3.Error as error:
        raise failure(file, error) from error
    finally:
        connection.raw.close()


def _create(file: Path) -> None:
    """Make the empty file for its owner alone, before SQLite would make it for everyone (SL-89).

    An empty or missing file beside a journal that is not has lost what was in it, and SQLite would delete the journal.
    """
    if _size(file) == 0 and _size(Path(f"{file}-wal")):
        raise StorageFailure(
            f"storage {file}: it is empty or gone, and its journal {file}-wal is not; nothing was changed: put the file"
            " back or restore a backup; without either, move the journal away to begin anew"
        )
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not file.is_file():
            raise StorageFailure(f"storage {file}: this is not a regular file; name a file") from None
        if has_foreign_journal(file):
            raise foreign_journal(file) from None
    except OSError as error:
        raise StorageFailure(f"storage {file}: it cannot be created: {error.strerror}") from error


def expects_journal(file: Path) -> bool:
    """Whether the file says of itself that it is read with a journal beside it. Raises `OSError`."""
    with file.open("rb") as head:
        return head.read(20)[18:] == bytes((WAL, WAL))


def has_foreign_journal(file: Path) -> bool:
    """Whether `file` is a whole database, put beside the journal of another one, which SQLite would bring into it.

    A database that has a journal says so, in its own file, before it gets one.
    """
    file = Path(os.path.realpath(file))
    if is_open(file) or not _size(file) or not _size(Path(f"{file}-wal")):
        return False
    try:
        return not expects_journal(file)
    except OSError:
        return False  # what else is wrong with it is found when it is opened


def foreign_journal(file: Path) -> StorageFailure:
    """Say that it has, and what to do."""
    file = Path(os.path.realpath(file))
    return StorageFailure(
        f"storage {file}: the journal {file}-wal beside it belongs to another database, which was here before; nothing"
        " was changed: restore a backup with `vaultctl operator snapshot restore`, or move the journal away"
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # what else is wrong with it is found when it is opened


def _check_private(file: Path) -> None:
    for end in ("", *BESIDE):
        name = Path(f"{file}{end}")
        try:
            mode = stat.S_IMODE(name.stat().st_mode)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageFailure(f"storage {name}: it cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise StorageFailure(f"storage {name}: others may open it (mode {mode:04o}); chmod 600 it")


def _alone(file: Path, version: int, newest: int, patience: float) -> Connection:
    """Open a file whose schema is to change; as others do, if one of them changed it meanwhile.

    A server of an older release that runs would go on with what it has in memory, and obey no revocation any more.
    Two who begin at one time keep each other out, so both let go again and again. Raises `StorageFailure` while anybody
    has it open.
    """
    until = time.monotonic() + patience
    while True:
        for alone in (True, False):
            connection = _begun(file, newest, patience, alone=alone)
            if connection is not None:
                return connection
        if time.monotonic() >= until:
            raise StorageFailure(
                f"storage {file}: a server or another program has it open, and its schema is to change from {version} to"
                f" {newest}; nothing was changed: stop every server that uses it, then start this release"
            )
        time.sleep(_PAUSES[os.getpid() % len(_PAUSES)])


def _begun(file: Path, newest: int, patience: float, *, alone: bool) -> Connection | None:
    """Open a file alone, or as others do if it has the newest schema; None where that cannot be at this moment."""
    try:
        connection = Connection(file, None, patience=0, alone=alone)
    except StorageFailure as problem:
        if not is_busy(problem):
            raise
        return None
    kept = False
    try:
        kept = alone or _check_ours(connection, newest=newest) == newest
        connection.wait_for_lock(patience)
    except StorageFailure as problem:
        if not is_busy(problem):
            raise
    finally:
        if not kept:
            connection.raw.close()
    return connection if kept else None


def _check_ours(connection: Connection, *, newest: int) -> int:
    """Return the schema that it has, 0 if it has none."""
    # In this order: the mark is there as soon as the first table, which another process may be making.
    (tables,) = connection.run("check", "SELECT count(*) FROM sqlite_schema").fetchone()
    (mark,) = connection.run("check", "PRAGMA application_id").fetchone()
    if mark != APPLICATION_ID and (mark or tables):
        raise StorageFailure(
            f"storage {connection.file}: this database belongs to another program; name another file"
        )
    (version,) = connection.run("check", "PRAGMA user_version").fetchone()
    if version > newest:
        raise StorageFailure(
            f"storage {connection.file}: a newer release wrote it (schema {version}, this one knows {newest});"
            " start that release"
        )
    return int(version)


@cache
def newest_schema() -> int:
    """Return the newest schema that this release knows."""
    return _migrations()[-1][0]


def parts_of(connection: sqlite3.Connection) -> AbstractSet[tuple[str, str, str]]:
    """Return what a database consists of: kind and name of each part, and the statement that makes it.

    What `ANALYZE` keeps is left out. Raises `sqlite3.Error`.
    """
    return set(connection.execute(_PARTS, (_LONGEST_PART, _MOST_PARTS)))


@cache
def parts(schema: int) -> AbstractSet[tuple[str, str, str]]:
    """Return what a vault's database of that schema consists of, as `parts_of` does."""
    with closing(sqlite3.connect(":memory:")) as made:
        for number, sql in _migrations():
            if number <= schema:
                for statement in sql.split(";\n"):
                    made.execute(statement)
        return parts_of(made)


@cache
def _migrations() -> Sequence[tuple[int, str]]:
    """Return the numbered migrations, oldest first."""
    folder = resources.files("vault.storage.sqlite") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(int(name.removesuffix(".sql")), (folder / name).read_text(encoding="utf-8")) for name in names]


def _migrate(connection: Connection, number: int, sql: str) -> None:
    """Apply one migration in one transaction, unless this or another process already has."""
    connection.run("begin", "BEGIN IMMEDIATE")
    try:
        (version,) = connection.run("check", "PRAGMA user_version").fetchone()
        if version < number:
            for statement in sql.split(";\n"):
                connection.run("migrate", statement)
            connection.run("migrate", f"PRAGMA application_id={APPLICATION_ID}")
            connection.run("migrate", f"PRAGMA user_version={number}")
        connection.run("commit", "COMMIT")
    finally:
        if connection.raw.in_transaction:
            connection.run("rollback", "ROLLBACK")
