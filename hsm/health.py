# SPDX-License-Identifier: EUPL-1.2
"""Looks after a key slot: a canary every minute while it is well, every five seconds while it is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hsm.errors import HsmError
from hsm.wrapping import KeySlot, SlotState

WELL_SECONDS: Final = 60.0
ILL_SECONDS: Final = 5.0

Check = Callable[[], Awaitable[None]]
"""Raises `HsmError` when the slot's stored record does not open: a fresh canary passes with any key of the
right label, and only what was wrapped long ago tells that the key is still the same.
"""


class SlotRecord(msgspec.Struct):
    """What a layer for metrics and the seal's status read."""

    state: SlotState
    probes: int = 0
    failures: int = 0
    seconds: float = 0.0
    """How long the last canary took."""
    changes: int = 0
    """How often the slot went up or down."""
    since: float = 0.0
    """When it did so last, on the caller's clock."""


class SlotWatch:
    """Probes one slot until `run` is cancelled.

    `interval` and `interval_ill` are in seconds. `check` is done after each canary that passed. `changed` is
    told of every state that differs from the one before in being up or in its reason.
    """

    def __init__(
        self,
        slot: KeySlot,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        interval: float = WELL_SECONDS,
        interval_ill: float = ILL_SECONDS,
        check: Check | None = None,
        changed: Callable[[SlotState], None] = lambda _: None,
    ) -> None:
        self._slot = slot
        self._now = now
        self._sleep = sleep
        self._interval = interval
        self._interval_ill = interval_ill
        self._check = check
        self._changed = changed
        self.record: Final = SlotRecord(SlotState(up=False, reason="not probed yet"), since=now())

    async def run(self) -> None:
        """Probe for ever."""
        while True:
            state = await self.look()
            await self._sleep(self._interval if state.up else self._interval_ill)

    async def look(self) -> SlotState:
        """Probe once, now, and return what was found."""
        begin = self._now()
        state = await self._checked(await self._slot.probe())
        record, before = self.record, self.record.state
        record.seconds = self._now() - begin
        record.probes += 1
        record.failures += not state.up
        record.state = state
        if state.up != before.up:
            record.changes += 1
            record.since = self._now()
        if (state.up, state.reason) != (before.up, before.reason):
            self._changed(state)
        return state

    async def _checked(self, state: SlotState) -> SlotState:
        if not state.up or self._check is None:
            return state
        try:
            await self._check()
        except HsmError as error:
            return msgspec.structs.replace(state, up=False, reason=str(error))
        return state
