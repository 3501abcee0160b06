# SPDX-License-Identifier: EUPL-1.2
"""Requests that are begun without a task: most reads are over before there would be one, and making it costs more."""

from __future__ import annotations

import asyncio
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from typing import Any


async def _rest(begun: Coroutine[Any, Any, None], waited: object) -> None:
    """Go on with a coroutine that was begun outside any task and waits for `waited`.

    A coroutine itself, for tasks of Python 3.12 and later take no generator.
    """
    await _carried_on(begun, waited)


@types.coroutine
def _carried_on(begun: Coroutine[Any, Any, None], waited: object) -> Generator[Any, Any, None]:
    try:
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
    """Stands for the task of a request that was begun without one, as far as anything of asyncio asks for it.

    `asyncio.timeout` and `TaskGroup` note the task that they began in. What such a read has noted is led to the task
    that it goes on in.
    """

    task: asyncio.Task[None] | None = None

    def go_on(self, task: asyncio.Task[None]) -> None:
        """Stand for `task` from now on, and end with it."""
        self.task = task
        task.add_done_callback(lambda _: self.set_result(None))

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - asyncio's own type
        """Cancel the request."""
        return self.task is not None and self.task.cancel(msg)

    def uncancel(self) -> int:
        """See `asyncio.Task.uncancel`."""
        return 0 if self.task is None else self.task.uncancel()

    def cancelling(self) -> int:
        """See `asyncio.Task.cancelling`."""
        return 0 if self.task is None else self.task.cancelling()

    def get_name(self) -> str:
        """See `asyncio.Task.get_name`."""
        return "read" if self.task is None else self.task.get_name()


class Starter:
    """Begins the requests of one connection."""

    __slots__ = ("_loop", "_no_task", "_tasks")

    def __init__(self, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]) -> None:
        """`tasks` holds those that are not over at once."""
        self._loop = loop
        self._tasks = tasks
        self._no_task: Any = _NoTask(loop=loop)

    def begin(self, request: Coroutine[Any, Any, None]) -> bool:
        """Run a request until it waits for something, and from there on as a task; return whether it is over."""
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
        task = loop.create_task(_rest(request, waited))
        self._no_task.go_on(task)
        self._no_task = _NoTask(loop=loop)
        task.add_done_callback(self._tasks.discard)
        self._tasks.add(task)
        return False
