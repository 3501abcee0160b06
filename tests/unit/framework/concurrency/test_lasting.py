# SPDX-License-Identifier: EUPL-1.2
"""Work begins with a start, once, and has ended when a stop returns."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from vault.framework.concurrency.lasting import LastingTask


class Work:
    """Says when it begins and ends; it lasts until `enough` is set."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.enough = asyncio.Event()
        self.task = LastingTask(self.work)

    async def work(self) -> None:
        self.said.append("begins")
        try:
            await self.enough.wait()
        finally:
            await asyncio.sleep(0)  # what a stop waits for
            self.said.append("ends")


def run(scene: Callable[[Work], Awaitable[None]]) -> list[str]:
    async def played() -> list[str]:
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


def test_a_stop_tells_how_it_failed() -> None:
    async def fails() -> None:
        raise RuntimeError("broken")

    async def scene() -> None:
        task = LastingTask(fails)
        task.start()
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="broken"):
            await task.stop()
        await task.stop()

    asyncio.run(scene())
