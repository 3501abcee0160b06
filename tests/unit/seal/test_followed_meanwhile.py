# SPDX-License-Identifier: EUPL-1.2
"""A root key that another process puts in place, and that is followed while this one is about to change the seal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from tests.unit.seal.auto import Machine, named
from tests.unit.seal.soft import SoftSlot
from tests.unit.seal.test_keeper import AWAY, opened, opens
from vault.seal import turnover
from vault.seal.failure import SealFailure
from vault.seal.keeper import Moved
from vault.seal.slots import Slots
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import ReadTx, Tx


class _Queue:
    """Storage where one who wants to write waits for his turn: `meanwhile` is done before the turn with this number."""

    def __init__(self, inner: MemoryStorage, meanwhile: Callable[[], Awaitable[object]], turn: int) -> None:
        self._inner = inner
        self._meanwhile = meanwhile
        self._turn = turn

    def reader(self) -> ReadTx:
        return self._inner.reader()

    def write(self) -> AbstractAsyncContextManager[Tx]:
        return self._write()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[Tx]:
        self._turn -= 1
        if self._turn == 0:
            await self._meanwhile()
        async with self._inner.write() as tx:
            yield tx


def _meanwhile(machine: Machine, do: Callable[[], Awaitable[object]], *, turn: int = 1) -> None:
    queue = _Queue(machine.storage, do, turn)
    machine.keeper.storage = queue  # type: ignore[assignment]  # all of a storage that a keeper uses


async def _two_processes() -> tuple[Machine, Machine, SoftSlot]:
    """Open a vault of two slots in two processes; return both, and the first slot."""
    a, b = named("a", "b")
    machine, _ = await opened(Slots(enabled=[a, b]))
    other = machine.restart(Slots(enabled=[a, b]))
    await other.life.auto_unseal()
    return machine, other, a


async def _rotate_without(machine: Machine, slot: SoftSlot) -> None:
    """Replace the root key while a slot is away, which keeps what it had."""
    slot.away = AWAY
    await turnover.rotate_root(machine.keeper)
    slot.away = None


def test_shares_still_open_a_vault_whose_root_key_two_processes_replaced_one_after_the_other() -> None:
    async def scenario() -> None:
        machine, keys = await opened(Slots())
        other = machine.restart(Slots())
        await other.give(keys)
        await turnover.rotate_root(machine.keeper)  # committed, and not followed by `other` yet
        _meanwhile(other, other.life.follow_root)
        with suppress(Moved):
            await turnover.rotate_root(other.keeper)
        again = machine.restart(Slots())
        await again.give(keys)
        assert await again.reads()

    asyncio.run(scenario())


def test_who_follows_while_its_own_rotation_waits_keeps_the_key_that_it_followed_to() -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes()

        async def meanwhile() -> None:
            await _rotate_without(machine, slot)
            await other.life.follow_root()

        _meanwhile(other, meanwhile, turn=3)  # the last one: both slots have their new record
        with pytest.raises(Moved):
            await turnover.rotate_root(other.keeper)
        assert other.barrier.root_key.same(machine.barrier.root_key)
        await other.life.follow_root()
        await other.barrier.refresh()
        await other.keeper.renew("a")
        assert await opens(machine, slot)

    asyncio.run(scenario())


def test_a_slot_that_is_renewed_while_the_root_key_is_followed_gets_no_old_one() -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes()
        await _rotate_without(machine, slot)
        _meanwhile(other, other.life.follow_root)
        with suppress(SealFailure):
            await other.keeper.renew("a")
        assert await opens(machine, slot)

    asyncio.run(scenario())
