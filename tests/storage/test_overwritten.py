# SPDX-License-Identifier: EUPL-1.2
"""Files that are written to by something else than SQLite while a storage has them open, under their own names."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.copying import backed_up, restored
from tests.storage.stores import everything, fill
from vault.storage.protocol import StorageFailure, StorageLost
from vault.storage.sqlite.storage import SqliteStorage


def named(file: Path, end: str = "") -> Path:
    return Path(f"{file}{end}")


def checkpoint(file: Path, how: str = "PASSIVE") -> None:
    """Bring the journal into the database, as SQLite does now and then."""
    with closing(sqlite3.connect(file, timeout=60)) as other:
        other.execute(f"PRAGMA wal_checkpoint({how})")


def shell(command: str, file: Path) -> None:
    """Let another process do it: one that closes a file of its own loses its locks on it."""
    subprocess.run(["sh", "-euc", command, "sh", str(file)], check=True, stderr=subprocess.DEVNULL)


CHANGES = {
    "copied over": 'cp "$1.backup" "$1"',
    "cut": ': > "$1"',
    "spoiled": 'dd if=/dev/zero of="$1" bs=4096 seek=1 count=1 conv=notrunc',
    "journal cut": ': > "$1-wal"',
    "journal halved": 'truncate -s $(($(stat -c %s "$1-wal") / 2)) "$1-wal"',
    "journal with a hole": 'size=$(stat -c %s "$1-wal"); : > "$1-wal"; truncate -s $((size + 4096)) "$1-wal"',
    "journal of another": 'head -c 8 /dev/urandom | dd of="$1-wal" bs=1 seek=16 conv=notrunc',
}
"""By name; the hole is of a journal that grew again before anybody looked."""


@pytest.mark.parametrize("first", ["check", "write"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_something_else_wrote_to_is_refused_and_left_as_it_is(
    tmp_path: Path, change: str, first: str
) -> None:
    file = tmp_path / "s.db"

    async def story() -> None:
        storage = SqliteStorage.open(file)
        await fill(storage, *map(str, range(300)))
        with (
            closing(sqlite3.connect(file)) as source,
            closing(sqlite3.connect(named(file, ".backup"))) as target,
        ):
            source.backup(target)
        signed = named(file, ".signed")
        backed_up(file, signed)
        await fill(storage, "a")
        checkpoint(file)
        await fill(storage, "b")
        await storage.check()
        shell(CHANGES[change], file)
        if first == "check":
            with pytest.raises(StorageLost, match="something else than SQLite wrote to the file, or cut it"):
                await storage.check()
        for _ in range(2):
            with pytest.raises(StorageLost):
                await fill(storage, "c")
            with pytest.raises(StorageLost):
                await storage.reader().get("new")
            with pytest.raises(StorageLost):
                await storage.check()
        left = [named(file, end).read_bytes() for end in ("", "-wal")]
        await storage.close()
        assert [named(file, end).read_bytes() for end in ("", "-wal")] == left, "nothing is brought into it"
        for refused in (lambda: SqliteStorage.open(file), lambda: backed_up(file, named(file, ".new"))):
            with pytest.raises(StorageFailure, match=r"or remove .*-lost to take what is left"):
                refused()
        await asyncio.to_thread(restored, signed, file)
        storage = SqliteStorage.open(file)
        assert len(await everything(storage)) == 300
        await storage.close()

    asyncio.run(story())


def test_a_database_that_is_touched_by_its_own_programs_alone_is_never_refused(tmp_path: Path) -> None:
    """Commits, checkpoints of each kind by each of them, readers that are in the way: looked at a thousand times a second."""
    file, chance = tmp_path / "s.db", random.Random(7)

    async def story() -> None:
        storages = [SqliteStorage.open(file), SqliteStorage.open(file)]
        expected: dict[str, bytes | None] = {}
        ended = False

        async def look(storage: SqliteStorage) -> int:
            looks = 0
            while not ended:
                await storage.check()
                looks += 1
                await asyncio.sleep(0.001)  # a slow disk would make it hundreds of thousands
            return looks

        looking = [asyncio.create_task(look(storage)) for storage in storages]
        for number in range(150):
            paths = [f"{number}/{n}" for n in range(chance.choice((1, 1, 30, 400)))]
            await fill(chance.choice(storages), *paths)
            expected |= {path: path.encode() for path in paths}
            how = chance.choice(("PASSIVE", "FULL", "RESTART", "TRUNCATE", ""))
            if how:
                await asyncio.to_thread(checkpoint, file, how)
            if chance.random() < 0.2:
                async with storages[0].write() as tx:
                    for path in list(expected)[: len(expected) // 2]:
                        await tx.delete(path)
                        del expected[path]
        ended = True
        assert all(looks > 50 for looks in await asyncio.gather(*looking))
        for storage in storages:
            assert await everything(storage) == expected
            await storage.close()

    asyncio.run(story())


HARMLESS = {
    "read": 'cat "$1" "$1-wal" "$1-shm" > /dev/null',
    "copied away": 'for end in "" -wal -shm; do cp -p "$1$end" "$1.away$end"; done',
    "rights": 'chmod 640 "$1"; chmod 600 "$1"',
    "linked": 'ln "$1" "$1.linked"; rm "$1.linked"',
    "opened to write": 'exec 3<> "$1" 4<> "$1-wal"; head -c 4096 <&3 > /dev/null; sync "$1"',
    "time of reading": 'touch -a "$1"',
    "time of the journal": 'touch "$1-wal" "$1-shm"',
    "moved and back": 'mv "$1" "$1.away"; mv "$1.away" "$1"',
}


@pytest.mark.parametrize("deed", HARMLESS)
def test_what_writes_nothing_is_no_stranger(tmp_path: Path, deed: str) -> None:
    """A scanner of files, a backup of the machine, an administrator who looks."""
    file = tmp_path / "s.db"

    async def story() -> None:
        storage = SqliteStorage.open(file)
        await fill(storage, "a")
        checkpoint(file)
        await storage.check()
        shell(HARMLESS[deed], file)
        await storage.check()
        await fill(storage, "b")
        await storage.close()
        assert not named(file, "-lost").exists()

    asyncio.run(story())


def test_a_time_that_was_set_counts_as_a_write_and_without_the_mark_all_is_there(tmp_path: Path) -> None:
    """Nothing tells it from one; so it has to be easy to undo."""
    file = tmp_path / "s.db"

    async def story() -> None:
        storage = SqliteStorage.open(file)
        await fill(storage, "a")
        checkpoint(file)
        await fill(storage, "b")
        await storage.check()
        shell('touch "$1"', file)
        with pytest.raises(StorageLost):
            await storage.check()
        await storage.close()
        named(file, "-lost").unlink()
        storage = SqliteStorage.open(file)
        assert set(await everything(storage)) == {"a", "b"}
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize("state", ["cut off", "crashed"])
def test_a_checkpoint_that_did_not_end_is_no_stranger(tmp_path: Path, state: str) -> None:
    """A full disk ends one, and so does a kill: pages are written then, and the index says only that it had begun."""
    file = tmp_path / "s.db"

    async def story() -> None:
        storage = SqliteStorage.open(file)
        await fill(storage, *map(str, range(300)))
        await storage.check()
        shell('dd if="$1-shm" bs=4 skip=4 count=1 | dd of="$1-shm" bs=4 seek=32 conv=notrunc', file)
        if state == "cut off":
            shell('dd if="$1" bs=4096 count=1 | dd of="$1" conv=notrunc', file)
        await storage.check()
        await fill(storage, "a")
        checkpoint(file)
        await fill(storage, "b")
        await storage.check()
        shell(CHANGES["spoiled"], file)
        with pytest.raises(StorageFailure):
            await storage.check()
        await storage.close()

    asyncio.run(story())
