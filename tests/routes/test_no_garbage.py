# SPDX-License-Identifier: EUPL-1.2
"""No request, however it ends, waits for the collector of garbage: its token would stay in memory until then (SL-58).

The collector comes after many requests, so on a quiet server it comes never.
"""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from tests.routes.driver import ELSEWHERE, TARGETS, Application, Target
from vault.framework.call import Call
from vault.framework.errors import Failed
from vault.pipeline import Pipeline
from vault.storage.protocol import Conflict, StorageFailure

_TURNS = 200
"""Hundredths of a second that something may take which goes on behind an answer, as a seal does."""


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """An application; nothing is collected while it is there, so that what one request left is counted once."""
    with Application() as application:
        gc.disable()
        try:
            yield application
        finally:
            gc.enable()
            gc.unfreeze()
            gc.collect()
            gc.freeze()  # as after collection


@pytest.fixture(scope="module")
def callers(application: Application) -> dict[str, str]:
    """Tokens: of nobody, of somebody who may nothing here, and one that may everything."""
    return {"stranger": "s.none", "narrow": application.token(ELSEWHERE), "root": "root", "nobody": ""}


def left(application: Application, target: Target, token: str, body: object) -> int:
    """Ask, and count the calls that are there once the answer is."""
    gc.freeze()  # what was there before is not among the objects that are looked at, and costs nothing
    application.request(target.method, target.path(), body, token=token)
    application.work()
    for _ in range(_TURNS):  # what was answered before it is done
        found = sum(isinstance(one, Call) for one in gc.get_objects())
        if not found:
            break
        application.run(asyncio.sleep(0.01))
    return found


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_request_leaves_no_call_behind(
    application: Application, callers: dict[str, str], target: Target
) -> None:
    found = {}
    bodies: list[object] = [{}, b"{"] if target.bodied else [None]
    for who, token in callers.items():
        for body in bodies:
            found[who, str(body)] = left(application, target, token, body)
            application.reopen()
    assert not any(found.values()), found


@pytest.mark.parametrize("name", ["GET secret/data/{path:any}", "POST secret/data/{path:any}"])
@pytest.mark.parametrize(
    ("kind", "times"),
    [(Failed, 1), (StorageFailure, 1), (ZeroDivisionError, 1), *((Conflict, n) for n in (1, 2, 99))],
)
def test_nor_does_one_that_fails_where_somebody_waits_for_what_failed_by_a_name(
    monkeypatch: pytest.MonkeyPatch, name: str, kind: type[Exception], times: int
) -> None:
    """A failure leads to the frames that it passed, and that one leads back to it, as many do in storages and pools."""
    invoke, failures = Pipeline.invoke, [kind("failed") for _ in range(times)]

    async def fails(pipeline: Pipeline, call: Call, *given: Any) -> object:
        if not failures:
            return await invoke(pipeline, call, *given)
        waits = asyncio.get_running_loop().create_future()
        waits.set_exception(failures.pop())
        return await waits

    monkeypatch.setattr(Pipeline, "invoke", fails)
    (target,) = (target for target in TARGETS if str(target) == name)
    with Application() as application:
        gc.disable()
        try:
            assert left(application, target, "root", {"data": {}} if target.bodied else None) == 0
        finally:
            gc.enable()
            gc.unfreeze()
    assert len(failures) < times
