# SPDX-License-Identifier: EUPL-1.2
"""What is stored of a schedule: who makes a backup now, when the next one is due, and what became of the last ones."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.values.times import Millis

_PATH: Final = "snapshot/"


class ScheduleState(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as all servers of the storage know it. Times are 0 where there is none."""

    due: Millis = Millis(0)
    """When the next one is due; while one is made, when others may believe that its maker is gone."""
    maker: str = ""
    """Which process makes one now."""
    begun: Millis = Millis(0)
    """When the last one was begun, whatever became of it."""
    done: Millis = Millis(0)
    """When the last good one was finished."""
    name: str = ""
    """Its name."""
    size: int = 0
    """Its bytes."""
    lasted: Millis = Millis(0)
    """How long it took."""
    failures: int = 0
    """How many failed since."""
    failure: str = ""
    """Why the last of them did."""


STATE: Final = RecordKind("schedule of backups", ScheduleState)


async def read_state(core: ReadView, name: str) -> ScheduleState:
    """Return a schedule's state; `core` is the root namespace's own data."""
    stored = await core.get(_PATH + name)
    return ScheduleState() if stored is None else STATE.decode(stored)


async def put_state(core: View, name: str, state: ScheduleState) -> None:
    """Store it."""
    await core.put(_PATH + name, STATE.encode(state))
