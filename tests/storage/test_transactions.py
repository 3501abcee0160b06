# SPDX-License-Identifier: EUPL-1.2
"""All or nothing, one after the other."""

import asyncio

import pytest

from tests.storage.stores import Store, everything, fill, invalidate
from vault.storage.protocol import CommitRefused, Storage, StorageFailure, Timer
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
                await storage.claim(Millis(1), 1, hold=Millis(1))

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


@pytest.mark.parametrize("optimistic", [False, True])
def test_what_is_asked_before_a_commit_comes_behind_the_writes_and_before_anybody_sees_them(
    store: Store, *, optimistic: bool
) -> None:
    async def story(storage: Storage) -> None:
        seen: list[str] = []

        async def write(number: int) -> None:
            async with storage.write(optimistic=optimistic) as tx:
                tx.before_commit(look)
                await tx.put(f"n/{number}", b"")
                seen.append(f"put {number}")
            seen.append(f"kept {number}")

        def look() -> None:
            seen.append("look")

        await asyncio.gather(*(write(number) for number in range(3)))
        assert await storage.reader().scan("n/") == ["0", "1", "2"]
        for number in range(3):
            put, kept = seen.index(f"put {number}"), seen.index(f"kept {number}")
            assert "look" in seen[put:kept]

    store.play(story)


@pytest.mark.parametrize("optimistic", [False, True])
def test_who_refuses_a_commit_undoes_it_for_all_who_share_it_and_for_nobody_else(
    store: Store, *, optimistic: bool
) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "old")

        def refuse() -> None:
            raise CommitRefused("no")

        async def write(number: int) -> None:
            async with storage.write(optimistic=optimistic) as tx:
                tx.before_commit(refuse)
                await tx.put(f"n/{number}", b"")
                await tx.delete("old")
                await tx.invalidate("kind", "key")

        epoch = await storage.news(0)
        refused = await asyncio.gather(*(write(number) for number in range(3)), return_exceptions=True)
        assert [(type(one), str(one)) for one in refused] == [(CommitRefused, "no")] * 3
        assert await storage.reader().scan("") == ["old"] and await storage.news(0) == epoch
        await fill(storage, "new")
        assert await storage.reader().scan("") == ["new", "old"]

    store.play(story)


def test_a_transaction_tells_whether_it_makes_anything_untrue(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as quiet:
            await quiet.put("a", b"")
        async with storage.write() as loud:
            assert not loud.outdates
            await loud.invalidate("kind", "key")
        assert (quiet.outdates, loud.outdates) == (False, True)

    store.play(story)


def test_what_a_transaction_found_once_is_found_again_whatever_it_did_meanwhile(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "a/1", "a/2", "b", *(f"many/{number}" for number in range(40)))
        await invalidate(storage, "x")  # from here on there is an epoch
        async with storage.write() as tx:
            found = [await tx.get("a/1"), await tx.get("a/2"), await tx.get("b"), await tx.get("many/7")]
            assert found == [b"a/1", b"a/2", b"b", b"many/7"]
            await tx.put("a/1", b"new")
            assert await tx.list("a/") == ["1", "2"]  # what was written is given to SQLite for this
            assert [await tx.get("a/1"), await tx.get("a/2"), await tx.has("b")] == [b"new", b"a/2", True]
            await tx.delete("b")
            assert await tx.delete_prefix("many/") == 40
            assert [await tx.get("b"), await tx.get("many/7"), await tx.has("many/8")] == [None, None, False]
            await tx.put("many/7", b"again")
            assert [await tx.get("many/7"), await tx.scan("")] == [b"again", ["a/1", "a/2", "many/7"]]
        assert await storage.reader().scan("") == ["a/1", "a/2", "many/7"]

    store.play(story)
