# SPDX-License-Identifier: EUPL-1.2
"""Long work gives way by time, and by nothing else."""

import asyncio

import pytest

from vault.framework.concurrency import time_slice as pace
from vault.framework.concurrency.time_slice import STRETCH, TimeSlice


def _turns(monkeypatch: pytest.MonkeyPatch, *, parts: int, seconds: float) -> int:
    """How many turns others have beside work of so many parts, each of which takes so long."""
    now = 0.0
    monkeypatch.setattr(pace, "perf_counter", lambda: now)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def story() -> None:
        nonlocal now
        beside = asyncio.create_task(others())
        await asyncio.sleep(0)
        work = TimeSlice()
        for _ in range(parts):
            now += seconds
            await work.step()
        beside.cancel()

    asyncio.run(story())
    return turns


def test_small_parts_go_on_until_the_stretch_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _turns(monkeypatch, parts=100, seconds=STRETCH / 9.5) == 10


def test_after_each_large_part_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _turns(monkeypatch, parts=100, seconds=STRETCH * 3) == 100


def test_a_slice_is_over_once_its_time_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((0.0, STRETCH / 2, STRETCH, STRETCH, STRETCH, STRETCH * 3 / 2))
    monkeypatch.setattr(pace, "perf_counter", lambda: next(times))
    work = TimeSlice()
    found = [work.over, work.over]
    asyncio.run(work.step())
    assert [*found, work.over] == [False, True, False]


def test_work_that_is_short_keeps_nobody_waiting_for_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _turns(monkeypatch, parts=3, seconds=STRETCH / 10) == 0
