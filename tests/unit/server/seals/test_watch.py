# SPDX-License-Identifier: EUPL-1.2
"""Unsealing by itself, and what follows when slots come and go. The clock is a number that tests move."""

import asyncio
import os

from hsm.errors import SlotUnavailable
from tests.unit.seal.auto import named
from tests.unit.server.seals.watched import AWAY, Watched
from vault.barrier.key import Key
from vault.seal.changes import root_rotation
from vault.seal.records.record import CONFIG_PATH
from vault.server.seals.watch import LONGEST_PAUSE
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID


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


def test_a_slot_that_comes_back_catches_up_with_the_root_key() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Watched([a, b])
        await here.machine.init()
        await here.run(1)
        b.away = AWAY
        await root_rotation.rotate_root(here.machine.changes)
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
        await root_rotation.rotate_root(here.machine.changes)
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
        await root_rotation.replace_shares(here.machine.changes, key, 1, 1)
        value = await here.wraps.wrap(ROOT_ID, "audit/salt/file", b"salt")
        async with here.machine.barrier.write(ROOT_ID, "ns/root/") as core:
            await here.wraps.put(core, "audit/salt/file", value)
        await here.run(70)
        b.away = None
        await here.run(70)
        text = here.text.getvalue()
        assert text.count("a slot was given what it had missed: slot=b count=1") == 1
        a.away = AWAY
        here.restart([a, b])
        await here.run(1)
        core_data = here.machine.barrier.reader(ROOT_ID, "ns/root/")
        assert await here.wraps.get(core_data, ROOT_ID, "audit/salt/file") == b"salt"
        assert await here.machine.life.accepts_key(key.reveal())

    asyncio.run(scenario())


def test_what_no_slot_opens_is_told_once() -> None:
    async def scenario() -> None:
        a, b = named("a", "b")
        here = Watched([a, b])
        await here.machine.init()
        await here.run(1)
        b.away = AWAY
        value = await here.wraps.wrap(ROOT_ID, "audit/salt/file", b"salt")
        async with here.machine.barrier.write(ROOT_ID, "ns/root/") as core:
            await here.wraps.put(core, "audit/salt/file", value)
        a.away, b.away = AWAY, None
        await here.run(300)
        a.away = SlotUnavailable("unplugged; next try in 4.6 s")
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
        assert (gauges["coffre.seal.slot_up/a"], gauges["coffre.seal.slot_behind_versions/a"]) == (1, 0)
        assert gauges["coffre.seal.key_references/a/v0001"] == 3
        assert gauges["coffre.hsm.entropy_fallbacks_total"] == 0
        a.rotate()
        await here.machine.changes.renew("a")
        await here.run(60)
        assert "coffre.seal.key_references/a/v0001" not in here.gauges()
        assert here.gauges()["coffre.seal.key_references/a/v0002"] == 3
        b.replace()
        await here.run(60)
        assert "[ERROR]" in here.text.getvalue() or "error" in here.text.getvalue().lower()
        assert "replaced or erased" in here.text.getvalue()
        assert here.gauges()["coffre.seal.slot_up/b"] == 0
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
