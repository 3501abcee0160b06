# SPDX-License-Identifier: EUPL-1.2
"""Tidying mends what got lost: timers, leases of tokens that are gone, and pointers to leases that are gone."""

import asyncio

from tests.unit.lease.bench import CORE, Bench
from vault.barrier.failure import BarrierSealed
from vault.barrier.stored import raw
from vault.framework.clock import Entropy
from vault.lease.model import LEASE_KIND
from vault.lease.tidy import Tidy
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import ROOT_ID, TokenAccessor
from vault.values.times import Millis, Nanos


async def _bench() -> tuple[Bench, Tidy, TokenStore]:
    bench = await Bench().open()
    tokens = TokenStore(Entropy())
    async with bench.barrier.write(ROOT_ID, CORE) as core:
        await tokens.prepare(core)
        await tokens.load(core)
    return bench, Tidy(bench.barrier, bench.store, tokens, bench.clock, bench.log), tokens


async def _token(bench: Bench, tokens: TokenStore, key: str) -> None:
    entry = TokenEntry(accessor=TokenAccessor(key), policies=(), path="", display_name="", created=Nanos(0))
    async with bench.barrier.write(ROOT_ID, CORE) as core:
        stored = await tokens.create(core, key, entry)
        value = await core.get(f"token/id/{stored}")
        await core.put(f"token/id/{key}", raw(value or b""))


def test_lost_timers_are_set_again_on_every_page() -> None:
    async def scenario() -> None:
        bench, tidy, tokens = await _bench()
        await _token(bench, tokens, "key-first")
        leases = [await bench.issue() for _ in range(230)]
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            for lease in leases:
                await core.cancel(LEASE_KIND, lease.id)
        assert await bench.due() is None
        await tidy.run(ROOT_ID)
        assert await bench.due() == 60
        assert (
            len(await bench.storage.claim(Millis(bench.clock.millis() + 100_000), 1000, hold=Millis(1)))
            == 230
        )
        assert "count=230" in bench.stream.getvalue()

    asyncio.run(scenario())


def test_leases_of_tokens_that_are_gone_are_over() -> None:
    async def scenario() -> None:
        bench, tidy, _ = await _bench()
        lease = await bench.issue()
        await tidy.run(ROOT_ID)
        found = await bench.get(lease)
        assert found is not None
        assert found.expires <= bench.clock.nanos()

    asyncio.run(scenario())


def test_parked_leases_stay_and_strays_go() -> None:
    async def scenario() -> None:
        bench, tidy, _ = await _bench()
        kept, gone = await bench.issue(), await bench.issue()
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.store.park(core, kept)
            await bench.store.park(core, gone)
            await core.delete(f"lease/id/{gone.id}")
        await tidy.run(ROOT_ID)
        (parked,) = await bench.store.parked(bench.barrier.reader(ROOT_ID, CORE))
        assert parked.id == kept.id
        assert await bench.due() is None
        assert len(await bench.storage.reader().scan("ns/root/lease/")) == 3

    asyncio.run(scenario())


def test_a_run_that_fails_is_told_in_the_log_and_another_may_begin() -> None:
    async def scenario() -> None:
        bench, tidy, _ = await _bench()
        bench.endings.start()
        await bench.issue()
        for ending, told in ((ValueError("hunter2"), True), (BarrierSealed(), False)):
            bench.failing = ending
            tidy.start(ROOT_ID, bench.endings.spawn)
            for _ in range(20):
                await asyncio.sleep(0)
            assert ("ended early" in bench.stream.getvalue()) is told
            bench.stream.truncate(0)
        bench.failing = None
        assert "hunter2" not in bench.stream.getvalue()
        assert not tidy.running
        await bench.endings.stop()

    asyncio.run(scenario())


def test_only_one_runs_at_a_time() -> None:
    async def scenario() -> None:
        bench, tidy, _ = await _bench()
        for runs in (1, 2):
            for _ in range(2):
                tidy.start(ROOT_ID, bench.endings.spawn)
            for _ in range(100):
                await asyncio.sleep(0)
            assert bench.stream.getvalue().count("in order: seen") == runs
        assert not tidy.running

    asyncio.run(scenario())


def test_a_run_that_a_seal_ends_before_its_first_step_is_over() -> None:
    async def scenario() -> None:
        bench, tidy, _ = await _bench()
        tidy.start(ROOT_ID, bench.endings.spawn)
        await bench.endings.stop()
        assert not tidy.running

    asyncio.run(scenario())
