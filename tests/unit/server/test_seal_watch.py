# SPDX-License-Identifier: EUPL-1.2
"""Unsealing by itself, and what follows when slots come and go. The clock is a number that tests move."""

import asyncio
import io
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import Machine, named
from tests.unit.seal.node import ONE
from tests.unit.seal.soft import SoftSlot
from vault.barrier.key import Key
from vault.framework.log import Log
from vault.framework.metrics import Metrics
from vault.seal import turnover
from vault.seal.health import SlotHealth
from vault.seal.record import CONFIG_PATH
from vault.seal.sealwrap import SealWrap
from vault.seal.slots import Slots, SlotView
from vault.server.seal_settings import HsmPolicy
from vault.server.seal_watch import LONGEST_PAUSE, SealWatch
from vault.storage.protocol import StorageFailure

AWAY = SlotUnavailable("unplugged")


class Watched:
    """A machine, its watch, and a clock in seconds."""

    def __init__(self, slots: list[SoftSlot], policy: HsmPolicy | None = None) -> None:
        self.now = 100.0
        self.chance = 1.0
        self.machine = Machine(Slots(enabled=slots), os.urandom)
        self.text = io.StringIO()
        self.metrics = Metrics()
        self.broken: Exception | None = None
        self.resumed = 0
        self.failed = asyncio.Event()
        self.restart(slots, policy)

    def restart(self, slots: list[SoftSlot], policy: HsmPolicy | None = None) -> None:
        """Be another start of the same server."""
        self.machine = self.machine.restart(Slots(enabled=slots))
        self.health = SlotHealth(self.machine.storage, self.machine.life.slots, now=lambda: int(self.now))
        self.wraps = SealWrap(
            self.machine.storage,
            self.machine.barrier,
            self.machine.life.slots,
            now=lambda: int(self.now),
            random=os.urandom,
        )
        self.watch = SealWatch(
            self.machine.life,
            self.health,
            self.wraps,
            policy or HsmPolicy(),
            open_vault=self.open,
            close_vault=self.machine.life.seal,
            resume=self.resume,
            now=lambda: self.now,
            chance=lambda: self.chance,
            log=Log(stream=self.text, level="trace"),
            metrics=self.metrics,
        )

    async def open(self) -> bool:
        if self.broken is not None:
            raise self.broken
        await self.machine.life.auto_unseal()
        return not self.machine.barrier.sealed

    async def resume(self) -> None:
        self.resumed += 1

    async def fail(self) -> list[SlotView]:
        self.failed.set()
        raise ZeroDivisionError

    async def run(self, seconds: float) -> None:
        """Let so much time pass, step by step."""
        end = self.now + seconds
        while True:
            pause = await self.watch.step()
            if self.now + pause > end:
                self.now = end
                return
            self.now += max(pause, 0.001)

    async def lose(self, slot: SoftSlot) -> None:
        """Have the only slot go away, and stop after the first look that finds it gone."""
        slot.away = AWAY
        while not self.health.lost:
            self.now += await self.watch.step()

    def gauges(self) -> dict[str, float]:
        return {
            name + "".join(f"/{value}" for _, value in labels): value
            for name, labels, value in self.metrics.gauges()
        }


def test_the_vault_opens_as_soon_as_a_slot_answers_with_pauses_that_grow() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([a])
        await here.machine.init()
        here.restart([a])
        a.away = AWAY
        a.calls.clear()
        await here.run(30)
        assert a.calls.count("unwrap") == 5  # after 0, 1, 3, 7 and 15 seconds
        assert here.text.getvalue().count("not unsealed; it will be tried again") == 1
        await here.run(600)
        assert here.machine.barrier.sealed
        a.away = None
        await here.run(LONGEST_PAUSE)
        assert await here.machine.reads()
        a.calls.clear()
        await here.run(600)
        assert a.calls.count("probe") == 10

    asyncio.run(scenario())


def test_chance_shortens_the_pauses_by_up_to_half() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([a])
        await here.machine.init()
        here.restart([a])
        here.chance = 0.0
        a.away = AWAY
        a.calls.clear()
        await here.run(8)
        assert a.calls.count("unwrap") == 5  # after 0, 0.5, 1.5, 3.5 and 7.5 seconds

    asyncio.run(scenario())


def test_before_initialisation_there_is_nothing_to_open_and_afterwards_somebody_else_did() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([a])
        await here.run(5)
        await here.machine.init()
        await here.run(2)
        assert await here.machine.reads()
        await here.machine.life.seal()
        await here.run(100)
        assert here.machine.barrier.sealed

    asyncio.run(scenario())


def test_a_storage_that_fails_is_tried_again() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([a])
        await here.machine.init()
        here.broken = StorageFailure()
        await here.run(5)
        assert "reason=StorageFailure" in here.text.getvalue()
        here.broken = None
        await here.run(5)
        assert await here.machine.reads()

    asyncio.run(scenario())


def test_a_new_vault_is_final_once_its_token_was_used() -> None:
    async def scenario() -> None:
        here = Watched(named("a"))
        await here.machine.init()
        await here.run(3)
        assert not (await here.machine.config()).confirmed
        here.machine.life.prove()
        await here.run(2)
        assert (await here.machine.config()).confirmed

    asyncio.run(scenario())


@pytest.mark.parametrize(("policy", "sealed_after"), [("keep", 0), ("seal", 70), ("seal_after", 140)])
def test_when_every_slot_is_lost_the_policy_decides(policy: str, sealed_after: int) -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        rule = HsmPolicy(on_loss=policy, seal_after=60)
        here = Watched([a, b], rule)
        await here.machine.init()
        here.restart([a, b], rule)
        await here.run(1)
        a.away = AWAY
        await here.run(200)
        assert await here.machine.reads()
        b.away = AWAY
        await here.run(sealed_after or 500)
        assert here.machine.barrier.sealed is bool(sealed_after)
        assert here.gauges()["seal.unreachable.time"] > 0
        a.away = None
        await here.run(70)
        assert await here.machine.reads()
        assert here.gauges()["seal.unreachable.time"] == 0

    asyncio.run(scenario())


def test_a_slot_that_is_configured_and_no_part_of_the_vault_keeps_nothing_open() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        rule = HsmPolicy(on_loss="seal")
        here = Watched([a], rule)
        await here.machine.init()
        here.restart([a, b], rule)
        await here.run(1)
        gauges = here.gauges()
        assert (gauges["seal.slot.up/b"], gauges["seal.slot.stored/b"]) == (1, 0)
        assert (gauges["seal.slot.up/a"], gauges["seal.slot.stored/a"]) == (1, 1)
        shown = {view.name: (view.up, view.stored) for view in await here.health.shown()}
        assert shown == {"a": (True, True), "b": (True, False)}
        a.away = AWAY
        await here.run(61)
        assert here.health.lost
        assert here.gauges()["seal.unreachable.time"] > 0
        assert here.machine.barrier.sealed
        a.away = None
        await here.run(70)
        await here.machine.keeper.add("b")
        a.away = AWAY
        await here.run(130)
        assert await here.machine.reads()
        assert here.gauges()["seal.unreachable.time"] == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", ["keep", "seal", "seal_after"])
def test_what_somebody_sealed_is_opened_by_no_slot_that_was_lost_and_comes_back(policy: str) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        rule = HsmPolicy(on_loss=policy, seal_after=60)
        here = Watched([a], rule)
        await here.machine.init()
        here.restart([a], rule)
        await here.run(1)
        assert await here.machine.reads()
        here.machine.life.keep_sealed()
        await here.machine.life.seal()
        for away in (AWAY, None, AWAY, None):
            a.away = away
            await here.run(300)
            assert here.machine.barrier.sealed

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", ["seal", "seal_after"])
def test_somebody_seals_while_the_watch_is_about_to_do_it_because_of_a_loss(policy: str) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        rule = HsmPolicy(on_loss=policy, seal_after=60)
        here = Watched([a], rule)
        keys = (await here.machine.init()).recovery.keys
        await here.machine.life.auto_unseal()
        await here.machine.keeper.add_shamir()
        here.restart([a], rule)
        await here.run(1)
        life = here.machine.life
        asked = life.opens_itself
        a.away = AWAY

        async def meanwhile() -> bool:
            answer = await asked()
            life.keep_sealed()
            await life.seal()
            return answer

        life.opens_itself = meanwhile  # type: ignore[method-assign]  # the moment matters
        await here.run(300)
        a.away = None
        await here.run(300)
        assert here.machine.barrier.sealed
        await here.machine.give(keys[:2])
        life.opens_itself = asked  # type: ignore[method-assign]  # that moment is over
        await here.run(61)
        a.away = AWAY
        await here.run(300)
        assert here.machine.barrier.sealed  # by the loss this time, and so
        a.away = None
        await here.run(70)
        assert await here.machine.reads()

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", ["seal", "seal_after"])
def test_what_shares_opened_because_every_slot_is_lost_stays_open_until_one_has_worked(policy: str) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        rule = HsmPolicy(on_loss=policy, seal_after=60)
        here = Watched([a], rule)
        keys = (await here.machine.init()).recovery.keys
        await here.machine.life.auto_unseal()
        await here.machine.keeper.add_shamir()
        here.restart([a], rule)
        await here.run(1)
        a.away = AWAY
        await here.run(300)
        assert here.machine.barrier.sealed
        await here.machine.give(keys[:2])
        await here.run(3600)
        assert await here.machine.reads()
        a.away = None
        await here.run(70)
        a.away = AWAY
        await here.run(300)
        assert here.machine.barrier.sealed

    asyncio.run(scenario())


def test_one_failed_look_is_no_loss() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        rule = HsmPolicy(on_loss="seal")
        here = Watched([a], rule)
        await here.machine.init()
        here.restart([a], rule)
        await here.run(1)
        assert await here.machine.reads()
        for _ in range(5):
            await here.lose(a)
            a.away = None
            await here.run(10)
            assert here.health.well
            assert await here.machine.reads()
        await here.lose(a)
        assert await here.machine.reads()
        await here.run(1)
        assert here.machine.barrier.sealed

    asyncio.run(scenario())


def test_somebody_seals_while_a_slot_is_asked_to_open() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([a])
        await here.machine.init()
        here.restart([a])
        a.hold = asyncio.Event()
        a.entered.clear()
        opening = asyncio.create_task(here.watch.step())
        await a.entered.wait()
        here.machine.life.keep_sealed()
        await here.machine.life.seal()
        a.hold.set()
        await opening
        await here.run(100)
        assert here.machine.barrier.sealed

    asyncio.run(scenario())


def test_what_shares_opened_and_somebody_sealed_is_opened_by_no_slot_that_comes_back() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([a])
        keys = (await here.machine.init()).recovery.keys
        await here.machine.life.auto_unseal()
        await here.machine.keeper.add_shamir()
        here.restart([a])
        a.away = AWAY
        await here.run(1)
        await here.machine.give(keys[:2])
        assert await here.machine.reads()
        here.machine.life.keep_sealed()
        await here.machine.life.seal()
        a.away = None
        await here.run(300)
        assert here.machine.barrier.sealed

    asyncio.run(scenario())


def test_a_vault_of_shares_is_not_sealed_because_a_slot_that_it_does_not_use_is_away() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([], HsmPolicy(on_loss="seal"))
        keys = (await here.machine.init(ONE)).keys
        here.restart([a], HsmPolicy(on_loss="seal"))
        await here.machine.give(keys, migrate=True)
        await here.machine.keeper.add_shamir()
        await here.machine.keeper.remove("a")
        a.away = AWAY
        await here.run(100)
        assert await here.machine.reads()

    asyncio.run(scenario())


def test_a_slot_that_comes_back_catches_up_with_the_root_key() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Watched([a, b])
        await here.machine.init()
        await here.run(1)
        b.away = AWAY
        await turnover.rotate_root(here.machine.keeper)
        await here.run(120)
        assert (await here.machine.config()).behind == ("b",)
        b.away = None
        b.before = _refuse_wrap
        await here.run(120)
        assert "a slot is still behind" in here.text.getvalue()
        b.before = b.calls.count
        await here.run(120)
        assert (await here.machine.config()).behind == ()
        assert "a slot has caught up with the root key" in here.text.getvalue()
        b.away = AWAY
        await turnover.rotate_root(here.machine.keeper)
        await here.machine.life.seal()
        b.away = None
        await here.run(120)
        assert (await here.machine.config()).behind == ("b",)

    asyncio.run(scenario())


def _refuse_wrap(call: str) -> None:
    if call == "wrap":
        raise SlotUnavailable("full")


def test_a_slot_that_was_away_gets_what_was_made_meanwhile() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Watched([a, b])
        await here.machine.init()
        await here.run(1)
        b.away = AWAY
        key = Key(os.urandom(32))
        await turnover.replace_shares(here.machine.keeper, key, 1, 1)
        value = await here.wraps.wrap("root", "audit/salt/file", b"salt")
        async with here.machine.barrier.write("root", "ns/root/") as core:
            await here.wraps.put(core, "audit/salt/file", value)
        await here.run(70)
        b.away = None
        await here.run(70)
        text = here.text.getvalue()
        assert text.count("a slot was given what it had missed: slot=b count=1") == 1
        a.away = AWAY
        here.restart([a, b])
        await here.run(1)
        core_data = here.machine.barrier.reader("root", "ns/root/")
        assert await here.wraps.get(core_data, "root", "audit/salt/file") == b"salt"
        assert await here.machine.life.vouches(key.reveal())

    asyncio.run(scenario())


def test_what_no_slot_opens_is_told_once() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Watched([a, b])
        await here.machine.init()
        await here.run(1)
        b.away = AWAY
        value = await here.wraps.wrap("root", "audit/salt/file", b"salt")
        async with here.machine.barrier.write("root", "ns/root/") as core:
            await here.wraps.put(core, "audit/salt/file", value)
        a.away, b.away = AWAY, None
        await here.run(300)
        assert here.text.getvalue().count("a slot is still behind: slot=b") == 1

    asyncio.run(scenario())


def test_slots_are_told_of_when_they_change() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        a.software = True
        here = Watched([a, b])
        await here.machine.init()
        await here.run(130)
        text = here.text.getvalue()
        assert text.count("a key slot works") == 2
        assert "slot=a key_version=v0001" in text
        assert text.count("software token: no hardware protection") == 1
        gauges = here.gauges()
        assert (gauges["seal.slot.up/a"], gauges["seal.slot.behind/a"]) == (1, 0)
        assert gauges["seal.kek.refs/a/v0001"] == 3
        assert gauges["hsm.entropy.fallbacks"] == 0
        a.rotate()
        await here.machine.keeper.renew("a")
        await here.run(60)
        assert "seal.kek.refs/a/v0001" not in here.gauges()
        assert here.gauges()["seal.kek.refs/a/v0002"] == 3
        b.replace()
        await here.run(60)
        assert "[ERROR]" in here.text.getvalue() or "error" in here.text.getvalue().lower()
        assert "replaced or erased" in here.text.getvalue()
        assert here.gauges()["seal.slot.up/b"] == 0
        async with here.machine.storage.write() as tx:
            await tx.put(CONFIG_PATH, b"x")
        await here.run(60)
        assert "slots cannot be checked" in here.text.getvalue()

    asyncio.run(scenario())


def test_it_runs_until_it_is_stopped_and_releases_the_slots() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = Watched([a])
        await here.machine.init()
        here.broken = ZeroDivisionError()
        here.health.look = here.fail  # type: ignore[method-assign]  # something that nobody expected
        here.watch.start()
        here.watch.start()
        await here.failed.wait()
        await asyncio.sleep(0)
        await here.watch.stop()
        assert "reason=ZeroDivisionError" in here.text.getvalue()
        assert "a step of the watch failed" in here.text.getvalue()
        assert a.closed
        idle = Watched([])
        idle.watch.start()
        await idle.watch.stop()

    asyncio.run(scenario())
