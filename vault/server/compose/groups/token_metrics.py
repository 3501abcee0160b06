# SPDX-License-Identifier: EUPL-1.2
"""What the server counts beside its requests, under OpenBao's names."""

from __future__ import annotations

from time import perf_counter_ns

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View
from vault.framework.clock import Entropy
from vault.framework.telemetry.metrics import Metrics
from vault.token.ancestors import Ancestors
from vault.token.entities import Entities
from vault.token.entries import Live, Mounted
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import TokenKey


class CountedTokens(TokenStore):
    """The token store, timed. What is answered from memory never gets here, so it costs no request anything."""

    def __init__(
        self,
        entropy: Entropy,
        live: Live,
        metrics: Metrics,
        entities: Entities,
        mounted: Mounted,
        ancestors: Ancestors,
    ) -> None:
        super().__init__(entropy, live, entities, mounted, ancestors)
        self._lookups = metrics.timing("token.lookup")
        self._creations = metrics.timing("token.create")
        self._revocations = metrics.timing("token.revoke-tree")

    async def get(self, core: ReadView, key: TokenKey) -> TokenEntry | None:
        """See `TokenStore.get`."""
        began = perf_counter_ns()
        found = await super().get(core, key)
        self._lookups.observe(perf_counter_ns() - began)
        return found

    async def create(self, core: View, token: str, entry: TokenEntry) -> TokenKey:
        """See `TokenStore.create`."""
        began = perf_counter_ns()
        key = await super().create(core, token, entry)
        self._creations.observe(perf_counter_ns() - began)
        return key

    async def revoke_tree(self, core: View, key: TokenKey) -> None:
        """See `TokenStore.revoke_tree`."""
        began = perf_counter_ns()
        await super().revoke_tree(core, key)
        self._revocations.observe(perf_counter_ns() - began)


def show_state(metrics: Metrics, barrier: Barrier, cluster: str) -> None:
    """Show whether this server is unsealed, under the cluster's name as it is configured: the stored one cannot be read while sealed."""
    metrics.gauge("core.unsealed", lambda: float(not barrier.sealed), cluster=cluster)
    metrics.gauge("core.active", lambda: float(not barrier.sealed), cluster=cluster)


def show_keys(metrics: Metrics, barrier: Barrier) -> None:
    """Show how often the active key has encrypted and which one it is; 0 while sealed."""

    def active() -> tuple[int, int]:
        if barrier.sealed:
            return 0, 0
        term = barrier.keyring.active
        return term.encryptions, term.number

    metrics.gauge("barrier.estimated_encryptions", lambda: float(active()[0]))
    metrics.gauge("coffre.barrier.key_term", lambda: float(active()[1]))
