# SPDX-License-Identifier: EUPL-1.2
"""What a mount or namespace held goes by rounds: none takes long, none is forgotten, and nothing else goes with it."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.unit.barrier.open import open_barrier
from tests.unit.engines.driver import FakeClock
from vault.background.loop import Background
from vault.background.skew import Skew
from vault.barrier.barrier import Barrier
from vault.framework.call import ROOT
from vault.framework.clock import Entropy
from vault.framework.route_table import RouteTable
from vault.framework.telemetry.log import Log
from vault.lease.namespace_sweep import Sweeper
from vault.lease.store import LeaseStore
from vault.mount.entry import MountEntry
from vault.mount.removal import Removals
from vault.mount.table import Backend, Catalog, MountTable
from vault.namespace.book import Namespaces
from vault.namespace.entry import NamespaceEntry
from vault.namespace.parked import park, place_of
from vault.namespace.removal import REMOVAL_KIND
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Conflict, Timer
from vault.values.ids import ROOT_ID, MountAccessor, MountId, NamespaceId
from vault.values.times import Millis

CORE = "ns/root/"
TEAM = NamespaceId("aaaaaa")
ROUND = 4096
"""Rows that go at once."""
CATALOG = Catalog({("kv", ""): Backend((), RouteTable([]))}, {})


class Shared(MemoryStorage):
    """Does as PostgreSQL does: much is removed only by who holds the turn, which the third attempt does; and it has a clock."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(on_statement=self._statement)
        self._clock = clock
        self.attempts = 0
        self.ahead = 0
        """By how many seconds its clock is ahead."""

    def _statement(self, name: str) -> None:
        if name == "delete_some":
            self.attempts += 1
            if self.attempts % 3:
                raise Conflict("there is too much to remove without the turn")

    async def now(self) -> Millis | None:
        return Millis(self._clock.millis() + self.ahead * 1000)


class Bench:
    """A vault in memory, its root namespace's mounts, another namespace, and what goes on with removals."""

    def __init__(self, storage: MemoryStorage, barrier: Barrier) -> None:
        self.storage, self.barrier = storage, barrier
        self.clock, self.log = FakeClock(), io.StringIO()
        self.table = MountTable(barrier, CATALOG, ROOT)
        self.namespaces = Namespaces(barrier)
        self.skew = Skew(storage, self.clock, Log(stream=self.log))
        self.start()

    def start(self) -> None:
        """Begin as a process does that knows nothing of the one before."""
        self.removals = Removals(self.namespaces, self.skew.due)

    async def fill(self, place: str, count: int) -> None:
        """Store rows below a prefix, as nobody reads."""
        async with self.storage.write() as tx:
            for number in range(count):
                await tx.put(f"{place}{number:05}", b"x")

    async def left(self, place: str) -> int:
        return len(await self.storage.reader().scan(place))

    async def timers(self) -> list[Timer]:
        """Claim what is due."""
        return [*await self.storage.claim(self.clock.millis(), 99, hold=Millis(1))]

    async def go_on(self) -> bool:
        """Do one round of what timers say; return whether they said anything."""
        timers = await self.timers()
        for timer in timers:
            assert timer.kind == REMOVAL_KIND
            async with self.barrier.write(ROOT_ID, CORE) as core:
                await core.cancel(timer.kind, timer.key)
                await self.removals.due(core, timer.key)
        self.clock.sleep(1)
        return bool(timers)

    async def work(self) -> bool:
        """Do one round as a server does; return whether there was anything to do."""
        handlers = {REMOVAL_KIND: self.removals.due}
        log = Log(stream=self.log)
        return await Background(self.storage, self.barrier, handlers, {}, skew=self.skew, log=log).work()

    async def remove(self, entry: MountEntry) -> None:
        async with self.barrier.write(ROOT_ID, CORE) as core:
            await self.table.remove(core, entry)
        await self.table.load()


def play(
    scenario: Callable[[Bench], Coroutine[Any, Any, None]], storage: MemoryStorage | None = None
) -> None:
    async def run() -> None:
        bench = Bench(*await open_barrier(storage))
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            for uuid in ("0", "1"):
                await bench.table.put(core, mount(uuid))
            await bench.namespaces.put(core, NamespaceEntry(id=TEAM, uuid="u", path="team/"))
        await bench.table.load()
        await bench.namespaces.load()
        await scenario(bench)

    asyncio.run(run())


def mount(uuid: str) -> MountEntry:
    return MountEntry(uuid=MountId(uuid), path=f"at-{uuid[0]}/", kind="kv", accessor=MountAccessor("a"))


@pytest.mark.parametrize("count", [0, 1, ROUND - 1, ROUND])
def test_what_is_one_round_goes_with_the_mount(count: int) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.fill("ns/root/mnt/0/", count)
        await bench.remove(mount("0"))
        assert await bench.left("ns/root/mnt/0/") == 0 and not await bench.timers()

    play(scenario)


def test_a_mount_with_more_is_gone_at_once_and_its_rows_by_rounds_whoever_goes_on() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.fill("ns/root/mnt/0/", 3 * ROUND)
        await bench.fill("ns/root/mnt/1/", 5)
        await bench.remove(mount("0"))
        assert [found.entry.uuid for found in bench.table] == ["1"]
        assert await bench.left("ns/root/mnt/0/") == 2 * ROUND
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.table.put(core, mount("0-again"))
        await bench.fill("ns/root/mnt/0-again/", 7)
        await bench.go_on()
        assert await bench.left("ns/root/mnt/0/") == ROUND
        bench.start()
        while await bench.go_on():
            assert await bench.left("ns/root/mnt/0/") == 0
        assert await bench.left("ns/root/mnt/1/") == 5 and await bench.left("ns/root/mnt/0-again/") == 7

    play(scenario)


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_a_round_that_was_undone_is_done_again(fails: int) -> None:
    """What is known then is ahead of what is gone, be it to the end: the last round begins anew."""

    async def scenario(bench: Bench) -> None:
        await bench.fill("ns/root/mnt/0/", 3 * ROUND)
        await bench.remove(mount("0"))
        (timer,) = await bench.timers()
        for _ in range(fails):
            with pytest.raises(ZeroDivisionError):
                async with bench.barrier.write(ROOT_ID, CORE) as core:
                    await core.cancel(timer.kind, timer.key)
                    await bench.removals.due(core, timer.key)
                    raise ZeroDivisionError
            assert await bench.left("ns/root/mnt/0/") == 2 * ROUND
        bench.clock.sleep(1)
        while await bench.go_on():
            pass
        assert await bench.left("ns/root/mnt/0/") == 0

    play(scenario)


def test_a_round_that_only_the_turn_does_goes_on_where_the_last_one_ended() -> None:
    storage = Shared(FakeClock())

    async def scenario(bench: Bench) -> None:
        await bench.fill("ns/root/mnt/0/", 4 * ROUND)
        storage.attempts = 2
        await bench.remove(mount("0"))
        await bench.work()
        assert await bench.left("ns/root/mnt/0/") == 2 * ROUND
        await bench.fill("ns/root/mnt/0/", 1)  # in place of what is gone and not tidied away yet
        await bench.work()
        assert await bench.left("ns/root/mnt/0/") == ROUND + 1
        assert "00000" in await storage.reader().scan("ns/root/mnt/0/")
        while await bench.work():
            pass
        assert await bench.left("ns/root/mnt/0/") == 0
        assert storage.attempts % 3 == 0

    play(scenario, storage)


@pytest.mark.parametrize("ahead", [-20, 20])
def test_no_round_waits_for_a_clock_that_is_off(ahead: int) -> None:
    storage = Shared(FakeClock())
    storage.ahead = ahead

    async def scenario(bench: Bench) -> None:
        await bench.fill("ns/root/mnt/0/", 4 * ROUND)
        storage.attempts = 2
        await bench.remove(mount("0"))
        for left in (2, 1, 0):
            assert await bench.work()
            assert await bench.left("ns/root/mnt/0/") == left * ROUND

    play(scenario, storage)


def test_a_timer_removes_nothing_that_is_in_use() -> None:
    async def scenario(bench: Bench) -> None:
        places = ["ns/root/mnt/1/", "ns/aaaaaa/", "ns/root/", "elsewhere/"]
        for place in places:
            await bench.fill(place, 3)
            async with bench.barrier.write(ROOT_ID, CORE) as core:
                await bench.removals.due(core, place)
        assert all([await bench.left(place) >= 3 for place in places]) and not await bench.timers()

    play(scenario)


@pytest.mark.parametrize("abandoned", [False, True])
def test_a_namespace_keeps_its_id_until_the_last_of_its_rows_is_gone(*, abandoned: bool) -> None:
    async def scenario(bench: Bench) -> None:
        sweeper = Sweeper(
            bench.namespaces, LeaseStore(bench.clock, Entropy()), bench.clock, Log(stream=bench.log)
        )
        await bench.fill("ns/aaaaaa/", 2 * ROUND + 1)
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            marked = NamespaceEntry(id=TEAM, uuid="u", path="team/", tainted=True, abandoned=abandoned)
            await bench.namespaces.put(core, marked)
            for number in range(5):
                await park(core, TEAM, "timer.x", str(number))
        await bench.fill(place_of(TEAM), ROUND)
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await sweeper.due(core, TEAM)
        rounds = [await bench.left("ns/aaaaaa/")]
        while await bench.go_on():
            rounds.append(await bench.left("ns/aaaaaa/"))
            await bench.namespaces.load(TEAM)
            assert bench.namespaces.knows(TEAM) == bool(await bench.timers())
            bench.clock.sleep(1)
        assert rounds[0] >= ROUND and rounds[-1] == 0
        assert await bench.left("ns/aaaaaa/") == await bench.left(place_of(TEAM)) == 0
        reader = bench.barrier.reader(ROOT_ID, CORE)
        assert await bench.namespaces.stored(reader, TEAM) is None
        assert bench.log.getvalue().count("a namespace went") == int(abandoned)

    play(scenario)


def test_a_namespace_goes_on_going_once_those_in_it_are_gone() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.fill("ns/aaaaaa/", 3)
        inner = NamespaceEntry(id=NamespaceId("bbbbbb"), uuid="v", path="team/b/", tainted=True)
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            marked = NamespaceEntry(id=TEAM, uuid="u", path="team/", tainted=True)
            for entry in (marked, inner):
                await bench.namespaces.put(core, entry)
        await bench.namespaces.load()
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.removals.due(core, "ns/aaaaaa/")
        assert await bench.left("ns/aaaaaa/") == 3
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.namespaces.sweep(core, inner.id)
        for _ in range(3):
            bench.clock.sleep(1)
            await bench.go_on()
        assert await bench.left("ns/aaaaaa/") == 0 and not await bench.timers()

    play(scenario)


def test_what_was_mounted_elsewhere_goes_at_once_and_may_come_back_as_it_was() -> None:
    """A mount keeps its uuid when it moves between namespaces: nothing may go on removing it here."""

    async def scenario(bench: Bench) -> None:
        await bench.fill("ns/root/mnt/0/", 2 * ROUND)
        async with bench.barrier.write(ROOT_ID, CORE) as core:
            await bench.table.hand_over(core, mount("0"))
        await bench.table.load()
        assert [found.entry.uuid for found in bench.table] == ["1"]
        assert await bench.left("ns/root/mnt/0/") == 0 and not await bench.timers()

    play(scenario)
