# SPDX-License-Identifier: EUPL-1.2
"""What an opened vault does before it serves."""

import asyncio
import io
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import Machine, named
from vault.framework.telemetry.log import Log
from vault.seal.health import SlotHealth
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots
from vault.server.compose.groups.key_slots import carry_wrapped
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

PATH = "audit/salt/file"


def _wraps(machine: Machine) -> SealWrap:
    return SealWrap(machine.storage, machine.barrier, machine.life.slots, now=lambda: 0, random=os.urandom)


def _health(machine: Machine) -> SlotHealth:
    return SlotHealth(machine.storage, machine.life.slots, now=lambda: Millis(0))


@pytest.mark.parametrize("last", ["token", "shares"])
@pytest.mark.parametrize("away", [False, True])
def test_wrapped_values_come_along_when_the_vault_leaves_its_slots(last: str, away: bool) -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        first = Machine(Slots(enabled=[a]), os.urandom)
        keys = (await first.init()).recovery.keys
        await first.life.auto_unseal()
        wrapped = await _wraps(first).wrap(ROOT_ID, PATH, b"salt")
        async with first.barrier.write(ROOT_ID, "ns/root/") as core:
            await _wraps(first).put(core, PATH, wrapped)
        enabled = [b] if last == "token" else []
        moved = first.restart(Slots(enabled=enabled, disabled=[a]))
        await moved.give(keys[:2], migrate=True)
        a.away = SlotUnavailable("away") if away else None
        said, health = io.StringIO(), _health(moved)
        await carry_wrapped(moved.life, _wraps(moved), health, Log(stream=said))
        assert ("left to slots of before" in said.getvalue()) is away
        assert health.left_to == ({"a": 1} if away else {})
        a.away = SlotUnavailable("away in other words") if away else None
        await carry_wrapped(moved.life, _wraps(moved), health, Log(stream=said))
        assert said.getvalue().count("left to slots of before") == away
        a.away = None if away else SlotUnavailable("gone for good")
        reader = moved.barrier.reader(ROOT_ID, "ns/root/")
        assert await _wraps(moved).get(reader, ROOT_ID, PATH) == b"salt"

    asyncio.run(scenario())


def test_a_vault_that_is_none_yet_has_nothing_to_bring_along() -> None:
    async def scenario() -> None:
        machine = Machine(Slots(), os.urandom)
        said = io.StringIO()
        await carry_wrapped(machine.life, _wraps(machine), _health(machine), Log(stream=said))
        assert said.getvalue() == ""

    asyncio.run(scenario())
