# SPDX-License-Identifier: EUPL-1.2
"""Leases that are over are taken back: once, by and by where that fails, and never forgotten."""

import asyncio

import pytest

from tests.unit.lease.bench import CORE, Bench
from vault.barrier.stored import raw
from vault.lease.model import LeaseFailure
from vault.lease.revocation import MOST_ATTEMPTS, WAITING
from vault.values.ids import ROOT_ID, MountId
from vault.values.times import Millis, Seconds

MINUTE = 60


def test_a_lease_is_taken_back_when_it_is_over_and_not_before() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        bench.endings.start()
        lease = await bench.issue(ttl=Seconds(60))
        counters = {name: counter for name, _, counter in bench.metrics.counters()}
        bench.clock.sleep(59)
        assert await bench.tick() == 0
        assert counters["expire.lease_expiration"].count == 0
        bench.clock.sleep(2)
        assert await bench.tick() == 1
        assert bench.other.accounts == set()
        assert counters["expire.lease_expiration"].count == 1
        assert await bench.get(lease) is None
        assert await bench.due() is None
        await bench.endings.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("refusing", [False, True])
def test_what_the_mount_keeps_for_a_lease_goes_in_the_transaction_that_removes_it(*, refusing: bool) -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        lease = await bench.issue()
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await core.mount(MountId("one")).put("account-1", raw(b"{}"))
        bench.other.refusing = True
        with pytest.raises(LeaseFailure):
            await bench.endings.end(lease.id)
        data = bench.barrier.reader(ROOT_ID, CORE).mount(MountId("one"))
        assert await data.get("account-1") == b"{}"
        bench.other.refusing = refusing
        await bench.endings.end(lease.id, force=refusing)
        assert await data.get("account-1") is None
        assert await bench.get(lease) is None

    asyncio.run(scenario())


def test_a_lease_that_was_prolonged_meanwhile_waits_for_its_new_end() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        bench.endings.start()
        lease = await bench.issue(ttl=Seconds(60))
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.store.arm(core, lease, Millis(0))
        assert await bench.tick() == 1
        assert (await bench.due(), bench.other.asked) == (60, 0)
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.endings.due(core, "fake/creds/role/gone")
        await bench.endings.stop()

    asyncio.run(scenario())


def test_what_fails_is_tried_again_later_each_time_and_then_left_to_an_operator() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        bench.endings.start()
        bench.other.refusing = True
        lease = await bench.issue(ttl=Seconds(1))
        waits = []
        bench.clock.sleep(1)
        for _ in range(MOST_ATTEMPTS):
            assert await bench.tick() == 1
            due = await bench.due()
            waits.append(due)
            bench.clock.sleep(due or 0)
        assert waits == [10, 20, 40, 80, 160, None]
        found = await bench.get(lease)
        assert found is not None
        assert (found.attempts, found.parked) == (6, True)
        assert found.reason == "the account could not be removed"
        (parked,) = await bench.store.parked(bench.barrier.reader(ROOT_ID, CORE))
        assert parked.id == lease.id
        counters = {name: counter.count for name, _, counter in bench.metrics.counters()}
        assert counters["coffre.leases.revocation_failures_total"] == 6
        assert counters["coffre.leases.parked_total"] == 1
        assert counters["expire.lease_expiration"] == 0
        assert "account-1" not in bench.stream.getvalue()
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.endings.due(core, lease.id)
        assert await bench.due() is None
        bench.other.refusing = False
        await bench.endings.end(lease.id)
        assert await bench.get(lease) is None
        assert not await bench.store.parked(bench.barrier.reader(ROOT_ID, CORE))
        await bench.endings.stop()

    asyncio.run(scenario())


def test_a_lease_whose_process_ended_comes_back_by_itself() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        lease = await bench.issue(ttl=Seconds(1))
        bench.clock.sleep(1)
        bench.other.hanging = asyncio.Event()
        assert await bench.tick() == 1
        assert (await bench.due()) == 2 * MINUTE
        bench.endings.start()
        bench.other.hanging = None
        bench.clock.sleep(2 * MINUTE)
        await bench.tick()
        assert await bench.get(lease) is None
        await bench.endings.stop()

    asyncio.run(scenario())


def test_a_system_that_hangs_costs_its_own_mount_alone() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        bench.endings.start()
        for _ in range(20):
            await bench.issue(ttl=Seconds(1))
        fine = await bench.issue(bench.call(mount="two"), ttl=Seconds(2))
        bench.other.hanging = asyncio.Event()
        bench.clock.sleep(1)
        await bench.tick()
        for _ in range(50):
            await asyncio.sleep(0)
        assert bench.other.busiest == 4
        gate, bench.other.hanging = bench.other.hanging, None
        bench.clock.sleep(1)
        timers = await bench.storage.claim(bench.clock.millis(), 100, hold=Millis(1))
        for timer in timers:
            async with bench.barrier.write(ROOT_ID, CORE) as core:
                await bench.endings.due(core, timer.key)
        for _ in range(200):
            await asyncio.sleep(0)
        assert await bench.get(fine) is None
        assert bench.other.busy == 4

        def waiting() -> list[float]:
            return [
                held for name, _, held in bench.metrics.gauges() if name == "expire.job_manager.total_jobs"
            ]

        assert waiting() == [20]
        gate.set()
        await bench.tick()
        assert bench.other.accounts == set()
        assert waiting() == [0]
        await bench.endings.stop()

    asyncio.run(scenario())


def test_an_engine_has_a_time_limit_and_no_defect_of_its_stops_anything() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        lease = await bench.issue()
        bench.other.hanging = asyncio.Event()
        bench.endings.longest = 0.01
        with pytest.raises(LeaseFailure, match="did not answer in time"):
            await bench.endings.end(lease.id)
        bench.endings.longest = 60
        bench.other.hanging, bench.other.broken = None, True
        with pytest.raises(LeaseFailure, match="the engine met a defect"):
            await bench.endings.end(lease.id)
        assert "hunter2" not in bench.stream.getvalue()
        assert await bench.get(lease) == lease
        await bench.endings.end(lease.id, force=True)
        assert await bench.get(lease) is None
        await bench.endings.end(lease.id)

    asyncio.run(scenario())


def test_a_kind_without_an_engine_fails_and_is_kept() -> None:
    async def scenario() -> None:
        bench = await Bench(known=False).open()
        lease = await bench.issue()
        with pytest.raises(LeaseFailure, match="no engine"):
            await bench.endings.end(lease.id)
        assert await bench.get(lease) == lease

    asyncio.run(scenario())


def test_the_engine_prolongs_what_the_lease_is_for() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        lease = await bench.issue()
        await bench.endings.renew(lease)
        assert bench.other.until == {"account-1": lease.expires}

    asyncio.run(scenario())


def test_sl_79_a_storm_of_leases_waits_in_storage_and_not_in_memory() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        for _ in range(WAITING + 10):
            await bench.issue(ttl=Seconds(1))
        bench.clock.sleep(1)
        bench.other.hanging = asyncio.Event()
        while await bench.tick():
            pass
        assert bench.endings.waiting == WAITING
        bench.other.hanging = None
        bench.endings.start()
        while await bench.get_all():
            bench.clock.sleep(121)
            await bench.tick()
        assert bench.other.accounts == set()
        await bench.endings.stop()

    asyncio.run(scenario())


def test_sealing_ends_the_work_and_a_second_start_changes_nothing() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        bench.endings.start()
        bench.endings.start()
        bench.other.hanging = asyncio.Event()
        await bench.issue(ttl=Seconds(1))
        bench.clock.sleep(1)
        await bench.tick()
        await asyncio.sleep(0)
        bench.barrier.seal()
        await bench.endings.stop()
        assert bench.other.busy == 0

    asyncio.run(scenario())
