# SPDX-License-Identifier: EUPL-1.2
"""Work that goes on beside requests until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any


class LastingTask:
    """One piece of work in a task of its own, which one may start, stop and start again."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """`work` is begun anew by each start."""
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; without effect while it runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Cancel it, and return when it has ended. Raises what it ended with before, where that was a failure."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
