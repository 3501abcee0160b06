# SPDX-License-Identifier: EUPL-1.2
"""Whatever a change of slots is interrupted by, and wherever, the vault opens afterwards and its data is there.

A process can end at any statement of storage, committed or not, and at any call to a device.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from hsm.errors import HsmError, IntegrityError, SlotUnavailable
from tests.unit.seal.auto import RECOVERY, Machine, named
from tests.unit.seal.keys import NOW
from tests.unit.seal.soft import SoftSlot
from vault.barrier.key import Key
from vault.seal.changes import root_rotation
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records.record import SLOTS_PREFIX, slot_path
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID

CORE = "ns/root/"
WRAPPED = ("first", "second")
SHARES = InitRequest(secret_shares=3, secret_threshold=2)


class Killed(BaseException):
    """The process ended here."""


@dataclass
class Case:
    """A vault, its tokens and shares, and the configuration that it is started with again."""

    machine: Machine
    slots: list[SoftSlot]
    keys: list[str]
    started: Slots
    new_keys: list[str] = field(default_factory=list)

    async def opens(self) -> bool:
        """Whether every slot that the vault says it has opens it alone, with its data, and people's shares do."""
        self.machine.fail_statement(0)
        for slot in self.slots:
            slot.before = slot.calls.count
        config = await self.machine.config()
        alone = [slot for slot in self.slots if slot.name in config.wrapped]
        ways = [await self._by_itself(slot) for slot in alone]
        if (await self.machine.life.share_scheme()).shares:
            ways.append(await self._by_shares())
        return bool(ways) and all(ways)

    async def _by_itself(self, slot: SoftSlot) -> bool:
        again = self.machine.restart(Slots(enabled=[slot]))
        await again.life.auto_unseal()
        return await again.reads()

    async def _by_shares(self) -> bool:
        for keys in (self.keys, self.new_keys):
            for migrate in (False, True):
                again = self.machine.restart(self.started)
                with contextlib.suppress(SealRefusal):
                    await again.give(keys[:2], migrate=migrate)
                    if await again.reads():
                        return True
        return False


Prepare = Callable[[], Awaitable[Case]]
Change = Callable[[Case], Awaitable[object]]


async def shares_alone() -> Case:
    machine = Machine(Slots(), os.urandom)
    keys = list((await machine.init(SHARES)).keys)
    await machine.give(keys[:2])
    a, b = named("a", "b")
    machine.changes.slots = Slots(enabled=[a, b])
    kept = Slots(enabled=[a, b], shamir_kept=True)
    return Case(machine, [a, b], keys, kept)


async def first_token() -> Case:
    case = await shares_alone()
    await case.machine.changes.add("a")
    return case


async def both_tokens() -> Case:
    case = await first_token()
    await case.machine.changes.add("b")
    return case


async def tokens_without_shares() -> Case:
    a, b = named("a", "b")
    machine = Machine(Slots(enabled=[a, b]), os.urandom)
    keys = list((await machine.init(RECOVERY)).recovery.keys)
    await machine.life.auto_unseal()
    return Case(machine, [a, b], keys, Slots(enabled=[a, b]))


async def one_token_is_behind() -> Case:
    case = await tokens_without_shares()
    case.slots[1].away = SlotUnavailable("away")
    await root_rotation.rotate_root(case.machine.changes)
    case.slots[1].away = None
    return case


async def tokens_and_shares() -> Case:
    case = await tokens_without_shares()
    await case.machine.changes.add_shamir()
    return case


async def before_migration_to_tokens() -> Case:
    case = await shares_alone()
    await case.machine.life.seal()
    a, b = case.slots
    case.started = Slots(enabled=[a, b])
    case.machine = case.machine.restart(case.started)
    return case


async def before_migration_to_shares() -> Case:
    case = await tokens_without_shares()
    await case.machine.life.seal()
    a, b = case.slots
    case.started = Slots(disabled=[a, b])
    case.machine = case.machine.restart(case.started)
    return case


async def before_migration_between_tokens() -> Case:
    case = await tokens_without_shares()
    await case.machine.changes.remove("b")
    await case.machine.life.seal()
    a, b = case.slots
    case.started = Slots(enabled=[b], disabled=[a])
    case.machine = case.machine.restart(case.started)
    return case


async def new_shares(case: Case) -> None:
    key = Key(bytes(32))
    case.new_keys = [key.reveal().hex()]
    await root_rotation.replace_shares(case.machine.changes, key, 1, 1)


CHANGES: list[tuple[str, Prepare, Change]] = [
    ("first-token", shares_alone, lambda case: case.machine.changes.add("a")),
    ("second-token", first_token, lambda case: case.machine.changes.add("b")),
    ("drop-shares", both_tokens, lambda case: case.machine.changes.remove("shamir")),
    ("renew", both_tokens, lambda case: case.machine.changes.renew("a")),
    ("root", both_tokens, lambda case: root_rotation.rotate_root(case.machine.changes)),
    ("root-alone", shares_alone, lambda case: root_rotation.rotate_root(case.machine.changes)),
    ("root-tokens", tokens_without_shares, lambda case: root_rotation.rotate_root(case.machine.changes)),
    (
        "root-no-links",
        tokens_without_shares,
        lambda case: root_rotation.rotate_root(case.machine.changes, links=False),
    ),
    ("catch-up", one_token_is_behind, lambda case: case.machine.changes.renew("b")),
    ("new-shares", tokens_and_shares, new_shares),
    ("new-unseal-shares", shares_alone, new_shares),
    ("shares-join", tokens_without_shares, lambda case: case.machine.changes.add_shamir()),
    ("drop-token", tokens_and_shares, lambda case: case.machine.changes.remove("a")),
    ("order", both_tokens, lambda case: case.machine.changes.move("b", first=True)),
    (
        "migrate-to-tokens",
        before_migration_to_tokens,
        lambda case: case.machine.give(case.keys[:2], migrate=True),
    ),
    (
        "migrate-to-shares",
        before_migration_to_shares,
        lambda case: case.machine.give(case.keys[:2], migrate=True),
    ),
    (
        "migrate-between-tokens",
        before_migration_between_tokens,
        lambda case: case.machine.give(case.keys[:2], migrate=True),
    ),
]
BY_NAME = pytest.mark.parametrize(
    ("prepare", "change"), [change[1:] for change in CHANGES], ids=[change[0] for change in CHANGES]
)


@BY_NAME
def test_the_change_itself_leaves_a_vault_that_opens(prepare: Prepare, change: Change) -> None:
    async def scenario() -> None:
        case = await prepare()
        await change(case)
        assert await case.opens()

    asyncio.run(scenario())


@BY_NAME
def test_a_failure_of_storage_at_any_statement_leaves_a_vault_that_opens(
    prepare: Prepare, change: Change
) -> None:
    async def scenario() -> None:
        for statement in range(1, 200):
            case = await prepare()
            case.machine.fail_statement(statement)
            try:
                await change(case)
            except StorageFailure:
                assert await case.opens(), statement
            else:
                assert len(case.machine.faults.statements) < statement
                return
        raise AssertionError("the change does not end")

    asyncio.run(scenario())


@BY_NAME
@pytest.mark.parametrize("fault", [SlotUnavailable("gone"), Killed()], ids=["gone", "killed"])
def test_a_device_that_dies_or_a_kill_at_any_call_leaves_a_vault_that_opens(
    prepare: Prepare, change: Change, fault: BaseException
) -> None:
    async def scenario() -> None:
        for last in range(1, 100):
            case = await prepare()
            calls = 0

            def die(call: str, last: int = last) -> None:
                nonlocal calls
                calls += 1
                if calls >= last:
                    raise fault

            for slot in case.slots:
                slot.before = die
            try:
                await change(case)
            except (HsmError, Killed, SealFailure, SealRefusal):
                pass
            assert await case.opens(), last
            if calls < last:
                return
        raise AssertionError("the change does not end")

    asyncio.run(scenario())


Step = Callable[[Machine, SealWrap], Awaitable[object]]


async def rewrap(machine: Machine, wraps: SealWrap) -> None:
    await machine.changes.renew("a")
    await wraps.rewrap("a")


async def catch_up(machine: Machine, wraps: SealWrap) -> None:
    await wraps.rewrap("b", missing=True)


async def remove(machine: Machine, wraps: SealWrap) -> None:
    await machine.changes.remove("a")
    await wraps.forget("a")


async def drop(machine: Machine, wraps: SealWrap) -> None:
    await root_rotation.rotate_root(machine.changes, links=False)


async def with_wrapped_values() -> tuple[Machine, SealWrap, list[SoftSlot]]:
    """Two tokens, the second of which lacks the second value and has a newer key."""
    a, b = named("a", "b")
    machine = Machine(Slots(enabled=[a, b]), os.urandom)
    await machine.init(RECOVERY)
    await machine.life.auto_unseal()
    wraps = wraps_of(machine)
    for path in WRAPPED:
        wrapped = await wraps.wrap(ROOT_ID, path, path.encode())
        async with machine.barrier.write(ROOT_ID, CORE) as core:
            await wraps.put(core, path, wrapped)
        b.away = SlotUnavailable("away")
    b.away = None
    a.rotate()
    return machine, wraps, [a, b]


def wraps_of(machine: Machine) -> SealWrap:
    wraps = SealWrap(
        machine.storage, machine.barrier, machine.changes.slots, now=lambda: NOW, random=os.urandom
    )
    machine.changes.wraps = wraps
    return wraps


async def all_is_there(machine: Machine, slots: list[SoftSlot]) -> bool:
    """Whether, after a start, every slot of the vault opens it and the values are read."""
    machine.fail_statement(0)
    config = await machine.config()
    for slot in slots:
        slot.before = slot.calls.count
    ways = []
    for slot in slots:
        if slot.name in config.wrapped:
            again = machine.restart(Slots(enabled=[slot]))
            await again.life.auto_unseal()
            ways.append(await again.reads())
    again = machine.restart(Slots(enabled=[slot for slot in slots if slot.name in config.wrapped]))
    await again.life.auto_unseal()
    core = again.barrier.reader(ROOT_ID, CORE)
    values = [await wraps_of(again).get(core, ROOT_ID, path) for path in WRAPPED]
    return bool(ways) and all(ways) and values == [path.encode() for path in WRAPPED]


STEPS = pytest.mark.parametrize("step", [rewrap, catch_up, remove, drop])


@STEPS
def test_a_failure_of_storage_at_any_statement_leaves_wrapped_values_readable(step: Step) -> None:
    async def scenario() -> None:
        for statement in range(1, 200):
            machine, wraps, slots = await with_wrapped_values()
            machine.fail_statement(statement)
            try:
                await step(machine, wraps)
            except StorageFailure:
                assert await all_is_there(machine, slots), statement
            else:
                assert len(machine.faults.statements) < statement
                assert await all_is_there(machine, slots)
                return
        raise AssertionError("the change does not end")

    asyncio.run(scenario())


@STEPS
@pytest.mark.parametrize("fault", [SlotUnavailable("gone"), Killed()], ids=["gone", "killed"])
def test_a_device_that_dies_or_a_kill_at_any_call_leaves_wrapped_values_readable(
    step: Step, fault: BaseException
) -> None:
    async def scenario() -> None:
        for last in range(1, 100):
            machine, wraps, slots = await with_wrapped_values()
            calls = 0

            def die(call: str, last: int = last) -> None:
                nonlocal calls
                calls += 1
                if calls >= last:
                    raise fault

            for slot in slots:
                slot.before = die
            with contextlib.suppress(HsmError, Killed, SealFailure, SealRefusal):
                await step(machine, wraps)
            assert await all_is_there(machine, slots), last
            if calls < last:
                return
        raise AssertionError("the change does not end")

    asyncio.run(scenario())


def test_from_shares_to_one_token_to_another_and_back_all_without_a_pause() -> None:
    async def scenario() -> None:
        case = await shares_alone()
        changes, (a, b) = case.machine.changes, case.slots
        for step in (
            changes.add("a"),
            changes.add("b"),
            changes.remove("shamir"),
            changes.remove("a"),
        ):
            await step
            assert await case.opens()
        again = case.machine.restart(Slots(enabled=[b]))
        await again.life.auto_unseal()
        key = Key(os.urandom(32))
        await root_rotation.replace_shares(again.changes, key, 1, 1)
        await again.changes.add_shamir()
        await again.changes.remove("b")
        last = case.machine.restart(Slots())
        await last.give([key.reveal().hex()])
        assert await last.reads()
        assert a.calls and b.calls

    asyncio.run(scenario())


def test_what_an_interrupted_change_left_of_a_slot_goes_with_the_next_change() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        await machine.init()
        await machine.life.auto_unseal()
        machine.changes.slots = Slots(enabled=[a, b])
        b.before = lambda call: b.replace() if call == "unwrap" else None
        with pytest.raises(IntegrityError):
            await machine.changes.add("b")
        reader = machine.storage.reader()
        assert await reader.get(slot_path("b", 1)) is not None
        await machine.changes.renew("a")
        config = await machine.config()
        left = {SLOTS_PREFIX + path for path in await reader.scan(SLOTS_PREFIX)}
        assert left == {slot_path(name, config.entry(name).revision) for name in config.slots}
        again = machine.restart(Slots(enabled=[a]))
        await again.life.auto_unseal()
        assert await again.reads()

    asyncio.run(scenario())
