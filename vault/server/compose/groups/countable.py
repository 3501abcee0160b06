# SPDX-License-Identifier: EUPL-1.2
"""Finds what there is of each kind in a namespace, page by page, for `vault.server.compose.groups.usage`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from nhi.identity.records import store
from vault.barrier.view import ReadView, mount_prefix
from vault.engines.kv import plain
from vault.engines.kv.store import ROWS
from vault.framework.concurrency.time_slice import TimeSlice
from vault.lease.store import LeaseStore
from vault.storage.paging import pages
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import MountId


class StoredItems:
    """What lies in the storage; see `Countable`."""

    def __init__(self, tokens: TokenStore, leases: LeaseStore) -> None:
        self._tokens, self._leases = tokens, leases

    def tokens(self, core: ReadView) -> AsyncIterator[TokenEntry]:
        """Yield the tokens of a namespace."""
        return self._tokens.all(core)

    async def leases(self, core: ReadView) -> tuple[int, int]:
        """Return how many leases there are, those of tokens too, and how many nobody can revoke."""
        found, parked = await self._leases.count(core)
        return found + sum([len(page) async for page in self._tokens.leases(core, "")]), parked

    async def entities(self, core: ReadView) -> tuple[int, Sequence[str]]:
        """Return how many entities there are, and the accessor of the mount of each alias."""
        count, accessors, pace = 0, list[str](), TimeSlice()
        async for aliases in store.aliases(core):
            count += 1
            accessors += [alias.accessor for alias in aliases]
            await pace.step()
        return count, accessors

    async def secrets(self, core: ReadView, kind: str, mount: MountId, version: str) -> int | None:
        """Return how many secrets a mount holds; None of one that holds none."""
        if kind not in {"kv", "generic"}:
            return None
        rows = ROWS if version == "2" else plain.ENTRIES
        return sum([len(page) async for page in pages(core.sub(mount_prefix(mount)).scan, rows)])
