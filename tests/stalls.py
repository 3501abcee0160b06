# SPDX-License-Identifier: EUPL-1.2
"""Finds what holds the event loop in a test: one step of the server's that takes more processor time than anybody waits.

Measured is what the product does between two points at which it waits: for a request, and in tasks of its own. In
processor time of the thread, so that a busy machine makes no difference, and without the collection of garbage, which
grows with what the tests keep. What a test does on its loop is its own affair.
"""

import asyncio
import gc
import sys
import time
import types
from collections.abc import Callable, Coroutine, Generator, Mapping
from functools import cache, wraps
from pathlib import Path
from typing import Any, Final

from tests.pace import slower

MOST: Final = 0.1
"""Seconds of processor time that one step may take on a usual machine."""
ALLOWED: Final[Mapping[str, str]] = {}
"""Steps that may take longer, by the name of the test or of the task, and why."""
_PRODUCT: Final = tuple(str(Path(__file__).parents[1] / part) for part in ("vault", "nhi", "hsm"))


class Stalls:
    """What took too long since somebody last looked."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.longest = 0.0, ""
        """The longest step since somebody set this back, in seconds, and its name: for tests that ask for more than `MOST`."""
        self._collected = 0.0
        self._collecting = 0.0
        gc.callbacks.append(self._collect)

    def _collect(self, phase: str, info: object) -> None:
        del info
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self._collected += time.thread_time() - self._collecting

    def begin(self) -> float:
        """Return when a step begins: processor time without that of the collector."""
        return time.thread_time() - self._collected

    def end(self, began: float, name: Callable[[], str]) -> None:
        """Judge a step that began so."""
        seconds = self.begin() - began
        if seconds > self.longest[0]:
            self.longest = seconds, name()
        if seconds > MOST and seconds > MOST * self._allowed():
            what = name()
            if what not in ALLOWED:
                self.found.append(f"{what} held the event loop for {seconds:.3f} s of processor time")

    def _allowed(self) -> float:
        """Return by how much more time than usual a step may take, here and now; to find out is no part of any."""
        began = time.thread_time()
        found = max(5 if sys.gettrace() else 1, slower())
        self._collected += time.thread_time() - began
        return found

    def take(self) -> list[str]:
        """Return what was found, and begin anew."""
        found, self.found = self.found, []
        return found


STALLS: Final = Stalls()
_TRIES: Final = 3


def held_too_long(
    play: Callable[[], Mapping[str, float]], most: float, *, measured_here: bool = False
) -> Mapping[str, float]:
    """Return which steps of what is played held the loop for `most` seconds or more, each time that it was played.

    `play` leaves nothing behind, and returns the seconds of each step by its name. Whatever disturbs a measurement makes
    it longer, so the least of a few counts, and the first time that all are in order ends it. Where `most` was not
    `measured_here`, it is that of a usual machine.
    """
    least: dict[str, float] = {}
    for _ in range(_TRIES):
        for name, seconds in play().items():
            least[name] = min(seconds, least.get(name, seconds))
        if all(seconds < most for seconds in least.values()):
            return {}
    most *= 1 if measured_here else slower()
    return {name: seconds for name, seconds in least.items() if seconds >= most}


@types.coroutine
def measured(inner: Coroutine[Any, Any, Any], name: Callable[[], str]) -> Generator[Any, Any, Any]:
    """Carry a coroutine on, and measure each of its steps."""
    step: Callable[[Any], Any] = inner.send
    given: Any = None
    while True:
        began = STALLS.begin()
        try:
            waited = step(given)
        except StopIteration as end:
            return end.value
        finally:
            given = None  # an error that stays here keeps this frame, which keeps it, and with it whatever was asked
            STALLS.end(began, name)
        try:
            step, given = inner.send, (yield waited)
        except BaseException as error:  # noqa: BLE001 -- a cancellation is the coroutine's own affair
            step, given = inner.throw, error


@cache
def install() -> None:
    """Begin to measure the pipeline, and every task of the product."""
    from vault.framework.hcl.parser import parse
    from vault.pipeline import Pipeline

    parse("a = 1")  # a server has built its parser by when it has read its configuration
    handle = Pipeline.handle

    @wraps(handle)
    async def handled(self: Pipeline, call: Any, plan: Any = None) -> Any:
        return await measured(handle(self, call, plan), lambda: f"{call.head.method} {call.path[:80]}")

    Pipeline.handle = handled  # type: ignore[method-assign]  # as long as the tests run
    run = asyncio.Handle._run

    def ran(self: asyncio.Handle) -> None:
        began = STALLS.begin()
        run(self)
        code = _code_of(getattr(self, "_callback", None))
        if code is not None and code.co_filename.startswith(_PRODUCT):
            STALLS.end(began, lambda: code.co_qualname)

    asyncio.Handle._run = ran  # type: ignore[method-assign]  # as long as the tests run


def _code_of(callback: object) -> types.CodeType | None:
    """Return what a turn of the loop runs: a function, or the coroutine of a task."""
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return getattr(callback, "__code__", None)
    return getattr(task.get_coro(), "cr_code", None)


def after(name: str) -> list[str]:
    """Return what a test of this name has to answer for; and measure from now on whatever it made known."""
    if "vault.pipeline" in sys.modules:
        install()
    return [] if name in ALLOWED else STALLS.take()
