# SPDX-License-Identifier: EUPL-1.2
"""Backups are one commit of a database in use, whole or not there, and for nobody else."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.child import content
from tests.storage.copies import ENTRIES, make, words
from tests.storage.copying import (
    DIGEST,
    backed_up,
    mode,
    not_backed_up,
    not_restored,
    query,
    writing,
)
from tests.storage.stores import everything
from vault.storage.copies import atomic_file, backup, snapshot
from vault.storage.copies.backup import back_up
from vault.storage.copies.snapshot import Content, Progress
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.database import newest_schema
from vault.storage.sqlite.files import BESIDE
from vault.storage.sqlite.storage import SqliteStorage


def test_it_tells_what_it_holds_and_is_private(database: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        found = backed_up(database, tmp_path / "b.db")
    finally:
        os.umask(before)
    assert found.epoch > 0
    assert found == Content(
        newest_schema(), found.epoch, ENTRIES, 0, (tmp_path / "b.db").stat().st_size - DIGEST
    )
    assert mode(tmp_path / "b.db") == 0o600
    assert words(tmp_path / "b.db") == {"old"}


def test_under_writes_of_another_process_it_ends_and_is_one_commit(tmp_path: Path) -> None:
    file = tmp_path / "busy #1 ?.db"
    with writing(file):
        counts = [backed_up(file, tmp_path / f"{number}.db").entries for number in range(5)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    for number, expected in enumerate(counts):
        storage = SqliteStorage.open(tmp_path / f"{number}.db")
        found = asyncio.run(everything(storage))
        asyncio.run(storage.close())
        assert len(found) == expected
        numbers: dict[str, set[int]] = {}
        for path in found:
            name = path.partition("/")[0]
            assert found[f"{name}/left"] == found[f"{name}/right"] == content(name)
            _, writer, count = name.split("-")
            numbers.setdefault(writer, set()).add(int(count))
        assert all(each == set(range(len(each))) for each in numbers.values()), (
            "a later commit without an earlier"
        )


def test_what_was_deleted_is_not_even_in_its_free_pages(tmp_path: Path) -> None:
    file = tmp_path / "vault.db"

    async def story() -> None:
        storage = SqliteStorage.open(file)
        async with storage.write() as tx:
            for number in range(200):
                await tx.put(f"gone/{number}", b"MARKER" * 500)
        async with storage.write() as tx:
            for number in range(200):
                await tx.delete(f"gone/{number}")
            await tx.put("stays", b"here")
        backed_up(file, tmp_path / "b.db")  # while this process has it open
        await storage.close()

    asyncio.run(story())
    assert b"MARKER" not in (tmp_path / "b.db").read_bytes()


def test_the_same_name_is_taken_again_only_with_force(database: Path, tmp_path: Path) -> None:
    backed_up(database, tmp_path / "b.db")
    make(database, "more")
    assert "it is there already" in not_backed_up(database, tmp_path / "b.db")
    assert words(tmp_path / "b.db") == {"old"}
    for file in tmp_path.glob("b.db-*"):
        file.unlink()
    assert backed_up(database, tmp_path / "b.db", force=True).entries == 2 * ENTRIES
    assert words(tmp_path / "b.db") == {"old", "more"}


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for links in (True, False):
        if not links:

            def none(*_: object) -> None:
                raise PermissionError(1, "no links here")

            monkeypatch.setattr(os, "link", none)
        file = tmp_path / f"{links}.db"
        with atomic_file.partial(file) as part:
            part.file.write_bytes(b"ours")
            file.write_bytes(b"theirs")
            with pytest.raises(StorageFailure, match="there already"):
                part.place(file, over=False)
            file.unlink()
            part.place(file, over=False)
        assert file.read_bytes() == b"ours"
        assert not part.file.exists()


def test_what_a_killed_one_left_is_removed_and_what_another_writes_is_not(
    database: Path, tmp_path: Path
) -> None:
    finished = tmp_path / "first.db"
    backed_up(database, finished)
    whole = finished.read_bytes()
    os.link(finished, tmp_path / "b.db.partial")  # killed between its two names
    (tmp_path / "b.db.partial-journal").write_bytes(b"left")
    backed_up(database, tmp_path / "b.db")
    assert finished.read_bytes() == whole
    assert not list(tmp_path.glob("b.db.partial*"))
    with atomic_file.partial(tmp_path / "c.db"):
        with pytest.raises(StorageFailure, match="another process is writing it"):
            backed_up(database, tmp_path / "c.db")
        assert (tmp_path / "c.db.partial").exists()
        (tmp_path / "c.db.partial").unlink()
    (tmp_path / "d.db.partial").symlink_to(database)
    assert "cannot be made" in not_backed_up(database, tmp_path / "d.db")


def test_a_database_without_its_journal_mode_is_backed_up_as_it_is(database: Path, tmp_path: Path) -> None:
    """As a restore leaves it whose last step failed, and as a backup is itself."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    before = database.read_bytes()
    backed_up(database, tmp_path / "b.db")
    assert database.read_bytes() == before
    assert words(tmp_path / "b.db") == words(database) == {"old"}


def test_places_that_are_no_place_for_a_backup(database: Path, tmp_path: Path) -> None:
    backed_up(database, tmp_path / "b.db")
    os.link(database, tmp_path / "twin.db")
    (tmp_path / "way.db").symlink_to(database)
    for name in ("vault.db", "vault.db-wal", "vault.db-turn", "twin.db", "way.db"):
        assert "database itself" in not_backed_up(database, tmp_path / name, force=True)
        assert "database itself" in not_backed_up(tmp_path / "way.db", tmp_path / name, force=True)
    make(tmp_path / "second.db", "x")
    assert "belongs to another database" in not_backed_up(database, tmp_path / "second.db", force=True)
    for end in BESIDE:  # of a database that was here before: SQLite would bring it into the backup
        (tmp_path / f"orphan.db{end}").write_bytes(b"left")
        assert "belongs to another database" in not_backed_up(database, tmp_path / "orphan.db")
        (tmp_path / f"orphan.db{end}").unlink()
    (tmp_path / "folder").mkdir()
    for force in (True, False):
        assert "regular file" in not_backed_up(database, tmp_path / "folder", force=force)
    assert "its directory is not there" in not_backed_up(database, tmp_path / "none" / "b.db")


def test_files_that_are_no_database_of_a_vault(database: Path, tmp_path: Path) -> None:
    assert "no such database" in not_backed_up(tmp_path / "none.db", tmp_path / "b.db")
    (tmp_path / "empty.db").touch()
    assert "no database of a vault" in not_backed_up(tmp_path / "empty.db", tmp_path / "b.db")
    query(tmp_path / "other.db", "CREATE TABLE t (x)")
    assert "no database of a vault" in not_backed_up(tmp_path / "other.db", tmp_path / "b.db")
    asyncio.run(SqliteStorage.open(tmp_path / "new.db").close())
    assert "no vault was initialised" in not_backed_up(tmp_path / "new.db", tmp_path / "b.db")
    (tmp_path / "text.db").write_bytes(b"hello, world" * 100)
    assert "not a database" in not_backed_up(tmp_path / "text.db", tmp_path / "b.db")
    with database.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    assert "damaged" in not_backed_up(database, tmp_path / "b.db")
    assert not (tmp_path / "none.db").exists()


def test_a_backup_of_what_a_restore_left_half_written_is_refused(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA cache_size=5")
        connection.execute("BEGIN")
        connection.execute("UPDATE entry SET value=zeroblob(9000)")
        journal = Path(f"{database}-journal").read_bytes()
        half = database.read_bytes()
    (tmp_path / "half.db").write_bytes(half)
    (tmp_path / "half.db-journal").write_bytes(journal)
    assert "was cut off" in not_backed_up(tmp_path / "half.db", tmp_path / "b.db")


def test_what_is_removed_or_exchanged_while_it_is_written_gets_no_name(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would make it anew, for everybody to read, and wherever a link leads."""
    copy = backup._copy

    def gone(file: Path) -> None:
        file.unlink()

    def led_away(file: Path) -> None:
        file.unlink()
        file.symlink_to(tmp_path / "elsewhere")

    for change in (gone, led_away):

        def changed(
            source: Path,
            connection: sqlite3.Connection,
            made: atomic_file.UnfinishedFile,
            told: Progress,
            *,
            times: int,
        ) -> None:
            change(made.file)  # noqa: B023 - it is called at once
            copy(source, connection, made, told, times=times)

        monkeypatch.setattr(backup, "_copy", changed)
        with pytest.raises(StorageFailure, match="removed or exchanged it while it was written"):
            backed_up(database, tmp_path / "b.db")
        assert not (tmp_path / "b.db").exists()
        assert not list(tmp_path.glob("*.partial*"))


def test_what_the_listener_raises_is_no_interruption(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(what: str, hundredths: int) -> None:
        assert hundredths < 100
        raise ValueError(what)

    monkeypatch.setattr(snapshot, "_STEPS", 10)

    with pytest.raises(ValueError, match="copying"):
        back_up(database, tmp_path / "b.db", force=False, progress=fail)
    assert not list(tmp_path.glob("b.db*"))


def test_who_may_not_look_is_told_who_may(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    whole = tmp_path / "whole.db"
    backed_up(database, whole)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    expected = f"{database}: Permission denied; run this as the server's user, or as root"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_file", refuse)
        assert not_backed_up(database, tmp_path / "b.db") == expected
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert not_backed_up(database, tmp_path / "b.db") == expected
    assert not_restored(whole, database) == expected
