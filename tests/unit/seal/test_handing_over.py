# SPDX-License-Identifier: EUPL-1.2
"""What a slot alone holds when it is removed."""

import asyncio
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.node import refused
from vault.barrier.key import Key
from vault.seal.changes import root_rotation
from vault.seal.records import seal_store
from vault.seal.records.slots import Slots


@pytest.mark.parametrize("configured", [True, False])
def test_a_slot_that_alone_holds_the_recovery_key_gives_it_to_another_before_it_goes(
    configured: bool,
) -> None:
    async def scenario() -> None:
        a, b, c = named("a", "b", "c")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        keys = (await machine.init()).recovery.keys
        await machine.life.auto_unseal()
        machine.changes.slots = Slots(enabled=[a, b, c])
        a.away = SlotUnavailable("away")
        await machine.changes.add("c")
        await machine.changes.add("b")
        assert "only slot a holds the recovery key" in await refused(machine.changes.remove("a"))
        a.away = None
        if configured:
            c.away = SlotUnavailable("away")
        else:
            machine.changes.slots = Slots(enabled=[a, b])
        await machine.changes.remove("a")
        again = machine.restart(Slots(enabled=[b]))
        await again.give(keys[:2])
        assert await again.reads()

    asyncio.run(scenario())


def test_after_a_compromise_slots_that_are_away_leave_nothing_behind_and_take_nothing_along() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        await machine.life.auto_unseal()
        a.away = SlotUnavailable("away")
        key = Key(os.urandom(32))
        await root_rotation.replace_shares(machine.changes, key, 1, 1)
        a.away, b.away = None, SlotUnavailable("away")
        before = await machine.config()
        told = await refused(root_rotation.rotate_root(machine.changes, links=False))
        assert "only slot b holds the recovery key" in told
        assert await machine.config() == before
        b.away = None
        await machine.changes.renew("a")
        b.away = SlotUnavailable("away")
        config = await root_rotation.rotate_root(machine.changes, links=False)
        record = await seal_store.recovery_record(machine.storage.reader(), config)
        assert set(record.wrapped) == {"a"}
        again = machine.restart(Slots(enabled=[a]))
        await again.give([key.reveal().hex()])
        assert await again.reads()

    asyncio.run(scenario())


def test_a_slot_that_was_removed_keeps_no_wrap_of_the_recovery_key() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        await machine.life.auto_unseal()
        config = await machine.changes.remove("a")
        record = await seal_store.recovery_record(machine.storage.reader(), config)
        assert set(record.wrapped) == {"b"}

    asyncio.run(scenario())


def test_a_slot_that_is_removed_while_a_rewrap_waits_for_its_turn_stays_removed() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        await machine.life.auto_unseal()
        b.hold = asyncio.Event()
        removing = asyncio.create_task(machine.changes.remove("a"))
        await b.entered.wait()
        rewrapping = asyncio.create_task(refused(machine.changes.renew("a")))
        adding = asyncio.create_task(refused(machine.changes.add("b")))
        await asyncio.sleep(0)
        b.hold.set()
        await removing
        assert "slot a is no part of the vault" in await rewrapping
        assert "slot b is part of the vault already" in await adding
        assert (await machine.config()).slots == ("b",)

    asyncio.run(scenario())


def test_a_slot_that_is_tried_while_it_is_removed_is_tried_first() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        await machine.life.auto_unseal()
        a.hold = asyncio.Event()
        a.entered.clear()
        trying = asyncio.create_task(machine.changes.verify("a"))
        await a.entered.wait()
        removing = asyncio.create_task(machine.changes.remove("a"))
        for _ in range(100):
            await asyncio.sleep(0)
        a.hold.set()
        assert await trying == "v0001"
        assert (await removing).slots == ("b",)

    asyncio.run(scenario())
