# SPDX-License-Identifier: EUPL-1.2
"""Changing the slots of an open vault."""

import asyncio
import os

import msgspec
import pytest

from hsm import envelope
from hsm.envelope import RecordAddress
from hsm.errors import IntegrityError, SlotUnavailable
from hsm.key_slot import WrappedKey
from tests.shared import Shared
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.node import refused
from tests.unit.seal.soft import SoftSlot
from vault.barrier.failure import BarrierSealed
from vault.barrier.key import Key
from vault.seal.changes import root_rotation
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records import seal_store
from vault.seal.records.record import CONFIG_PATH, link_path, slot_path
from vault.seal.records.slots import NoSlotAnswers, Slots, unwrap_root
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import ReadTx, StorageFailure

AWAY = SlotUnavailable("away")
SHARES = InitRequest(secret_shares=1, secret_threshold=1)


async def opened(
    slots: Slots, request: InitRequest | None = None, *, shared: Shared | None = None
) -> tuple[Machine, list[str]]:
    """Return an open vault with these slots, on a storage of its own or on this one, and its shares."""
    machine = Machine(slots, os.urandom, shared=shared)
    if not slots.enabled:
        plan = await machine.init(SHARES)
        await machine.give(plan.keys)
        return machine, list(plan.keys)
    plan = await (machine.init(request) if request is not None else machine.init())
    assert await machine.life.auto_unseal() == {}
    return machine, list(plan.recovery.keys)


async def opens(machine: Machine, *slots: SoftSlot) -> bool:
    """Whether a restart with these slots opens the vault by itself, with its data."""
    again = machine.restart(Slots(enabled=slots))
    return await again.life.auto_unseal() is not None and await again.reads()


def test_a_key_slot_joins_a_vault_of_shares_without_a_pause() -> None:
    async def scenario() -> None:
        machine, keys = await opened(Slots())
        a = SoftSlot("a")
        machine.changes.slots = Slots(enabled=[a])
        config = await machine.changes.add("a")
        assert (config.slots, config.wrapped, config.shamir) == (("shamir", "a"), ("a",), "shamir")
        assert await machine.reads()
        assert await opens(machine, a)
        again = machine.restart(Slots(enabled=[a]))
        await again.give(keys)
        assert await again.reads()
        assert (await again.life.status()).n == 1
        config = await machine.changes.remove("shamir")
        assert config.slots == ("a",)
        assert await opens(machine, a)
        assert (await machine.restart(Slots(enabled=[a])).life.status()).n == 0

    asyncio.run(scenario())


def test_the_slot_for_shares_joins_with_the_recovery_shares_that_there_are() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, keys = await opened(Slots(enabled=[a, b], shamir="people"))
        config = await machine.changes.add_shamir()
        assert config.slots == ("a", "b", "people")
        assert "exists already" in await refused(machine.changes.add_shamir())
        for name in ("a", "b"):
            await machine.changes.remove(name)
        assert (await machine.config()).recovery is None
        again = machine.restart(Slots())
        assert (await again.life.status()).type == "shamir"
        await again.give(keys[1:])
        assert await again.reads()

    asyncio.run(scenario())


def test_the_slot_for_shares_needs_recovery_shares() -> None:
    async def scenario() -> None:
        machine, _ = await opened(Slots(enabled=named("a")), InitRequest())
        assert "no recovery keys" in await refused(machine.changes.add_shamir())

    asyncio.run(scenario())


def test_a_slot_that_joins_gets_the_recovery_key_too() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, keys = await opened(Slots(enabled=[a]))
        machine.changes.slots = Slots(enabled=[a, b])
        await machine.changes.add("b")
        await machine.changes.remove("a")
        again = machine.restart(Slots(enabled=[b]))
        await again.give(keys[:2])
        assert await again.reads()

    asyncio.run(scenario())


def test_a_slot_joins_even_if_nobody_knows_the_recovery_key() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a]))
        machine.changes.slots = Slots(enabled=[a, b])
        a.away = AWAY
        await machine.changes.add("b")
        assert await opens(machine, b)
        with pytest.raises(NoSlotAnswers):
            await seal_store.unwrap_recovery(
                machine.storage.reader(), await machine.config(), Slots(enabled=[a, b])
            )

    asyncio.run(scenario())


def test_the_last_slot_that_works_is_not_removed() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        b.away = AWAY
        assert "last one that works" in await refused(machine.changes.remove("a"))
        b.away = None
        b.replace()
        assert "last one that works" in await refused(machine.changes.remove("a"))
        await machine.changes.remove("b")
        assert "last one that works" in await refused(machine.changes.remove("a"))
        assert "no seal slot c" in await refused(machine.changes.remove("c"))

    asyncio.run(scenario())


def test_slots_are_tried_in_their_order() -> None:
    async def scenario() -> None:
        a, b, c = named("a", "b", "c")
        machine, _ = await opened(Slots(enabled=[a, b, c]))
        assert (await machine.changes.move("c", first=True)).slots == ("c", "a", "b")
        assert (await machine.changes.move("c", first=False)).slots == ("a", "b", "c")
        await machine.changes.move("b", first=True)
        for slot in (a, b, c):
            slot.calls.clear()
        assert await opens(machine, a, b, c)
        assert (a.calls, b.calls, c.calls) == ([], ["unwrap"], [])
        assert "no seal slot x" in await refused(machine.changes.move("x", first=True))

    asyncio.run(scenario())


def test_verifying_says_what_is_wrong() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        slots = Slots(enabled=[a, b], recovery_can_unseal=True)
        machine, _ = await opened(slots)
        assert await machine.changes.verify("a") == "v0001"
        assert "people's shares" in await refused(machine.changes.verify("shamir"))
        assert "no seal stanza has the name x" in await refused(machine.changes.verify("x"))
        await machine.changes.remove("b")
        assert "not part of the vault yet" in await refused(machine.changes.verify("b"))
        a.replace()
        with pytest.raises(IntegrityError, match="the key was replaced or erased"):
            await machine.changes.verify("a")
        a.keys.clear()
        with pytest.raises(IntegrityError, match="no key v0001"):
            await machine.changes.verify("a")
        a.rotate()
        machine, _ = await opened(slots)
        other = machine.changes.with_root_key(Key(bytes(32)), 1)
        with pytest.raises(IntegrityError, match="another root key"):
            await other.verify("b")

    asyncio.run(scenario())


def test_a_new_version_of_a_slots_key_wraps_for_that_slot_alone() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, keys = await opened(Slots(enabled=[a, b]))
        before = await machine.storage.reader().get(slot_path("b"))
        a.rotate()
        reader = machine.storage.reader()
        assert (await seal_store.references(reader, await machine.config()))["a"] == {"v0001": 3}
        b.calls.clear()
        config = await machine.changes.renew("a")
        assert config.entry("a").key_version == "v0002"
        assert b.calls == []
        assert await seal_store.references(reader, config) == {"a": {"v0002": 3}, "b": {"v0001": 3}}
        assert await machine.storage.reader().get(slot_path("b")) == before
        del a.keys["v0001"]
        assert await opens(machine, a)
        again = machine.restart(Slots(enabled=[a]))
        await again.give(keys[:2])

    asyncio.run(scenario())


def test_another_root_key_opens_through_every_slot_and_the_old_one_opens_nothing() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        old = machine.barrier.root_key
        records = [await machine.storage.reader().get(slot_path(name)) for name in ("a", "b")]
        config = await root_rotation.rotate_root(machine.changes)
        assert (config.root_version, config.behind) == (2, ())
        assert not machine.barrier.root_key.same(old)
        assert await machine.reads()
        for slot in (a, b):
            assert await opens(machine, slot)
        paths = await machine.storage.reader().scan("core/seal/")
        assert sorted(paths) == ["config", "recovery/1", "slots/a/1", "slots/b/1"]
        async with machine.storage.write() as tx:
            for name, record in zip(("a", "b"), records, strict=True):
                assert record is not None
                await tx.put(slot_path(name, 1), record)
        with pytest.raises(SealFailure):
            await opens(machine, a, b)

    asyncio.run(scenario())


def test_a_slot_that_is_away_follows_links_until_it_is_renewed() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        b.away = AWAY
        for _ in range(2):
            await root_rotation.rotate_root(machine.changes)
        config = await machine.config()
        assert (config.root_version, config.behind) == (3, ("b",))
        b.away = None
        assert await opens(machine, b)
        await machine.changes.renew("a")
        assert await machine.storage.reader().get(link_path(2)) is not None
        await machine.changes.renew("b")
        assert (await machine.config()).behind == ()
        assert list(await machine.storage.reader().scan("core/seal/links/")) == []
        assert await opens(machine, b)

    asyncio.run(scenario())


def test_a_link_that_was_changed_leads_nowhere() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        b.away = AWAY
        for _ in range(2):
            await root_rotation.rotate_root(machine.changes)
        b.away = None
        reader = machine.storage.reader()
        first = await reader.get(link_path(1))
        assert first is not None
        config = await machine.config()
        for damage in (b"x" + first[1:], None):
            async with machine.storage.write() as tx:
                await (tx.put(link_path(2), damage) if damage else tx.delete(link_path(2)))
            with pytest.raises(NoSlotAnswers):
                await opens(machine, b)
        forged = seal_store.link(Key(bytes(32)), Key(bytes(32)), config, 2, os.urandom)
        async with machine.storage.write() as tx:
            await tx.put(link_path(2), forged)
        with pytest.raises(NoSlotAnswers, match="link between two root keys"):
            await opens(machine, b)

    asyncio.run(scenario())


def test_after_a_compromise_slots_that_are_away_are_dropped_and_nothing_leads_to_the_new_key() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b], recovery_can_unseal=True))
        b.away = AWAY
        config = await root_rotation.rotate_root(machine.changes, links=False)
        assert config.slots == ("a",)
        assert list(await machine.storage.reader().scan("core/seal/links/")) == []
        a.away = AWAY
        text = await refused(root_rotation.rotate_root(machine.changes, links=False))
        assert "no seal slot answers" in text
        a.away = None
        assert await opens(machine, a)

    asyncio.run(scenario())


def test_a_root_key_that_could_not_be_stored_is_not_used() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        statement = 0
        while True:
            statement += 1
            machine, _ = await opened(Slots(enabled=[a]))
            root = machine.barrier.root_key
            machine.fail_statement(statement)
            try:
                await root_rotation.rotate_root(machine.changes)
            except StorageFailure:
                machine.fail_statement(0)
                assert machine.barrier.root_key.same(root)
                await machine.barrier.refresh()
                assert await opens(machine, a)
            else:
                break
        assert statement > 10

    asyncio.run(scenario())


def test_a_record_that_does_not_come_back_as_it_was_written_never_counts() -> None:
    class Forgetful(SoftSlot):
        async def unwrap(self, wrapped: WrappedKey) -> bytes:
            if len(self.calls) > 20:
                return await super().unwrap(wrapped)
            return os.urandom(32)

    async def scenario() -> None:
        machine, keys = await opened(Slots())
        machine.changes.slots = Slots(enabled=[Forgetful("a")])
        with pytest.raises(IntegrityError, match="was altered"):
            await machine.changes.add("a")
        assert (await machine.config()).slots == ("shamir",)
        again = machine.restart(Slots())
        await again.give(keys)
        assert await again.reads()

    asyncio.run(scenario())


def test_other_shares_replace_the_old_ones_wherever_those_were_used() -> None:
    async def scenario() -> None:
        a = SoftSlot("a")
        for can_unseal in (False, True):
            slots = Slots(enabled=[a], recovery_can_unseal=can_unseal)
            machine, old = await opened(slots)
            key = Key(os.urandom(32))
            await root_rotation.replace_shares(machine.changes, key, 1, 1)
            assert (await machine.life.status()).n == 1
            await machine.life.seal()
            await refused(machine.life.unseal(old[0]))
            await machine.give([key.reveal().hex()])
            assert await machine.reads()
            a.away = AWAY
            with pytest.raises(NoSlotAnswers):
                await root_rotation.replace_shares(machine.changes, Key(bytes(32)), 1, 1)
            a.away = None

    asyncio.run(scenario())


def test_a_sealed_vault_gives_its_root_key_to_no_slot() -> None:
    async def scenario() -> None:
        machine, _ = await opened(Slots(enabled=named("a")))
        await machine.life.seal()
        for change in (
            machine.changes.renew("a"),
            root_rotation.rotate_root(machine.changes),
            machine.changes.verify("a"),
        ):
            with pytest.raises(BarrierSealed):
                await change
        async with machine.storage.write() as tx:
            await tx.delete(CONFIG_PATH)
        with pytest.raises(SealFailure, match="no seal configuration"):
            await machine.changes.renew("a")

    asyncio.run(scenario())


def test_a_slot_that_is_not_configured_is_passed_over() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, keys = await opened(Slots(enabled=[a, b]))
        alone = machine.restart(Slots(enabled=[b]))
        assert await alone.life.auto_unseal() == {}
        config = await root_rotation.rotate_root(alone.changes)
        assert config.behind == ("a",)
        await root_rotation.replace_shares(alone.changes, Key(bytes.fromhex("11" * 32)), 1, 1)
        await alone.life.seal()
        await alone.give(["11" * 32])
        assert await alone.reads()
        with pytest.raises(SealRefusal):
            await machine.restart(Slots(enabled=[a, b])).life.unseal(keys[0])

    asyncio.run(scenario())


@pytest.mark.parametrize("found", ["another", "nothing"])
def test_a_record_that_is_not_there_when_it_is_read_back_never_counts(found: str) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine, _ = await opened(Slots(enabled=[a]))
        await machine.changes.write(
            a, Key(bytes(32)), await machine.config(), await a.identify(), version=1, revision=1
        )
        forged = await machine.storage.reader().get(slot_path("a", 1))
        assert forged is not None

        class Meddling(MemoryStorage):
            def reader(self) -> ReadTx:
                return MeddledReader(super().reader())

        class MeddledReader:
            def __init__(self, inner: ReadTx) -> None:
                self.list, self.scan, self.has, self.epoch = inner.list, inner.scan, inner.has, 0
                self.inner = inner

            async def get(self, path: str) -> bytes | None:
                if path == slot_path("a", 1):
                    return forged if found == "another" else None
                return await self.inner.get(path)

        machine.storage.__class__ = Meddling
        with pytest.raises((IntegrityError, SealFailure), match=r"another key than it was given|meanwhile"):
            await machine.changes.renew("a")
        machine.storage.__class__ = MemoryStorage
        assert (await machine.config()).entry("a").revision == 0

    asyncio.run(scenario())


def test_a_vault_with_slots_of_both_kinds_and_no_recovery_key_goes_back_to_its_shares() -> None:
    async def scenario() -> None:
        machine, keys = await opened(Slots())
        a = SoftSlot("a")
        machine.changes.slots = Slots(enabled=[a])
        await machine.changes.add("a")
        reader = machine.storage.reader()
        assert await seal_store.references(reader, await machine.config()) == {"a": {"v0001": 2}}
        back = machine.restart(Slots(disabled=[a]))
        assert (await back.life.status()).migration
        await back.give(keys, migrate=True)
        assert (await back.config()).slots == ("shamir",)
        assert await back.reads()
        await root_rotation.bring_shares_up(back.changes, Key(bytes(32)))
        assert (await back.config()).entry("shamir").revision == 1

    asyncio.run(scenario())


def test_a_record_that_holds_something_else_is_no_root_key() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine, _ = await opened(Slots(enabled=[a]))
        config = await machine.config()
        record = await seal_store.wrapped_slot(machine.storage.reader(), config, "a")
        place = RecordAddress(
            slot="a",
            purpose="root",
            cluster=config.generation,
            namespace="root",
            path=slot_path("a"),
            root_version=1,
        )
        short = await envelope.seal(a, place, b"short", os.urandom)
        forged = msgspec.structs.replace(record, root=short)
        with pytest.raises(IntegrityError, match="no root key"):
            await unwrap_root(a, forged, generation=config.generation, revision=0)

    asyncio.run(scenario())


def test_a_root_key_that_is_being_replaced_is_replaced_even_if_nobody_waits_for_it() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine, _ = await opened(Slots(enabled=[a]))
        old = machine.barrier.root_key
        a.hold = asyncio.Event()
        a.entered.clear()
        waiting = asyncio.create_task(root_rotation.rotate_root(machine.changes))
        await a.entered.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        a.hold.set()
        a.hold = None
        assert (await root_rotation.rotate_root(machine.changes)).root_version == 3
        assert not machine.barrier.root_key.same(old)
        await machine.barrier.refresh()
        assert await opens(machine, a)
        a.hold = asyncio.Event()
        a.entered.clear()
        endless = asyncio.create_task(machine.changes.shield(a.probe_forever()))
        await a.entered.wait()
        for task in machine.changes.shield._tasks:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless

    asyncio.run(scenario())
