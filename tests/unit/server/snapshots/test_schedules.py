# SPDX-License-Identifier: EUPL-1.2
"""Backups on a schedule: when they are due, one process at a time, and what is told of each."""

import asyncio
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from tests.unit.barrier.open import open_barrier
from tests.unit.engines.driver import FakeClock
from vault.background.loop import Background
from vault.background.skew import Skew
from vault.barrier.barrier import Barrier
from vault.framework.telemetry.exposition import render_prometheus
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.config.settings import StorageSettings
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.snapshots.messages import Outcome, Task
from vault.server.snapshots.schedules import SNAPSHOT_KIND, Schedules
from vault.server.snapshots.state import ScheduleState, read_state
from vault.storage.memory import MemoryStorage
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

HOUR = 3600
GOOD = Outcome(name="n-1.db", size=4096, entries=7, epoch=9)
BAD = Outcome(failure="the disk is full")


class Errand:
    """A process that ends when it is told to."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.cancelled = False

    async def outcome(self) -> Outcome:
        try:
            return await self.ended
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@dataclass
class Site:
    """One storage, and what processes that share it say."""

    storage: MemoryStorage
    barrier: Barrier
    clock: FakeClock = field(default_factory=FakeClock)
    metrics: Metrics = field(default_factory=Metrics)
    stream: io.StringIO = field(default_factory=io.StringIO)
    ahead: dict[str, int] = field(default_factory=dict)
    """By how many milliseconds the clock of a process is ahead of the shared one."""
    said: list[tuple[str, Mapping[str, object], str]] = field(default_factory=list)

    def notice(self, event: str, said: Mapping[str, object], outcome: str = "success") -> bool:
        self.said.append((event, said, outcome))
        return True

    async def state(self) -> ScheduleState:
        return await read_state(self.barrier.reader(ROOT_ID, "ns/root/"), "n")


class Process:
    """One process with one schedule, and its background loop."""

    def __init__(
        self,
        site: Site,
        own: str = "a",
        *,
        interval: float = HOUR,
        renewed: float = 60,
        longest: float = HOUR,
    ) -> None:
        self.site, self.errands = site, list[Errand]()
        log = Log(stream=site.stream)
        self.schedules = Schedules(
            [SnapshotSettings(kind="directory", name="n", path="/b", interval=interval)],
            StorageSettings(kind="sqlite", path="/v.db"),
            site.barrier,
            clock=site.clock,
            shared=lambda: Millis(site.clock.millis() - site.ahead.get(own, 0)),
            mark=lambda: "5f2a90c1",
            own=own,
            start=self._start,
            audit=site,
            log=log,
            metrics=site.metrics,
            renewed=renewed,
            longest=longest,
        )
        self.background = Background(
            site.storage,
            site.barrier,
            {SNAPSHOT_KIND: self.schedules.due},
            {},
            skew=Skew(site.storage, site.clock, log),
            log=log,
        )

    def _start(self, task: Task) -> Errand:
        self.errands.append(Errand(task))
        return self.errands[-1]

    async def begin(self) -> None:
        self.schedules.start()
        await settle()

    async def work(self) -> None:
        """Run what is due, and whatever that begins."""
        while await self.background.work():
            await settle()
        await settle()

    async def finish(self, outcome: Outcome = GOOD) -> None:
        self.errands[-1].ended.set_result(outcome)
        await settle()


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


def scenario(body: Callable[[Site], object]) -> None:
    async def run() -> None:
        storage, barrier = await open_barrier()
        done = body(Site(storage, barrier))
        assert asyncio.iscoroutine(done)
        await done

    asyncio.run(run())


def test_the_first_one_is_made_at_once_and_the_next_one_an_interval_after_its_begin() -> None:
    async def body(site: Site) -> None:
        process = Process(site)
        await process.begin()
        await process.work()
        (first,) = process.errands
        assert first.task.storage.path == "/v.db"
        assert first.task.begun == (await site.state()).begun
        site.clock.sleep(600)
        await process.finish()
        await process.work()
        site.clock.sleep(HOUR - 660)
        await process.work()
        assert len(process.errands) == 1
        site.clock.sleep(120)
        await process.work()
        assert len(process.errands) == 2

    scenario(body)


def test_what_became_of_it_is_stored_and_told() -> None:
    async def body(site: Site) -> None:
        process = Process(site)
        await process.begin()
        await process.work()
        site.clock.sleep(5)
        await process.finish(
            Outcome(name="n-1.db", size=4096, entries=7, epoch=9, removed=["n-0.db"], cleared=2)
        )
        state = await site.state()
        assert (state.name, state.size, state.failures, state.maker) == ("n-1.db", 4096, 0, "")
        assert 5000 <= state.lasted < 6000
        assert site.said == [
            (
                "esa.snapshot.create",
                {"schedule": "n", "backup": "n-1.db", "bytes": 4096, "epoch": 9},
                "success",
            ),
            ("esa.snapshot.remove", {"schedule": "n", "backups": ["n-0.db"]}, "success"),
        ]
        assert "a backup was made: schedule=n backup=n-1.db" in site.stream.getvalue()
        assert "cut off" in site.stream.getvalue()
        shown = (await render_prometheus(site.metrics)).decode()
        assert f'snapshot_last_success_timestamp_seconds{{schedule="n"}} {state.done / 1000!r}' in shown
        assert 'snapshot_last_size_bytes{schedule="n"} 4096.0' in shown
        assert process.schedules.failing == 0

    scenario(body)


def test_a_failure_is_told_everywhere_and_tried_again_ever_later() -> None:
    async def body(site: Site) -> None:
        process = Process(site)
        await process.begin()
        for number, seconds in enumerate((60, 120, 240), 1):
            await process.work()
            await process.finish(BAD)
            state = await site.state()
            assert (state.failures, state.failure, state.done) == (number, "the disk is full", 0)
            site.clock.sleep(seconds - 1)
            await process.work()
            assert len(process.errands) == number
            site.clock.sleep(2)
        assert process.schedules.failing == 1
        assert site.said[-1] == (
            "esa.snapshot.failed",
            {"schedule": "n", "reason": "the disk is full"},
            "failed",
        )
        assert 'no backup was made: schedule=n reason="the disk is full"' in site.stream.getvalue()
        assert 'snapshot_failures_total{schedule="n"} 3' in (await render_prometheus(site.metrics)).decode()
        await process.work()
        await process.finish()
        assert (process.schedules.failing, (await site.state()).failures) == (0, 0)

    scenario(body)


def test_what_is_known_of_a_schedule_is_shown() -> None:
    async def body(site: Site) -> None:
        process = Process(site)
        await process.begin()
        await process.work()
        (facts,) = (await process.schedules.facts()).values()
        assert (facts.running, facts.next, facts.last_success, facts.backup) == (True, "", "", "")
        await process.finish()
        (facts,) = (await process.schedules.facts()).values()
        assert (facts.running, facts.backup, facts.size, facts.failures) == (False, "n-1.db", 4096, 0)
        assert facts.last_success < facts.next
        site.clock.sleep(HOUR)
        await process.work()
        await process.finish(BAD)
        (facts,) = (await process.schedules.facts()).values()
        assert (facts.type, facts.interval, facts.failures, facts.failure) == (
            "directory",
            HOUR,
            1,
            BAD.failure,
        )
        assert facts.backup == "n-1.db"

    scenario(body)


def test_of_two_processes_one_makes_it() -> None:
    async def body(site: Site) -> None:
        one, other = Process(site, "a"), Process(site, "b")
        await asyncio.gather(one.begin(), other.begin())
        await asyncio.gather(one.work(), other.work())
        assert len(one.errands) + len(other.errands) == 1
        site.clock.sleep(25)
        await asyncio.gather(one.work(), other.work())
        assert len(one.errands) + len(other.errands) == 1

    scenario(body)


def test_the_others_know_what_one_made() -> None:
    async def body(site: Site) -> None:
        one, other = Process(site, "a"), Process(site, "b")
        await one.begin()
        await one.work()
        await one.finish(BAD)
        assert other.schedules.failing == 0
        await other.schedules.look()
        assert other.schedules.failing == 1

    scenario(body)


def test_another_one_begins_anew_where_the_first_is_silent() -> None:
    async def body(site: Site) -> None:
        one, other = Process(site, "a"), Process(site, "b")
        await one.begin()
        await one.work()
        site.clock.sleep(61)
        await other.work()
        assert (len(one.errands), len(other.errands)) == (1, 1)
        await one.finish()
        state = await site.state()
        assert (state.maker, state.done) == ("b", 0), "what a late one made counts for nothing"
        await other.finish()
        assert (await site.state()).done

    scenario(body)


def test_whoever_is_at_work_says_so() -> None:
    async def body(site: Site) -> None:
        one, other = Process(site, "a", renewed=0), Process(site, "b")
        await one.begin()
        await one.work()
        for _ in range(5):
            site.clock.sleep(25)
            await settle()
            await other.work()
        assert other.errands == []
        await one.schedules.stop()

    scenario(body)


def test_one_that_lost_its_schedule_ends_its_process() -> None:
    async def body(site: Site) -> None:
        one, other = Process(site, "a", renewed=0.05), Process(site, "b")
        await one.begin()
        await one.work()
        site.clock.sleep(61)
        await other.work()
        async with asyncio.timeout(60):
            while not one.errands[0].cancelled:  # noqa: ASYNC110 -- what is under test sets no event
                await asyncio.sleep(0.01)
        await settle()
        assert "another server took it over" in site.stream.getvalue()
        await other.schedules.stop()

    scenario(body)


def test_who_ends_gives_it_back_at_once() -> None:
    async def body(site: Site) -> None:
        one, other = Process(site, "a"), Process(site, "b")
        await one.begin()
        await one.work()
        await one.schedules.stop()
        assert one.errands[0].cancelled
        assert site.said == []
        await other.work()
        assert len(other.errands) == 1

    scenario(body)


def test_a_shorter_interval_counts_from_the_last_begin() -> None:
    async def body(site: Site) -> None:
        one = Process(site, interval=24 * HOUR)
        await one.begin()
        await one.work()
        await one.finish()
        site.clock.sleep(2 * HOUR)
        again = Process(site, interval=HOUR)
        await again.begin()
        await again.work()
        assert len(again.errands) == 1

    scenario(body)


def test_a_start_makes_none_where_none_is_due() -> None:
    async def body(site: Site) -> None:
        one = Process(site)
        await one.begin()
        await one.work()
        await one.finish()
        again = Process(site)
        await again.begin()
        await again.work()
        assert again.errands == []
        assert again.schedules.states["n"].name == "n-1.db"

    scenario(body)


def test_a_timer_that_is_lost_is_set_again() -> None:
    async def body(site: Site) -> None:
        one = Process(site)
        await one.begin()
        await one.work()
        await one.finish()
        async with site.barrier.write(ROOT_ID, "ns/root/") as core:
            await core.cancel(SNAPSHOT_KIND, "n")
        site.clock.sleep(HOUR + 300)
        await one.work()
        assert len(one.errands) == 1
        await one.schedules.look()
        await one.work()
        assert len(one.errands) == 2

    scenario(body)


def test_the_timer_of_a_schedule_that_is_no_more_ends() -> None:
    async def body(site: Site) -> None:
        one = Process(site)
        await one.begin()
        gone = Process(site)
        gone.schedules._settings.clear()
        site.clock.sleep(2 * HOUR)
        await gone.work()
        assert await site.storage.next_due() is None

    scenario(body)


def test_a_node_without_the_schedule_leaves_its_timer_to_those_that_have_it() -> None:
    async def body(site: Site) -> None:
        one, other = Process(site), Process(site, "b")
        await one.begin()
        other.schedules._settings.clear()
        await other.work()
        assert (one.errands, other.errands) == ([], [])
        site.clock.sleep(6)
        await one.work()
        assert len(one.errands) == 1

    scenario(body)


def test_times_are_the_clusters_whoever_makes_it() -> None:
    async def body(site: Site) -> None:
        site.ahead["a"] = -600_000
        one, other = Process(site, "a"), Process(site, "b")
        await one.begin()
        now = site.clock.millis() + 600_000
        assert (await site.state()).due == now
        site.clock.sleep(600)
        await one.work()
        assert one.errands[0].task.begun - now in range(590_000, 610_000)
        assert one.errands[0].task.mark == "5f2a90c1"
        site.ahead["b"] = 0
        await other.work()
        assert other.errands == []
        await one.schedules.stop()

    scenario(body)


def test_one_that_lasts_too_long_is_ended() -> None:
    async def body(site: Site) -> None:
        one = Process(site, interval=0, longest=0.05)
        await one.begin()
        await one.work()
        async with asyncio.timeout(60):
            while "took longer than 0.05 s" not in site.stream.getvalue():  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)
        assert one.errands[0].cancelled
        assert (await site.state()).failures == 1
        await one.schedules.stop()

    scenario(body)


def test_a_vault_that_is_sealed_meanwhile_is_no_defect() -> None:
    async def body(site: Site) -> None:
        one = Process(site)
        await one.begin()
        await one.work()
        site.barrier.seal()
        await one.finish()
        assert "what became of a backup cannot be stored: schedule=n" in site.stream.getvalue()
        assert "defect" not in site.stream.getvalue()

    scenario(body)


@pytest.mark.parametrize("how", ["goes on", "begins anew", "died at work"])
def test_a_clock_that_was_ahead_puts_no_backup_off(how: str) -> None:
    """As a machine's whose clock was wrong until it had asked others."""

    async def body(site: Site) -> None:
        process = Process(site, "a")
        site.clock.sleep(400 * 24 * HOUR)
        await process.begin()
        await process.work()
        if how != "died at work":
            await process.finish()
            await process.work()
        site.clock.sleep(-400 * 24 * HOUR)
        if how != "goes on":
            process = Process(site, "b")
            await process.begin()
        await process.schedules.look()
        for _ in range(3):
            site.clock.sleep(31)
            await process.work()
        assert len(process.errands) == (2 if how == "goes on" else 1)
        await process.finish()
        await process.work()
        state = await site.state()
        now = site.clock.millis()
        assert state.done <= now < state.due <= now + HOUR * 1000
        site.clock.sleep(HOUR + 31)
        await process.work()
        assert len(process.errands) == (3 if how == "goes on" else 2), "and the next one has its time"

    scenario(body)
