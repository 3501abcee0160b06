# SPDX-License-Identifier: EUPL-1.2
"""Backups are one commit of a database in use; restores bring all of it back, or leave what was there."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.storage.copies import ENTRIES, make, silent, words
from tests.storage.stores import everything, fill
from vault.storage import snapshot
from vault.storage.backup import back_up
from vault.storage.database import newest_schema
from vault.storage.protocol import StorageFailure
from vault.storage.restore import Restored, restore
from vault.storage.snapshot import Content
from vault.storage.sqlite import SqliteStorage

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


def restored(backup: Path, database: Path, *, keep: bool = True) -> Restored:
    return restore(backup, database, keep=keep, progress=silent, patience=0.1)


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


def query(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(sql)


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


@pytest.fixture
def database(tmp_path: Path) -> Path:
    make(tmp_path / "vault.db", "old")
    return tmp_path / "vault.db"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of another database."""
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "elsewhere" / "vault.db", "new")
    backed_up(tmp_path / "elsewhere" / "vault.db", tmp_path / "new.backup")
    return tmp_path / "new.backup"


def test_it_tells_what_it_holds_and_is_private(database: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        found = backed_up(database, tmp_path / "b.db")
    finally:
        os.umask(before)
    assert found == Content(newest_schema(), 1, ENTRIES, 0, (tmp_path / "b.db").stat().st_size)
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
            assert found[f"{name}/left"] == found[f"{name}/right"] == name.encode() * 20
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
        with snapshot.partial(file) as part:
            part.write_bytes(b"ours")
            file.write_bytes(b"theirs")
            with pytest.raises(StorageFailure, match="there already"):
                snapshot.place(part, file, over=False)
            file.unlink()
            snapshot.place(part, file, over=False)
        assert file.read_bytes() == b"ours"
        assert not part.exists()


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
    with snapshot.partial(tmp_path / "c.db"):
        with pytest.raises(StorageFailure, match="another process is writing it"):
            backed_up(database, tmp_path / "c.db")
        assert (tmp_path / "c.db.partial").exists()
        (tmp_path / "c.db.partial").unlink()
    (tmp_path / "d.db.partial").symlink_to(database)
    assert "cannot be made" in not_backed_up(database, tmp_path / "d.db")


def test_places_that_are_no_place_for_a_backup(database: Path, tmp_path: Path) -> None:
    backed_up(database, tmp_path / "b.db")
    os.link(database, tmp_path / "twin.db")
    (tmp_path / "way.db").symlink_to(database)
    for name in ("vault.db", "vault.db-wal", "vault.db-turn", "twin.db", "way.db"):
        assert "database itself" in not_backed_up(database, tmp_path / name, force=True)
    make(tmp_path / "second.db", "x")
    assert "database in use" in not_backed_up(database, tmp_path / "second.db", force=True)
    (tmp_path / "folder").mkdir()
    assert "regular file" in not_backed_up(database, tmp_path / "folder", force=True)
    assert "its directory is not there" in not_backed_up(database, tmp_path / "none" / "b.db")


def test_files_that_are_no_database_of_a_vault(database: Path, tmp_path: Path) -> None:
    assert "no such database" in not_backed_up(tmp_path / "none.db", tmp_path / "b.db")
    (tmp_path / "empty.db").touch()
    assert "no database of a vault" in not_backed_up(tmp_path / "empty.db", tmp_path / "b.db")
    query(tmp_path / "other.db", "CREATE TABLE t (x)")
    assert "no database of a vault" in not_backed_up(tmp_path / "other.db", tmp_path / "b.db")
    (tmp_path / "text.db").write_bytes(b"hello, world" * 100)
    assert "not a database" in not_backed_up(tmp_path / "text.db", tmp_path / "b.db")
    with database.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    assert "damaged" in not_backed_up(database, tmp_path / "b.db")
    assert not (tmp_path / "none.db").exists()


def test_a_restore_brings_everything_back_and_keeps_what_was_there(database: Path, backup: Path) -> None:
    os.chmod(database, 0o644)
    inode = database.stat().st_ino
    done = restored(backup, database)
    assert done.content.entries == ENTRIES
    assert (mode(database), database.stat().st_ino) == (0o600, inode)
    assert words(database) == {"new"}
    kept = Path(done.kept)
    assert kept == database.with_name("vault.db.replaced-1")
    assert mode(kept) == 0o600
    back = restored(kept, database)
    assert words(database) == {"old"}
    assert Path(back.kept).name == "vault.db.replaced-2"
    assert restored(backup, database, keep=False).kept == ""
    assert words(database) == {"new"}
    assert len(list(database.parent.glob("*.replaced-*"))) == 2


@pytest.mark.parametrize("there", [True, False])
def test_without_a_database_one_is_made(tmp_path: Path, backup: Path, *, there: bool) -> None:
    file = tmp_path / "fresh.db"
    if there:
        file.touch(0o600)
    assert restored(backup, file).kept == ""
    assert (mode(file), words(file)) == (0o600, {"new"})
    assert "its directory is not there" in not_restored(backup, tmp_path / "none" / "x.db")
    (tmp_path / "folder.db").mkdir()
    assert "regular file" in not_restored(backup, tmp_path / "folder.db")


def test_a_database_by_another_name_is_the_same_one(tmp_path: Path, database: Path, backup: Path) -> None:
    (tmp_path / "way.db").symlink_to(database)
    assert Path(restored(backup, tmp_path / "way.db").kept).name == "vault.db.replaced-1"
    assert (tmp_path / "way.db").is_symlink()
    assert words(database) == {"new"}
    assert "database itself" in not_restored(tmp_path / "way.db", database)


def test_it_is_refused_while_anybody_has_the_database_open(database: Path, backup: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(database)
        await storage.reader().get("old/1")
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)
        assert await storage.reader().get("new/1") is None
        await fill(storage, "later")
        await storage.close()

    asyncio.run(story())
    with writing(database):
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)
    restored(backup, database)
    assert words(database) == {"new"}


def test_whoever_starts_meanwhile_waits_or_is_told(database: Path, backup: Path) -> None:
    told: list[str] = []

    def during(what: str, hundredths: int) -> None:
        if what == "restoring" and not told:
            with pytest.raises(StorageFailure) as caught:
                SqliteStorage.open(database, patience=0.1)
            told.append(str(caught.value))

    restore(backup, database, keep=True, progress=during)
    assert "another process keeps it locked" in told[0]
    assert words(database) == {"new"}


def test_a_database_that_nobody_can_open_is_replaced_and_kept(database: Path, backup: Path) -> None:
    damaged = b"nonsense" * 1000
    database.write_bytes(damaged)
    done = restored(backup, database)
    assert (mode(database), words(database)) == (0o600, {"new"})
    assert Path(done.kept).read_bytes() == damaged
    database.write_bytes(damaged)
    assert restored(backup, database, keep=False).kept == ""
    assert words(database) == {"new"}


def test_a_journal_without_its_database_is_set_aside(tmp_path: Path, database: Path, backup: Path) -> None:
    with writing(database):
        pass
    frames = Path(f"{database}-wal").read_bytes()
    assert frames
    for name in (database, Path(f"{database}-shm")):
        name.unlink()
    with pytest.raises(StorageFailure, match="its journal"):
        SqliteStorage.open(database)
    done = restored(backup, database)
    assert Path(f"{done.kept}-wal").read_bytes() == frames
    assert words(database) == {"new"}


def test_a_running_server_whose_file_is_gone_or_damaged_is_noticed(database: Path, backup: Path) -> None:
    with writing(database):
        database.unlink()
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)
    for end in ("", "-wal", "-shm", "-turn"):
        Path(f"{database}{end}").unlink(missing_ok=True)
    with writing(database):
        handle = os.open(database, os.O_WRONLY)
        os.pwrite(handle, b"nonsense", 0)
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)
        os.close(handle)


def test_what_is_no_backup_of_ours_is_refused_before_anything_is_touched(
    tmp_path: Path, database: Path, backup: Path
) -> None:
    assert "no such file" in not_restored(tmp_path / "none", database)
    whole = backup.read_bytes()
    wrong = tmp_path / "wrong.db"
    query(wrong, "CREATE TABLE t (x)")
    assert "no backup of a vault" in not_restored(wrong, database)
    for content in (
        b"",
        b"hello",
        whole[:-4096],
        whole[:4096],
        whole[:40960] + b"\xff" * 8192 + whole[49152:],
    ):
        wrong.write_bytes(content)
        assert "backup of a vault" in (text := not_restored(wrong, database)) or "damaged" in text
    wrong.write_bytes(whole)
    query(wrong, f"PRAGMA user_version={newest_schema() + 1}")
    assert "a newer release wrote it" in not_restored(wrong, database)
    wrong.write_bytes(whole)
    query(wrong, "CREATE TRIGGER t AFTER DELETE ON entry BEGIN SELECT 1; END")
    assert "damaged" in not_restored(wrong, database)
    wrong.write_bytes(whole)
    query(wrong, "DROP TABLE timer")
    assert "damaged" in not_restored(wrong, database)
    wrong.write_bytes(whole)
    Path(f"{wrong}-journal").write_bytes(b"half")
    assert "unfinished" in not_restored(wrong, database)
    query(tmp_path / "foreign.db", "CREATE TABLE t (x)")
    assert "another program" in not_restored(backup, tmp_path / "foreign.db")
    assert words(database) == {"old"}
    assert not list(tmp_path.glob("*.replaced-*"))


def test_copies_of_a_database_itself_are_backups_too(tmp_path: Path, database: Path) -> None:
    """As SQLite's own backup makes them, or a copy of a database that nobody has open."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(database.read_bytes())
    assert copy.read_bytes()[18:20] == b"\x02\x02"
    before = {file.name for file in tmp_path.iterdir()}
    restored(copy, tmp_path / "fresh.db")
    assert {file.name for file in tmp_path.iterdir()} - before == {"fresh.db"}
    assert words(tmp_path / "fresh.db") == {"old"}
    with writing(database):  # one in use, with what is in its journal
        found = restored(database, tmp_path / "second.db")
    assert found.content.entries > ENTRIES


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


def test_whoever_interrupts_it_is_obeyed(database: Path, backup: Path, tmp_path: Path) -> None:
    def interrupt(what: str, hundredths: int) -> None:
        raise KeyboardInterrupt

    before = database.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        back_up(database, tmp_path / "b.db", force=False, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        restore(backup, database, keep=True, progress=interrupt)
    assert database.read_bytes() == before
    assert not list(tmp_path.glob("*.partial*"))
    assert not (tmp_path / "b.db").exists()


@pytest.mark.parametrize("what", ["kill", "full"])
def test_cut_off_at_any_moment_the_old_or_the_new_is_there(tmp_path: Path, what: str) -> None:
    command = [sys.executable, "-m", "tests.storage.copies", what, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    moments = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert len(moments) == 5
    assert min(moments) >= 5
    if what == "kill":
        undone = [int(line.split()[1]) for line in done.stdout.splitlines()]
        assert undone[2] > 5, "SQLite had something to undo after many of them"
