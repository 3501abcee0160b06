# SPDX-License-Identifier: EUPL-1.2
"""Requests while they run: timed by route, listed, and ended when they take too long."""

import asyncio
import gc
import io
import time
from collections.abc import MutableMapping
from typing import Any

import pytest

from vault.cache.follow import Follower
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Unavailable, VaultError
from vault.framework.limits import USUAL_LIMITS
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.telemetry import refusals
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.repeated.plan import Plan
from vault.repeated.plans import Plans
from vault.repeated.starter import _rest as rest
from vault.storage.memory import MemoryStorage
from vault.wire.http import Front
from vault.wire.in_flight import RunningRequests
from vault.wire.v1 import STATUS

SCOPE = {
    "type": "http",
    "method": "GET",
    "raw_path": b"/v1/kv/x",
    "query_string": b"",
    "headers": [],
    "client": ("127.0.0.1", 5),
    "state": {},
}


def unheard() -> refusals.Refusals:
    return refusals.Refusals(Log(stream=io.StringIO()), Metrics(), time.monotonic)


class Sent:
    """What went out."""

    def __init__(self) -> None:
        self.messages: list[MutableMapping[str, Any]] = []

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)

    async def receive(self) -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}


class Refusals:
    """Records refusals, as the pipeline does."""

    def __init__(self) -> None:
        self.errors: list[VaultError] = []

    async def __call__(self, call: Call, error: VaultError) -> None:
        self.errors.append(error)


def untold(call: Call, error: VaultError) -> None:
    raise AssertionError(error)


async def stuck(call: Call, plan: Plan | None = None) -> Reply[object] | None:
    await asyncio.Event().wait()
    return None


async def done(call: Call, plan: Plan | None = None) -> Reply[object] | None:
    return None


def front(requests: RunningRequests, longest: float) -> Front:
    lane = requests.lane(longest=longest, max_body=10, json_limits=USUAL_LIMITS)
    return Front(lane, Plans(Follower(MemoryStorage())), Clock(), Entropy(), fixed={}, sealed=lambda: False)


async def overdue(requests: RunningRequests, longest: float) -> tuple[int, Sent]:
    """Let a request run for a turn of the loop, and end what is overdue."""
    sent = Sent()
    task = asyncio.create_task(front(requests, longest)(dict(SCOPE), sent.receive, sent.send))
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(list(requests.running())) == 1
    ended = requests.end_overdue()
    if not ended:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await task
    assert list(requests.running()) == []
    return ended, sent


def test_a_request_that_takes_too_long_is_refused_and_recorded() -> None:
    refused = Refusals()
    requests = RunningRequests(Metrics(), stuck, refused, untold, unheard(), STATUS)
    ended, sent = asyncio.run(overdue(requests, 0))
    assert ended == 1
    assert sent.messages[0]["status"] == 500
    assert (
        sent.messages[1]["body"]
        == b'{"errors":["1 error occurred:\\n\\t* context deadline exceeded\\n\\n"]}\n'
    )
    assert [error.message for error in refused.errors] == ["context deadline exceeded"]


def test_a_read_that_was_begun_outside_its_task_is_ended_too() -> None:
    async def begun() -> tuple[int, Sent]:
        requests, sent = RunningRequests(Metrics(), stuck, Refusals(), untold, unheard(), STATUS), Sent()
        reading = front(requests, 0)(dict(SCOPE), sent.receive, sent.send)
        task = asyncio.create_task(rest(reading, reading.send(None)))
        for _ in range(3):
            await asyncio.sleep(0)
        ended = requests.end_overdue()
        await asyncio.wait([task], timeout=60)
        task.cancel()
        return ended, sent

    ended, sent = asyncio.run(begun())
    assert ended == 1
    assert sent.messages[0]["status"] == 500


def test_a_late_request_whose_refusal_cannot_be_recorded_says_nothing_more() -> None:
    async def unrecorded(call: Call, error: VaultError) -> None:
        raise Unavailable

    _, sent = asyncio.run(
        overdue(RunningRequests(Metrics(), stuck, unrecorded, untold, unheard(), STATUS), 0)
    )
    assert sent.messages[0]["status"] == 500
    assert b"deadline" not in sent.messages[1]["body"]


@pytest.mark.parametrize("failure", [Unavailable(), ZeroDivisionError(), None], ids=repr)
def test_a_request_leaves_no_call_however_it_ends(failure: Exception | None) -> None:
    """Where what ended it leads back to itself, as it does by whoever waited for it by a name; None: it took too long."""

    async def waits(call: Call, plan: Plan | None = None) -> Reply[object] | None:
        waiting = asyncio.get_running_loop().create_future()
        if failure is not None:
            waiting.set_exception(failure)
        try:
            return await waiting  # type: ignore[no-any-return]  # it never is
        except asyncio.CancelledError as ended:
            cancelled = ended
        raise cancelled

    async def end() -> int:
        requests, sent = RunningRequests(Metrics(), waits, Refusals(), untold, unheard(), STATUS), Sent()
        if failure is None:
            await overdue(requests, 0)
        else:
            await front(requests, 60)(dict(SCOPE), sent.receive, sent.send)
        return sum(isinstance(one, Call) for one in gc.get_objects())

    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        assert asyncio.run(end()) == 0
    finally:
        gc.enable()
        gc.unfreeze()


def test_a_request_within_its_time_goes_on_and_other_cancellations_stay_cancellations() -> None:
    refused = Refusals()
    requests = RunningRequests(Metrics(), stuck, refused, untold, unheard(), STATUS)
    assert asyncio.run(overdue(requests, 60))[0] == 0
    assert refused.errors == []


def test_durations_are_counted_by_mount_and_operation_and_together() -> None:
    metrics = Metrics()
    requests = RunningRequests(metrics, done, Refusals(), untold, unheard(), STATUS)
    serve = front(requests, 60)
    sent = Sent()
    for _ in range(3):
        asyncio.run(serve(dict(SCOPE), sent.receive, sent.send))
    found = {name: timing.count for name, _, timing in metrics.timings()}
    assert found == {"coffre.request.duration_seconds": 3, "core.handle_request": 3, "route.read.": 3}


def test_mounts_beyond_the_first_thousand_are_timed_together() -> None:
    requests = RunningRequests(Metrics(), done, Refusals(), untold, unheard(), STATUS)
    for number in range(1005):
        call = Call()
        call.operation = Operation.READ
        requests.times.setdefault((f"m{number}/", Operation.READ), []) if number < 1000 else None
        if number >= 1000:
            requests.new_times(call).append(1)
    assert len(requests.times) == 1001
