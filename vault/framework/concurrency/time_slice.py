# SPDX-License-Identifier: EUPL-1.2
"""Long work on the event loop, cut into slices of time: other requests run between two slices."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

STRETCH: Final = 0.002
"""Seconds of work after which other requests get a turn: about what the waiting requests cost together."""


class TimeSlice:
    """The time slices of one piece of work. Call `step` after each part of it, however small."""

    def __init__(self) -> None:
        self._until = perf_counter() + STRETCH

    async def step(self) -> None:
        """Yield when this slice is used up. Slices are measured in time, because machines and parts differ."""
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + STRETCH
