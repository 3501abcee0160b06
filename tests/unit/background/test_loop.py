# SPDX-License-Identifier: EUPL-1.2
"""Timers are run when they are due, at least once, and one that fails comes back."""

import asyncio
import io
import os

import pytest

from tests.unit.engines.driver import FakeClock
from vault.background.loop import Background, Handler, Job
from vault.background.skew import Skew
from vault.barrier.barrier import Barrier
from vault.barrier.key import Key
from vault.barrier.keyring import Keyring
from vault.barrier.stored import UpgradeUnderWay, raw
from vault.barrier.view import View
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import CommitRefused, StorageFailure, Timer
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

CORE = "ns/root/"
MINUTE = 60


class Bench:
    """A loop over a vault in memory; `done` is what handlers and jobs did."""

    def __init__(self, *, jobs: dict[str, Job] | None = None, each_round: Job | None = None) -> None:
        self.clock = FakeClock()
        self.failing: set[str] = set()
        self.storage = MemoryStorage(on_statement=self._statement)
        self.barrier = Barrier(self.storage, now=self.clock.millis, random=os.urandom)
        self.done: list[str] = []
        self.stream = io.StringIO()
        self.log = Log(stream=self.stream)
        self.away = self.unrecorded = ""
        self.missing: type[Exception] = Unavailable
        handlers: dict[str, Handler] = {
            "note": self._note,
            "again": self._again,
            "broken": self._broken,
            "shared": self._shared,
            "signed": self._signed,
        }
        self.background = Background(
            self.storage,
            self.barrier,
            handlers,
            jobs or {},
            skew=Skew(self.storage, self.clock, self.log),
            log=self.log,
            each_round=each_round,
            look_every=0,
            jobs_every=0 if jobs else 300,
        )

    def _statement(self, name: str) -> None:
        if name in self.failing:
            raise StorageFailure("the disk is gone")

    async def _note(self, core: View, key: str) -> None:
        await core.put(f"noted/{key}", raw(b""))
        self.done.append(key)

    async def _again(self, core: View, key: str) -> None:
        await core.at(Timer("again", key, Millis(self.clock.millis() + MINUTE * 1000)))
        self.done.append(key)

    async def _broken(self, core: View, key: str) -> None:
        await core.put(f"noted/{key}", raw(b""))
        raise ValueError("hunter2")

    async def _shared(self, core: View, key: str) -> None:
        await core.put(f"noted/{key}", raw(b""))
        if self.unrecorded:
            core.transaction.before_commit(self._refuse)

    def _refuse(self) -> None:
        raise CommitRefused(self.unrecorded)

    async def _signed(self, core: View, key: str) -> None:
        await core.put(f"noted/{key}", raw(b""))
        if self.away:
            raise self.missing(self.away)
        self.done.append(key)

    async def open(self) -> "Bench":
        root = Key(bytes(32))
        async with self.storage.write() as tx:
            await self.barrier.create_in(tx, root, Keyring.create(self.clock.millis(), os.urandom))
        await self.barrier.load(root)
        return self

    async def arm(self, kind: str, *keys: str, seconds: float = 0) -> None:
        async with self.barrier.write(ROOT_ID, CORE) as core:
            for key in keys:
                await core.at(Timer(kind, key, Millis(self.clock.millis() + int(seconds * 1000))))

    async def noted(self) -> list[str]:
        return list(await self.storage.reader().scan(f"{CORE}noted/"))


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- the loop under test sets no event
            await asyncio.sleep(0)


def test_a_timer_is_run_once_and_not_before_its_moment() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("note", "soon")
        await bench.arm("note", "later", seconds=30)
        bench.clock.sleep(1)
        assert await bench.background.work()
        assert bench.done == ["soon"]
        assert not await bench.background.work()
        bench.clock.sleep(30)
        assert await bench.background.work()
        bench.clock.sleep(10 * MINUTE)
        assert not await bench.background.work()
        assert bench.done == ["soon", "later"]

    asyncio.run(scenario())


def test_many_timers_are_taken_in_batches_until_none_is_due() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("note", *(f"{number:03}" for number in range(150)))
        bench.clock.sleep(1)
        batches = 0
        while await bench.background.work():
            batches += 1
        assert batches == 3
        assert sorted(bench.done) == [f"{number:03}" for number in range(150)]

    asyncio.run(scenario())


def test_a_handler_may_set_its_timer_again() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("again", "tick")
        for _ in range(3):
            bench.clock.sleep(MINUTE + 1)
            assert await bench.background.work()
            assert not await bench.background.work()
        assert bench.done == ["tick"] * 3

    asyncio.run(scenario())


def test_a_handler_that_fails_is_undone_logged_without_its_words_and_tried_again_later() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("broken", "bad")
        await bench.arm("note", "good")
        bench.clock.sleep(1)
        assert await bench.background.work()
        assert bench.done == ["good"]
        assert await bench.noted() == ["good"]
        assert "type=broken" in bench.stream.getvalue()
        assert "hunter2" not in bench.stream.getvalue()
        assert not await bench.background.work()
        bench.clock.sleep(MINUTE + 1)
        assert await bench.background.work()

    asyncio.run(scenario())


@pytest.mark.parametrize("missing", [Unavailable, UpgradeUnderWay])
def test_work_that_something_is_missing_for_waits_is_told_once_and_is_done_when_it_is_back(
    missing: type[Exception],
) -> None:
    """A device that does not answer, or a node that still has the release before."""

    async def scenario() -> None:
        bench = await Bench().open()
        bench.missing = missing
        bench.away = "no slot answers"
        await bench.arm("signed", "one", "other")
        for _ in range(3):
            bench.clock.sleep(MINUTE + 1)
            assert await bench.background.work()
        waits = "[WARN]  background: work waits and will be done: type=signed reason="
        assert bench.stream.getvalue().count(waits) == 1
        assert "[ERROR]" not in bench.stream.getvalue()
        assert await bench.noted() == []
        bench.away = ""
        bench.clock.sleep(MINUTE + 1)
        assert await bench.background.work()
        assert sorted(bench.done) == ["one", "other"]
        bench.away = "no slot answers"
        await bench.arm("signed", "third")
        bench.clock.sleep(1)
        assert await bench.background.work()
        assert bench.stream.getvalue().count(waits) == 2

    asyncio.run(scenario())


def test_what_shared_a_commit_that_was_refused_is_tried_again_and_holds_up_nothing() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        bench.unrecorded = "no audit device took the record"
        await bench.arm("shared", "one")
        await bench.arm("note", "other", seconds=0.001)
        bench.clock.sleep(1)
        assert await bench.background.work()
        assert await bench.noted() == ["other"]
        told = bench.stream.getvalue()
        assert f'type=shared reason="{bench.unrecorded}"' in told and "[ERROR]" not in told
        bench.unrecorded = ""
        bench.clock.sleep(MINUTE + 1)
        assert await bench.background.work()
        assert await bench.noted() == ["one", "other"]

    asyncio.run(scenario())


def test_a_timer_of_an_unknown_kind_is_left_for_who_knows_it() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("future", "x")
        bench.clock.sleep(1)
        assert await bench.background.work()
        assert "type=future" in bench.stream.getvalue()
        assert await bench.storage.next_due() is not None

    asyncio.run(scenario())


def test_a_storage_failure_ends_the_batch_and_leaves_its_timers() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("note", "one")
        bench.clock.sleep(1)
        bench.failing = {"commit"}
        with pytest.raises(StorageFailure):
            await bench.background.work()
        bench.failing = set()
        bench.clock.sleep(MINUTE + 1)
        assert await bench.background.work()
        assert await bench.noted() == ["one"]

    asyncio.run(scenario())


def test_the_loop_goes_on_after_a_storage_failure() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("note", "one")
        bench.clock.sleep(1)
        bench.failing = {"claim"}
        bench.background.start()
        await _until(lambda: "a round failed" in bench.stream.getvalue())
        bench.failing = set()
        await _until(lambda: bench.done)
        await bench.background.stop()
        assert bench.done == ["one"]

    asyncio.run(scenario())


def test_a_stop_ends_the_loop_whatever_its_work_makes_of_that() -> None:
    async def scenario() -> None:
        begun = asyncio.Event()

        async def job() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                raise StorageFailure("the disk is gone")

        bench = await Bench(jobs={"job": job}).open()
        bench.background.start()
        async with asyncio.timeout(60):
            await begun.wait()
            await bench.background.stop()

    asyncio.run(scenario())


def test_the_loop_ends_by_itself_when_the_vault_is_sealed_and_starts_again() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        await bench.arm("note", "one")
        bench.barrier.seal()
        bench.clock.sleep(1)
        bench.background.start()
        task = bench.background._task
        assert task is not None
        await _until(task.done)
        assert task.exception() is None
        await bench.barrier.load(Key(bytes(32)))
        bench.clock.sleep(MINUTE + 1)
        bench.background.start()
        await _until(lambda: bench.done)
        await bench.background.stop()

    asyncio.run(scenario())


def test_starting_twice_runs_one_loop_and_stopping_twice_is_fine() -> None:
    async def scenario() -> None:
        bench = await Bench().open()
        bench.background.start()
        first = bench.background._task
        bench.background.start()
        assert bench.background._task is first
        await bench.background.stop()
        await bench.background.stop()
        assert first is not None
        assert first.done()

    asyncio.run(scenario())


def test_jobs_run_again_and_again_and_one_that_fails_does_not_stop_the_others() -> None:
    async def scenario() -> None:
        done: list[str] = []

        async def broken() -> None:
            done.append("broken")
            raise ValueError("hunter2")

        async def waiting() -> None:
            raise Unavailable("internal error", detail="no slot answers")

        async def fine() -> None:
            done.append("fine")

        bench = await Bench(jobs={"broken": broken, "waiting": waiting, "fine": fine}).open()
        bench.background.start()
        await _until(lambda: done.count("fine") >= 2)
        await bench.background.stop()
        assert done[:4] == ["broken", "fine"] * 2
        assert "type=broken" in bench.stream.getvalue()
        assert bench.stream.getvalue().count('type=waiting reason="no slot answers"') == 1
        assert "hunter2" not in bench.stream.getvalue()

    asyncio.run(scenario())


def test_what_comes_first_in_each_round_is_done_before_timers_and_tried_again() -> None:
    async def scenario() -> None:
        rounds = list[list[str]]()

        async def follow() -> None:
            rounds.append(list(bench.done))
            if len(rounds) == 1:
                raise StorageFailure("the disk is gone")

        bench = await Bench(each_round=follow).open()
        await bench.arm("note", "one")
        bench.clock.sleep(1)
        bench.background.start()
        await _until(lambda: len(rounds) >= 3)
        await bench.background.stop()
        assert (rounds[:2], bench.done) == ([[], []], ["one"])

    asyncio.run(scenario())


def test_a_job_that_meets_a_broken_storage_is_tried_again() -> None:
    async def scenario() -> None:
        tried: list[int] = []

        async def job() -> None:
            tried.append(1)
            raise StorageFailure("the disk is gone")

        bench = await Bench(jobs={"job": job}).open()
        bench.background.start()
        await _until(lambda: len(tried) >= 2)
        await bench.background.stop()
        assert "a round failed" in bench.stream.getvalue()

    asyncio.run(scenario())
