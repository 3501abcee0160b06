# SPDX-License-Identifier: EUPL-1.2
"""Long work on the event loop, cut by time: whoever else has something to do gets a turn between two stretches."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

STRETCH: Final = 0.002
"""Seconds of work after which others have their turn: about what requests that wait cost together."""


class TimeSlice:
    """The pace of one piece of work; `step` is called after each part of it, however small."""

    def __init__(self) -> None:
        self._until = perf_counter() + STRETCH

    async def step(self) -> None:
        """Give way when this stretch has lasted long enough; by time, as machines differ and so do the parts."""
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + STRETCH
