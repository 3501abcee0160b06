# SPDX-License-Identifier: EUPL-1.2
"""Putting leases in order: timers that got lost, leases of credentials that are gone, indexes of leases that are gone.

Of what is in a namespace that is sealed, or whose mount table is damaged, nobody can say whether it is gone: it is left as
it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from vault.barrier.barrier import Barrier
from vault.barrier.failure import NamespaceSealed
from vault.barrier.view import View, core_prefix
from vault.framework.clock import Clock
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.lease.holder import is_held
from vault.lease.store import LeaseStore
from vault.token.store import TokenStore
from vault.values.ids import LeaseId, NamespaceId, TokenKey

_PAGE: Final = 100
"""Leases that are looked at in one transaction: others write in between."""

_Holder = tuple[TokenKey, tuple[str, ...]]
"""The token of a lease, and its chain."""


class Tidy:
    """One run at a time."""

    def __init__(
        self, barrier: Barrier, store: LeaseStore, tokens: TokenStore, clock: Clock, log: Log
    ) -> None:
        self._barrier = barrier
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._log = log
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._task is not None and not self._task.done()

    def start(
        self, namespace_id: NamespaceId, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    ) -> None:
        """Begin a run by `spawn`, unless one is under way. It is over with its task, whatever becomes of that."""
        if not self.running:
            self._task = spawn(self.run(namespace_id))

    async def run(self, namespace_id: NamespaceId) -> None:
        """Look at every lease of a namespace, page by page."""
        after, seen, mended = "", 0, 0
        while True:
            async with self._barrier.write(namespace_id, core_prefix(namespace_id)) as core:
                page = await self._store.below(core, "", after=after, limit=_PAGE)
                known: dict[_Holder, bool] = {}
                for name in page:
                    mended += await self._mend(core, LeaseId(name), known)
            seen += len(page)
            if len(page) < _PAGE:
                break
            after = page[-1]
        async with self._barrier.write(namespace_id, core_prefix(namespace_id)) as core:
            mended += await self._store.drop_strays(core)
        self._log.note("expiration", "leases are in order: seen", count=seen)
        self._log.note("expiration", "leases are in order: mended", count=mended)

    async def _mend(self, core: View, lease_id: LeaseId, known: dict[_Holder, bool]) -> int:
        lease = await self._store.get(core, lease_id)
        if lease is None or lease.parked:
            return 0
        holder = lease.token, lease.chain
        if holder not in known:
            try:
                known[holder] = await is_held(core, self._tokens, lease, self._clock.nanos())
            except (NamespaceSealed, Unavailable):
                known[holder] = True
        if not known[holder]:
            await self._store.replace(core, self._store.ended(lease))
            return 1
        if not lease.attempts:
            await self._store.replace(core, lease)
        return 0
