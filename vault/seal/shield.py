# SPDX-License-Identifier: EUPL-1.2
"""Work that goes on to its end even when the task that waits for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class Shield:
    """For what changes storage and memory together: between the two there is no good moment to stop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    async def __call__(self, work: Coroutine[object, object, T]) -> T:
        """Await `work`, which is not cancelled with us."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the task that waited for it has the error, or is gone
