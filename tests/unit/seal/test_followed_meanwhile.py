# SPDX-License-Identifier: EUPL-1.2
"""A root key that another process puts in place, and that is followed while this one is about to change the seal.

Each on a storage in memory, and on two storages on one file.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from tests.shared import Shared
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.changes.test_slot_changes import AWAY, opened, opens
from tests.unit.seal.soft import SoftSlot
from vault.barrier.keyring import KEYRING_PATH
from vault.seal.changes import root_rotation
from vault.seal.changes.slot_changes import SealChanged
from vault.seal.failure import RootKeyReplaced, SealFailure
from vault.seal.records.record import link_path, slot_path
from vault.seal.records.slots import Slots
from vault.storage.protocol import ReadTx, Storage, Tx


class Reader:
    """Reads from a storage where `meanwhile` is done once, before what is at `path` is read."""

    def __init__(self, inner: Storage, path: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._inner = inner
        self._path = path
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    def reader(self) -> "Reader":
        return self

    def write(self) -> AbstractAsyncContextManager[Tx]:
        return self._inner.write()

    async def get(self, path: str) -> bytes | None:
        if path == self._path and self._meanwhile is not None:
            do, self._meanwhile = self._meanwhile, None
            await do()
        return await self._inner.reader().get(path)


class _Queue:
    """Storage where one who wants to write waits for his turn: `meanwhile` is done before the turn with this number."""

    def __init__(self, inner: Storage, meanwhile: Callable[[], Awaitable[object]], turn: int) -> None:
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
    machine.changes.storage = queue  # type: ignore[assignment]  # all that changes use of a storage


async def _two_processes(shared: Shared) -> tuple[Machine, Machine, SoftSlot]:
    """Open a vault of two slots in two processes; return both, and the first slot."""
    a, b = named("a", "b")
    machine, _ = await opened(Slots(enabled=[a, b]), shared=shared)
    other = machine.restart(Slots(enabled=[a, b]))
    await other.life.auto_unseal()
    return machine, other, a


async def _two_with_shares(shared: Shared) -> tuple[Machine, Machine, None]:
    """As `_two_processes`, of a vault that people's shares alone open."""
    machine, keys = await opened(Slots(), shared=shared)
    other = machine.restart(Slots())
    await other.give(keys)
    return machine, other, None


async def _rotate_without(machine: Machine, slot: SoftSlot) -> None:
    """Replace the root key while a slot is away, which keeps what it had."""
    slot.away = AWAY
    await root_rotation.rotate_root(machine.changes)
    slot.away = None


def test_shares_still_open_a_vault_whose_root_key_two_processes_replaced_one_after_the_other(
    shared: Shared,
) -> None:
    async def scenario() -> None:
        machine, keys = await opened(Slots(), shared=shared)
        other = machine.restart(Slots())
        await other.give(keys)
        await root_rotation.rotate_root(machine.changes)  # committed, and not followed by `other` yet
        _meanwhile(other, other.life.follow_root)
        with suppress(SealChanged):
            await root_rotation.rotate_root(other.changes)
        again = machine.restart(Slots())
        await again.give(keys)
        assert await again.reads()

    shared.run(scenario())


def test_who_follows_while_its_own_rotation_waits_keeps_the_key_that_it_followed_to(shared: Shared) -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes(shared)

        async def meanwhile() -> None:
            await _rotate_without(machine, slot)
            await other.life.follow_root()

        _meanwhile(other, meanwhile, turn=3)  # the last one: both slots have their new record
        with pytest.raises(SealChanged):
            await root_rotation.rotate_root(other.changes)
        assert other.barrier.root_key.same(machine.barrier.root_key)
        await other.life.follow_root()
        await other.barrier.refresh()
        await other.changes.renew("a")
        assert await opens(machine, slot)

    shared.run(scenario())


def test_a_slot_that_is_renewed_while_the_root_key_is_followed_gets_no_old_one(shared: Shared) -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes(shared)
        await _rotate_without(machine, slot)
        _meanwhile(other, other.life.follow_root)
        with suppress(SealFailure):
            await other.changes.renew("a")
        assert await opens(machine, slot)

    shared.run(scenario())


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("path", [slot_path("a", 1), link_path(1), KEYRING_PATH])
def test_a_root_key_that_is_replaced_once_more_while_it_is_followed_is_followed_to_the_last(
    shared: Shared, path: str, links: bool
) -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes(shared)
        await (
            _rotate_without(machine, slot)
            if path == link_path(1)
            else root_rotation.rotate_root(machine.changes)
        )
        reads = Reader(other.storage, path, lambda: root_rotation.rotate_root(machine.changes, links=links))
        other.life._storage = other.barrier._storage = reads  # type: ignore[assignment]  # all of a storage that these use
        await other.life.follow_root()
        assert reads._meanwhile is None
        assert other.barrier.root_key.same(machine.barrier.root_key)
        assert other.changes.root_version == 3
        assert await opens(machine, slot)

    shared.run(scenario())


async def _branched(machine: Machine, other: Machine) -> None:
    """Restore a backup under two processes, and replace the root key once before that, and once after it elsewhere."""
    backup = machine.shared.back_up()
    await root_rotation.rotate_root(machine.changes)
    machine.shared.restore(backup)
    await root_rotation.rotate_root(other.changes)
    assert machine.changes.root_version == other.changes.root_version


def test_a_root_key_of_the_same_number_from_a_backup_on_is_followed_through_a_slot(shared: Shared) -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes(shared)
        await _branched(machine, other)
        await machine.life.follow_root()
        assert machine.barrier.root_key.same(other.barrier.root_key)
        assert await machine.reads()
        await machine.changes.renew("a")
        assert await opens(machine, slot)

    shared.run(scenario())


@pytest.mark.parametrize("slotted", [True, False])
def test_where_no_slot_gives_a_root_key_of_the_same_number_it_is_told_how_that_can_be(
    shared: Shared, slotted: bool
) -> None:
    async def scenario() -> None:
        machine, other, _ = await (_two_processes(shared) if slotted else _two_with_shares(shared))
        await _branched(machine, other)
        for each in machine.life.slots.enabled:
            assert isinstance(each, SoftSlot)
            each.away = AWAY
        with pytest.raises(RootKeyReplaced, match=r"backup was restored.*or the stored keyring is damaged"):
            await machine.life.follow_root()

    shared.run(scenario())


def test_a_keyring_that_is_damaged_is_not_taken_for_one_of_another_root_key_where_a_slot_has_that(
    shared: Shared,
) -> None:
    async def scenario() -> None:
        machine, other, _ = await _two_processes(shared)
        async with machine.storage.write() as tx:
            await tx.put(KEYRING_PATH, bytes(64))
        for each in (machine, other):
            with pytest.raises(SealFailure, match="keyring is damaged") as told:
                await each.life.follow_root()
            assert not isinstance(told.value, RootKeyReplaced)

    shared.run(scenario())


@pytest.mark.parametrize("change", ["renew", "add_shamir"])
def test_who_knows_a_root_key_of_the_same_number_from_before_a_backup_gives_it_to_no_slot(
    shared: Shared,
    change: str,
) -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes(shared)
        await _branched(machine, other)
        with pytest.raises(SealChanged):
            await (machine.changes.renew("a") if change == "renew" else machine.changes.add_shamir())
        assert await opens(other, slot)

    shared.run(scenario())


def test_a_slot_gets_no_root_key_in_whose_place_one_of_the_same_number_was_followed_meanwhile(
    shared: Shared,
) -> None:
    async def scenario() -> None:
        machine, other, slot = await _two_processes(shared)
        await _branched(machine, other)
        _meanwhile(machine, machine.life.follow_root, turn=2)
        with suppress(SealFailure):
            await machine.changes.renew("a")
        assert await opens(other, slot)

    shared.run(scenario())
