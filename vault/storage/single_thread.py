# SPDX-License-Identifier: EUPL-1.2
"""A thread beside the event loop, which does one thing after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class SingleThread:
    """What is given to it is done in the order in which it came. It runs once there is something to do."""

    def __init__(self, name: str) -> None:
        """`name` is what the system calls it."""
        self._executor = ThreadPoolExecutor(1, name)

    def begin(self) -> None:
        """Run from now on. Raises `RuntimeError` where the system starts no more threads."""
        self._executor.submit(int).result()

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return what `work` will return. Raises `RuntimeError` as `begin`, and once it was ended."""
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    def end(self) -> None:
        """Wait for what was given to it."""
        self._executor.shutdown()
