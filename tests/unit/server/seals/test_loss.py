# SPDX-License-Identifier: EUPL-1.2
"""What the watch does when key slots are lost, whatever people do meanwhile."""

import asyncio

import pytest

from tests.unit.seal.auto import named
from tests.unit.seal.node import ONE
from tests.unit.server.seals.watched import AWAY, Watched, opened, opened_with_shares
from vault.server.config.seal_settings import HsmPolicy


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
        assert (gauges["coffre.seal.slot_up/b"], gauges["coffre.seal.slot_stored/b"]) == (1, 0)
        assert (gauges["coffre.seal.slot_up/a"], gauges["coffre.seal.slot_stored/a"]) == (1, 1)
        shown = {view.name: (view.up, view.stored) for view in await here.health.shown()}
        assert shown == {"a": (True, True), "b": (True, False)}
        a.away = AWAY
        await here.run(61)
        assert here.health.lost
        assert here.gauges()["seal.unreachable.time"] > 0
        assert here.machine.barrier.sealed
        a.away = None
        await here.run(70)
        await here.machine.changes.add("b")
        a.away = AWAY
        await here.run(130)
        assert await here.machine.reads()
        assert here.gauges()["seal.unreachable.time"] == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", ["keep", "seal", "seal_after"])
def test_what_somebody_sealed_is_opened_by_no_slot_that_was_lost_and_comes_back(policy: str) -> None:
    async def scenario() -> None:
        (a,) = named("a")
        here = await opened(a, HsmPolicy(on_loss=policy, seal_after=60))
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
        here, keys = await opened_with_shares(a, HsmPolicy(on_loss=policy, seal_after=60))
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
        here, keys = await opened_with_shares(a, HsmPolicy(on_loss=policy, seal_after=60))
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
        here = await opened(a, HsmPolicy(on_loss="seal"))
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
        await here.machine.changes.add_shamir()
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
        await here.machine.changes.add_shamir()
        await here.machine.changes.remove("a")
        a.away = AWAY
        await here.run(100)
        assert await here.machine.reads()

    asyncio.run(scenario())
