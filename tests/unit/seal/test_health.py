# SPDX-License-Identifier: EUPL-1.2
"""What is known of the slots, and when it changes."""

import asyncio
import os

import pytest

from hsm.errors import SlotUnavailable
from hsm.key_slot import SlotState
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.keys import NOW
from tests.unit.seal.soft import SoftSlot
from vault.seal.changes import root_rotation
from vault.seal.failure import SealFailure
from vault.seal.health import SlotHealth
from vault.seal.records.record import CONFIG_PATH, slot_path
from vault.seal.records.slots import Slots


def watched(machine: Machine) -> SlotHealth:
    return SlotHealth(machine.storage, machine.life.slots, now=lambda: NOW)


def test_changes_are_told_once() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        health = watched(machine)
        assert (health.lost, health.well, dict(health.seen)) == (False, True, {})
        assert [(view.name, view.up) for view in await health.look()] == [("a", True), ("b", True)]
        assert await health.look() == []
        a.away = SlotUnavailable("unplugged")
        (changed,) = await health.look()
        assert (changed.name, changed.up, changed.reason, changed.checked) == ("a", False, "unplugged", NOW)
        assert (health.lost, health.well) == (False, False)
        b.away = SlotUnavailable("unplugged too")
        assert [view.name for view in await health.look()] == ["b"]
        assert health.lost
        a.software = True  # of a token that is away nobody knows; it is told once that it is away
        assert await health.look() == []
        a.away = b.away = None
        assert [view.name for view in await health.look()] == ["a", "b"]
        assert (health.lost, health.well) == (False, True)
        a.software = False
        assert [view.name for view in await health.look()] == ["a"]

    asyncio.run(scenario())


def test_a_token_with_another_key_of_the_same_name_is_noticed() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a, b]), os.urandom)
        await machine.init()
        health = watched(machine)
        await health.look()
        a.replace()
        (changed,) = await health.look()
        assert (changed.name, changed.up, changed.refused) == ("a", False, True)
        assert "replaced or erased" in changed.reason
        async with machine.storage.write() as tx:
            await tx.put(slot_path("b"), b"damaged")
        (changed,) = await health.look()
        assert (changed.name, changed.up, changed.refused) == ("b", False, False)

    asyncio.run(scenario())


def test_what_is_shown_follows_the_order_of_the_vault() -> None:
    async def scenario() -> None:
        a, b, c = named("a", "b", "c")
        machine = Machine(Slots(enabled=[a, b], recovery_can_unseal=True), os.urandom)
        before = watched(machine)
        assert [(view.name, view.up, view.reason) for view in await before.shown()] == [
            ("a", False, "not tried yet"),
            ("b", False, "not tried yet"),
        ]
        await machine.init()
        await machine.life.auto_unseal()
        b.away = SlotUnavailable("away")
        await root_rotation.rotate_root(machine.changes)
        again = machine.restart(Slots(enabled=[a, c]))
        health = watched(again)
        await health.look()
        shown = {view.name: (view.kind, view.up, view.behind, view.reason) for view in await health.shown()}
        assert shown == {
            "a": ("pkcs11", True, 0, ""),
            "b": ("pkcs11", False, 1, "no seal stanza has this name"),
            "shamir": ("shamir", True, 1, ""),
            "c": ("pkcs11", True, 0, ""),
        }
        assert list(shown) == ["a", "b", "shamir", "c"]
        strangers = await watched(machine.restart(Slots())).shown()
        assert [(view.name, view.reason) for view in strangers] == [
            ("a", "no seal stanza has this name"),
            ("b", "no seal stanza has this name"),
            ("shamir", ""),
        ]

    asyncio.run(scenario())


def test_a_damaged_configuration_is_no_state_of_a_slot() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(enabled=named("a")), os.urandom)
        await machine.init()
        async with machine.storage.write() as tx:
            await tx.put(CONFIG_PATH, b"x")
        with pytest.raises(SealFailure):
            await watched(machine).look()

    asyncio.run(scenario())


@pytest.mark.parametrize("moment", ["while it is probed", "while its canary is opened"])
def test_a_slot_that_is_rewrapped_meanwhile_is_no_slot_that_fails(moment: str) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        await machine.init()
        await machine.life.auto_unseal()
        twin = SoftSlot("a")
        twin.keys = a.keys
        there = machine.restart(Slots(enabled=[twin]))
        await there.life.auto_unseal()
        health = watched(machine)
        if moment == "while it is probed":
            probe = a.probe

            async def slow() -> SlotState:
                state = await probe()
                await there.changes.renew("a")
                return state

            a.probe = slow  # type: ignore[method-assign]  # a token that takes its time
            await health.look()
        else:
            a.hold = asyncio.Event()
            a.entered.clear()
            looking = asyncio.create_task(health.look())
            await a.entered.wait()
            twin.rotate()
            await there.changes.renew("a")
            del twin.keys["v0001"]
            a.hold.set()
            await looking
        assert health.seen["a"].up, health.seen["a"].reason
        assert not health.lost

    asyncio.run(scenario())
