# SPDX-License-Identifier: EUPL-1.2
"""Timers: one per kind and key, claimed by one, back again when nobody finished."""

import asyncio

import pytest

from tests.storage.stores import Store
from vault.storage.protocol import Storage, Timer
from vault.values.times import Millis


async def put(storage: Storage, *timers: Timer) -> None:
    """Set timers in one transaction."""
    async with storage.write() as tx:
        for timer in timers:
            await tx.at(timer)


def test_a_timer_is_claimed_when_due_and_not_before(store: Store) -> None:
    async def story(storage: Storage) -> None:
        assert await storage.next_due() is None
        assert list(await storage.claim(Millis(1 << 50), 10, hold=Millis(1))) == []
        await put(storage, Timer("k", "a", Millis(100)))
        assert await storage.next_due() == 100
        assert list(await storage.claim(Millis(99), 10, hold=Millis(50))) == []
        assert list(await storage.claim(Millis(100), 10, hold=Millis(50))) == [Timer("k", "a", Millis(100))]

    store.play(story)


def test_a_claimed_timer_comes_back_after_the_hold_with_one_more_attempt(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await put(storage, Timer("k", "a", Millis(100)))
        for attempt, now in enumerate((100, 150, 200)):
            assert list(await storage.claim(Millis(now), 10, hold=Millis(50))) == [
                Timer("k", "a", Millis(100), attempt)
            ]
            assert list(await storage.claim(Millis(now + 49), 10, hold=Millis(50))) == []
            assert await storage.next_due() == now + 50

    store.play(story)


def test_cancelling_a_claimed_timer_finishes_it(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await put(storage, Timer("k", "a", Millis(1)))
        await storage.claim(Millis(1), 10, hold=Millis(50))
        async with storage.write() as tx:
            await tx.cancel("k", "a")
            await tx.cancel("k", "never set")
        assert await storage.next_due() is None
        assert list(await storage.claim(Millis(1000), 10, hold=Millis(50))) == []

    store.play(story)


def test_setting_a_timer_again_moves_it_and_frees_a_claimed_one(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await put(storage, Timer("k", "a", Millis(1)))
        await storage.claim(Millis(1), 10, hold=Millis(1000))
        await put(storage, Timer("k", "a", Millis(5), attempts=3), Timer("other", "a", Millis(7)))
        assert await storage.next_due() == 5
        assert list(await storage.claim(Millis(6), 10, hold=Millis(1))) == [Timer("k", "a", Millis(5), 3)]
        assert list(await storage.claim(Millis(7), 10, hold=Millis(1))) == [
            Timer("k", "a", Millis(5), 4),
            Timer("other", "a", Millis(7)),
        ]

    store.play(story)


def test_the_longest_due_are_claimed_first_and_no_more_than_the_limit(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await put(storage, *(Timer("k", f"{n:02}", Millis(100 - n)) for n in range(10)))
        assert [t.due for t in await storage.claim(Millis(100), 3, hold=Millis(50))] == [91, 92, 93]
        assert [t.due for t in await storage.claim(Millis(100), 3, hold=Millis(50))] == [94, 95, 96]
        assert [t.due for t in await storage.claim(Millis(96), 10, hold=Millis(50))] == []

    store.play(story)


def test_concurrent_claims_never_get_the_same_timer(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await put(storage, *(Timer("k", f"{n:03}", Millis(n)) for n in range(200)))
        claims = await asyncio.gather(*(storage.claim(Millis(1000), 7, hold=Millis(50)) for _ in range(40)))
        keys = [timer.key for claim in claims for timer in claim]
        assert sorted(keys) == [f"{n:03}" for n in range(200)]

    store.play(story)


def test_timers_live_and_die_with_their_transaction(store: Store) -> None:
    async def story(storage: Storage) -> None:
        await put(storage, Timer("k", "kept", Millis(1)))
        with pytest.raises(ZeroDivisionError):
            async with storage.write() as tx:
                await tx.at(Timer("k", "lost", Millis(1)))
                await tx.cancel("k", "kept")
                raise ZeroDivisionError
        assert [timer.key for timer in await storage.claim(Millis(1), 10, hold=Millis(1))] == ["kept"]

    store.play(story)
