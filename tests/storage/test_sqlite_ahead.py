# SPDX-License-Identifier: EUPL-1.2
"""The next batch of a SQLite file is open while the disk is busy with the one before."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import accumulate, chain, cycle
from pathlib import Path

import pytest

from tests.storage.stores import everything, fill, invalidate
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.storage import SqliteStorage
from vault.storage.sqlite.turnstile import Turnstile


class Disk:
    """Keeps the next COMMIT waiting from `hold` to `go_on`, and fails it with `fails`."""

    def __init__(self) -> None:
        self.fails = False
        self.sizes: list[int] = []
        self.storage: SqliteStorage | None = None
        self._free = threading.Event()
        self._free.set()
        self._reached = threading.Event()

    def __call__(self, statement: str) -> None:
        """Stand before each statement."""
        if statement == "commit":
            batch = self.storage._group._committing if self.storage else None
            self.sizes.append(batch.size if batch else 0)
            self._reached.set()
            self._free.wait()
            if self.fails:
                raise StorageFailure("the disk failed")

    def hold(self) -> None:
        """Let the next COMMIT wait."""
        self._reached.clear()
        self._free.clear()

    def go_on(self) -> None:
        """Let it happen."""
        self._free.set()

    async def busy(self) -> None:
        """Return once a COMMIT waits."""
        await asyncio.to_thread(self._reached.wait)


Story = Callable[[SqliteStorage, Disk], Awaitable[None]]
Play = Callable[[Story], None]


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Return a disk that is free again at the end, however that comes."""
    disk = Disk()
    yield disk
    disk.go_on()


@pytest.fixture
def play(tmp_path: Path, disk: Disk) -> Play:
    """Return what plays a story on a new file."""

    async def whole(story: Story) -> None:
        storage = SqliteStorage.open(tmp_path / "s.db", on_statement=disk)
        disk.storage = storage
        try:
            await story(storage, disk)
        finally:
            disk.go_on()
            await storage.close()

    return lambda story: asyncio.run(whole(story))


async def held(storage: SqliteStorage, disk: Disk, *paths: str) -> asyncio.Task[None]:
    """Begin to commit a batch that writes these paths, and return who waits for it."""
    disk.hold()
    first = asyncio.create_task(fill(storage, *paths))
    await disk.busy()
    return first


async def turns() -> None:
    """Let everybody go as far as they can without the disk."""
    for _ in range(50):
        await asyncio.sleep(0)


async def change(storage: SqliteStorage) -> None:
    """Remove `old` and put `new` in its place."""
    async with storage.write() as tx:
        await tx.delete("old")
        await tx.put("new", b"1")


def test_what_is_being_committed_is_seen_by_the_next_writer_and_by_no_reader(play: Play) -> None:
    seen: list[object] = []

    async def follow(storage: SqliteStorage) -> None:
        async with storage.write() as tx:
            seen.extend([await tx.get("old"), await tx.get("new"), await tx.list("other/")])
            await tx.put("new", b"2")

    async def story(storage: SqliteStorage, disk: Disk) -> None:
        await fill(storage, "old", "other/one")
        disk.hold()
        first = asyncio.create_task(change(storage))
        await disk.busy()
        second = asyncio.create_task(follow(storage))
        await turns()
        assert seen == [None, b"1", ["one"]]
        assert await storage.reader().get("new") is None
        assert [first.done(), second.done()] == [False, False]
        disk.go_on()
        await asyncio.gather(first, second)
        assert await everything(storage) == {"new": b"2", "other/one": b"other/one"}

    play(story)


def test_a_commit_that_fails_takes_those_with_it_who_saw_what_it_was_to_bring(play: Play) -> None:
    inside = asyncio.Event()

    async def slow(storage: SqliteStorage) -> None:
        async with storage.write() as tx:
            await tx.put("third", b"")
            inside.set()
            await turns()
            await asyncio.sleep(0.01)
            await tx.get("elsewhere")

    async def story(storage: SqliteStorage, disk: Disk) -> None:
        disk.fails = True
        first = await held(storage, disk, "first")
        tasks = [first, asyncio.create_task(fill(storage, "second")), asyncio.create_task(slow(storage))]
        await inside.wait()
        disk.go_on()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [StorageFailure] * 3
        assert disk.sizes == [1]
        disk.fails = False
        await fill(storage, "after")
        assert sorted(await everything(storage)) == ["after"]

    play(story)


def test_who_leaves_without_a_trace_meanwhile_leaves_none(play: Play) -> None:
    async def leave(storage: SqliteStorage) -> None:
        async with storage.write() as tx:
            await tx.put("lost", b"")
            raise ZeroDivisionError

    async def story(storage: SqliteStorage, disk: Disk) -> None:
        first = await held(storage, disk, "first")
        with pytest.raises(ZeroDivisionError):
            await leave(storage)
        second = asyncio.create_task(fill(storage, "second"))
        disk.go_on()
        await asyncio.gather(first, second)
        assert sorted(await everything(storage)) == ["first", "second"]

    play(story)


@pytest.mark.parametrize("own", ["", "n/own"])
def test_who_looks_below_what_is_being_committed_waits_for_it(play: Play, own: str) -> None:
    found: list[Sequence[str]] = []

    async def look(storage: SqliteStorage) -> None:
        async with storage.write() as tx:
            if own:
                await tx.put(own, b"")
            found.append(await tx.list("n/"))

    async def story(storage: SqliteStorage, disk: Disk) -> None:
        first = await held(storage, disk, "n/first")
        looking = asyncio.create_task(look(storage))
        await turns()
        assert not found
        disk.go_on()
        await asyncio.gather(first, looking)
        assert found == [["first", "own"] if own else ["first"]]

    play(story)


def test_what_becomes_untrue_is_durable_before_anybody_goes_on(play: Play) -> None:
    async def revoke(storage: SqliteStorage) -> None:
        async with storage.write() as tx:
            await tx.invalidate("kind", "key")

    async def epoch(storage: SqliteStorage) -> int:
        async with storage.write() as tx:
            await tx.get("anything")
            return tx.epoch

    async def story(storage: SqliteStorage, disk: Disk) -> None:
        before = await invalidate(storage, "before")
        disk.hold()
        first = asyncio.create_task(revoke(storage))
        await disk.busy()
        second = asyncio.create_task(epoch(storage))
        await turns()
        assert not second.done()
        disk.go_on()
        await first
        assert await second > before

    play(story)


def test_no_other_process_comes_in_between_and_one_that_waits_is_next(play: Play, tmp_path: Path) -> None:
    async def story(storage: SqliteStorage, disk: Disk) -> None:
        other = Turnstile(tmp_path / "s.db")
        first = await held(storage, disk, "first")
        assert not other.enter_now()
        second = asyncio.create_task(fill(storage, "second"))
        await turns()
        disk.go_on()
        await asyncio.gather(first, second)
        async with storage.write() as tx:
            assert other.enter_now()
            fourth = asyncio.create_task(fill(storage, "fourth"))
            await tx.put("third", b"")
        await turns()
        assert not fourth.done()
        other.leave()
        await fourth
        other.close()

    play(story)


def test_nothing_stands_on_a_commit_that_was_not_the_last(play: Play, tmp_path: Path) -> None:
    async def story(storage: SqliteStorage, disk: Disk) -> None:
        first = await held(storage, disk, "first")
        second = asyncio.create_task(fill(storage, "second"))
        await turns()
        begin = storage._group._begin

        def come_first() -> bool:
            with closing(sqlite3.connect(tmp_path / "s.db")) as other, other:
                other.execute("UPDATE head SET stamp = 7")
            return begin()

        storage._group._begin = come_first  # type: ignore[method-assign]  # somebody commits just before
        disk.go_on()
        with pytest.raises(StorageFailure, match="another process came first"):
            await second
        storage._group._begin = begin  # type: ignore[method-assign]  # as above
        await first
        await fill(storage, "after")
        assert sorted(await everything(storage)) == ["after", "first"]

    play(story)


@pytest.mark.parametrize(
    ("lasts", "sizes"), [(1.0, [1, 1, 9, 9]), (1000.0, [1, 1, 9, 5, 4])], ids=["all", "half"]
)
def test_those_who_keep_coming_share_a_commit_as_far_as_it_is_short(
    tmp_path: Path, disk: Disk, lasts: float, sizes: Sequence[int]
) -> None:
    """Half of them, where it lasts as long as a thousand writes."""
    times = accumulate(chain([0.0], cycle([1.0, lasts])))  # the beginning, then each commit's begin and end

    async def again(storage: SqliteStorage, number: int) -> None:
        await fill(storage, f"first/{number}")
        for _ in range(number % 3):
            await asyncio.sleep(0)
        await fill(storage, f"second/{number}")

    async def story() -> None:
        disk.storage = storage = SqliteStorage.open(
            tmp_path / "s.db", on_statement=disk, clock=partial(next, times)
        )
        await fill(storage, "alone")
        first = await held(storage, disk, "before")
        others = [asyncio.create_task(again(storage, number)) for number in range(9)]
        await turns()
        disk.go_on()
        await asyncio.gather(first, *others)
        assert disk.sizes == sizes
        await storage.close()

    asyncio.run(story())


def test_a_batch_that_fails_before_its_commit_leaves_nothing_to_take_another_process_s_commit_for(
    tmp_path: Path,
) -> None:
    file = tmp_path / "s.db"
    found: list[tuple[bytes | None, int]] = []
    failing = False

    def intrude() -> None:
        """Commit from elsewhere, and read in the same turn of the event loop."""
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE entry SET value = x'32' WHERE path = 'row'")
            other.execute("UPDATE head SET epoch = epoch + 1, stamp = 7")
            other.execute("COMMIT")
        reader = storage.reader()
        with pytest.raises(StopIteration) as ended:
            reader.get("row").__await__().__next__()
        found.append((ended.value.value, reader.epoch))

    def fail(statement: str) -> None:
        nonlocal failing
        if failing and statement == "apply":
            failing = False
            asyncio.get_running_loop().call_soon(intrude)
            raise StorageFailure("the disk is full")

    storage = SqliteStorage.open(file, on_statement=fail)

    async def story() -> None:
        nonlocal failing
        await fill(storage, "row", "other")
        reader = storage.reader()
        await reader.get("row")
        failing = True
        with pytest.raises(StorageFailure):
            await fill(storage, "another")
        assert found == [(b"2", reader.epoch + 1)]
        await storage.close()

    asyncio.run(story())
