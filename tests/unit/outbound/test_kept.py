# SPDX-License-Identifier: EUPL-1.2
"""Answers that are kept: who asks, how often, and what a clock that jumps changes of it (nothing)."""

import asyncio

import pytest

from tests.clocks import MONTH, MovedClock
from vault.outbound import kept
from vault.outbound.failure import Unreachable
from vault.outbound.kept import AnswerCache


class Host:
    """Answers with how often it was asked, once it is `free`; not at all while it is `dead`."""

    def __init__(self) -> None:
        self.asked = 0
        self.dead = False
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self) -> int:
        self.asked += 1
        count = self.asked
        await self.free.wait()
        if self.dead:
            raise Unreachable("dead")
        return count


class Scene:
    """A host, what is kept of it, and a clock."""

    def __init__(self) -> None:
        self.clock = MovedClock(1_700_000_000_000_000_000)
        self.kept: AnswerCache[int] = AnswerCache(self.clock)
        self.host = Host()

    async def get(self) -> int | str:
        try:
            return await self.kept.get("key", self.host)
        except Unreachable as failure:
            return str(failure)

    async def later(self) -> int | str:
        """What is answered once what is asked beside has come."""
        await self.get()
        await self.kept.settled()
        return await self.get()


def test_a_slow_host_is_asked_once_for_all_strangers_and_all_get_its_answer() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.host.free.clear()
        strangers = [asyncio.create_task(scene.get()) for _ in range(250)]
        await asyncio.sleep(0)
        strangers[0].cancel()
        await asyncio.sleep(0)
        scene.host.free.set()
        answers = await asyncio.gather(*strangers, return_exceptions=True)
        assert answers[1:] == [1] * 249
        assert scene.host.asked == 1

    asyncio.run(scenario())


def test_a_dead_host_is_asked_once_in_a_while_however_many_need_it() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.host.dead = True
        for round_ in range(1, 4):
            assert {await scene.get() for _ in range(250)} == {"dead"}
            assert scene.host.asked == round_
            scene.clock.sleep(kept.PAUSE + 1)

    asyncio.run(scenario())


def test_an_answer_is_asked_for_anew_beside_those_who_need_it_and_ends_where_nobody_answers() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.later() == 1
        scene.clock.sleep(kept.FRESH + 1)
        assert await scene.get() == 1
        assert await scene.later() == 2
        scene.host.dead = True
        scene.clock.sleep(kept.FRESH + 1)
        assert await scene.later() == 2
        scene.clock.sleep(kept.STALE + 1)
        assert await scene.get() == "dead"

    asyncio.run(scenario())


@pytest.mark.parametrize("ahead", [MONTH, 3600, -3600, -MONTH])
def test_a_clock_that_was_wrong_when_it_was_asked_changes_nothing_of_how_long_an_answer_counts(
    ahead: int,
) -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.clock.set_wall(ahead)
        assert await scene.later() == 1
        scene.clock.set_wall(-ahead)
        assert await scene.later() == 1
        scene.clock.sleep(kept.FRESH + 1)
        assert await scene.later() == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("ahead", [MONTH, 3600, -3600, -MONTH])
def test_a_clock_that_was_wrong_at_a_failure_blocks_nobody_for_longer(ahead: int) -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.host.dead = True
        scene.clock.set_wall(ahead)
        assert await scene.get() == "dead"
        scene.clock.set_wall(-ahead)
        scene.host.dead = False
        assert await scene.get() == "dead"
        scene.clock.sleep(kept.PAUSE + 1)
        assert await scene.get() == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("ahead", [MONTH, -MONTH])
def test_strangers_who_cause_questions_get_no_more_of_them_by_a_clock_that_jumps(ahead: int) -> None:
    async def scenario() -> None:
        scene = Scene()
        for _ in range(20):
            await scene.kept.newer("key", scene.host)
            scene.clock.set_wall(ahead)
        assert scene.host.asked == 5
        scene.clock.sleep(10.1)
        assert await scene.kept.newer("key", scene.host) == 6
        assert await scene.kept.newer("key", scene.host) is None

    asyncio.run(scenario())


def test_what_is_forgotten_is_asked_for_anew_and_a_failure_to_find_newer_gives_nothing() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.get() == 1
        scene.kept.drop("key")
        assert await scene.get() == 2
        scene.host.dead = True
        assert await scene.kept.newer("key", scene.host) is None
        assert await scene.get() == 2

    asyncio.run(scenario())


def test_strangers_who_wait_for_one_question_use_up_no_more_than_one() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.get() == 1
        scene.host.free.clear()
        waiting = [asyncio.create_task(scene.kept.newer("key", scene.host)) for _ in range(250)]
        await asyncio.sleep(0)
        scene.host.free.set()
        assert await asyncio.gather(*waiting) == [2] * 250
        assert [await scene.kept.newer("key", scene.host) for _ in range(5)] == [3, 4, 5, 6, None]

    asyncio.run(scenario())


def test_strangers_who_come_just_after_a_failure_use_up_nothing() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.get() == 1
        scene.host.dead = True
        for _ in range(100):
            assert await scene.kept.newer("key", scene.host) is None
        scene.host.dead = False
        scene.clock.sleep(kept.PAUSE + 1)
        assert await scene.kept.newer("key", scene.host) == 3

    asyncio.run(scenario())


def test_after_hours_in_which_nobody_asked_the_first_gets_the_newest_answer() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.get() == 1
        scene.clock.sleep(kept.FRESH + 1)
        assert await scene.get() == 1
        await scene.kept.settled()
        scene.clock.sleep(10 * 3600)
        assert await scene.get() == 3

    asyncio.run(scenario())


def test_one_who_comes_after_hours_waits_for_a_dead_host_and_nobody_after_them() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.get() == 1
        scene.clock.sleep(10 * 3600)
        scene.host.dead = True
        assert await scene.get() == 1
        scene.clock.sleep(kept.PAUSE + 1)
        scene.host.free.clear()
        assert await scene.get() == 1
        scene.host.free.set()
        await scene.kept.settled()
        assert scene.host.asked == 3

    asyncio.run(scenario())
