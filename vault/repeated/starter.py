# SPDX-License-Identifier: EUPL-1.2
"""Requests without a task: most reads are over before there would be one, and a write waits once, for its commit.

A task costs ten times what it costs to be told that something is done. So a request that waits is gone on with by a callback
of what it waits for, and becomes a task as soon as anybody has to find or cancel it: the watch asks for that once a second, a
listener that stops, and who notes the task that he is in.
"""

from __future__ import annotations

import asyncio
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from typing import Any


async def _rest(begun: Coroutine[Any, Any, None], waited: object) -> None:
    """Go on with a coroutine that was begun outside any task and waits for `waited`; the first step does nothing.

    A coroutine itself, for tasks of Python 3.12 and later take no generator.
    """
    await _carried_on(begun, waited)


@types.coroutine
def _carried_on(begun: Coroutine[Any, Any, None], waited: object) -> Generator[Any, Any, None]:
    try:
        try:
            yield  # here it is led before there is a task: who cancels that before it runs reaches the coroutine
        except BaseException as error:  # noqa: BLE001 - as below
            waited = begun.throw(error)
        while True:
            try:
                sent = yield waited
            except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's own affair
                waited = begun.throw(error)
            else:
                waited = begun.send(sent)
    except StopIteration:
        return


class _NoTask(asyncio.Future[None]):
    """Stands for the task of a request that has none, as far as anything of asyncio asks for it.

    `asyncio.timeout` and `TaskGroup` note the task that they began in. What such a request has noted is led to the task
    that it goes on in.
    """

    task: asyncio.Task[None] | None = None

    def __init__(self, settle: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """`settle` makes a task of the request, if it waits."""
        super().__init__(loop=loop)
        self._settle = settle

    def go_on(self, task: asyncio.Task[None]) -> None:
        """Stand for `task` from now on, and end with it."""
        self.task = task
        task.add_done_callback(lambda _: self.set_result(None))

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - asyncio's own type
        """Cancel the request."""
        if self.task is None:
            self._settle()
        return self.task is not None and self.task.cancel(msg)

    def uncancel(self) -> int:
        """See `asyncio.Task.uncancel`."""
        return 0 if self.task is None else self.task.uncancel()

    def cancelling(self) -> int:
        """See `asyncio.Task.cancelling`."""
        return 0 if self.task is None else self.task.cancelling()

    def get_name(self) -> str:
        """See `asyncio.Task.get_name`."""
        return "request" if self.task is None else self.task.get_name()


class Starter:
    """Runs the requests of one connection, one after the other."""

    __slots__ = ("_loop", "_no_task", "_request", "_tasks", "_waited")

    def __init__(self, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]) -> None:
        """`tasks` holds those that requests became."""
        self._loop = loop
        self._tasks = tasks
        self._no_task: Any = _NoTask(self.settle, loop)
        self._request: Coroutine[Any, Any, None] | None = None
        self._waited: Any = None
        """What the request waits for, that has no task; None while there is none."""

    def begin(self, request: Coroutine[Any, Any, None]) -> bool:
        """Run a request until it waits for something, and on once that is done; return whether it is over."""
        if self._request is not None:
            self.settle()
        loop, current = self._loop, self._no_task
        try:
            _enter_task(loop, current)
        except RuntimeError:  # who hands bytes over within a task has that one
            current = None
        try:
            waited = request.send(None)
        except StopIteration:
            return True
        finally:
            if current is not None:
                _leave_task(loop, current)
        self._request, self._waited = request, waited
        if current is not None and getattr(waited, "_asyncio_future_blocking", False):
            waited._asyncio_future_blocking = False  # noqa: SLF001 - so a task says that it waits for it
            waited.add_done_callback(self._go_on)
        else:
            self.settle()
        return False

    def _go_on(self, waited: object) -> None:
        request = self._request
        if waited is self._waited and request is not None:
            self._request = self._waited = None
            self.begin(request)

    def settle(self) -> None:
        """Make a task of the request, if it waits and has none."""
        request, waited = self._request, self._waited
        if request is None:
            return
        self._request = self._waited = None
        if getattr(waited, "_asyncio_future_blocking", None) is False:
            waited.remove_done_callback(self._go_on)
            waited._asyncio_future_blocking = True  # noqa: SLF001 - as it came
        rest = _rest(request, waited)
        rest.send(None)
        task = self._loop.create_task(rest)
        self._no_task.go_on(task)
        self._no_task = _NoTask(self.settle, self._loop)
        task.add_done_callback(self._tasks.discard)
        self._tasks.add(task)
