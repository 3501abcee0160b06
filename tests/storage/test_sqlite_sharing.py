# SPDX-License-Identifier: EUPL-1.2
"""The SQLite file shared with other processes, and on a disk that fills up."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.storage.stores import Fault, everything, fill
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.storage import SqliteStorage
from vault.storage.sqlite.turnstile import Turnstile

ROOT = Path(__file__).parents[2]


async def read(file: Path) -> dict[str, bytes | None]:
    """Open a storage file and read all of it."""
    storage = SqliteStorage.open(file)
    try:
        return await everything(storage)
    finally:
        await storage.close()


def test_a_write_waits_for_another_process_without_stopping_the_loop(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db", patience=120)
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
        storage = SqliteStorage.open(tmp_path / "s.db", patience=120)
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


async def _fill_at_last(storage: SqliteStorage, path: str) -> None:
    """Write, again where this machine was slower than the storage is patient."""
    for _ in range(100):
        with suppress(StorageFailure):
            return await fill(storage, path)
    raise AssertionError


def test_a_process_that_hangs_in_its_commit_keeps_nobody_waiting_for_longer_than_patience(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db", patience=0.1)
        other = Turnstile(tmp_path / "s.db")
        for _ in range(3):
            await asyncio.to_thread(other.enter, 60)  # whoever gave up lets others in
            for _ in range(2):
                with pytest.raises(StorageFailure, match="another process keeps it locked"):
                    await fill(storage, "refused")
            write = asyncio.create_task(_fill_at_last(storage, "patient"))
            await asyncio.sleep(0.02)
            other.leave()
            await write
        await asyncio.to_thread(other.enter, 60)
        with pytest.raises(StorageFailure, match="another process keeps it locked"):
            await fill(storage, "refused")
        other.leave()
        await asyncio.to_thread(other.enter, 60)
        other.leave()
        assert sorted(await everything(storage)) == ["patient"]
        other.close()
        await storage.close()

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


def test_a_batch_that_cannot_begin_fails_those_who_waited_for_it_and_no_later_ones(tmp_path: Path) -> None:
    fault = Fault(-1, "begin")

    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db", on_statement=fault)
        async with storage.write() as tx:
            waiting = [asyncio.create_task(fill(storage, str(number))) for number in range(3)]
            await asyncio.sleep(0)
            await tx.invalidate("kind", "key")
            fault.armed = True
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(end) for end in ends] == ["injected at begin"] * 3
        fault.armed = False
        await fill(storage, "after")
        assert sorted(await everything(storage)) == ["after"]
        await storage.close()

    asyncio.run(story())


_DAMAGED = "import sys; index = open(sys.argv[1], 'r+b'); index.seek(8); index.write(bytes(4 * [255]))"


def _die_while_committing(file: Path) -> None:
    """Leave the journal's index as a process does that dies between the two copies of its head; SQLite makes it again."""
    subprocess.run([sys.executable, "-c", _DAMAGED, f"{file}-shm"], check=True)


def test_a_commit_of_another_process_is_seen_behind_ours_though_the_index_began_anew(tmp_path: Path) -> None:
    async def story() -> None:
        file = tmp_path / "s.db"
        storage, other = SqliteStorage.open(file), SqliteStorage.open(file)
        await fill(storage, "a")
        _die_while_committing(file)
        assert await storage.reader().get("b") is None
        await fill(storage, "b")  # the first that is counted
        assert await storage.reader().get("b") == b"b"
        _die_while_committing(file)
        async with other.write() as tx:  # and so is this one
            await tx.put("b", b"theirs")
        assert await storage.reader().get("b") == b"theirs"
        await storage.close()
        await other.close()

    asyncio.run(story())
