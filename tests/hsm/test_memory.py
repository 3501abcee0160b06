# SPDX-License-Identifier: EUPL-1.2
"""A module that lies about lengths: the agent asks for no more memory than it may have."""

import asyncio
import sys

import pytest

from hsm.agent.hardening import MOST_MEMORY
from hsm.errors import SlotUnavailable
from tests.hsm.faults import HUGE, Fault, FaultPlan
from tests.hsm.slots import DEK, proc, slot_on, with_program
from tests.hsm.tokens import SOFTHSM, SoftHsm

pytestmark = pytest.mark.executed


def _peak(pid: int | None) -> int:
    """The most memory that a process ever had in use, in bytes."""
    line = next(line for line in proc(pid, "status").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def test_an_attribute_that_claims_to_be_huge_costs_no_memory_and_no_agent(softhsm: SoftHsm) -> None:
    plan = FaultPlan(softhsm.folder / "faults")
    program = (sys.executable, "-P", "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, "hsm.agent")

    async def story() -> None:
        maker = slot_on(softhsm)
        await maker.generate_kek("aes")
        await maker.close()
        slot = with_program(softhsm, program)
        try:
            wrapped = await slot.wrap(DEK)
            agent, before = slot.agent_pid, _peak(slot.agent_pid)
            plan.put(Fault(function="C_GetAttributeValue", kind="huge"))
            with pytest.raises(SlotUnavailable, match="MemoryError"):
                await slot.keys()
            assert slot.agent_pid == agent
            assert _peak(agent) < before + MOST_MEMORY < HUGE
            plan.put()
            assert await slot.unwrap(wrapped) == DEK
            assert slot.agent_pid == agent
        finally:
            await slot.close()

    asyncio.run(story())
