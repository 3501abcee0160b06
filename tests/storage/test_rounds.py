# SPDX-License-Identifier: EUPL-1.2
"""What is removed by rounds: the first rows of a folder, so many at once as nobody waits long for, until none are left."""

import asyncio

import pytest

from tests.storage.stores import Store, everything, fill, until_kept
from vault.storage.protocol import MOST_REMOVED, Storage

ROWS = 150
"""More than any storage removes one by one."""


@pytest.mark.parametrize("optimistic", [False, True])
@pytest.mark.parametrize("limit", [1, 7, 15, 16, 17, 64, 65, 140, ROWS - 1, ROWS, ROWS + 1])
def test_the_first_rows_go_and_it_is_told_whether_any_are_left(
    store: Store, limit: int, *, optimistic: bool
) -> None:
    paths = [f"a/{number:03}" for number in range(ROWS)]

    async def story(storage: Storage) -> None:
        await fill(storage, "a", "a0", "a-/x", *paths)
        if optimistic:
            last, _ = await until_kept(storage, lambda tx: tx.delete_some("a/", limit))
        else:
            async with storage.write() as tx:
                last = await tx.delete_some("a/", limit)
        assert last == (f"{limit - 1:03}" if limit < ROWS else "")
        assert sorted(await everything(storage)) == sorted(["a", "a0", "a-/x", *paths[limit:]])

    store.play(story)


def test_what_a_transaction_wrote_itself_counts_and_goes_too(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, *(f"a/{number:03}" for number in range(0, 40, 2)), "b")
        async with storage.write() as tx:
            for number in range(1, 40, 2):
                await tx.put(f"a/{number:03}", b"")
            await tx.delete("a/000")
            assert await tx.delete_some("a/", 30) == "030"
            assert await tx.scan("a/") == [f"{number:03}" for number in range(31, 40)]
            assert not await tx.delete_some("a/", 9)
            assert not await tx.delete_some("a/", 9)
        assert sorted(await everything(storage)) == ["b"]

    store.play(story)


def test_rounds_go_on_until_nothing_is_left_and_others_write_in_between(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, *(f"a/{number:03}" for number in range(ROWS)))
        last, rounds = "", ["000"]
        while rounds[-1]:
            async with storage.write() as tx:
                last = await tx.delete_some("a/", 40, after=last)
            await fill(storage, f"b/{len(rounds)}")
            rounds.append(last)
        assert rounds == ["000", "039", "079", "119", ""]
        assert sorted(await everything(storage)) == ["b/1", "b/2", "b/3", "b/4"]

    store.play(story)


def test_of_long_values_fewer_go_at_once_and_at_least_one(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as tx:
            for number in range(20):
                await tx.put(f"a/{number:02}", bytes(MOST_REMOVED // 4 + 1))
            await tx.put("a/99", b"")
        left = []
        for _ in range(2):
            async with storage.write() as tx:
                assert await tx.delete_some("a/", 1000)
            left.append(len(await storage.reader().scan("a/")))
        assert left == [17, 13]

    store.play(story)


@pytest.mark.parametrize("count", [10, ROWS])
def test_what_is_before_where_it_goes_on_stays(store: Store, count: int) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, *(f"a/{number:03}" for number in range(count)), "b/1")
        found, _ = await until_kept(storage, lambda tx: tx.delete_some("a/", count, after="001"))
        assert not found and sorted(await everything(storage)) == ["a/000", "a/001", "b/1"]

    store.play(story)


def test_below_what_is_no_text_there_is_nothing(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "a/1")
        async with storage.write() as tx:
            assert not await tx.delete_some("\ud800/", 1)
            assert not await tx.delete_some("none/", 1)
        assert sorted(await everything(storage)) == ["a/1"]

    store.play(story)


def test_who_undoes_a_round_has_removed_nothing(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, *(f"a/{number:03}" for number in range(ROWS)))
        with pytest.raises(ZeroDivisionError):
            async with storage.write() as tx:
                assert await tx.delete_some("a/", 100)
                await asyncio.sleep(0)
                raise ZeroDivisionError
        assert len(await everything(storage)) == ROWS

    store.play(story)
