# SPDX-License-Identifier: EUPL-1.2
"""Waiting that has an end, for whoever answers a request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` does. Raises `TimeoutError` once it has taken so many seconds, and ends it.

    It gets a task of its own: only in a task can asyncio end what takes too long, and reads are begun outside any.
    """
    return await asyncio.get_running_loop().create_task(_timed(seconds, work))


async def _timed(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(seconds):
        return await work
