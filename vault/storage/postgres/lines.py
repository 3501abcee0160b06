# SPDX-License-Identifier: EUPL-1.2
"""Rows that many change at once: whoever is about to read one stands in line for it, instead of losing to others.

A row is hot for a while once a transaction lost that had read and written it. Each transaction stands in one line at
most, and leaves it when its block ends, so none waits for another in a circle. The next one reads what it wrote.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

_HOT: Final = 1.0
"""Seconds for which a row is hot, after the last who lost or had to wait."""
_MOST: Final = 1024


class _Line:
    """Who has a row, and who waits for it."""

    def __init__(self) -> None:
        self.cools = 0.0
        self.taken = False
        self.waiting: deque[asyncio.Future[None]] = deque()


class Lines:
    """The rows that are hot."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self.turns = 0
        """How many hold the turn, or wait for it."""
        self._calm = asyncio.Event()
        self._calm.set()

    def turn_begins(self) -> None:
        """Keep everybody from hot rows while a transaction holds the turn or waits for it: it stands in no line."""
        self.turns += 1
        self._calm.clear()

    def turn_ends(self) -> None:
        """Let them have hot rows again, if it was the last."""
        self.turns -= 1
        if not self.turns:
            self._calm.set()

    def heat(self, paths: Iterable[str]) -> None:
        """Let there be lines for rows, as long as there are not too many."""
        now = asyncio.get_running_loop().time()
        for path in paths:
            if path not in self._lines and len(self._lines) >= _MOST:
                self._cool(now)
                if len(self._lines) >= _MOST:
                    return
            self._lines.setdefault(path, _Line()).cools = now + _HOT

    def _cool(self, now: float) -> None:
        for path in [path for path, line in self._lines.items() if line.cools < now and not line.taken]:
            del self._lines[path]

    async def join(self, path: str) -> bool:
        """Wait for a row's turn; return whether there is a line for it. Then `leave` is owed."""
        while path in self._lines and self.turns:
            await self._calm.wait()
        line = self._lines.get(path)
        if line is None:
            return False
        loop = asyncio.get_running_loop()
        if not line.taken:
            if line.cools < loop.time():
                del self._lines[path]
                return False
            line.taken = True
            return True
        line.cools = loop.time() + _HOT
        turn = loop.create_future()
        line.waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.leave(path)
            raise
        return True

    def leave(self, path: str) -> None:
        """Let the next one have the row."""
        line = self._lines[path]
        while line.waiting:
            turn = line.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        line.taken = False
