# SPDX-License-Identifier: EUPL-1.2
"""Backups and restores as tests of them make them: in this process, and beside another one that writes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.storage.copies import silent
from vault.storage.copies.atomic_file import partial
from vault.storage.copies.backup import back_up
from vault.storage.copies.encryption import encrypt
from vault.storage.copies.restore import RestoreResult, restore
from vault.storage.copies.snapshot import Content
from vault.storage.protocol import StorageFailure

DIGEST = 48
"""Bytes that a backup ends with, behind its pages."""

ROOT = Path(__file__).parents[2]


@contextmanager
def writing(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process write pairs to the file, as fast as it can, once it has begun; it is killed in the end."""
    command = [sys.executable, "-m", "tests.storage.child", "write", str(file), "w"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(50):
            child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()
            child.communicate()


def backed_up(database: Path, destination: Path, *, force: bool = False) -> Content:
    return back_up(database, destination, force=force, progress=silent)


def restored(backup: Path, database: Path, *, keep: bool = True) -> RestoreResult:
    return restore(backup, database, keep=keep, progress=silent, patience=0.1)


def sealed(plain: Path, destination: Path, recipients: Sequence[object]) -> None:
    """Encrypt a file that is there."""
    with plain.open("rb") as source, partial(destination) as made:
        encrypt(source.fileno(), made, recipients, silent)
        made.place(destination, over=False)


def not_backed_up(database: Path, destination: Path, *, force: bool = False) -> str:
    """Return why there is no backup; and nothing was made."""
    before = {file.name for file in destination.parent.iterdir()} if destination.parent.is_dir() else set()
    with pytest.raises(StorageFailure) as caught:
        backed_up(database, destination, force=force)
    if before:
        left = {file.name for file in destination.parent.iterdir()} - before
        assert not {name for name in left if not name.endswith(("-wal", "-shm"))}
    return str(caught.value)


def not_restored(backup: Path, database: Path) -> str:
    """Return why it was not restored; the database is as it was."""
    before = database.read_bytes() if database.is_file() else b""
    with pytest.raises(StorageFailure) as caught:
        restored(backup, database)
    assert (database.read_bytes() if database.is_file() else b"") == before
    return str(caught.value)


def query(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777
