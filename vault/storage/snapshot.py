# SPDX-License-Identifier: EUPL-1.2
"""Copies of a database: looked through before anybody relies on one, and never half-written under their name.

A copy is written under a name of its own (`NAME.partial`), which a process that is killed leaves behind and the next one
removes; what has the right name is whole and on the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from vault.storage.database import APPLICATION_ID, failure, newest_schema, uri_of
from vault.storage.protocol import StorageFailure

Progress = Callable[[str, int], None]
"""Called with what is being done and how much of it is, in hundredths."""

_STEPS: Final = 2_000
"""Steps of SQLite's machine between two looks at signals and progress: some milliseconds."""
PAGES: Final = 1_000
"""Pages that are copied between two."""
_WAL: Final = 2
"""What bytes 18 and 19 of a database file say that is read with a journal beside it (SQLite file format, 1.3.3)."""
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
UNREADABLE: Final = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
"""What SQLite says of a file that it cannot make anything of."""


class Content(msgspec.Struct, frozen=True):
    """What a database holds, as of one commit."""

    schema: int
    epoch: int
    entries: int
    timers: int
    bytes: int
    """Size of the file."""


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
        hint = "; run this as the server's user, or as root" if isinstance(error, PermissionError) else ""
        raise StorageFailure(f"{error.filename or 'a file'}: {error.strerror}{hint}") from error


def connect(file: Path, how: str, patience: float) -> sqlite3.Connection:
    """Open `file`, which is there, with the parameters `how` (https://sqlite.org/uri.html)."""
    connection = sqlite3.connect(uri_of(file, how), uri=True, timeout=patience, isolation_level=None)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.set_progress_handler(lambda: 0, _STEPS)  # a signal that comes meanwhile is obeyed
    return connection


def watch(connection: sqlite3.Connection, look: Callable[[], None]) -> None:
    """Call `look` now and then while a statement runs."""

    def handler() -> int:
        look()
        return 0

    connection.set_progress_handler(handler, _STEPS)


@contextmanager
def opened_backup(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a backup for reading; what is read is one snapshot, and no program that uses SQLite changes it meanwhile.

    A journal that lies beside it is obeyed if it belongs to it, and is a reason to refuse if the file is unfinished.
    """
    if not file.is_file():
        raise StorageFailure(f"backup {file}: there is no such file; name a backup")
    if _size(Path(f"{file}-journal")):
        raise StorageFailure(
            f"backup {file}: it is unfinished, for a journal lies beside it; take another one"
        )
    try:
        with file.open("rb") as head:
            alone = head.read(20)[18:] == bytes((_WAL, _WAL)) and not Path(f"{file}-wal").exists()
    except OSError as error:
        raise StorageFailure(f"backup {file}: it cannot be read: {error.strerror}") from error
    with told(file), closing(connect(file, "mode=ro" + "&immutable=1" * alone, 1.0)) as connection:
        connection.execute("BEGIN")
        yield connection


def examine(file: Path, connection: sqlite3.Connection, progress: Progress) -> Content:
    """Look through all of a backup. Raises `StorageFailure` unless it is whole, ours and known to this release."""
    try:
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        if mark != APPLICATION_ID or not schema:
            raise StorageFailure(f"backup {file}: this is no backup of a vault; name another file")
        if schema > newest_schema():
            raise StorageFailure(
                f"backup {file}: a newer release wrote it (schema {schema}, this one knows {newest_schema()});"
                " use that release"
            )
        progress("verifying", 0)
        strange = connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE type IN ('trigger', 'view')"
        ).fetchone()
        if strange or connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            raise StorageFailure(f"backup {file}: it is damaged; take another one")
        found = content(connection, schema)
        progress("verifying", 100)
        return found
    except sqlite3.DatabaseError as error:
        code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in (*UNREADABLE, sqlite3.SQLITE_ERROR):
            raise
        raise StorageFailure(
            f"backup {file}: it is damaged, or no backup of a vault; take another one"
        ) from error


def content(connection: sqlite3.Connection, schema: int) -> Content:
    """Count what is in a database."""
    (epoch,) = connection.execute(
        "SELECT n FROM epoch" if schema == 1 else "SELECT epoch FROM head"
    ).fetchone()
    entries, timers = connection.execute(
        "SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM timer)"
    ).fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return Content(schema, epoch, entries, timers, pages * size)


def copy(source: sqlite3.Connection, target: sqlite3.Connection, what: str, progress: Progress) -> None:
    """Copy every page in one transaction of `target`. Nobody else may use either meanwhile."""

    def step(_status: int, left: int, pages: int) -> None:
        progress(what, 100 - left * 100 // (pages or 1))

    source.backup(target, pages=PAGES, progress=step)


def copy_to(source: sqlite3.Connection, file: Path, what: str, progress: Progress) -> None:
    """Copy every page to the empty `file`, and flush it."""
    with told(file):
        target = connect(file, "mode=rw", 0)
        with closing(target):
            target.execute("PRAGMA synchronous=OFF")
            target.execute("PRAGMA journal_mode=OFF")  # it is thrown away unless all of it is written
            copy(source, target, what, progress)
    flush(file)


@contextmanager
def partial(name: Path) -> Iterator[Path]:
    """Give an empty private file beside `name`, which nobody else writes; it is removed if the block fails.

    Within the block it is filled, flushed, and then `place`d.
    """
    file = Path(f"{name}.partial")
    handle = _claim(file)
    try:
        yield file
    except BaseException:
        for left in (Path(f"{file}-journal"), file):
            left.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)  # last: it would take away the locks of connections


def _claim(file: Path) -> int:
    """Make the file and lock it. One that a killed process left is removed, even where it is a name of a whole copy."""
    try:
        while True:
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = os.fstat(handle)
                with suppress(FileNotFoundError):
                    if os.path.samestat(mine, os.stat(file, follow_symlinks=False)):
                        if mine.st_size == 0 and mine.st_nlink == 1 and mine.st_uid == os.geteuid():
                            os.fchmod(handle, 0o600)
                            Path(f"{file}-journal").unlink(missing_ok=True)
                            return handle
                        file.unlink()
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
    except BlockingIOError as error:
        raise StorageFailure(f"{file}: another process is writing it; wait for it") from error
    except OSError as error:
        raise StorageFailure(f"{file}: it cannot be made: {error.strerror}") from error


def place(file: Path, name: Path, *, over: bool) -> None:
    """Give the finished file its name. Raises `StorageFailure` if that is taken, unless it may go `over` it."""
    try:
        if over:
            os.replace(file, name)
        else:
            _name_once(file, name)
        flush(name.parent)
    except FileExistsError as error:
        raise StorageFailure(f"{name}: it is there already; name another file") from error
    except OSError as error:
        raise StorageFailure(f"{name}: it cannot be made: {error.strerror}") from error


def _name_once(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(name):
            raise FileExistsError from error
        os.rename(file, name)
    else:
        file.unlink()


def flush(name: Path) -> None:
    """Have the disk keep a file's bytes, or a directory's names."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageFailure(f"{name}: the disk refused to keep it: {error.strerror}") from error


def give_to_owner_of(like: Path, file: Path) -> None:
    """Let `file` belong to whom `like` belongs, where root acts for the server's user."""
    if os.geteuid() == 0:
        owner = os.stat(like)
        os.chown(file, owner.st_uid, owner.st_gid)


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
