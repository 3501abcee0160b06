# SPDX-License-Identifier: EUPL-1.2
"""The SQLite file: private, ours, and never harmed by what goes wrong around it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.storage.stores import everything, fill
from vault.storage.protocol import LONGEST_PATH, StorageFailure
from vault.storage.single_thread import SingleThread
from vault.storage.sqlite.files import BESIDE
from vault.storage.sqlite.storage import SqliteStorage, committing_thread


async def make(file: Path, *paths: str) -> None:
    """Create a storage file with entries."""
    storage = SqliteStorage.open(file)
    await fill(storage, *paths)
    await storage.close()


async def read(file: Path) -> dict[str, bytes | None]:
    """Open a storage file and read all of it."""
    storage = SqliteStorage.open(file, patience=0.05)
    try:
        return await everything(storage)
    finally:
        await storage.close()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the process's umask for a while."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def refused(file: Path) -> str:
    """Return why the file is refused."""
    with pytest.raises(StorageFailure) as caught:
        asyncio.run(read(file))
    assert os.path.realpath(file) in str(caught.value)
    return str(caught.value)


def test_what_was_written_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    asyncio.run(make(tmp_path / "s.db", "a", "b"))
    assert asyncio.run(read(tmp_path / "s.db")) == {"a": b"a", "b": b"b"}


def modes_in(folder: Path) -> dict[str, int]:
    """Return the permissions of every file in a folder."""
    return {item.name: stat.S_IMODE(item.stat().st_mode) for item in folder.iterdir()}


def test_a_system_that_starts_no_thread_is_told_at_once_and_harms_nobody_who_has_his(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db")
        monkeypatch.setattr(threading.Thread, "start", refused)
        await fill(storage, "a")
        with pytest.raises(StorageFailure, match="starts no more threads; raise its limit"):
            SqliteStorage.open(tmp_path / "s.db")
        assert await everything(storage) == {"a": b"a"}
        await storage.close()

    asyncio.run(story())


def test_every_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    async def story() -> dict[str, int]:
        storage = SqliteStorage.open(tmp_path / "s.db")
        await fill(storage, "a")
        found = modes_in(tmp_path)
        await storage.close()
        return found

    with umask(0):
        modes = asyncio.run(story())
    assert modes == dict.fromkeys(["s.db", "s.db-shm", "s.db-turn", "s.db-wal"], 0o600)


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("suffix", ["", *BESIDE])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, suffix: str, mode: int, linked: bool) -> None:
    file = tmp_path / "s.db"
    asyncio.run(make(file, "a"))
    exposed = Path(f"{file}{suffix}")
    exposed.touch()
    exposed.chmod(mode)
    assert "chmod 600" in refused(link_to(file) if linked else file)


def link_to(file: Path) -> Path:
    """Name a file by a symbolic link in another directory, where nothing else is."""
    link = file.parent / "way" / "link.db"
    link.parent.mkdir()
    link.symlink_to(file)
    return link


def test_a_link_leads_to_a_database_that_is_not_there_yet_and_nothing_is_made_beside_the_link(
    tmp_path: Path,
) -> None:
    file = tmp_path / "s.db"
    link = link_to(file)
    with umask(0):
        asyncio.run(make(link, "a"))
    modes = modes_in(tmp_path)
    del modes["way"]
    assert modes == dict.fromkeys(["s.db", "s.db-turn"], 0o600)
    assert [name.name for name in link.parent.iterdir()] == ["link.db"]


def test_a_journal_whose_database_is_gone_is_found_behind_a_link(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    link = link_to(file)
    journal = Path(f"{file}-wal")
    journal.write_bytes(b"something")
    assert "its journal" in refused(link)
    assert journal.read_bytes() == b"something"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "not a regular file" in refused(tmp_path)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    assert "cannot be created: No such file or directory" in refused(tmp_path / "none" / "s.db")


def test_another_kind_of_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_bytes(b"Dear reader, this is no database. " * 100)
    file.chmod(0o600)
    before = file.read_bytes()
    assert "not a database" in refused(file)
    assert file.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "browser.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE cookie (name TEXT)")
    file.chmod(0o600)
    before = file.read_bytes()
    assert "another program" in refused(file)
    assert file.read_bytes() == before


def test_a_newer_releases_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    asyncio.run(make(file, "a"))
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version=9999")
    assert "newer release" in refused(file)


def test_an_empty_file_of_our_own_becomes_a_storage(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    file.touch(mode=0o600)
    assert asyncio.run(read(file)) == {}


@pytest.mark.parametrize("emptied", [True, False])
def test_a_journal_without_its_file_is_refused_and_kept(tmp_path: Path, emptied: bool) -> None:
    """SQLite deletes the journal of an empty file, and it may hold all that can still be saved."""
    file, journal = tmp_path / "s.db", tmp_path / "s.db-wal"
    asyncio.run(make(file, "a"))
    file.unlink()
    if emptied:
        file.touch(mode=0o600)
    journal.write_bytes(b"what can still be saved")
    journal.chmod(0o600)
    assert f"its journal {journal} is not; nothing was changed" in refused(file)
    assert journal.read_bytes() == b"what can still be saved"
    assert file.exists() is emptied
    journal.rename(tmp_path / "away")
    assert asyncio.run(read(file)) == {}


@pytest.mark.parametrize("damage", ["zeros", "noise", "cut"])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "s.db"
    asyncio.run(make(file, *(f"path/{number:05}" for number in range(5000))))
    whole = file.read_bytes()
    middle = {"zeros": bytes(len(whole) - 8192), "noise": b"\xa5" * (len(whole) - 8192), "cut": b""}[damage]
    file.write_bytes(whole[:8192] + middle)
    before = file.read_bytes()
    assert "damaged" in refused(file)
    assert file.read_bytes() == before


def test_damage_that_shows_only_in_a_write_fails_that_write_and_not_the_reads(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    asyncio.run(make(file, *(f"path/{number:05}" for number in range(5000))))
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'timer'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as raw:
        raw.seek((page - 1) * size)
        raw.write(b"\xa5" * size)

    async def story() -> None:
        storage = SqliteStorage.open(file)
        with pytest.raises(StorageFailure, match="damaged"):
            async with storage.write() as tx:
                await tx.put("lost", b"")
                await tx.cancel("k", "k")
        assert await storage.reader().get("path/00042") == b"path/00042"
        assert await storage.reader().get("lost") is None
        await fill(storage, "after")
        await storage.close()

    asyncio.run(story())


def test_a_locked_file_is_refused_at_opening(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    asyncio.run(make(file, "a"))
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        assert "another process keeps it locked" in refused(file)
        database.execute("ROLLBACK")


def test_whoever_opens_the_file_has_patience_at_every_step_with_a_process_that_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.db"
    asyncio.run(make(file, "a"))
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    closing_slowly = threading.Timer(0.2, other.close)

    def come_between(file: Path) -> SingleThread:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        closing_slowly.start()
        return committing_thread(file)

    monkeypatch.setattr("vault.storage.sqlite.storage.committing_thread", come_between)

    async def story() -> None:
        storage = SqliteStorage.open(file, patience=60, readers_patience=0.0)
        assert await everything(storage) == {"a": b"a"}
        await storage.close()

    asyncio.run(story())
    closing_slowly.join()


def test_commits_are_synced_to_disk_through_a_write_ahead_log(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db")
        raw = storage._group.connection.raw
        assert raw.execute("PRAGMA synchronous").fetchone() == (2,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        await storage.close()

    asyncio.run(story())


def test_listing_a_big_folder_does_not_read_its_leaves(tmp_path: Path) -> None:
    async def story() -> int:
        storage = SqliteStorage.open(tmp_path / "s.db")
        await fill(storage, "a", "z", *(f"big/{number}" for number in range(20_000)))
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        storage._reader.raw.set_progress_handler(count, 10)
        assert await storage.reader().list("") == ["a", "big/", "z"]
        await storage.close()
        return steps

    assert asyncio.run(story()) < 100


def test_what_an_earlier_release_stored_at_a_path_that_is_refused_now_is_read_and_deleted(
    tmp_path: Path,
) -> None:
    file = tmp_path / "s.db"
    long = "a/" + "b" * (2 * LONGEST_PATH)

    async def story() -> None:
        await make(file, "a/c")
        with closing(sqlite3.connect(file)) as database:
            for path in (long, "a/b\0"):
                database.execute("INSERT INTO entry (path, value) VALUES (?, ?)", (path, b"1"))
            database.commit()
        storage = SqliteStorage.open(file)
        try:
            assert await storage.reader().get(long) == await storage.reader().get("a/b\0") == b"1"
            assert await storage.reader().scan("a/") == ["b\0", long[2:], "c"]
            async with storage.write() as tx:
                await tx.delete(long)
                await tx.delete("a/b\0")
            assert await everything(storage) == {"a/c": b"a/c"}
        finally:
            await storage.close()

    asyncio.run(story())
