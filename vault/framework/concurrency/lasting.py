# SPDX-License-Identifier: EUPL-1.2
"""Work that goes on beside requests until it is stopped, whatever it meets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

FIRST_PAUSE: Final = 1.0
"""Seconds after which work that failed is begun anew; twice as many each time, while it fails soon again."""
LONGEST_PAUSE: Final = 60.0
"""Seconds between two beginnings at most."""
STEADY: Final = 60.0
"""Seconds after which work that was begun anew goes on again as if it had never failed."""

Told = Callable[[Exception], object]
"""Is told of a defect that ended the work, such as a log. Must not raise."""


class LastingTask:
    """One piece of work in a task of its own, which one may start, stop and start again.

    Work that fails is begun anew, ever more slowly while that does not help; that is told once for each kind of failure.
    """

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        told: Told,
        *,
        pause: float = FIRST_PAUSE,
        steady: float = STEADY,
    ) -> None:
        """`work` is begun anew by each start, and after each failure; it has ended where it returns.

        `pause` is how many seconds pass before the first time that it is begun anew, and `steady` after how many
        its earlier failures count no more.
        """
        self._work, self._told = work, told
        self._pause, self._steady = pause, steady
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; without effect while it runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Cancel it, and return when it has ended. Raises nothing that the work does: what comes after is not left out."""
        task, self._task = self._task, None
        if task is not None:
            await end(task)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause, known = self._pause, ""
        while True:
            began = loop.time()
            try:
                await self._work()
                return
            except Exception as defect:  # noqa: BLE001 -- it is told, and the work begun anew
                if loop.time() - began >= self._steady:
                    pause, known = self._pause, ""
                if type(defect).__qualname__ != known:
                    self._told(defect)
                known = type(defect).__qualname__
            if is_ending():
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def is_ending() -> bool:
    """Whether the task that asks was cancelled: a failure on the way out may have taken the place of `CancelledError`."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks, and return when all have ended. Raises nothing of theirs."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it has been looked at
