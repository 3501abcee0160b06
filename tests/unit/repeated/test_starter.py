# SPDX-License-Identifier: EUPL-1.2
"""Requests without a task: how they go on, and when they become one."""

import asyncio
from typing import Any

from vault.repeated.starter import Starter


class Waiting:
    """A request that waits for two things, and notes what becomes of it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[None]] = set()
        self.starter = Starter(self.loop, self.tasks)
        self.first: asyncio.Future[int] = self.loop.create_future()
        self.second: asyncio.Future[int] = self.loop.create_future()
        self.seen: list[Any] = []

    async def request(self) -> None:
        try:
            self.seen += [asyncio.current_task(), await self.first]
            self.seen += [asyncio.current_task(), await self.second]
        except asyncio.CancelledError:
            self.seen.append("cancelled")
        finally:
            self.seen.append("over")

    def begin(self) -> None:
        """As a transport does: in no task."""
        self.loop.call_soon(self.starter.begin, self.request())


async def turns() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def test_what_waits_goes_on_without_a_task() -> None:
    async def scenario() -> None:
        waiting = Waiting()
        for _ in range(2):
            waiting.begin()
            await turns()
            waiting.first.set_result(1)
            await turns()
            assert not waiting.tasks
            waiting.second.set_result(2)
            await turns()
            stands, one, still, two, over = waiting.seen
            assert (one, two, over) == (1, 2, "over")
            assert stands is still is not None
            waiting.seen = []
            waiting.first, waiting.second = waiting.loop.create_future(), waiting.loop.create_future()

    asyncio.run(scenario())


def test_what_is_settled_while_it_waits_goes_on_once_as_a_task() -> None:
    async def scenario() -> None:
        waiting = Waiting()
        waiting.starter.settle()  # nothing waits
        waiting.begin()
        await turns()
        waiting.first.set_result(1)
        waiting.starter.settle()  # after its callback was called for, and before that runs
        (task,) = waiting.tasks
        waiting.second.set_result(2)
        await task
        assert waiting.seen[1::2] == [1, 2]
        assert waiting.seen[2] is task
        await turns()
        assert not waiting.tasks

    asyncio.run(scenario())


def test_whoever_cancels_a_task_before_it_runs_reaches_the_request() -> None:
    async def scenario() -> None:
        waiting = Waiting()
        waiting.begin()
        await turns()
        waiting.starter.settle()
        (task,) = waiting.tasks
        task.cancel()
        await turns()
        assert waiting.seen == ["cancelled", "over"]

    asyncio.run(scenario())


def test_what_stands_for_the_task_cancels_the_request() -> None:
    async def scenario() -> None:
        waiting = Waiting()
        waiting.begin()
        await turns()
        waiting.first.set_result(1)
        await turns()
        assert waiting.seen[0].cancel()
        await turns()
        assert waiting.seen[2:] == ["cancelled", "over"]

    asyncio.run(scenario())
