# SPDX-License-Identifier: EUPL-1.2
"""The guard that finds what holds the event loop finds it, and nothing else."""

import asyncio
import time

from tests import stalls


def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def works(seconds: float) -> str:
    await asyncio.sleep(0)
    busy(seconds)
    await asyncio.sleep(0)
    return "done"


def found(seconds: float) -> list[str]:
    async def go() -> None:
        assert await stalls.measured(works(seconds), lambda: "it") == "done"

    stalls.STALLS.take()
    asyncio.run(go())
    return stalls.STALLS.take()


def test_a_step_that_takes_long_is_found_and_named() -> None:
    (fault,) = found(5 * stalls.MOST)  # more than the slowest machine takes
    assert fault.startswith("it held the event loop for 0.5")


def test_short_steps_and_waiting_are_not() -> None:
    assert found(0.001) == []


def test_a_coroutine_that_is_cancelled_or_fails_is_so_within() -> None:
    async def go() -> None:
        inner = asyncio.ensure_future(wrapped())
        await asyncio.sleep(0)
        inner.cancel()
        done = await asyncio.gather(inner, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)

    async def wrapped() -> None:
        await stalls.measured(asyncio.sleep(3600), lambda: "it")

    asyncio.run(go())


def test_what_the_product_does_is_measured() -> None:
    from vault.pipeline import Pipeline

    stalls.after("anything")
    assert "stalls" in Pipeline.handle.__code__.co_filename
    assert "stalls" in asyncio.Handle._run.__code__.co_filename


def test_the_least_of_a_few_plays_counts_and_the_first_in_order_ends_them() -> None:
    def played(*times: dict[str, float]) -> tuple[object, int]:
        left = list(times)
        return stalls.held_too_long(lambda: left.pop(0), 1.0), len(times) - len(left)

    fast, slow = {"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 20.0}
    assert played(fast) == ({}, 1)
    assert played(slow, fast) == ({}, 2)
    assert played({"a": 20.0, "b": 0.5}, slow) == ({}, 2), "disturbed elsewhere each time"
    assert played(slow, {"a": 0.5, "b": 15.0}, slow) == ({"b": 15.0}, 3)
