# SPDX-License-Identifier: EUPL-1.2
"""Removing what a namespace held, once it answers nothing any more.

What its leases stand for is taken back first: nobody could find it afterwards. Then everything goes, by rounds.
"""

from __future__ import annotations

from typing import Final

from vault.barrier.view import View
from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log
from vault.lease.store import LeaseStore
from vault.namespace.book import Namespaces
from vault.namespace.entry import NAMESPACE_KIND
from vault.storage.protocol import Timer
from vault.values.ids import LeaseId, NamespaceId
from vault.values.times import Millis, time_after

_PAGE: Final = 64
"""Leases that are looked at in one round."""
_AGAIN: Final = Millis(1000)
"""Time until the next round."""


class Sweeper:
    """Works off the timers that `sys/namespaces` sets for what it has marked."""

    def __init__(self, namespaces: Namespaces, leases: LeaseStore, clock: Clock, log: Log) -> None:
        self._namespaces = namespaces
        self._leases = leases
        self._clock = clock
        self._log = log

    async def due(self, core: View, key: str) -> None:
        """Go on with one namespace; called in a transaction, possibly more than once."""
        namespace_id = NamespaceId(key)
        entry = await self._namespaces.stored(core, namespace_id)
        if entry is None or not entry.tainted:
            return
        again = Timer(NAMESPACE_KIND, namespace_id, time_after(self._clock.millis(), _AGAIN))
        if await self._namespaces.contains_others(core, entry):
            await core.at(again)
            return
        if entry.abandoned:
            self._log.caution("core", "a namespace went sealed: what its leases stand for was not taken back")
            await self._namespaces.sweep(core, namespace_id, self._clock.millis())
            return
        waiting, lost = await self._end_leases(core, namespace_id)
        if waiting:
            await core.at(again)
            return
        if lost:
            self._log.caution("core", "a namespace went with leases that could not be revoked", count=lost)
        await self._namespaces.sweep(core, namespace_id, self._clock.millis())

    async def _end_leases(self, core: View, namespace_id: NamespaceId) -> tuple[bool, int]:
        """Have leases ended now; return whether some are not over yet, and how many were given up before."""
        place = core.space(namespace_id)
        after, lost = "", 0
        while names := await self._leases.below(place, "", after=after, limit=_PAGE):
            waiting = False
            for name in names:
                lease = await self._leases.get(core, LeaseId(name))
                if lease is None or lease.parked:
                    lost += 1
                    continue
                waiting = True
                if lease.expires > self._clock.nanos():
                    await self._leases.replace(core, self._leases.ended(lease))
            if waiting:
                return True, lost
            after = names[-1]
        return False, lost
