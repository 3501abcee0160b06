# SPDX-License-Identifier: EUPL-1.2
"""The SQLite file: private, ours, and never harmed by what goes wrong around it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.storage.stores import everything, fill
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite import SqliteStorage

ROOT = Path(__file__).parents[2]


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
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_what_was_written_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    asyncio.run(make(tmp_path / "s.db", "a", "b"))
    assert asyncio.run(read(tmp_path / "s.db")) == {"a": b"a", "b": b"b"}


def modes_in(folder: Path) -> dict[str, int]:
    """Return the permissions of every file in a folder."""
    return {item.name: stat.S_IMODE(item.stat().st_mode) for item in folder.iterdir()}


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


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-turn"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, suffix: str, mode: int) -> None:
    file = tmp_path / "s.db"
    asyncio.run(make(file, "a"))
    exposed = Path(f"{file}{suffix}")
    exposed.touch()
    exposed.chmod(mode)
    assert "chmod 600" in refused(file)


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


def test_a_write_waits_for_another_process_without_stopping_the_loop(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db", patience=30)
        with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writes = [asyncio.create_task(fill(storage, str(number))) for number in range(3)]
            for _ in range(50):
                await asyncio.sleep(0.001)
                assert await storage.reader().get("0") is None
            writes[0].cancel()
            other.execute("COMMIT")
        await asyncio.wait(writes)
        assert sorted(await everything(storage)) == ["1", "2"]
        await storage.close()

    asyncio.run(story())


def test_a_wait_that_is_too_long_fails_all_who_waited_and_the_next_succeed(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db", patience=0.05)
        with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ends = await asyncio.gather(*(fill(storage, str(n)) for n in range(3)), return_exceptions=True)
            assert ["locked" in str(end) for end in ends] == [True] * 3
        await fill(storage, "after")
        assert sorted(await everything(storage)) == ["after"]
        await storage.close()

    asyncio.run(story())


def test_a_wait_that_all_gave_up_leaves_the_file_unlocked(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db", patience=30)
        with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            write = asyncio.create_task(fill(storage, "given up"))
            await asyncio.sleep(0.01)
            write.cancel()
            await asyncio.wait([write])
            other.execute("COMMIT")
        await fill(storage, "after")
        await storage.close()
        assert sorted(await read(tmp_path / "s.db")) == ["after"]

    asyncio.run(story())


def child(*arguments: str) -> subprocess.Popen[str]:
    """Start `tests.storage.child`."""
    command = [sys.executable, "-m", "tests.storage.child", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_that_share_a_file_are_serialised(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    children = [child("count", str(file), "400") for _ in range(3)]
    assert [process.communicate()[0] for process in children] == ["", "", ""]
    assert [process.returncode for process in children] == [0, 0, 0]
    assert asyncio.run(read(file)) == {"counter": b"1200"}


def test_a_full_disk_fails_writes_keeps_what_was_acknowledged_and_recovers(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    with child("fill", str(file)) as process:
        said = process.communicate()[0].splitlines()
    assert process.returncode == 0
    failures = [line for line in said if line.startswith("failure")]
    assert failures
    assert all(str(file) in line and ("full" in line or "rolled back" in line) for line in failures)
    assert "readable" in said
    acknowledged = {line.removeprefix("wrote ") for line in said if line.startswith("wrote")}
    assert len(acknowledged) > 2
    found = asyncio.run(read(file))
    assert {path.partition("/")[0] for path in found} == acknowledged | {"first"}
    assert all(f"{name}/{side}" in found for name in acknowledged for side in ("left", "right"))


def test_no_room_in_the_database_fails_the_batch_and_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db")
        await fill(storage, "before")
        storage._group.connection.raw.execute("PRAGMA max_page_count=20")

        async def write(number: int) -> None:
            async with storage.write() as tx:
                await tx.put(f"large/{number}", bytes(20_000))

        ends = await asyncio.gather(*(write(number) for number in range(10)), return_exceptions=True)
        assert any("the disk is full" in str(end) for end in ends)
        kept = [str(number) for number, end in enumerate(ends) if end is None]
        assert await storage.reader().scan("large/") == kept
        storage._group.connection.raw.execute("PRAGMA max_page_count=100000")
        await write(99)
        assert await storage.reader().get("before") == b"before"
        await storage.close()

    asyncio.run(story())


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
