# SPDX-License-Identifier: EUPL-1.2
"""All or nothing, one after the other."""

import asyncio

import pytest

from tests.storage.stores import Store, everything, fill, invalidate
from vault.storage.protocol import Storage, StorageFailure, Timer
from vault.values.times import Millis


async def add(storage: Storage, path: str) -> None:
    """Append one `x`, reading and writing in one transaction that pauses between the two."""
    async with storage.write() as tx:
        value = await tx.get(path) or b""
        await asyncio.sleep(0)
        await tx.put(path, value + b"x")


def test_a_transaction_sees_its_own_writes_and_nobody_else_does_before_the_end(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "old/1", "old/2")
        reader = storage.reader()
        async with storage.write() as tx:
            await tx.put("new/1", b"n")
            await tx.delete("old/1")
            assert await tx.get("new/1") == b"n"
            assert await tx.get("old/1") is None
            assert await tx.list("") == ["new/", "old/"]
            assert await tx.scan("") == ["new/1", "old/2"]
            assert await tx.delete_prefix("old/") == 1
            assert await tx.list("") == ["new/"]
            assert await reader.scan("") == ["old/1", "old/2"]
            assert await reader.get("new/1") is None
        assert await reader.scan("") == ["new/1"]

    store.play(story)


def test_writers_of_one_batch_see_what_went_before_however_they_look(store: Store) -> None:
    async def story(storage: Storage) -> None:
        seen: list[object] = []

        async def write(number: int) -> None:
            async with storage.write() as tx:
                seen.append((await tx.get("n/last"), await tx.list("n/"), await tx.scan("far/")))
                await tx.put(f"n/{number}", b"")
                await tx.put("n/last", str(number).encode())
                if number == 2:
                    assert await tx.delete_prefix("n/") == 4
                    await tx.put("n/last", b"again")
                if number == 3:
                    raise ZeroDivisionError

        await asyncio.gather(*(write(number) for number in range(5)), return_exceptions=True)
        assert seen == [
            (None, [], []),
            (b"0", ["0", "last"], []),
            (b"1", ["0", "1", "last"], []),
            (b"again", ["last"], []),
            (b"again", ["last"], []),
        ]
        assert await everything(storage) == {"n/4": b"", "n/last": b"4"}

    store.play(story)


def test_a_transaction_may_be_larger_than_what_waits_in_memory(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as tx:
            for number in range(3000):
                await tx.put(f"n/{number:04}", bytes(4000))
            assert len(await tx.list("n/")) == 3000
            await tx.delete("n/0000")
        assert len(await storage.reader().list("n/")) == 2999
        with pytest.raises(ZeroDivisionError):
            async with storage.write() as tx:
                for number in range(3000):
                    await tx.delete(f"n/{number:04}")
                raise ZeroDivisionError
        assert len(await storage.reader().list("n/")) == 2999
        async with storage.write() as tx:
            assert await tx.delete_prefix("n/") == 2999
        assert await everything(storage) == {}

    store.play(story)


def test_an_exception_undoes_everything_and_passes_through(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "keep")
        before = await invalidate(storage, "before")
        with pytest.raises(ZeroDivisionError):
            async with storage.write() as tx:
                await tx.put("lost", b"1")
                await tx.delete("keep")
                await tx.invalidate("kind", "key")
                raise ZeroDivisionError
        assert await everything(storage) == {"keep": b"keep"}
        assert await storage.news(before) == (before, [])
        await fill(storage, "after")

    store.play(story)


def test_concurrent_transactions_are_serialised(store: Store) -> None:
    async def story(storage: Storage) -> bytes | None:
        await asyncio.gather(*(add(storage, "counter") for _ in range(300)))
        return await storage.reader().get("counter")

    assert store.play(story) == b"x" * 300


def test_one_that_fails_among_many_takes_nobody_along(store: Store) -> None:
    async def write(storage: Storage, number: int) -> None:
        async with storage.write() as tx:
            await tx.put(f"n/{number:03}", b"")
            await asyncio.sleep(0)
            if number % 3 == 0:
                raise ZeroDivisionError

    async def story(storage: Storage) -> None:
        ends = await asyncio.gather(*(write(storage, n) for n in range(60)), return_exceptions=True)
        assert [type(end) for end in ends[:3]] == [ZeroDivisionError, type(None), type(None)]
        assert await storage.reader().scan("n/") == [f"{n:03}" for n in range(60) if n % 3]

    store.play(story)


def test_transactions_run_in_the_order_in_which_they_were_opened(store: Store) -> None:
    async def story(storage: Storage) -> list[int]:
        order: list[int] = []

        async def write(number: int) -> None:
            async with storage.write() as tx:
                order.append(number)
                await tx.put(str(number), b"")

        await asyncio.gather(*(write(number) for number in range(20)))
        return order

    assert store.play(story) == list(range(20))


@pytest.mark.parametrize("steps", range(12))
def test_cancelling_at_any_moment_keeps_all_or_nothing_and_blocks_nobody(store: Store, steps: int) -> None:
    async def write(storage: Storage) -> None:
        async with storage.write() as tx:
            await tx.put("pair/1", b"")
            await asyncio.sleep(0)
            await tx.put("pair/2", b"")

    async def story(storage: Storage) -> None:
        first = asyncio.create_task(add(storage, "before"))
        task = asyncio.create_task(write(storage))
        last = asyncio.create_task(add(storage, "after"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.gather(first, last)
        await add(storage, "after")
        found = await everything(storage)
        assert found.pop("before") == b"x"
        assert found.pop("after") == b"xx"
        assert sorted(found) in ([], ["pair/1", "pair/2"])

    store.play(story)


def test_a_wait_for_the_turn_can_be_given_up(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as tx:
            waiting = [asyncio.create_task(add(storage, str(n))) for n in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            waiting[2].cancel()
            await tx.put("mine", b"")
        await asyncio.wait(waiting)
        assert await storage.reader().scan("") == ["1", "mine"]

    store.play(story)


def test_a_transaction_that_has_ended_accepts_nothing(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as tx:
            await tx.put("a", b"")
        with pytest.raises(RuntimeError, match="ended"):
            await tx.put("b", b"")
        with pytest.raises(RuntimeError, match="ended"):
            await tx.get("a")
        assert await storage.reader().scan("") == ["a"]

    store.play(story)


def test_a_transaction_within_a_transaction_is_an_error_and_not_a_deadlock(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as tx:
            await tx.at(Timer("k", "a", Millis(1)))
            with pytest.raises(RuntimeError, match="already"):
                await fill(storage, "inner")
            await tx.put("outer", b"")
        await fill(storage, "next")
        assert await storage.reader().scan("") == ["next", "outer"]
        async with storage.write():
            with pytest.raises(RuntimeError, match="already"):
                await storage.claim(Millis(1), 1, Millis(1))

    store.play(story)


def test_closing_lets_those_who_came_finish_and_refuses_the_rest(store: Store) -> None:
    async def story(storage: Storage) -> None:
        came = [asyncio.create_task(add(storage, str(n))) for n in range(5)]
        await asyncio.sleep(0)
        await storage.close()
        await asyncio.gather(*came)
        with pytest.raises(StorageFailure, match="closed"):
            await fill(storage, "late")
        with pytest.raises(StorageFailure, match="closed"):
            await storage.reader().get("0")
        await storage.close()

    store.play(story)
