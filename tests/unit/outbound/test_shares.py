# SPDX-License-Identifier: EUPL-1.2
"""Turns that are shared: nobody takes all, and every turn that is given back is taken by who waits."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.outbound.shares import Path, Shares

PATHS = st.tuples(*(st.sampled_from("abc") for _ in range(3)))


async def _held(shares: Shares, paths: Sequence[Path]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(shares.take(path)) for path in paths]
    for _ in range(2):
        await asyncio.sleep(0)
    return tasks


def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


def test_each_level_takes_half_of_the_one_above() -> None:
    async def scenario() -> None:
        for many, most in (
            ([("t", "m", "h")] * 200, 16),
            ([("t", "m", f"h{n % 50}") for n in range(200)], 32),
            ([("t", f"m{n}", "h") for n in range(200)], 64),
        ):
            tasks = await _held(Shares(128), many)
            assert sum(task.done() for task in tasks) == most
            _cancel(tasks)

    asyncio.run(scenario())


def test_seven_tenants_that_give_nothing_back_leave_a_turn_for_the_eighth() -> None:
    async def scenario() -> None:
        shares = Shares(128)
        for tenant in range(8):
            many = [(f"t{tenant}", f"m{n}", f"h{n}") for n in range(200)]
            first, *others = await _held(shares, many)
            assert first.done()
            _cancel(others)

    asyncio.run(scenario())


@given(st.lists(st.tuples(PATHS, st.booleans(), st.integers(0, 5), st.booleans()), max_size=60))
def test_whatever_happens_turns_are_neither_lost_nor_made(
    steps: list[tuple[Path, bool, int, bool]],
) -> None:
    """Also where several things happen before anybody who waits hears of it."""

    async def scenario() -> None:
        shares = Shares(8)
        waiting: list[tuple[Path, asyncio.Task[None]]] = []
        for path, cancels, index, at_once in steps:
            if cancels and waiting:
                held, task = waiting.pop(index % len(waiting))
                if task.done():
                    shares.give_back(held)
                else:
                    task.cancel()
            else:
                waiting.append((path, asyncio.create_task(shares.take(path))))
            if at_once:
                continue
            for _ in range(3):
                await asyncio.sleep(0)
            held_now = Counter(path for path, task in waiting if task.done())
            assert held_now == Counter({p: n for p, n in shares._held.items() if len(p) == 3})
            assert held_now.total() <= 8
            assert not any(shares._may(path) for path, task in waiting if not task.done())
        for _ in range(len(waiting) + 2):
            for one in [one for one in waiting if one[1].done()]:
                waiting.remove(one)
                shares.give_back(one[0])
            await asyncio.sleep(0)
        assert waiting == []
        assert not shares._held
        assert not shares._waiting

    asyncio.run(scenario())


def test_a_turn_that_comes_back_costs_as_much_whether_ten_clients_wait_or_thousands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def looks(clients: int) -> int:
        shares = Shares(256)
        paths = [("t", "m", "h", f"c{n}") for n in range(clients)]
        tasks = await _held(shares, paths)
        asked: list[Path] = []
        judge = Shares._may

        def counted(self: Shares, path: Path) -> bool:
            asked.append(path)
            return judge(self, path)

        with monkeypatch.context() as patched:
            patched.setattr(Shares, "_may", counted)
            shares.give_back(next(path for path, task in zip(paths, tasks, strict=True) if task.done()))
        _cancel(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(asked)

    assert asyncio.run(looks(60)) == asyncio.run(looks(6000))


def test_turns_that_come_back_while_those_who_wait_for_them_leave_go_to_who_stays() -> None:
    async def scenario() -> None:
        shares = Shares(4)
        path = ("t",)
        for _ in range(2):
            await shares.take(path)
        *leaving, staying = await _held(shares, [path] * 6)
        _cancel(leaving)
        shares.give_back(path)
        await staying
        await asyncio.sleep(0)
        assert not shares._waiting
        leaving = await _held(shares, [path] * 5)
        _cancel(leaving)
        for _ in range(2):
            shares.give_back(path)
        await asyncio.gather(*leaving, return_exceptions=True)
        assert not shares._waiting
        assert not shares._held

    asyncio.run(scenario())


def test_a_turn_that_came_as_its_waiter_left_goes_to_the_next() -> None:
    async def scenario() -> None:
        shares = Shares(2)
        path = ("t", "m")
        await shares.take(path)
        leaving, staying = await _held(shares, [path, path])
        shares.give_back(path)
        leaving.cancel()
        await staying

    asyncio.run(scenario())
