# SPDX-License-Identifier: EUPL-1.2
"""Long work on the event loop, cut into slices of time: other requests run between two slices."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

STRETCH: Final = 0.002
"""Seconds of work after which other requests get a turn: about what the waiting requests cost together."""


class TimeSlice:
    """The time slices of one piece of work. Call `step` after each part of it, however small.

    Where a part takes a microsecond or two, ask first whether the slice is `over`: to call `step` costs a quarter of one.
    """

    def __init__(self) -> None:
        self._until = perf_counter() + STRETCH

    @property
    def over(self) -> bool:
        """Whether this slice is used up."""
        return perf_counter() >= self._until

    async def step(self) -> None:
        """Yield when this slice is used up. Slices are measured in time, because machines and parts differ."""
        if self.over:
            await asyncio.sleep(0)
            self._until = perf_counter() + STRETCH
