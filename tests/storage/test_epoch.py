# SPDX-License-Identifier: EUPL-1.2
"""The epoch moves once with each transaction that made something untrue, and every statement sees it."""

import asyncio

from tests.storage.stores import Store, fill
from vault.storage.memory import KEPT_CHANGES
from vault.storage.protocol import Change, Storage


async def invalidate(storage: Storage, *keys: str) -> None:
    """Make keys untrue in one transaction."""
    async with storage.write() as tx:
        for key in keys:
            await tx.invalidate("kind", key)


def test_the_epoch_moves_once_per_invalidating_transaction_and_with_no_other(store: Store) -> None:
    async def story(storage: Storage) -> None:
        reader = storage.reader()
        assert reader.epoch == 0
        await fill(storage, "a")
        await reader.get("a")
        assert reader.epoch == 0
        await invalidate(storage, "x", "y", "x")
        await reader.get("a")
        assert reader.epoch == 1
        await fill(storage, "b")
        await invalidate(storage, "z")
        await reader.get("nothing")
        assert reader.epoch == 2
        assert await storage.changes(0) == [
            Change(1, "kind", "x"), Change(1, "kind", "y"), Change(2, "kind", "z")
        ]  # fmt: skip
        assert await storage.changes(1) == [Change(2, "kind", "z")]
        assert await storage.changes(2) == []

    store.play(story)


def test_every_kind_of_statement_records_the_epoch(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await invalidate(storage, "x")
        for look in ("list", "scan"):
            reader = storage.reader()
            await getattr(reader, look)("")
            assert reader.epoch == 1
        async with storage.write() as tx:
            assert tx.epoch == 0
            await tx.get("a")
            assert tx.epoch == 1
            await tx.invalidate("kind", "y")
            await tx.list("")
            assert tx.epoch == 1

    store.play(story)


def test_an_epoch_from_the_future_means_drop_everything(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await invalidate(storage, "x")
        assert await storage.changes(2) is None

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

        await asyncio.gather(*(write(number) for number in range(40)))
        changes = await storage.changes(0)
        assert changes is not None
        assert [change.epoch for change in changes] == list(range(1, 21))

    store.play(story)


def test_old_changes_are_pruned_in_whole_epochs_and_the_gap_is_told(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await invalidate(storage, "first")
        half = KEPT_CHANGES // 2
        for batch in range(3):
            await invalidate(storage, *(f"{batch}/{number}" for number in range(half)))
        assert await storage.changes(0) is None
        assert await storage.changes(1) is None
        recent = await storage.changes(2)
        assert recent is not None
        assert len(recent) == 2 * half
        assert await storage.changes(4) == []

    store.play(story)


def test_one_transaction_with_more_changes_than_are_kept_means_drop_everything(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await invalidate(storage, *(str(number) for number in range(KEPT_CHANGES + 1)))
        assert await storage.changes(0) is None
        assert await storage.changes(1) == []
        await invalidate(storage, "next")
        assert await storage.changes(1) == [Change(2, "kind", "next")]

    store.play(story)
