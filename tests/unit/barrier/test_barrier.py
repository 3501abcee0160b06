# SPDX-License-Identifier: EUPL-1.2
import asyncio
import os
from contextlib import suppress

import pytest

from tests.unit.barrier.open import ROOT, open_barrier, second
from vault.barrier.barrier import KEYRING_KIND, Barrier
from vault.barrier.envelope import NONCE_BYTES
from vault.barrier.failure import BarrierFailure, BarrierSealed, KeyringMissing
from vault.barrier.key import Key
from vault.barrier.keyring import KEYRING_PATH, InvalidRotation, RotationConfig
from vault.barrier.stored import raw
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID
from vault.values.times import Millis, Seconds


def test_a_sealed_barrier_refuses_everything() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        held = barrier.reader(ROOT_ID, "m/")
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"x"))
        barrier.seal()
        barrier.seal()
        assert barrier.sealed
        assert not barrier.due()
        await barrier.refresh()
        with pytest.raises(BarrierSealed):
            await held.get("a")
        for use in (lambda: barrier.keyring, lambda: barrier.root_key, lambda: barrier.reader(ROOT_ID, "m/")):
            with pytest.raises(BarrierSealed):
                use()
        with pytest.raises(BarrierSealed):
            async with barrier.write(ROOT_ID, "m/"):
                pytest.fail("opened a transaction")
        with pytest.raises(BarrierSealed):
            await barrier.save_counts()
        async with storage.write() as tx:
            with pytest.raises(BarrierSealed):
                await barrier.rotate_in(tx)

    asyncio.run(scenario())


def test_loading_needs_the_right_key_and_a_keyring() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        barrier.seal()
        with pytest.raises(BarrierFailure):
            await barrier.load(Key(os.urandom(32)))
        assert barrier.sealed
        await barrier.check(ROOT)
        assert barrier.sealed
        async with storage.write() as tx:
            await tx.delete(KEYRING_PATH)
        with pytest.raises(KeyringMissing):
            await barrier.load(ROOT)

    asyncio.run(scenario())


def test_a_nonce_is_drawn_when_it_is_used_and_never_kept() -> None:
    """In a copy of the machine that goes on, what was drawn before would be used twice; the system draws anew there."""
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    async def scenario() -> None:
        storage, _ = await open_barrier()
        barrier = Barrier(storage, now=lambda: Millis(1000), random=random)
        await barrier.load(ROOT)
        for number in range(3):
            asked.clear()
            async with barrier.write(ROOT_ID, "m/") as view:
                await view.put(f"{number}", raw(b"x"))
            assert asked == [NONCE_BYTES]

    asyncio.run(scenario())


def test_rotation_is_seen_after_refresh_and_by_other_workers_at_need() -> None:
    async def scenario() -> None:
        storage, one = await open_barrier()
        two = await second(storage)
        async with one.write(ROOT_ID, "m/") as view:
            await view.put("old", raw(b"1"))
        async with storage.write() as tx:
            assert (await one.rotate_in(tx)).active.number == 2
        await one.refresh()
        assert one.keyring.active.number == 2
        async with one.write(ROOT_ID, "m/") as view:
            await view.put("new", raw(b"2"))
        assert two.keyring.active.number == 1
        assert await two.reader(ROOT_ID, "m/").get("new") == b"2"
        assert await two.reader(ROOT_ID, "m/").get("old") == b"1"
        assert two.keyring.active.number == 2
        _, changes = await storage.news(1)
        assert changes is not None
        assert [(c.kind, c.key) for c in changes] == [(KEYRING_KIND, "")]

    asyncio.run(scenario())


def test_two_workers_rotating_at_once_add_two_terms() -> None:
    async def scenario() -> None:
        storage, one = await open_barrier()
        two = await second(storage)
        for barrier in (one, two):
            async with storage.write() as tx:
                await barrier.rotate_in(tx)
        await one.refresh()
        assert sorted(one.keyring.terms) == [1, 2, 3]

    asyncio.run(scenario())


def test_a_rotation_that_is_undone_leaves_no_trace() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        with pytest.raises(RuntimeError):
            async with storage.write() as tx:
                await barrier.rotate_in(tx)
                raise RuntimeError
        await barrier.refresh()
        assert barrier.keyring.active.number == 1
        assert (await second(storage)).keyring.active.number == 1

    asyncio.run(scenario())


def test_a_failure_at_any_statement_of_a_rotation_keeps_the_old_keyring() -> None:
    async def scenario() -> None:
        failing = {"at": -1, "seen": 0}

        def on_statement(_: str) -> None:
            failing["seen"] += 1
            if failing["seen"] == failing["at"]:
                raise StorageFailure

        storage = MemoryStorage(on_statement=on_statement)
        _, barrier = await open_barrier(storage)
        for statement in range(1, 5):
            failing.update(at=statement, seen=0)
            with pytest.raises(StorageFailure):
                async with storage.write() as tx:
                    await barrier.rotate_in(tx)
            failing["at"] = -1
            assert (await second(storage)).keyring.active.number == 1

    asyncio.run(scenario())


def test_rotation_settings_are_stored_and_refused_out_of_bounds() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        assert not barrier.due()
        async with storage.write() as tx:
            await barrier.configure_in(tx, RotationConfig(max_operations=2_000_000))
        await barrier.refresh()
        assert barrier.keyring.rotation.max_operations == 2_000_000
        async with storage.write() as tx:
            with pytest.raises(InvalidRotation):
                await barrier.configure_in(tx, RotationConfig(interval=Seconds(1)))
        barrier.keyring.active.saved = 2_000_000
        assert barrier.due()

    asyncio.run(scenario())


def test_counts_of_all_workers_add_up_in_storage() -> None:
    async def scenario() -> None:
        storage, one = await open_barrier()
        two = await second(storage)
        for barrier, count in ((one, 3), (two, 4)):
            async with barrier.write(ROOT_ID, "m/") as view:
                for _ in range(count):
                    await view.put("a", raw(b"x"))
        await one.save_counts()
        await two.save_counts()
        await two.save_counts()
        assert two.keyring.active.encryptions == 7
        await one.refresh()
        assert one.keyring.active.encryptions == 7
        assert (await second(storage)).keyring.active.encryptions == 7

    asyncio.run(scenario())


def test_counts_are_not_lost_when_saving_fails() -> None:
    async def scenario() -> None:
        broken = False

        def on_statement(name: str) -> None:
            if broken and name == "put":
                raise StorageFailure

        storage = MemoryStorage(on_statement=on_statement)
        _, barrier = await open_barrier(storage)
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"x"))
        broken = True
        with pytest.raises(StorageFailure):
            await barrier.save_counts()
        broken = False
        assert barrier.keyring.active.encryptions == 1
        await barrier.save_counts()
        assert (await second(storage)).keyring.active.encryptions == 1

    asyncio.run(scenario())


def test_counts_that_storage_could_not_be_told_before_sealing_count_once_the_keys_are_back() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        for term in (1, 2, 2):
            async with barrier.write(ROOT_ID, "m/") as view:
                await view.put("a", raw(b"x"))
            if term == 1:
                async with storage.write() as tx:
                    await barrier.rotate_in(tx)
                await barrier.refresh()
        barrier.seal()
        barrier.seal()
        assert barrier.uncounted == 3
        await barrier.load(ROOT)
        assert barrier.uncounted == 0
        counted = {number: term.encryptions for number, term in barrier.keyring.terms.items()}
        assert counted == {1: 1, 2: 2}
        await barrier.save_counts()
        barrier.seal()
        assert barrier.uncounted == 0
        assert (await second(storage)).keyring.active.encryptions == 2

    asyncio.run(scenario())


async def rotated_since_a_backup() -> tuple[MemoryStorage, Barrier, bytes]:
    """An open barrier that wrote under a key of its own, and the keyring from before that key."""
    storage, barrier = await open_barrier()
    older = await storage.reader().get(KEYRING_PATH)
    assert older is not None
    async with storage.write() as tx:
        await barrier.rotate_in(tx)
    await barrier.refresh()
    async with barrier.write(ROOT_ID, "m/") as view:
        await view.put("a", raw(b"x"))
    return storage, barrier, older


def test_counts_under_a_key_that_a_restored_backup_has_not_are_left() -> None:
    async def scenario() -> None:
        storage, barrier, older = await rotated_since_a_backup()
        barrier.seal()
        async with storage.write() as tx:
            await tx.put(KEYRING_PATH, older)
        await barrier.load(ROOT)
        assert (barrier.uncounted, barrier.keyring.active.encryptions) == (0, 0)

    asyncio.run(scenario())


def test_counts_saved_twice_at_once_are_added_once() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"x"))
        async with storage.write():
            saving = [asyncio.create_task(barrier.save_counts()) for _ in range(2)]
            await asyncio.sleep(0)
        await asyncio.gather(*saving)
        assert barrier.keyring.active.encryptions == 1
        assert (await second(storage)).keyring.active.encryptions == 1

    asyncio.run(scenario())


def test_an_older_keyring_put_back_under_a_running_vault_is_noticed() -> None:
    async def scenario() -> None:
        storage, barrier, older = await rotated_since_a_backup()
        async with storage.write() as tx:
            await tx.put(KEYRING_PATH, older)
        with pytest.raises(BarrierFailure, match="lacks a key term"):
            await barrier.save_counts()

    asyncio.run(scenario())


def test_sealing_while_the_keyring_is_read_again_stays_sealed() -> None:
    async def scenario() -> None:
        barrier: list[Barrier] = []

        def on_statement(_: str) -> None:
            if barrier:
                barrier[0].seal()

        storage = MemoryStorage(on_statement=on_statement)
        _, loaded = await open_barrier(storage)
        barrier.append(loaded)
        await loaded.refresh()
        assert loaded.sealed

    asyncio.run(scenario())


def test_another_root_key_is_followed_from_its_commit_on() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        newer = Key(b"\1" * 32)
        async with storage.write() as tx:
            await barrier.replace_root_in(tx, newer)
        async with barrier.write(ROOT_ID, "") as view:
            await barrier.rotate_in(view.transaction)
        await barrier.refresh()
        assert barrier.keyring.active.number == 2
        barrier.adopt_root(newer)
        assert barrier.root_key.same(newer)
        await barrier.refresh()
        barrier.seal()
        barrier.adopt_root(newer)
        assert barrier.sealed
        await barrier.load(newer)
        assert barrier.keyring.active.number == 2

    asyncio.run(scenario())


def test_a_root_key_that_was_not_committed_is_given_up_again() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        with suppress(ZeroDivisionError):
            async with storage.write() as tx:
                await barrier.replace_root_in(tx, Key(b"\1" * 32))
                raise ZeroDivisionError
        await barrier.refresh()
        barrier.adopt_root(ROOT)
        async with barrier.write(ROOT_ID, "") as view:
            await barrier.rotate_in(view.transaction)
        await (await second(storage)).refresh()

    asyncio.run(scenario())


def test_a_keyring_under_a_key_that_nobody_told_us_of_is_an_integrity_failure() -> None:
    async def scenario() -> None:
        storage, barrier = await open_barrier()
        other = await second(storage)
        async with storage.write() as tx:
            await other.replace_root_in(tx, Key(b"\1" * 32))
        with pytest.raises(BarrierFailure):
            await barrier.refresh()

    asyncio.run(scenario())
