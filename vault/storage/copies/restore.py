# SPDX-License-Identifier: EUPL-1.2
"""A backup put in the place of the database, while nobody else has it open: the old content, or the new one.

The file stays the same one and is written in one transaction of SQLite's, under its exclusive lock: a server that
starts meanwhile waits for the lock, and a restore that is cut off is undone by whoever opens the file next. Another file
under the same name would leave a server that has just opened the old one with the journal of the new one.

Only what SQLite cannot open at all is replaced as a file: no server can take that up meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from vault.storage.copies.atomic_file import acting_for_owner, flush, partial
from vault.storage.copies.snapshot import (
    UNREADABLE,
    Content,
    Progress,
    check_allowed,
    connect,
    content,
    copy,
    copy_to,
    examine,
    files_told,
    opened_backup,
    size_of,
    told,
)
from vault.storage.copies.workplace import require_room
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.database import APPLICATION_ID, has_foreign_journal, newest_schema
from vault.storage.sqlite.files import MARK

_JOURNALS: Final = ("-wal", "-journal")
_FOR_RESTORED: Final = "for what is restored"
_UNDER_WAY: Final = (
    b"A restore into this file was cut off. Begin it anew: vaultctl operator snapshot restore\n"
)
"""Stands for a database that was gone, while its journal is set aside: without either a server would make a new one."""


class RestoreResult(msgspec.Struct, frozen=True):
    """What is in the database now, and where what was in it before is kept."""

    content: Content
    kept: str = ""


@files_told()
def restore(
    backup: Path,
    database: Path,
    *,
    keep: bool,
    progress: Progress,
    patience: float = 2.0,
    dry_run: bool = False,
) -> RestoreResult:
    """Verify `backup` and put what it holds into `database`, which is made where it is missing.

    With `keep`, what was there is copied first, to a file beside it with a name that is not taken. Waits up to `patience`
    seconds for others who have the database open. With `dry_run` nothing is written. Raises `StorageFailure`; then nothing
    was changed.
    """
    given, database = database, Path(os.path.realpath(database))
    if not database.parent.is_dir():
        raise StorageFailure(f"storage {database}: its directory is not there; make it")
    if os.path.lexists(database) and not database.is_file():
        raise StorageFailure(f"storage {database}: this is not a regular file; name a file")
    if database.exists() and backup.exists() and os.path.samefile(backup, database):
        raise StorageFailure(f"backup {backup}: this is the database itself; name a backup")
    with opened_backup(backup) as source:
        found = examine(backup, source, newest_schema(), progress)
        if dry_run:
            _try_out(found, database, keep, patience)
            return RestoreResult(found)
        with acting_for_owner(given):
            kept = _bring_in(source, found, database, keep, patience, progress)
            _make_private(database)
    return RestoreResult(found, "" if kept is None else os.fspath(kept))


def _bring_in(
    source: sqlite3.Connection,
    found: Content,
    database: Path,
    keep: bool,  # noqa: FBT001 - as it was given
    patience: float,
    progress: Progress,
) -> Path | None:
    """Restore it into the database; return where what was there is kept."""
    # SQLite would remove the journal of a file that is empty, and would bring another one's into a whole file.
    orphaned = not _size(database) and _size(Path(f"{database}-wal"))
    if not _size(database):
        require_room(database.parent, {_FOR_RESTORED: found.bytes})
    target = None if orphaned or has_foreign_journal(database) else _alone(database, found, keep, patience)
    if target is None:
        require_room(database.parent, {_FOR_RESTORED: found.bytes})
        return _replace(source, database, progress)
    with closing(target):
        return _write_into(source, target, found, database, keep, progress)


def _require_room(target: sqlite3.Connection, found: Content, database: Path, keep: bool) -> None:  # noqa: FBT001 - as it was given
    """Raise `StorageFailure` unless there is room for what a restore writes: what is kept, what could undo it, what it grows by."""
    there = size_of(target)
    parts = {
        "to keep what is there": there if keep else 0,
        "to undo the restore if it is cut off": min(there, found.bytes),
        "by which the database grows": max(0, found.bytes - there),
    }
    advice = "free some space, or keep nothing with -discard" if keep and there else "free some space"
    require_room(database.parent, parts, advice)


def _make_private(database: Path) -> None:
    handle = os.open(database, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    flush(database)
    Path(f"{database}{MARK}").unlink(missing_ok=True)
    flush(database.parent)


def _write_into(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    found: Content,
    database: Path,
    keep: bool,  # noqa: FBT001 - as it was given
    progress: Progress,
) -> Path | None:
    """Write the backup into the file; return where what was there is kept."""
    aside = None
    with told(database):
        version = _version(target)
        try:
            (tables,) = target.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if keep and tables:
                aside = _keep(target, database, progress)
            copy(source, target, "restoring", progress)
            _check_same(target, found, database)
        except BaseException:
            if aside is not None and _is_undone(database) and _version(target) == version:
                aside.unlink()  # else each attempt would leave less room for the next
            raise
        # As a server expects that has looked at it just before. Until here the journal could undo everything.
        (mode,) = target.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode == "wal":
            Path(f"{database}-journal").unlink(missing_ok=True)
    return aside


def _check_same(target: sqlite3.Connection, found: Content, database: Path) -> None:
    if content(target, found.schema) != found:
        raise StorageFailure(f"storage {database}: it does not hold what the backup holds; restore it again")


def _keep(target: sqlite3.Connection, database: Path, progress: Progress) -> Path:
    """Copy what is in the database to a file beside it."""
    aside = _free_name(database)
    with partial(aside) as made:
        copy_to(target, made, "keeping what was there", progress)
        made.place(aside, over=False)
    return aside


def _version(target: sqlite3.Connection) -> int:
    """A number that is another one once all pages are copied (https://sqlite.org/pragma.html#pragma_schema_version)."""
    (version,) = target.execute("PRAGMA schema_version").fetchone()
    return int(version)


def _is_undone(database: Path) -> bool:
    """Whether nothing is left to undo of what was written: the journal is gone, or its head is overwritten."""
    try:
        with Path(f"{database}-journal").open("rb") as head:
            return head.read(8).strip(b"\0") == b""
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _make(database: Path) -> None:
    """Make an empty file for the server's user alone, which to a server is the same as none."""
    try:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StorageFailure(f"storage {database}: it cannot be created: {error.strerror}") from error


def _alone(
    database: Path,
    found: Content,
    keep: bool,  # noqa: FBT001 - as it was given
    patience: float,
) -> sqlite3.Connection | None:
    """Open the database, and let nobody else open it until the connection is closed; None if SQLite cannot open it.

    Its journal is merged into it, if there is room for the restore.
    """
    _make(database)
    check_allowed(database, os.R_OK | os.W_OK)
    with told(database), ExitStack() as opened:
        target = opened.enter_context(closing(connect(database, "mode=rw", patience)))
        if not _opens(database, lambda: _lock_out(target, database)):
            return None
        _require_room(target, found, database, keep)
        if not _opens(database, lambda: target.execute("PRAGMA journal_mode=DELETE")):
            return None
        opened.pop_all()
    return target


def _try_out(
    found: Content,
    database: Path,
    keep: bool,  # noqa: FBT001 - as it was given
    patience: float,
) -> None:
    """Raise `StorageFailure` where a restore would: the database is in use, or another program's, or there is no room."""
    if _size(database) and not has_foreign_journal(database):
        check_allowed(database, os.R_OK | os.W_OK)
        with told(database), closing(connect(database, "mode=rw", patience)) as target:
            if _opens(database, lambda: _lock_out(target, database)):
                _require_room(target, found, database, keep)
                return
    require_room(database.parent, {_FOR_RESTORED: found.bytes})  # what cannot be opened would be set aside


def _lock_out(target: sqlite3.Connection, database: Path) -> None:
    """Let nobody else open the database. Raises `StorageFailure` where it is another program's."""
    # The lock comes first: whoever starts now can no longer go back to a journal beside the file.
    target.execute("PRAGMA locking_mode=EXCLUSIVE")
    target.execute("PRAGMA synchronous=EXTRA")
    target.execute("BEGIN EXCLUSIVE")
    target.execute("COMMIT")
    (mark,) = target.execute("PRAGMA application_id").fetchone()
    (tables,) = target.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    _check_ours(database, mark, tables)


def _opens(database: Path, work: Callable[[], object]) -> bool:
    """Do the work; return whether SQLite can make anything of the file. Raises `StorageFailure` where others have it open."""
    try:
        work()
    except sqlite3.DatabaseError as error:
        code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            raise _in_use(database) from error
        if code not in UNREADABLE:
            raise
        return False
    return True


def _check_ours(database: Path, mark: int, tables: int) -> None:
    if mark != APPLICATION_ID and (mark or tables):
        raise StorageFailure(
            f"storage {database}: this database belongs to another program; name another file"
        )


def _replace(source: sqlite3.Connection, database: Path, progress: Progress) -> Path:
    """Put a new file in the place of what SQLite cannot open, or has another one's journal beside it; return its new name.

    It is set aside in any case, which takes no room: it may be no database at all, named by mistake.
    """
    _make(database)
    with ExitStack() as held, partial(database) as made:
        copy_to(source, made, "restoring", progress)
        handle = held.enter_context(_locked(database, database))
        shared = Path(f"{database}-shm")
        if shared.exists():
            held.enter_context(_locked(shared, database))
        aside = _free_name(database)
        if _size(database):
            os.link(database, aside)
        else:
            os.pwrite(handle, _UNDER_WAY, 0)
        for journal in _journals(database):
            os.rename(journal, f"{aside}{journal.name.removeprefix(database.name)}")
        for end in (*_JOURNALS, "-shm"):
            Path(f"{database}{end}").unlink(missing_ok=True)
        flush(database.parent)
        made.place(database, over=True)
    return aside


@contextmanager
def _locked(name: Path, database: Path) -> Iterator[int]:
    """Hold every lock of a file that SQLite uses, so that whoever has it open is noticed, and nobody begins."""
    handle = os.open(name, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    except BlockingIOError as error:
        raise _in_use(database) from error
    finally:
        os.close(handle)


def _in_use(database: Path) -> StorageFailure:
    return StorageFailure(
        f"storage {database}: a server or another program has it open; stop every server that uses it, then restore"
    )


def _journals(database: Path) -> list[Path]:
    names = [Path(f"{database}{end}") for end in _JOURNALS]
    return [name for name in names if _size(name)]


def _free_name(database: Path) -> Path:
    for number in count(1):
        name = Path(f"{database}.replaced-{number}")
        if not any(os.path.lexists(f"{name}{end}") for end in ("", *_JOURNALS)):
            return name
    raise AssertionError  # count has no end


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
