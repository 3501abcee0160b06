# SPDX-License-Identifier: EUPL-1.2
"""A backup of the database while servers write to it: one snapshot, whole or not there at all.

`VACUUM INTO` reads one snapshot, so writers neither wait for it nor make it begin anew, as SQLite's backup interface
does at each commit of another process. What was deleted is not in the copy, not even in free pages.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vault.storage.copies.atomic_file import UnfinishedFile, acting_for_owner
from vault.storage.copies.encryption import new_copy
from vault.storage.copies.snapshot import (
    Content,
    Progress,
    check_allowed,
    connect,
    examine,
    files_told,
    is_regular,
    sign_off,
    size_of,
    told,
    watched,
)
from vault.storage.copies.workplace import FOR_COPY, FOR_ENCRYPTED, require_room
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.database import APPLICATION_ID, foreign_journal, has_foreign_journal, newest_schema
from vault.storage.sqlite.files import BESIDE, refuse_marked


@files_told()
def back_up(
    database: Path,
    destination: Path,
    *,
    force: bool,
    progress: Progress,
    patience: float = 10.0,
    recipients: Sequence[object] = (),
) -> Content:
    """Copy what is committed in `database` to `destination`, with mode 0600, verified and flushed; encrypted to `recipients`.

    A file that is there already is replaced with `force`, when the new one is finished, and refused without.
    Nothing is written to `database`. Raises `StorageFailure`.
    """
    _check_destination(database, destination, force=force)
    newest = newest_schema()  # read now: whom root acts for need not be allowed to read this program
    with (
        told(database),
        closing(_reader(database, patience)) as source,
        acting_for_owner(destination),
        new_copy(destination, recipients, force=force, progress=progress) as new,
        closing(connect(new.made.file, "mode=ro", 0)) as copied,  # it is open before it has no name
    ):
        _copy(database, source, new.made, progress, times=2 if recipients else 1)
        new.made.require_name()
        with told(new.made.file):
            found = examine(destination, copied, newest, progress)
        sign_off(new.made)
        new.finish()
    return found


def _check_destination(database: Path, destination: Path, *, force: bool) -> None:
    real = os.path.realpath(database)
    own = {os.path.realpath(f"{real}{end}") for end in ("", *BESIDE)}
    if os.path.realpath(destination) in own or (
        database.exists() and destination.exists() and os.path.samefile(database, destination)
    ):
        raise StorageFailure(
            f"{destination}: this is the database itself, or belongs to it; name another file"
        )
    check_free(destination, over=force)


def check_free(destination: Path, *, over: bool) -> None:
    """Make sure that a backup may have this name; a file of it is replaced where it goes `over` it. Raises `StorageFailure`."""
    if not destination.parent.is_dir():
        raise StorageFailure(f"{destination}: its directory is not there; make it")
    there = os.path.lexists(destination)
    if there and not is_regular(destination):
        raise StorageFailure(f"{destination}: this is not a regular file; name a file")
    if there and not over:
        raise StorageFailure(
            f"{destination}: it is there already; name another file, or replace it with -force"
        )
    for end in BESIDE:  # SQLite would take a journal for that of the backup
        if os.path.lexists(f"{destination}{end}"):
            raise StorageFailure(
                f"{destination}: {destination.name}{end} beside it belongs to another database, perhaps to one in use;"
                " name another file"
            )


def _reader(database: Path, patience: float) -> sqlite3.Connection:
    if not database.is_file():
        raise StorageFailure(f"storage {database}: there is no such database; check the path")
    check_allowed(database, os.R_OK)
    refuse_marked(database)
    if has_foreign_journal(database):
        raise foreign_journal(database)
    connection = connect(database, "mode=ro", patience)
    try:
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error as error:
        connection.close()
        code: int = getattr(error, "sqlite_errorcode", 0)
        if code in (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_CANTOPEN) and _cut_off(database):
            raise StorageFailure(
                f"storage {database}: a restore into it was cut off; begin that anew, or start the server, which undoes it"
            ) from error
        raise
    if mark != APPLICATION_ID:
        connection.close()
        raise StorageFailure(f"storage {database}: this is no database of a vault; check the path")
    return connection


def _cut_off(database: Path) -> bool:
    return os.path.lexists(f"{database}-journal")


def _copy(
    database: Path, source: sqlite3.Connection, made: UnfinishedFile, progress: Progress, *, times: int
) -> None:
    """Fill the copy, which is written so many `times`, with what is committed."""
    whole = max(1, size_of(source, free=False))
    require_room(made.file.absolute().parent, {FOR_COPY: whole, FOR_ENCRYPTED: whole * (times - 1)})

    def look() -> None:
        if made.size or os.path.lexists(f"{made.file}-journal"):
            made.hide()  # SQLite has it open
        progress("copying", min(99, made.size * 100 // whole))

    try:
        with watched(source, look):
            source.execute("VACUUM INTO ?", (os.fspath(made.file.absolute()),))
    except sqlite3.Error as error:
        code: int = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        if source.execute("PRAGMA quick_check(1)").fetchall() != [
            ("ok",)
        ]:  # a page that leads beyond the file
            raise StorageFailure(f"storage {database}: it is damaged; restore an earlier backup") from error
        raise StorageFailure(
            f"{made.file}: the disk is full or refused; free some space and begin anew"
        ) from error
    made.hide()
    progress("copying", 100)
