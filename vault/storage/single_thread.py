# SPDX-License-Identifier: EUPL-1.2
"""A thread beside the event loop, which does one thing after the other.

It is leaner than an executor, whose locks and second future cost the one who writes most of them more than the hand-over.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[Callable[[], Any], asyncio.Future[Any], asyncio.AbstractEventLoop]


class SingleThread:
    """What is given to it is done in the order in which it came. It runs once there is something to do."""

    def __init__(self, name: str) -> None:
        """`name` is what the system calls it."""
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._changing = threading.Lock()
        self._ended = False

    def begin(self) -> None:
        """Run from now on. Raises `RuntimeError` where the system starts no more threads."""
        with self._changing:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return what `work` will return; who cancels that before it has begun keeps it from being done.

        Raises `RuntimeError` as `begin`, and once it was ended.
        """
        if self._ended:
            raise RuntimeError(f"the thread {self._name} was ended")
        if self._thread is None:
            self.begin()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._jobs.put((work, outcome, loop))
        return outcome

    def end(self) -> None:
        """Wait for what was given to it."""
        self._ended = True
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            _do(*job)
            del job  # what it holds is not kept until the next one comes


def _do(work: Callable[[], Any], outcome: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
    if outcome.cancelled():
        return
    result, problem = None, None
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 -- whatever it is, it is for who waits, and the thread goes on
        problem = error
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_tell, outcome, result, problem)
    # Both lead to this frame. If it led to them, they and the work would stay until they are collected.
    del problem, outcome


def _tell(outcome: asyncio.Future[Any], result: object, problem: BaseException | None) -> None:
    if outcome.cancelled():
        return
    if problem is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(problem)
