# SPDX-License-Identifier: EUPL-1.2
"""No request, however it ends, waits for the collector of garbage: its token would stay in memory until then (SL-58).

The collector comes after many requests, so on a quiet server it comes never.
"""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from tests.routes.driver import ELSEWHERE, TARGETS, Application, Target
from vault.framework.call import Call

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
