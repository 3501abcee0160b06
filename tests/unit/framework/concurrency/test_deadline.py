# SPDX-License-Identifier: EUPL-1.2
"""What is waited for within a deadline is done, given up, or never begun."""

import asyncio
import inspect

import pytest

from vault.framework.concurrency.deadline import within


async def answer() -> str:
    return "done"


async def wait_for_ever() -> str:
    await asyncio.Event().wait()
    return "never"


def test_what_comes_in_time_is_returned_and_what_does_not_is_given_up() -> None:
    async def scenario() -> None:
        assert await within(60, answer()) == "done"
        late = wait_for_ever()
        with pytest.raises(TimeoutError):
            await within(0.01, late)
        assert inspect.getcoroutinestate(late) == inspect.CORO_CLOSED

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(4))
def test_whoever_is_cancelled_leaves_nothing_that_was_never_awaited(turns: int) -> None:
    async def scenario() -> None:
        work = wait_for_ever()
        task = asyncio.create_task(within(60, work))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        closed = inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
        work.close()
        assert closed == bool(turns)  # before its first turn nobody had it but this test

    asyncio.run(scenario())
