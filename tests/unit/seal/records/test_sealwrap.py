# SPDX-License-Identifier: EUPL-1.2
"""Values that need a key slot to be read."""

import asyncio
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import RECOVERY, Machine, named
from tests.unit.seal.soft import SoftSlot
from vault.barrier.failure import BarrierSealed
from vault.barrier.stored import raw
from vault.seal.changes import root_rotation
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records.record import CONFIG_PATH
from vault.seal.records.sealwrap import KEPT_SECONDS, PREFIX, LostValues, SealWrap
from vault.seal.records.slots import NoSlotAnswers, Slots
from vault.values.ids import ROOT_ID

CORE = "ns/root/"


class Wraps:
    """An open vault with wrapped values, and a clock."""

    def __init__(self, *slots: SoftSlot) -> None:
        self.now = 1000.0
        self.slots = Slots(enabled=slots)
        self.machine = Machine(self.slots, os.urandom)
        self.wraps = SealWrap(
            self.machine.storage, self.machine.barrier, self.slots, now=lambda: self.now, random=os.urandom
        )
        self.machine.changes.wraps = self.wraps

    async def open(self) -> "Wraps":
        if self.slots.enabled:
            await self.machine.init(RECOVERY)
            await self.machine.life.auto_unseal()
        else:
            await self.machine.give(
                (await self.machine.init(InitRequest(secret_shares=1, secret_threshold=1))).keys
            )
        return self

    async def put(self, path: str, value: bytes) -> None:
        wrapped = await self.wraps.wrap(ROOT_ID, path, value)
        async with self.machine.barrier.write(ROOT_ID, CORE) as core:
            await self.wraps.put(core, path, wrapped)

    async def get(self, path: str) -> bytes | None:
        return await self.wraps.get(self.machine.barrier.reader(ROOT_ID, CORE), ROOT_ID, path)

    async def move(self, path: str, to: str) -> None:
        async with self.machine.barrier.write(ROOT_ID, CORE) as core:
            data = await core.get(PREFIX + path)
            assert data is not None
            await core.put(PREFIX + to, raw(data))


def test_a_value_opens_through_any_slot_of_the_vault_and_through_no_other() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        await here.put("audit/salt", b"secret")
        assert await here.get("audit/salt") == b"secret"
        assert await here.get("audit/other") is None
        here.wraps._slots = Slots(enabled=[b])
        await here.put("audit/salt", b"secret")
        here.wraps._slots = here.slots
        await here.put("audit/salt", b"secret")
        for slot in (a, b):
            here.wraps.drop()
            slot.away = SlotUnavailable("away")
            assert await here.get("audit/salt") == b"secret"
            slot.away = None
        here.wraps.drop()
        a.away = b.away = SlotUnavailable("away")
        with pytest.raises(NoSlotAnswers):
            await here.get("audit/salt")
        with pytest.raises(NoSlotAnswers):
            await here.put("audit/salt", b"x")
        async with here.machine.barrier.write(ROOT_ID, CORE) as core:
            await here.wraps.delete(core, "audit/salt")
        assert await here.get("audit/salt") is None

    asyncio.run(scenario())


def test_what_was_read_is_kept_for_a_minute_at_most_and_not_past_a_seal() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = await Wraps(a).open()
        await here.put("x", b"secret")
        await here.get("x")
        a.calls.clear()
        here.now += KEPT_SECONDS - 1
        assert await here.get("x") == b"secret"
        assert a.calls == []
        here.now += 1
        assert await here.get("x") == b"secret"
        assert a.calls == ["unwrap"]
        here.wraps.drop()
        await here.get("x")
        assert len(a.calls) == 2
        await here.put("y", b"other")
        here.now += KEPT_SECONDS
        await here.get("y")
        assert len(here.wraps._kept) == 1
        held = here.machine.barrier.reader(ROOT_ID, CORE)
        a.hold = asyncio.Event()
        a.entered.clear()
        here.wraps.drop()
        waiting = asyncio.create_task(here.wraps.get(held, ROOT_ID, "x"))
        await a.entered.wait()
        await here.machine.life.seal()
        a.hold.set()
        assert await waiting == b"secret"
        assert here.wraps._kept == {}
        with pytest.raises(BarrierSealed):
            await here.get("x")

    asyncio.run(scenario())


def test_only_so_many_values_are_kept() -> None:
    async def scenario() -> None:
        here = await Wraps(*named("a")).open()
        for number in range(1024 + 5):
            here.wraps._keep(bytes([number % 256, number // 256]), here.now, b"x")
        assert len(here.wraps._kept) == 1024

    asyncio.run(scenario())


def test_what_a_slot_alone_holds_is_given_to_those_that_stay() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        b.away = SlotUnavailable("away")
        await here.put("audit/salt", b"secret")
        here.wraps.drop()
        with pytest.raises(NoSlotAnswers):
            await here.wraps.carry(("b",))
        b.away = None
        await here.machine.changes.remove("a")
        await here.wraps.forget("a")
        here.wraps.drop()
        a.away = SlotUnavailable("gone for good")
        assert await here.get("audit/salt") == b"secret"
        await here.wraps.carry(("b",))
        await here.wraps.carry(())
        here.wraps.drop()
        b.away = SlotUnavailable("gone too")
        assert await here.get("audit/salt") == b"secret"

    asyncio.run(scenario())


def test_a_value_opens_at_its_own_path_only() -> None:
    async def scenario() -> None:
        here = await Wraps(*named("a")).open()
        await here.put("x", b"secret")
        await here.move("x", "y")
        with pytest.raises(NoSlotAnswers, match="another place"):
            await here.get("y")

    asyncio.run(scenario())


def test_without_key_slots_a_value_lies_behind_the_barrier() -> None:
    async def scenario() -> None:
        here = await Wraps().open()
        await here.put("x", b"secret")
        assert await here.get("x") == b"secret"
        assert await here.wraps.rewrap("a") == (0, {})
        counts: dict[str, dict[str, int]] = {}
        await here.wraps.count(counts)
        assert counts == {}
        await here.wraps.forget("a")
        assert await here.get("x") == b"secret"

    asyncio.run(scenario())


def test_values_are_wrapped_anew_for_one_slot_and_counted_by_version() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        await here.put("x", b"one")
        b.away = SlotUnavailable("away")
        await here.put("y", b"two")
        b.away = None
        a.rotate()
        counts: dict[str, dict[str, int]] = {}
        await here.wraps.count(counts)
        assert counts == {"a": {"v0001": 2}, "b": {"v0001": 1}}
        await here.machine.changes.renew("a")
        assert await here.wraps.rewrap("a") == (2, {})
        assert await here.wraps.rewrap("b") == (2, {})
        assert await here.wraps.rewrap("c") == (0, {})
        counts.clear()
        await here.wraps.count(counts)
        assert counts == {"a": {"v0002": 2}, "b": {"v0001": 2}}
        del a.keys["v0001"]
        here.wraps.drop()
        assert [await here.get("x"), await here.get("y")] == [b"one", b"two"]
        await here.wraps.forget("a")
        await here.wraps.forget("b")
        counts.clear()
        await here.wraps.count(counts)
        assert counts == {"b": {"v0001": 2}}

    asyncio.run(scenario())


def test_a_value_that_was_written_meanwhile_is_left_alone() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = await Wraps(a).open()
        await here.put("x", b"old")
        await here.put("gone", b"old")
        a.hold = asyncio.Event()
        a.entered.clear()
        rewrapping = asyncio.create_task(here.wraps.rewrap("a"))
        await a.entered.wait()
        newer = Wraps(*named("a"))
        newer.slots.enabled[0].keys = a.keys  # type: ignore[attr-defined]  # slots of tests
        newer.machine, newer.wraps._barrier, newer.wraps._storage = (
            here.machine,
            here.machine.barrier,
            here.machine.storage,
        )
        await newer.put("gone", b"new")
        async with here.machine.barrier.write(ROOT_ID, CORE) as core:
            await newer.wraps.delete(core, "x")
        a.hold.set()
        assert await rewrapping == (0, {})
        assert await newer.get("gone") == b"new"
        assert await newer.get("x") is None

    asyncio.run(scenario())


def test_what_cannot_be_read_is_a_failure() -> None:
    async def scenario() -> None:
        here = await Wraps(*named("a")).open()
        async with here.machine.barrier.write(ROOT_ID, CORE) as core:
            await core.put(PREFIX + "x", raw(b"damaged"))
        with pytest.raises(SealFailure, match="unknown format"):
            await here.get("x")
        async with here.machine.storage.write() as tx:
            await tx.delete(CONFIG_PATH)
        with pytest.raises(SealFailure, match="no seal configuration"):
            await here.put("x", b"x")

    asyncio.run(scenario())


def test_a_value_comes_back_under_no_slot_that_was_removed_meanwhile() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        await here.put("x", b"secret")
        a.hold = asyncio.Event()
        a.entered.clear()
        rewrapping = asyncio.create_task(here.wraps.rewrap("a"))
        await a.entered.wait()
        await here.machine.changes.remove("a")
        await here.wraps.forget("a")
        a.hold.set()
        with pytest.raises(SealFailure, match="changed meanwhile"):
            await rewrapping
        found: dict[str, dict[str, int]] = {}
        await here.wraps.count(found)
        assert found == {"b": {"v0001": 1}}

    asyncio.run(scenario())


def test_a_value_is_stored_for_the_slots_that_there_are_by_then_or_not_at_all() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        for_both = await here.wraps.wrap(ROOT_ID, "x", b"secret")
        b.away = SlotUnavailable("away")
        for_a = await here.wraps.wrap(ROOT_ID, "x", b"secret")
        b.away = None
        await here.machine.changes.remove("a")
        async with here.machine.barrier.write(ROOT_ID, CORE) as core:
            with pytest.raises(SealFailure, match="changed meanwhile"):
                await here.wraps.put(core, "x", for_a)
            await here.wraps.put(core, "x", for_both)
        found: dict[str, dict[str, int]] = {}
        await here.wraps.count(found)
        assert found == {"b": {"v0001": 1}}
        assert await here.get("x") == b"secret"

    asyncio.run(scenario())


def test_after_a_compromise_values_are_given_to_the_slots_that_stay() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        a.away = SlotUnavailable("away")
        await here.put("x", b"secret")
        a.away, b.away = None, SlotUnavailable("away")
        here.wraps.drop()
        with pytest.raises(
            SealRefusal,
            match="slot b holds wrapped values that no slot opens: x; repair that, or say abandon",
        ):
            await root_rotation.rotate_root(here.machine.changes, links=False)
        assert (await here.machine.config()).slots == ("a", "b")
        b.away = None
        await here.get("x")
        b.away = SlotUnavailable("away")
        await root_rotation.rotate_root(here.machine.changes, links=False)
        here.wraps.drop()
        assert (await here.machine.config()).slots == ("a",)
        assert await here.get("x") == b"secret"

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["remove", "rotate"])
def test_a_value_made_for_a_slot_that_leaves_just_then_stays(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        carry = here.wraps.carry

        async def made_meanwhile(names: tuple[str, ...], *, dry_run: bool = False) -> LostValues:
            lost = await carry(names, dry_run=dry_run)
            a.away, b.away = SlotUnavailable("slow"), None
            await here.put("x", b"secret")
            a.away = None
            return lost

        async def change() -> None:
            if how == "remove":
                await here.machine.changes.remove("b")
            else:
                b.away = SlotUnavailable("away")
                await root_rotation.rotate_root(here.machine.changes, links=False)

        monkeypatch.setattr(here.wraps, "carry", made_meanwhile)
        with pytest.raises(SealFailure, match="changed meanwhile"):
            await change()
        monkeypatch.undo()
        assert (await here.machine.config()).slots == ("a", "b")
        await here.get("x")
        await change()
        here.wraps.drop()
        assert (await here.machine.config()).slots == ("a",)
        assert await here.get("x") == b"secret"

    asyncio.run(scenario())


def test_a_slot_that_is_dropped_keeps_no_value() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        await here.put("x", b"secret")
        b.away = SlotUnavailable("away")
        await root_rotation.rotate_root(here.machine.changes, links=False)
        found: dict[str, dict[str, int]] = {}
        await here.wraps.count(found)
        assert found == {"a": {"v0001": 1}}

    asyncio.run(scenario())


def test_what_is_left_of_slots_that_are_no_part_is_forgotten_where_one_that_is_holds_it() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = await Wraps(a, b).open()
        await here.put("x", b"secret")
        a.away = SlotUnavailable("away")
        await here.put("y", b"secret")
        a.away = None
        here.machine.changes.wraps = None  # as if it had ended before
        await here.machine.changes.remove("b")
        await here.wraps.forget()
        found: dict[str, dict[str, int]] = {}
        await here.wraps.count(found)
        assert found == {"a": {"v0001": 1}, "b": {"v0001": 1}}
        assert await here.get("y") == b"secret"

    asyncio.run(scenario())
