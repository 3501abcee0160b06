# SPDX-License-Identifier: EUPL-1.2
"""The watch over the event loop: what holds it up is counted and told, with a place and no value."""

import asyncio
import io
import time
from collections.abc import Callable

import pytest

from tests.calls import fill_call, mount_facts
from vault.framework.call import Call
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics, Timing
from vault.server.process import loop_watch
from vault.server.process.loop_watch import LoopWatch

PATIENCE = 60


def timing(metrics: Metrics) -> Timing:
    return next(timing for name, _, timing in metrics.timings() if name == "coffre.loop.delay_seconds")


def stalls(metrics: Metrics) -> int:
    return next(
        counter.count for name, _, counter in metrics.counters() if name == "coffre.loop.stalls_total"
    )


def watched(hold: Callable[[LoopWatch, Call], None], *, times: int = 1) -> tuple[str, Metrics]:
    """Hold up a loop so often, and return what its watch wrote and counted."""
    stream = io.StringIO()
    metrics = Metrics()

    async def go() -> None:
        watch = LoopWatch(Log(stream=stream), metrics)
        watch.start()
        call = Call()
        fill_call(
            call,
            mount=mount_facts(),
        )
        call.client_address = "192.0.2.7"
        for number in range(times):
            hold(watch, call)
            for _ in range(PATIENCE * 50):
                if watch._stalls.count > number:
                    break
                await asyncio.sleep(0.02)
        watch.stop()

    asyncio.run(go())
    return stream.getvalue(), metrics


def work(watch: LoopWatch, call: Call) -> None:
    """Hold the loop by work, until the watch has seen it."""
    until = time.monotonic() + PATIENCE
    while (
        watch._sight is None or time.monotonic() < watch._due + 2 * loop_watch.STALL
    ) and time.monotonic() < until:
        pass
    assert call.client_address


def rest(watch: LoopWatch, call: Call) -> None:
    """Hold the loop by waiting."""
    del call
    while time.monotonic() < watch._due + 2 * loop_watch.STALL:
        time.sleep(0.05)


def test_a_loop_that_works_for_long_is_told_with_place_mount_and_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_watch, "QUIET", 0.0)
    told, metrics = watched(work)
    assert stalls(metrics) >= 1 and timing(metrics).high > loop_watch.STALL * 1e9
    (line,) = [line for line in told.splitlines() if "mount=secret/" in line]  # a busy machine may add others
    assert "[WARN]  server: the event loop stood still and nobody was answered" in line
    assert "test_loop_watch.py:" in line and "mount=secret/" in line and "address=192.0.2.7" in line
    assert "count=1" in line


def test_whether_it_worked_or_waited_is_told() -> None:
    told, _ = watched(rest)
    assert 'reason="it waited, or the machine did other work"' in told


def test_many_stalls_are_counted_and_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_watch, "STALL", 0.1)
    told, metrics = watched(rest, times=4)
    assert stalls(metrics) >= 4
    assert len(told.splitlines()) == 1


def test_a_later_line_says_how_many_there_were_before(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    watch = LoopWatch(Log(stream=stream), Metrics())
    for _ in range(3):
        watch._tell(1.0, 1.0)
    monkeypatch.setattr(loop_watch, "QUIET", 0.0)
    watch._tell(1.0, 1.0)
    first, second = stream.getvalue().splitlines()
    assert "count=1" in first and "count=3" in second and 'reason="it worked"' in second


def test_a_loop_that_is_on_time_is_measured_too() -> None:
    metrics = Metrics()

    async def go() -> None:
        watch = LoopWatch(Log(stream=io.StringIO()), metrics)
        watch.start()
        for _ in range(PATIENCE * 50):
            if list(metrics.timings()):
                break
            await asyncio.sleep(0.02)
        watch.stop()

    asyncio.run(go())
    assert timing(metrics).count >= 1


def test_what_stands_nowhere_is_nowhere() -> None:
    assert loop_watch.sight_of(None) == loop_watch.Sight("", "", "")
