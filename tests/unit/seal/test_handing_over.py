# SPDX-License-Identifier: EUPL-1.2
"""What a slot alone holds when it is removed."""

import asyncio
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.node import refused
from vault.seal.slots import Slots


@pytest.mark.parametrize("configured", [True, False])
def test_a_slot_that_alone_holds_the_recovery_key_gives_it_to_another_before_it_goes(
    configured: bool,
) -> None:
    async def scenario() -> None:
        a, b, c = named("a", "b", "c")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        keys = (await machine.init()).recovery.keys
        await machine.life.auto_unseal()
        machine.keeper.slots = Slots(enabled=[a, b, c])
        a.away = SlotUnavailable("away")
        await machine.keeper.renew("c")
        await machine.keeper.renew("b")
        assert "alone holds the recovery key" in await refused(machine.keeper.remove("a"))
        a.away = None
        if configured:
            c.away = SlotUnavailable("away")
        else:
            machine.keeper.slots = Slots(enabled=[a, b])
        await machine.keeper.remove("a")
        again = machine.restart(Slots(enabled=[b]))
        await again.give(keys[:2])
        assert await again.reads()

    asyncio.run(scenario())
