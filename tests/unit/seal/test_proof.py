# SPDX-License-Identifier: EUPL-1.2
"""What a change of slots relies on is looked at, and looked at again where it counts: another process may write too."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from hsm.errors import IntegrityError
from tests.shared import Shared
from tests.unit.barrier.stream import flips
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.changes.test_slot_changes import AWAY, opened, opens
from tests.unit.seal.node import refused
from tests.unit.seal.soft import SoftSlot
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key
from vault.barrier.keyring import KEYRING_PATH
from vault.seal.changes import dry_run, recovery_key, root_rotation
from vault.seal.changes.slot_changes import SealChanged, SlotChanges
from vault.seal.failure import RootKeyReplaced, SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records import seal_store
from vault.seal.records.record import CONFIG_PATH, WrappedSlot, decode, encode, link_path, slot_path
from vault.seal.records.slots import NoSlotAnswers, Slots

_HELPS = r"another slot, the recovery shares, or the key from a backup of the token does.*seal-slots rewrap a"


async def _replace(machine: Machine, path: str, value: bytes | None) -> None:
    async with machine.storage.write() as tx:
        await (tx.delete(path) if value is None else tx.put(path, value))


async def _damage(machine: Machine, path: str) -> None:
    async with machine.storage.write() as tx:
        stored = await tx.get(path)
        assert stored is not None
        await tx.put(path, stored[:-2] + bytes([stored[-2] ^ 1]) + stored[-1:])


async def _remove(machine: Machine, path: str) -> None:
    async with machine.storage.write() as tx:
        await tx.delete(path)


@pytest.mark.parametrize("spoil", [_damage, _remove])
@pytest.mark.parametrize("what", ["record", "link"])
def test_a_slot_for_shares_whose_record_opens_nothing_is_not_relied_upon(
    what: str, spoil: Callable[[Machine, str], Awaitable[None]]
) -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, _ = await opened(Slots(enabled=[a], shamir="people"))
        config = await machine.changes.add_shamir()
        if what == "link":
            await root_rotation.rotate_root(machine.changes)
        await spoil(
            machine,
            slot_path("people", config.entry("people").revision) if what == "record" else link_path(1),
        )
        assert "is the last one that works" in await refused(machine.changes.remove("a"))
        assert await opens(machine, a)

    asyncio.run(scenario())


def test_a_slot_for_shares_behind_a_link_is_relied_upon() -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, keys = await opened(Slots(enabled=[a], shamir="people"))
        await machine.changes.add_shamir()
        await root_rotation.rotate_root(machine.changes)
        await machine.changes.remove("a")
        again = machine.restart(Slots())
        await again.give(keys[:2])
        assert await again.reads()

    asyncio.run(scenario())


class _Twin:
    """Another process with the same storage and the same token, while the first waits for the token's answer."""

    def __init__(self, slot: SoftSlot) -> None:
        self.first = slot
        self.slot = SoftSlot(slot.name)
        self.slot.keys = slot.keys

    async def between(
        self, work: Awaitable[object], call: str, other: Callable[[], Awaitable[object]], *, skip: int = 0
    ) -> str:
        """Do `work` up to the token's `call` after `skip` others, then `other`, then the rest.

        Return why `work` was refused.
        """
        self.first.calls.clear()
        held, release = asyncio.Event(), asyncio.Event()

        def hold(name: str) -> None:
            if name == call and self.first.calls.count(call) == skip + 1:
                self.first.hold = release
                held.set()

        self.first.before = hold
        task = asyncio.ensure_future(work)
        await asyncio.wait_for(held.wait(), 60)
        await other()
        release.set()
        with pytest.raises(SealFailure) as told:
            await task
        return str(told.value)


def _changes(changes: SlotChanges) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "renew": lambda: changes.renew("a"),
        "rotate": lambda: root_rotation.rotate_root(changes),
        "rotate without links": lambda: root_rotation.rotate_root(changes, links=False),
    }


@pytest.mark.parametrize("change", ["renew", "rotate", "rotate without links"])
def test_a_record_that_another_process_wrote_meanwhile_never_counts(shared: Shared, change: str) -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, _ = await opened(Slots(enabled=[a]), shared=shared)
        twin = _Twin(a)
        there = machine.restart(Slots(enabled=[twin.slot]))
        assert await there.life.auto_unseal() == {}

        async def other() -> None:
            """What a rotation over there does first; then that process dies."""
            config = await there.changes.config()
            stranger = Key(bytes(range(32)))
            await there.changes.write(
                twin.slot,
                stranger,
                config,
                await twin.slot.identify(),
                version=config.root_version + 1,
                revision=1,
            )

        told = await twin.between(_changes(machine.changes)[change](), "unwrap", other)
        assert "changed meanwhile" in told
        a.hold, a.before = None, lambda _: 0
        assert await machine.reads()
        assert await opens(machine, a)
        await _changes(machine.changes)[change]()
        assert await opens(machine, a)

    shared.run(scenario())


@pytest.mark.parametrize("change", ["renew", "rotate", "rotate without links"])
def test_a_record_that_counts_for_another_process_by_now_is_not_written_over(
    shared: Shared, change: str
) -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, _ = await opened(Slots(enabled=[a]), shared=shared)
        twin = _Twin(a)
        there = machine.restart(Slots(enabled=[twin.slot]))
        assert await there.life.auto_unseal() == {}
        told = await twin.between(
            _changes(machine.changes)[change](),
            "wrap",
            lambda: root_rotation.rotate_root(there.changes),
        )
        assert "changed meanwhile" in told
        a.hold, a.before = None, lambda _: 0
        assert await opens(machine, a)

    shared.run(scenario())


@pytest.mark.parametrize("threshold", [0, -1])
def test_one_recovery_share_without_a_threshold_opens_what_is_made_for_it(threshold: int) -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, keys = await opened(
            Slots(enabled=[a]), InitRequest(recovery_shares=1, recovery_threshold=threshold)
        )
        await machine.changes.add_shamir()
        again = machine.restart(Slots(shamir_kept=True))
        await again.give(keys)
        assert await again.reads()
        moved = machine.restart(Slots(disabled=[a]))
        await moved.give(keys, migrate=True)
        again = machine.restart(Slots())
        await again.give(keys)
        assert await again.reads()

    asyncio.run(scenario())


def test_a_slot_that_was_replaced_after_it_was_tried_is_not_relied_upon() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        told = await _Twin(b).between(
            machine.changes.remove("a"), "unwrap", lambda: _damage(machine, slot_path("b")), skip=1
        )
        assert "changed meanwhile" in told
        b.hold, b.before = None, lambda _: 0
        assert await opens(machine, a)

    asyncio.run(scenario())


def test_no_wrap_of_the_recovery_key_is_lost_when_two_processes_add_one(shared: Shared) -> None:
    async def scenario() -> None:
        a, b, c = named("a", "b", "c")
        machine, _ = await opened(Slots(enabled=[a, b, c]), shared=shared)
        b.away = c.away = AWAY
        await root_rotation.replace_shares(machine.changes, Key(bytes(32)), 1, 1)
        b.away = c.away = None
        twin = _Twin(b)
        there = machine.restart(Slots(enabled=[a, twin.slot, c]))
        assert await there.life.auto_unseal() == {}
        told = await twin.between(
            recovery_key.give_recovery(machine.changes, "b"),
            "wrap",
            lambda: recovery_key.give_recovery(there.changes, "c"),
        )
        assert "wrapped for another slot meanwhile" in told
        b.hold, b.before = None, lambda _: 0
        assert await recovery_key.give_recovery(machine.changes, "b")
        record = await seal_store.recovery_record(machine.storage.reader(), await machine.config())
        assert set(record.wrapped) == {"a", "b", "c"}

    shared.run(scenario())


@pytest.mark.parametrize("change", ["renew", "rotate", "rotate without links"])
def test_a_vault_may_be_confirmed_while_its_slots_change(change: str) -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, _ = await opened(Slots(enabled=[a]))
        assert not (await machine.config()).confirmed
        a.hold = asyncio.Event()
        a.entered.clear()
        changing = asyncio.ensure_future(_changes(machine.changes)[change]())
        await a.entered.wait()
        machine.life.prove()
        await machine.life.confirm()
        a.hold.set()
        await changing
        assert (await machine.config()).confirmed
        assert await opens(machine, a)

    asyncio.run(scenario())


def test_every_changed_bit_of_a_key_slots_record_is_an_integrity_failure() -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, _ = await opened(Slots(enabled=[a]))
        path = slot_path("a")
        stored = await machine.storage.reader().get(path)
        assert stored is not None
        record = decode(path, stored, WrappedSlot)
        changed = [(damaged, "fails its integrity check") for damaged in flips(stored)]
        changed += [
            (encode(path, msgspec.structs.replace(record, **{part: damaged})), "damaged or cut short")
            for part in ("root", "canary")
            for damaged in flips(getattr(record, part))
        ]
        a.calls.clear()
        for damaged, said in changed:
            await _put(machine, path, damaged)
            with pytest.raises((SealFailure, IntegrityError), match=said):
                await machine.changes.verify("a")
        assert set(a.calls) <= {"unwrap"}
        await _put(machine, path, stored)
        assert await machine.changes.verify("a") == "v0001"

    asyncio.run(scenario())


async def _put(machine: Machine, path: str, data: bytes) -> None:
    async with machine.storage.write() as tx:
        await tx.put(path, data)


def test_a_keyring_that_a_slots_root_key_does_not_open_is_told_without_a_word_of_shares() -> None:
    async def scenario() -> None:
        a, *_ = named("a")
        machine, _ = await opened(Slots(enabled=[a]))
        async with machine.storage.write() as tx:
            await tx.put(KEYRING_PATH, bytes(64))
        again = machine.restart(Slots(enabled=[a]))
        with pytest.raises(SealFailure, match="keyring is damaged, or the root key was replaced") as told:
            await again.life.auto_unseal()
        assert "shares" not in str(told.value)
        assert again.barrier.sealed

    asyncio.run(scenario())


def test_a_slot_that_the_vault_is_to_leave_is_not_taken_in_and_no_proof_that_it_opens() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        again = machine.restart(Slots(enabled=[b], disabled=[a]))
        await again.life.auto_unseal()
        text = await refused(again.changes.remove("b"))
        assert text == "slot b is the last one that works; add or repair another one first"
        await again.changes.remove("a")
        assert "slot a is disabled in the configuration; remove that and restart" in await refused(
            again.changes.add("a")
        )
        assert await opens(again, b)

    asyncio.run(scenario())


def test_the_root_key_that_another_process_put_in_place_is_followed_in_the_same_vault_alone(
    shared: Shared,
) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine, _ = await opened(Slots(enabled=[a]), shared=shared)
        other = machine.restart(Slots(enabled=[a]))
        await other.life.auto_unseal()
        old = other.barrier.root_key
        await other.life.follow_root()
        assert other.barrier.root_key.same(old)
        await root_rotation.rotate_root(machine.changes)
        a.away = AWAY
        with pytest.raises(RootKeyReplaced):
            await other.life.follow_root()
        a.away = None
        with pytest.raises(BarrierFailure):
            await other.barrier.refresh()
        await other.life.follow_root()
        await other.barrier.refresh()
        assert not other.barrier.root_key.same(old)
        assert await other.reads()
        another, _ = await opened(Slots(enabled=[a]))
        await _replace(other, CONFIG_PATH, encode(CONFIG_PATH, await another.config()))
        with pytest.raises(RootKeyReplaced, match="another initialisation"):
            await other.life.follow_root()
        await _replace(other, CONFIG_PATH, None)
        with pytest.raises(SealFailure, match="no seal configuration"):
            await other.life.follow_root()

    shared.run(scenario())


def test_where_the_key_is_gone_it_is_told_what_helps_and_a_new_key_does_once_the_vault_is_open() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        a.keys, gone = {}, a.keys
        b.away = AWAY
        sealed = machine.restart(Slots(enabled=[a, b]))
        with pytest.raises(NoSlotAnswers, match=_HELPS):
            await sealed.life.auto_unseal()
        a.keys = {name: os.urandom(32) for name in gone}
        with pytest.raises(IntegrityError, match=_HELPS):
            await machine.changes.verify("a")
        with pytest.raises(NoSlotAnswers, match=_HELPS):
            await opens(machine, a)
        await machine.changes.renew("a")
        assert await opens(machine, a)

    asyncio.run(scenario())


@pytest.mark.parametrize("change", ["renew", "add_shamir"])
def test_who_knows_an_old_root_key_gives_it_to_no_slot(shared: Shared, change: str) -> None:
    """A slot that was away when another process replaced the root key is back before this process has noticed."""

    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]), shared=shared)
        other = machine.restart(Slots(enabled=[a, b]))
        await other.life.auto_unseal()
        a.away = AWAY
        await root_rotation.rotate_root(machine.changes)
        a.away = None
        with pytest.raises(SealChanged):
            await (other.changes.renew("a") if change == "renew" else other.changes.add_shamir())
        assert await opens(machine, a)
        await other.life.follow_root()
        await (other.changes.renew("a") if change == "renew" else other.changes.add_shamir())
        assert await opens(machine, a)

    shared.run(scenario())


def test_a_dry_run_of_removing_a_lost_slot_asks_it_for_the_recovery_key_once() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        machine, _ = await opened(Slots(enabled=[a, b]))
        await machine.changes.remove("b")
        a.away = AWAY
        await machine.changes.add("b")
        with pytest.raises(SealRefusal, match="or say abandon"):
            await dry_run.remove(machine.changes, "a")
        a.calls.clear()
        config, lost = await dry_run.remove(machine.changes, "a", abandon=True)
        assert (a.calls, config.recovery, lost) == (["unwrap"], None, {})
        removed = await machine.changes.remove("a", abandon=True)
        assert (removed.recovery, removed.slots) == (None, config.slots)

    asyncio.run(scenario())
