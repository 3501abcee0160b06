# SPDX-License-Identifier: EUPL-1.2
"""A failure at any statement: nothing of the transaction is kept, and the storage goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.storage.stores import Fault, Store, everything, fill, invalidate
from vault.storage.protocol import Storage, StorageFailure, Timer
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.times import Millis

STATEMENTS = 28
"""At least as many as the scripted transaction has on any storage; checked by the test."""


async def script(storage: Storage) -> None:
    """Do everything that a transaction can do."""
    async with storage.write() as tx:
        await tx.get("old")
        await tx.put("new/1", b"1")
        await tx.put("new/2", b"2")
        await tx.list("new/")
        await tx.scan("")
        await tx.delete("old")
        assert await tx.delete_some("tree/", 1)
        await tx.delete_prefix("tree/")
        await tx.at(Timer("k", "new", Millis(5)))
        await tx.cancel("k", "old")
        await tx.invalidate("kind", "key")
        await tx.invalidate("kind", "other")


async def prepare(storage: Storage) -> int:
    """Set the scene for `script`; return its epoch."""
    await fill(storage, "old", "tree/1", "tree/2")
    async with storage.write() as tx:
        await tx.at(Timer("k", "old", Millis(3)))
    return await invalidate(storage, "scene")


async def assert_untouched(storage: Storage, scene: int) -> None:
    """Check that the scene is as it was prepared."""
    assert sorted(await everything(storage)) == ["old", "tree/1", "tree/2"]
    assert await storage.next_due() == 3
    assert await storage.news(scene) == (scene, [])


async def assert_done(storage: Storage, scene: int) -> None:
    """Check that `script` is there whole, once."""
    assert sorted(await everything(storage)) == ["new/1", "new/2"]
    assert await storage.next_due() == 5
    _, changes = await storage.news(scene)
    assert changes is not None
    assert [change.key for change in changes] == ["key", "other"]
    assert scene < changes[0].epoch == changes[1].epoch


@pytest.mark.parametrize("at", range(STATEMENTS))
def test_a_failure_at_any_statement_keeps_nothing_and_the_storage_goes_on(store: Store, at: int) -> None:
    fault = Fault(at)

    async def story(storage: Storage) -> None:
        scene = await prepare(storage)
        fault.armed = True
        if len(await count_statements(store)) <= at:
            return
        with pytest.raises(StorageFailure, match="injected"):
            await script(storage)
        fault.armed = False
        assert fault.hits == 1
        await assert_untouched(storage, scene)
        await script(storage)
        await assert_done(storage, scene)

    store.play(story, fault)


async def count_statements(store: Store) -> list[str]:
    """Return the statements of the scripted transaction."""
    count = Fault()
    storage = store.open(count)
    await prepare(storage)
    count.armed = True
    await script(storage)
    count.armed = False
    await storage.close()
    return count.seen


def test_the_faults_cover_every_statement_of_the_script(store: Store) -> None:
    seen = asyncio.run(count_statements(store))
    assert 12 <= len(seen) <= STATEMENTS
    assert {
        "get",
        "put",
        "list",
        "scan",
        "delete",
        "delete_prefix",
        "delete_some",
        "at",
        "cancel",
        "commit",
    } <= set(seen)


@pytest.mark.parametrize("at", range(STATEMENTS))
def test_a_swallowed_failure_cannot_be_committed(store: Store, at: int) -> None:
    fault = Fault(at)

    async def story(storage: Storage) -> None:
        fault.armed = True
        with pytest.raises(StorageFailure, match="injected"):
            async with storage.write() as tx:
                for number in range(STATEMENTS):
                    try:
                        await tx.put(str(number), b"")
                    except StorageFailure:
                        continue
        fault.armed = False
        assert await everything(storage) == {}
        await fill(storage, "after")

    store.play(story, fault)


def test_a_failed_commit_fails_everyone_in_the_batch_and_the_next_batch_works(store: Store) -> None:
    fault = Fault(-1, "commit")

    async def story(storage: Storage) -> None:
        fault.armed = True
        ends = await asyncio.gather(*(fill(storage, str(n)) for n in range(20)), return_exceptions=True)
        assert Counter(type(end) for end in ends) == {StorageFailure: 20}
        fault.armed = False
        assert await everything(storage) == {}
        await fill(storage, "after")
        assert sorted(await everything(storage)) == ["after"]

    store.play(story, fault)


def test_a_batch_that_cannot_be_brought_in_fails_everyone_and_the_next_batch_works(tmp_path: Path) -> None:
    async def story() -> None:
        fault = Fault(-1, "apply")
        storage = SqliteStorage.open(tmp_path / "s.db", on_statement=fault)
        fault.armed = True
        ends = await asyncio.gather(*(fill(storage, str(n)) for n in range(20)), return_exceptions=True)
        assert Counter(type(end) for end in ends) == {StorageFailure: 20}
        fault.armed = False
        await fill(storage, "after")
        assert sorted(await everything(storage)) == ["after"]
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize("statement", ["apply", "commit"])
def test_a_defect_where_a_batch_ends_fails_everyone_and_the_next_batch_works(
    tmp_path: Path, statement: str
) -> None:
    armed = True

    def defect(name: str) -> None:
        if armed and name == statement:
            raise MemoryError

    async def story() -> None:
        nonlocal armed
        storage = SqliteStorage.open(tmp_path / "s.db", on_statement=defect)
        ends = await asyncio.gather(*(fill(storage, str(n)) for n in range(20)), return_exceptions=True)
        assert Counter(type(end) for end in ends) == {StorageFailure: 20}
        armed = False
        await fill(storage, "after")
        assert sorted(await everything(storage)) == ["after"]
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize("due", [1 << 63, -(1 << 63) - 1])
def test_a_timer_that_sqlite_cannot_hold_is_refused_where_it_is_set(tmp_path: Path, due: Millis) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db")
        with pytest.raises(OverflowError):
            async with storage.write() as tx:
                await tx.at(Timer("kind", "key", due))
        await fill(storage, "after")
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    "names", [("rollback_to",), ("release",), ("rollback_to", "rollback"), ("savepoint",)]
)
def test_a_rollback_that_fails_costs_its_batch_and_nothing_else(store: Store, names: tuple[str, ...]) -> None:
    fault = Fault(-1, *names)

    async def write(storage: Storage, number: int) -> None:
        async with storage.write() as tx:
            await tx.put(f"batch/{number}", b"")
            await asyncio.sleep(0)
            await tx.list("batch/")
            if number == 2:
                raise ZeroDivisionError

    async def story(storage: Storage) -> None:
        await fill(storage, "before")
        fault.armed = True
        ends = await asyncio.gather(*(write(storage, n) for n in range(5)), return_exceptions=True)
        fault.armed = False
        found = sorted(await everything(storage))
        assert found == sorted(["before", *(f"batch/{n}" for n, end in enumerate(ends) if end is None)])
        await asyncio.gather(*(fill(storage, f"after/{n}") for n in range(5)))
        assert len(await storage.reader().scan("after/")) == 5

    store.play(story, fault)


@pytest.mark.parametrize("name", ["get", "list", "scan", "claim", "next_due", "news"])
def test_a_failed_read_leaves_the_reader_usable(store: Store, name: str) -> None:
    fault = Fault(-1, name)

    async def read(storage: Storage) -> None:
        reader = storage.reader()
        await reader.get("old")
        await reader.list("")
        await reader.scan("")
        await storage.claim(Millis(3), 1, hold=Millis(0))
        await storage.next_due()
        await storage.news(1)

    async def story(storage: Storage) -> None:
        scene = await prepare(storage)
        fault.armed = True
        with pytest.raises(StorageFailure, match="injected"):
            await read(storage)
        fault.armed = False
        await read(storage)
        await assert_untouched(storage, scene)

    store.play(story, fault)
