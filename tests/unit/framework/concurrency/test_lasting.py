# SPDX-License-Identifier: EUPL-1.2
"""Work begins with a start, goes on whatever it meets, and has ended when a stop returns."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from vault.framework.concurrency import lasting
from vault.framework.concurrency.lasting import LastingTask


class Work:
    """Says when it begins and ends; it lasts until `enough` is set."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.enough = asyncio.Event()
        self.task = LastingTask(self.work, self.said.append)

    async def work(self) -> None:
        self.said.append("begins")
        try:
            await self.enough.wait()
        finally:
            await asyncio.sleep(0)  # what a stop waits for
            self.said.append("ends")


def run(scene: Callable[[Work], Awaitable[None]]) -> list[object]:
    async def played() -> list[object]:
        work = Work()
        await scene(work)
        return work.said

    return asyncio.run(played())


def test_it_runs_from_start_to_stop_and_again() -> None:
    async def scene(work: Work) -> None:
        for _ in range(2):
            work.task.start()
            await asyncio.sleep(0)
            await work.task.stop()
            work.said.append("stopped")

    assert run(scene) == ["begins", "ends", "stopped"] * 2


def test_it_is_started_once_while_it_runs() -> None:
    async def scene(work: Work) -> None:
        work.task.start()
        work.task.start()
        await asyncio.sleep(0)
        work.task.start()
        await asyncio.sleep(0)
        await work.task.stop()

    assert run(scene) == ["begins", "ends"]


def test_what_ended_by_itself_is_started_again() -> None:
    async def scene(work: Work) -> None:
        work.enough.set()
        for _ in range(2):
            work.task.start()
            for _ in range(3):
                await asyncio.sleep(0)
            assert work.said[-1] == "ends"
        await work.task.stop()

    assert run(scene) == ["begins", "ends"] * 2


def test_a_stop_without_a_start_does_nothing() -> None:
    async def scene(work: Work) -> None:
        await work.task.stop()

    assert run(scene) == []


def test_work_that_fails_is_begun_anew_and_told_once_of_a_kind() -> None:
    told: list[Exception] = []
    failures = iter([RuntimeError("one"), RuntimeError("two"), KeyError("three")])
    done = asyncio.Event()

    async def work() -> None:
        for failure in failures:
            raise failure
        done.set()

    async def scene() -> None:
        task = LastingTask(work, told.append, pause=0.001)
        task.start()
        async with asyncio.timeout(60):
            await done.wait()
        await task.stop()

    asyncio.run(scene())
    assert [str(one) for one in told] == ["one", "'three'"]


def test_pauses_grow_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def fails() -> None:
        if len(pauses) < 9:
            raise RuntimeError

    async def passes(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(lasting, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": passes}))

    async def scene() -> None:
        task = LastingTask(fails, lambda _: None)
        task.start()
        while len(pauses) < 9:  # noqa: ASYNC110 -- each is one turn of the loop
            await asyncio.sleep(0)
        await task.stop()

    asyncio.run(scene())
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_work_that_went_on_for_long_is_told_of_again() -> None:
    told: list[Exception] = []
    failures = iter([RuntimeError("one"), RuntimeError("two")])
    done = asyncio.Event()

    async def work() -> None:
        for failure in failures:
            raise failure
        done.set()

    async def scene() -> None:
        task = LastingTask(work, told.append, pause=0.001, steady=0)
        task.start()
        async with asyncio.timeout(60):
            await done.wait()
        await task.stop()

    asyncio.run(scene())
    assert [str(one) for one in told] == ["one", "two"]


def test_a_stop_raises_nothing_that_the_work_does() -> None:
    told: list[Exception] = []

    async def fails_on_its_way_out() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("broken")

    async def scene() -> None:
        task = LastingTask(fails_on_its_way_out, told.append, pause=0.001)
        task.start()
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await task.stop()
        await task.stop()

    asyncio.run(scene())
    assert [str(one) for one in told] == ["broken"], "and it is not begun anew"


def test_a_stop_during_a_pause_ends_it() -> None:
    begun: list[None] = []

    async def fails() -> None:
        begun.append(None)
        raise RuntimeError

    async def scene() -> None:
        task = LastingTask(fails, lambda _: None, pause=3600)
        task.start()
        await asyncio.sleep(0.001)
        async with asyncio.timeout(60):
            await task.stop()

    asyncio.run(scene())
    assert len(begun) == 1
