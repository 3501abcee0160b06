# SPDX-License-Identifier: EUPL-1.2
"""The epoch moves once with each transaction that made something untrue, and every statement sees it."""

import asyncio

from tests.storage.stores import Store, fill, invalidate
from vault.storage.memory import KEPT_CHANGES
from vault.storage.protocol import Change, Storage


def test_the_epoch_moves_once_per_invalidating_transaction_and_with_no_other(store: Store) -> None:
    async def story(storage: Storage) -> None:
        reader = storage.reader()
        assert reader.epoch == 0
        await fill(storage, "a")
        await reader.get("a")
        assert reader.epoch == 0
        first = await invalidate(storage, "w")
        await reader.get("a")
        assert 0 < first == reader.epoch
        second = await invalidate(storage, "x", "y", "x")
        await fill(storage, "b")
        third = await invalidate(storage, "z")
        await reader.get("nothing")
        assert first < second < third == reader.epoch
        later = [Change(second, "kind", "x"), Change(second, "kind", "y"), Change(third, "kind", "z")]
        assert await storage.news(first) == (third, later)
        assert await storage.news(second) == (third, later[2:])
        assert await storage.news(third) == (third, [])

    store.play(story)


def test_every_kind_of_statement_records_the_epoch(store: Store) -> None:
    async def story(storage: Storage) -> None:
        moved = await invalidate(storage, "x")
        for look in ("list", "scan"):
            reader = storage.reader()
            await getattr(reader, look)("")
            assert reader.epoch == moved
        async with storage.write() as tx:
            assert tx.epoch == 0
            await tx.get("a")
            assert tx.epoch == moved
            await tx.invalidate("kind", "y")
            await tx.list("")
            assert tx.epoch == moved

    store.play(story)


def test_an_epoch_of_another_history_means_drop_everything(store: Store) -> None:
    async def story(storage: Storage) -> None:
        first = await invalidate(storage, "x")
        last = await invalidate(storage, "y")
        for unknown in (-1, first - 1, last + 1):
            assert await storage.news(unknown) == (last, None)

    store.play(story)


def test_nobody_sees_an_epoch_that_is_not_durable_yet(store: Store) -> None:
    async def story(storage: Storage) -> None:
        async def write(number: int) -> None:
            async with storage.write() as tx:
                await tx.get("x")
                seen = tx.epoch
                reader = storage.reader()
                await reader.get("x")
                assert reader.epoch == seen
                if number % 2:
                    await tx.invalidate("kind", str(number))

        before = await invalidate(storage, "before")
        await asyncio.gather(*(write(number) for number in range(40)))
        _, changes = await storage.news(before)
        assert changes is not None
        epochs = [change.epoch for change in changes]
        assert len(set(epochs)) == 20 and sorted(epochs) == epochs

    store.play(story)


def test_old_changes_are_pruned_in_whole_epochs_and_the_gap_is_told(store: Store) -> None:
    async def story(storage: Storage) -> None:
        half = KEPT_CHANGES // 2
        epochs = [await invalidate(storage, "first")]
        for batch in range(4):
            keys = (f"{batch}/{number}" for number in range(half))
            epochs.append(await invalidate(storage, *keys))
        assert [await storage.news(epoch) for epoch in epochs[:3]] == [(epochs[4], None)] * 3
        _, recent = await storage.news(epochs[3])
        assert recent is not None
        assert len(recent) == half
        assert await storage.news(epochs[4]) == (epochs[4], [])

    store.play(story)


def test_one_transaction_with_more_changes_than_are_kept_means_drop_everything(store: Store) -> None:
    async def story(storage: Storage) -> None:
        first = await invalidate(storage, "first")
        second = await invalidate(storage, *(str(number) for number in range(KEPT_CHANGES + 1)))
        assert first < second
        assert await storage.news(first) == (second, None)
        assert await storage.news(second) == (second, [])
        third = await invalidate(storage, "next")
        assert await storage.news(second) in ((third, None), (third, [Change(third, "kind", "next")]))

    store.play(story)
