# SPDX-License-Identifier: EUPL-1.2
"""One thread beside the loop: in order, whatever fails, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from time import monotonic

import pytest

from vault.storage.single_thread import SingleThread


def test_what_is_given_to_it_is_done_in_order_in_one_other_thread() -> None:
    async def story() -> None:
        thread, done = SingleThread("one"), list[int]()

        def work(number: int) -> tuple[int, str]:
            done.append(number)
            return number, threading.current_thread().name

        assert await asyncio.gather(*(thread.do(lambda n=n: work(n)) for n in range(9))) == [  # type: ignore[misc]  # bound early
            (n, "one") for n in range(9)
        ]
        assert done == list(range(9))
        thread.end()

    asyncio.run(story())


@pytest.mark.parametrize("problem", [ValueError("a"), KeyboardInterrupt(), SystemExit(3)])
def test_what_fails_is_told_to_who_waits_and_the_next_is_done(problem: BaseException) -> None:
    async def story() -> None:
        thread = SingleThread("one")

        def fail() -> None:
            raise problem

        outcome = thread.do(fail)
        await asyncio.wait([outcome])
        assert outcome.exception() is problem
        assert await thread.do(lambda: 7) == 7
        thread.end()

    asyncio.run(story())


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    async def story() -> None:
        thread, free, done = SingleThread("one"), threading.Event(), list[int]()
        first = thread.do(lambda: free.wait(60))
        second, third = thread.do(lambda: done.append(2)), thread.do(lambda: done.append(3))
        second.cancel()
        free.set()
        await asyncio.gather(first, third)
        assert done == [3]
        thread.end()

    asyncio.run(story())


def test_ending_waits_for_what_was_given_and_takes_no_more() -> None:
    async def story() -> None:
        thread, done = SingleThread("one"), list[int]()
        outcome = thread.do(lambda: done.append(1))
        thread.end()
        assert done == [1]
        with pytest.raises(RuntimeError, match="one was ended"):
            thread.do(lambda: None)
        await outcome
        SingleThread("never begun").end()

    asyncio.run(story())


def test_it_goes_on_after_a_loop_that_was_closed_under_it_and_keeps_nothing_of_what_it_did() -> None:
    class Kept:
        def __call__(self) -> None:
            free.wait(60)

    thread, free = SingleThread("one"), threading.Event()

    def leave() -> weakref.ref[Kept]:
        work = Kept()

        async def give() -> None:
            thread.do(work)

        asyncio.run(give())
        return weakref.ref(work)

    kept = leave()
    free.set()
    until = monotonic() + 60
    while kept() is not None and monotonic() < until:
        gc.collect()
    assert kept() is None

    async def later() -> int:
        return await thread.do(lambda: 7)

    assert asyncio.run(later()) == 7
    thread.end()


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_done_is_gone_at_once_whether_it_failed_or_not(*, fails: bool) -> None:
    class Kept:
        def __call__(self) -> None:
            if fails:
                raise ValueError

    async def story() -> None:
        thread, work = SingleThread("one"), Kept()
        kept, outcome = weakref.ref(work), thread.do(work)
        del work
        await asyncio.wait([outcome])
        assert isinstance(outcome.exception(), ValueError) is fails
        del outcome
        await thread.do(lambda: None)  # by now it has left the thread too
        assert kept() is None
        thread.end()

    gc.disable()
    try:
        asyncio.run(story())
    finally:
        gc.enable()
