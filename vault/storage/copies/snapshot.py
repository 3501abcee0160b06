# SPDX-License-Identifier: EUPL-1.2
"""Copies of a database: looked through before anybody relies on one."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from vault.storage.copies.atomic_file import UnfinishedFile, flush
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.database import (
    APPLICATION_ID,
    WAL,
    expects_journal,
    failure,
    has_foreign_journal,
    parts,
    parts_of,
    uri_of,
)

Progress = Callable[[str, int], None]
"""Called with what is being done and how much of it is, in hundredths."""

_STEPS: Final = 2_000
"""Steps of SQLite's machine between two looks at signals and progress: some milliseconds."""
PAGES: Final = 1_000
"""Pages that are copied between two."""
_MARK: Final = b"Coffre backup 1\n"
"""Stands behind the last page of a backup, and before the SHA-256 of all that is before it."""
_SMALLEST_PAGE: Final = 512
"""Every page is a multiple of it, and a digest with its mark is none: so what was cut off at any other byte is seen."""
_CHUNK: Final = 1 << 20
UNREADABLE: Final = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
"""What SQLite says of a file that it cannot make anything of."""


class Content(msgspec.Struct, frozen=True):
    """What a database holds, as of one commit."""

    schema: int
    epoch: int
    entries: int
    timers: int
    bytes: int
    """Size of its pages."""


@contextmanager
def told(file: Path) -> Iterator[None]:
    """Raise `StorageFailure` for what SQLite says about `file`; an interrupted statement is a `KeyboardInterrupt`."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from None
        raise failure(file, error) from error


@contextmanager
def files_told() -> Iterator[None]:
    """Raise `StorageFailure` for what the system says of a file, as where somebody may not look into its directory."""
    try:
        yield
    except OSError as error:
        hint = ""
        if isinstance(error, PermissionError):
            hint = "; run this as the server's user, or as root"
            if os.geteuid() == 0:
                hint = "; root acts for the owner of the directory here, who may not do that"
        raise StorageFailure(f"{error.filename or 'a file'}: {error.strerror}{hint}") from error


def check_allowed(file: Path, how: int) -> None:
    """Raise `PermissionError` unless the file may be opened so (`os.R_OK`, `os.W_OK`); SQLite only says that it cannot."""
    if not os.access(file, how, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(file))


def connect(file: Path, how: str, patience: float) -> sqlite3.Connection:
    """Open `file`, which is there, with the parameters `how` (https://sqlite.org/uri.html)."""
    connection = sqlite3.connect(uri_of(file, how), uri=True, timeout=patience, isolation_level=None)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.set_progress_handler(lambda: 0, _STEPS)  # a signal that comes meanwhile is obeyed
    return connection


@contextmanager
def watched(connection: sqlite3.Connection, look: Callable[[], None]) -> Iterator[None]:
    """Call `look` now and then while a statement runs. What it raises ends the statement, and is raised."""
    raised: list[BaseException] = []

    def handler() -> int:
        try:
            look()
        except BaseException as error:  # noqa: BLE001 - SQLite would only tell that somebody interrupted it
            raised.append(error)
        return len(raised)

    connection.set_progress_handler(handler, _STEPS)
    try:
        yield
    except sqlite3.Error:
        if raised:
            raise raised[0] from None
        raise


@contextmanager
def opened_backup(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a backup for reading; what is read is one snapshot, and no program that uses SQLite changes it meanwhile.

    A journal that lies beside it is obeyed if it belongs to it, and is a reason to refuse if the file is unfinished.
    """
    if not file.is_file():
        raise StorageFailure(f"backup {file}: there is no such file; name a backup")
    real = os.path.realpath(file)  # where SQLite looks for what is beside it
    if _size(Path(f"{real}-journal")):
        raise StorageFailure(
            f"backup {file}: it is unfinished, for a journal lies beside it; take another one"
        )
    try:
        alone = expects_journal(file) and not Path(f"{real}-wal").exists()
    except OSError as error:
        raise StorageFailure(f"backup {file}: it cannot be read: {error.strerror}") from error
    if has_foreign_journal(file):
        raise StorageFailure(
            f"backup {file}: the journal {real}-wal beside it belongs to another database; move that away"
        )
    _check_digest(file)
    with told(file), closing(connect(file, "mode=ro" + "&immutable=1" * alone, 1.0)) as connection:
        connection.execute("BEGIN")
        yield connection


def sign_off(made: UnfinishedFile) -> None:
    """End a finished copy with a digest of it, behind the last page, where SQLite does not look. Raises `StorageFailure`.

    It shows what a disk or a transfer has damaged, and no intent: whoever can write the file can write another digest.
    """
    size = made.size
    end = _MARK + _digest(made.handle, size)
    try:
        written = os.pwrite(made.handle, end, size)
    except OSError:
        written = 0
    if written != len(end):
        raise StorageFailure(f"{made.file}: the disk is full or refused; free some space and begin anew")


def _check_digest(file: Path) -> None:
    """Raise `StorageFailure` if a backup is not what was written, which SQLite sees only where its own structure suffers.

    A copy of a database itself ends without a digest; so does a backup whose pages a server wrote to, as it has a journal.
    """
    with file.open("rb") as content:
        head = content.read(20)
        size = os.fstat(content.fileno()).st_size
        end = size - len(_MARK) - hashlib.sha256().digest_size
        if end < 0 or head[18:] == bytes((WAL, WAL)) or not size % _SMALLEST_PAGE:
            return
        content.seek(end)
        if content.read() == _MARK + _digest(content.fileno(), end):
            return
    raise StorageFailure(
        f"backup {file}: it is damaged, or no backup of a vault; it is not what was written: take another one"
    )


def _digest(handle: int, size: int) -> bytes:
    """Return the SHA-256 of the first `size` bytes, 32 bytes. Raises `OSError`."""
    digest = hashlib.sha256()
    for place in range(0, size, _CHUNK):
        digest.update(os.pread(handle, min(_CHUNK, size - place), place))
    return digest.digest()


def examine(file: Path, connection: sqlite3.Connection, newest: int, progress: Progress) -> Content:
    """Look through all of a backup. Raises `StorageFailure` unless it is whole, ours and of the `newest` schema or older."""
    try:
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        if mark != APPLICATION_ID or not schema:
            raise StorageFailure(f"backup {file}: this is no backup of a vault; name another file")
        if schema > newest:
            raise StorageFailure(
                f"backup {file}: a newer release wrote it (schema {schema}, this one knows {newest});"
                " use that release"
            )
        progress("verifying", 0)
        check_parts(file, connection, schema)
        if connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            raise StorageFailure(f"backup {file}: it is damaged; take another one")
        found = content(connection, schema)
        if not found.entries:
            raise StorageFailure(f"backup {file}: it is empty, for no vault was initialised in it")
        progress("verifying", 100)
        return found
    except sqlite3.DatabaseError as error:
        code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in (*UNREADABLE, sqlite3.SQLITE_ERROR):
            raise
        raise StorageFailure(
            f"backup {file}: it is damaged, or no backup of a vault; take another one"
        ) from error


def check_parts(file: Path, connection: sqlite3.Connection, schema: int) -> None:
    """Raise `StorageFailure` where a backup consists of anything but a vault's tables.

    With a condition of somebody else's, the vault that is restored would have some writes fail, or vanish.
    """
    if parts_of(connection) != parts(schema):
        raise StorageFailure(
            f"backup {file}: it is damaged, or somebody changed it: its tables are not a vault's; take another one"
        )


def content(connection: sqlite3.Connection, schema: int) -> Content:
    """Count what is in a database. Raises `StorageFailure` where it cannot be one."""
    heads = connection.execute("SELECT n FROM epoch" if schema == 1 else "SELECT epoch FROM head").fetchmany(
        2
    )
    if len(heads) != 1:
        raise StorageFailure("the backup is damaged: it does not have one epoch; take another one")
    ((epoch,),) = heads
    entries, timers = connection.execute(
        "SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM timer)"
    ).fetchone()
    return Content(schema, epoch, entries, timers, size_of(connection))


def size_of(connection: sqlite3.Connection, *, free: bool = True) -> int:
    """Return how many bytes a database has, with its free pages or without them."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (left,) = (0,) if free else connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages - left) * int(size)


def copy(source: sqlite3.Connection, target: sqlite3.Connection, what: str, progress: Progress) -> None:
    """Copy every page in one transaction of `target`. Nobody else may use either meanwhile."""

    def step(_status: int, left: int, pages: int) -> None:
        progress(what, 100 - left * 100 // (pages or 1))

    source.backup(target, pages=PAGES, progress=step)


def copy_to(source: sqlite3.Connection, made: UnfinishedFile, what: str, progress: Progress) -> None:
    """Copy every page to the empty file, and flush it."""
    with told(made.file):
        target = connect(made.file, "mode=rw", 0)
        with closing(target):
            target.execute("PRAGMA synchronous=OFF")
            target.execute("PRAGMA journal_mode=OFF")  # it is thrown away unless all of it is written
            copy(source, target, what, progress)
    flush(made.file)


def is_regular(file: Path) -> bool:
    """Whether something is there, and is a file."""
    try:
        return stat.S_ISREG(os.lstat(file).st_mode)
    except OSError:
        return False


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
