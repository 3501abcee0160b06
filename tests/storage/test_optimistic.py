# SPDX-License-Identifier: EUPL-1.2
"""Optimistic transactions: whatever others do meanwhile, those that were kept could have run one after the other."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from tests.storage.stores import Store, add, everything, fill, number, until_kept
from vault.storage.protocol import Storage, Timer, Tx
from vault.values.times import Millis


def test_whoever_lost_runs_again_and_every_addition_is_there_once(store: Store) -> None:
    async def story(storage: Storage) -> bytes | None:
        await asyncio.gather(*(until_kept(storage, add) for _ in range(100)))
        return await storage.reader().get("counter")

    assert store.play(story) == b"x" * 100


def test_a_list_that_another_added_to_is_read_again(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await asyncio.gather(*(until_kept(storage, number) for _ in range(40)))
        assert await storage.reader().list("n/") == [f"{n:03}" for n in range(40)]

    store.play(story)


@pytest.mark.parametrize("seed", range(4))
def test_money_is_neither_made_nor_lost_by_transfers(store: Store, seed: int) -> None:
    """Transfers between accounts, some of which are given up, beside sums that have to be right at once."""
    dice = random.Random(seed)

    async def story(storage: Storage) -> None:
        accounts = [f"a/{n}" for n in range(6)]
        async with storage.write() as tx:
            for account in accounts:
                await tx.put(account, b"100")

        async def transfer(tx: Tx) -> None:
            source, target = dice.sample(accounts, 2)
            left = int(await tx.get(source) or b"0") - 1
            await asyncio.sleep(0)
            await tx.put(source, str(left).encode())
            await tx.put(target, str(int(await tx.get(target) or b"0") + 1).encode())
            if dice.random() < 0.1:
                raise ZeroDivisionError

        async def total(tx: Tx) -> int:
            found = [int(await tx.get("a/" + name) or b"0") for name in await tx.scan("a/")]
            await tx.put(f"sum/{dice.random()}", str(sum(found)).encode())
            return sum(found)

        async def try_transfer() -> None:
            with suppress(ZeroDivisionError):
                await until_kept(storage, transfer)

        async def try_total() -> int:
            return (await until_kept(storage, total))[0]

        for _ in range(5):
            ends = await asyncio.gather(
                *(try_transfer() for _ in range(12)), *(try_total() for _ in range(3))
            )
            assert ends[-3:] == [600, 600, 600]

    store.play(story)


def test_of_one_that_failed_nothing_is_seen_and_nobody_who_built_on_it_is_kept(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "old")

        async def fails(tx: Tx) -> None:
            await tx.put("old", b"new")
            await tx.at(Timer("k", "a", Millis(1)))
            raise ZeroDivisionError

        async def copies(tx: Tx) -> None:
            await tx.put("copy", await tx.get("old") or b"")

        await asyncio.gather(
            *(until_kept(storage, work) for work in (fails, copies, fails)), return_exceptions=True
        )
        assert await everything(storage) == {"old": b"old", "copy": b"old"}
        assert await storage.next_due() is None

    store.play(story)


@pytest.mark.parametrize("steps", range(8))
def test_cancelled_at_any_moment_it_is_whole_or_not_there(store: Store, steps: int) -> None:
    async def pair(tx: Tx) -> None:
        await tx.put("pair/1", await tx.get("before") or b"")
        await asyncio.sleep(0)
        await tx.put("pair/2", b"")

    async def story(storage: Storage) -> None:
        task = asyncio.create_task(until_kept(storage, pair))
        for _ in range(steps):
            await asyncio.sleep(0.001 if steps > 4 else 0)
        task.cancel()
        await asyncio.wait([task])
        await until_kept(storage, add)
        found = await everything(storage)
        assert found.pop("counter") == b"x"
        assert sorted(found) in ([], ["pair/1", "pair/2"])

    store.play(story)


def test_it_sees_its_own_writes_in_every_look(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await fill(storage, "f/1", "f/2", "g/1")
        async with storage.write(optimistic=True) as tx:
            await tx.put("f/3", b"3")
            await tx.delete("f/1")
            assert await tx.delete_prefix("g/") == 1
            assert await tx.list("") == ["f/"]
            assert await tx.scan("f/", limit=1) == ["2"]
            assert (await tx.get("f/3"), await tx.has("f/1"), await tx.has("f/2")) == (b"3", False, True)
        assert sorted(await everything(storage)) == ["f/2", "f/3"]

    store.play(story)


def test_one_within_another_is_an_error(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async with storage.write() as tx:
            await tx.at(Timer("k", "a", Millis(1)))
        async with storage.write(optimistic=True):
            with pytest.raises(RuntimeError, match="already"):
                await fill(storage, "inner")
            with pytest.raises(RuntimeError, match="already"):
                await storage.claim(Millis(1), 1, hold=Millis(1))

    store.play(story)
