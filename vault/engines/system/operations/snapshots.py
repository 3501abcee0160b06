# SPDX-License-Identifier: EUPL-1.2
"""`sys/snapshots`: the schedules by which this server backs itself up, and what became of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.route import read


class ScheduleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule. Times are empty where there is none."""

    type: str
    interval: float
    """Seconds between two begins."""
    next: str
    running: bool
    """Whether a server makes one now."""
    last_success: str
    backup: str
    """Name of the last good one."""
    size: int
    duration: float
    """Seconds that it took."""
    failures: int
    """How many failed since."""
    failure: str
    """Why the last of them did."""


class SnapshotSchedules(msgspec.Struct, frozen=True):
    """All of them, by name."""

    keys: list[str]
    key_info: dict[str, ScheduleFacts]


class SnapshotEngine(Engine):
    """Backups on a schedule."""

    def __init__(self, facts: Callable[[], Awaitable[Mapping[str, ScheduleFacts]]]) -> None:
        self._facts = facts

    @read("snapshots", event="snapshot.status")
    async def read_snapshots(self, call: Call) -> SnapshotSchedules:
        """Show the schedules by which this server is backed up, and what became of each."""
        del call
        found = dict(sorted((await self._facts()).items()))
        return SnapshotSchedules(list(found), found)
