# SPDX-License-Identifier: EUPL-1.2
"""A deadline for what a handler waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`. Cancels it and raises `TimeoutError` after so many seconds.

    It runs in a task of its own: asyncio can cancel only tasks, and the pipeline begins reads outside any task.
    """
    try:
        return await asyncio.get_running_loop().create_task(_timed(seconds, work))
    finally:
        work.close()  # whoever is cancelled at once has not begun it


async def _timed(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(seconds):
        return await work
