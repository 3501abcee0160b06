# SPDX-License-Identifier: EUPL-1.2
"""A reader of the log as it is written. Lines wait for a slow reader, up to a limit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

_MOST: Final = 1024
"""Lines that wait for the reader. Older ones are dropped, and the reader sees how many."""

Line = Callable[[str, str, str, dict[str, str | int | float | bool]], str]


class LogTail:
    """Logged lines of at least `weight` that the reader has not read yet."""

    def __init__(self, weight: int, line: Line) -> None:
        """`line` writes an event's level, module, message and fields as one line."""
        self.weight: Final = weight
        self.line: Final = line
        self.ended = False
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._news = asyncio.Event()

    def take(self, line: str) -> None:
        """Keep a line for the reader."""
        if len(self._lines) >= _MOST:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(line)
        self._news.set()

    def end(self) -> None:
        """End the reader."""
        self.ended = True
        self._news.set()

    async def read(self, seconds: float) -> str:
        """Return the lines logged since the last call, "" if there are none within `seconds`."""
        if not self._lines and not self.ended:
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return ""
        self._news.clear()
        lines, self._lines = self._lines, deque()
        if self._dropped:
            lines.appendleft(f"{self._dropped} lines were dropped: they came faster than they were read")
            self._dropped = 0
        return "".join(f"{line}\n" for line in lines)
