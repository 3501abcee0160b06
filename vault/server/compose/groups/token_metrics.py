# SPDX-License-Identifier: EUPL-1.2
"""What the server counts beside its requests, under OpenBao's names."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT, Namespace
from vault.framework.clock import Entropy
from vault.framework.telemetry.metrics import Counter, Metrics
from vault.mount.router import Router
from vault.namespace.book import Namespaces
from vault.token.ancestors import Ancestors
from vault.token.entities import Entities
from vault.token.entries import Live, Mounted, home_of
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import TokenKey
from vault.values.times import Seconds


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
        created: Callable[[TokenKey, TokenEntry], None] = lambda _key, _entry: None,
    ) -> None:
        """As `TokenStore`; `created` is told of each new token."""
        super().__init__(entropy, live, entities, mounted, ancestors)
        self._created = created
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
        self._created(key, entry)
        return key

    async def revoke_tree(self, core: View, key: TokenKey) -> None:
        """See `TokenStore.revoke_tree`."""
        began = perf_counter_ns()
        await super().revoke_tree(core, key)
        self._revocations.observe(perf_counter_ns() - began)


class Creations:
    """How many tokens were made: by kind and path of the mount that they came from, by lifetime, and those of the root policy.

    Those of a transaction that was undone count too.
    """

    def __init__(
        self, metrics: Metrics, router: Router, namespaces: Namespaces, cluster: str, most: int
    ) -> None:
        """There are `most` series at most, one more for all others, and then no more mounts are told apart."""
        self._metrics, self._router, self._namespaces = metrics, router, namespaces
        self._cluster, self._most = cluster, most
        self._counters: dict[tuple[str, str, str, str], Counter] = {}
        self._roots = metrics.counter("token.create_root")

    def created(self, key: TokenKey, entry: TokenEntry) -> None:
        """Count a token."""
        if "root" in entry.policies:
            self._roots.count += 1
        namespace = self._namespaces.live(home_of(key)) or ROOT
        kind, path = method(self._router, namespace, entry)
        labels = (kind, path, namespace.path.rstrip("/") or "root", lifetime(entry))
        if labels not in self._counters and len(self._counters) >= self._most:
            labels = ("", "", "", "")
        known = self._counters.get(labels)
        if known is None:
            known = self._counters[labels] = self._metrics.counter(
                "token.creation",
                auth_method=labels[0],
                cluster=self._cluster,
                creation_ttl=labels[3],
                mount_point=labels[1],
                namespace=labels[2],
                token_type="service",  # noqa: S106 -- the kind of token
            )
        known.count += 1


def method(router: Router, namespace: Namespace, token: TokenEntry) -> tuple[str, str]:
    """Return the kind and the path of the mount that a token came from; nothing where that is gone."""
    found = router.find(namespace.path + token.path)
    return ("", "") if found is None else (found[0].entry.kind, found[0].entry.path)


_TTLS: Final = (
    (Seconds(60), "1m"), (Seconds(600), "10m"), (Seconds(1200), "20m"), (Seconds(3600), "1h"), (Seconds(7200), "2h"),
    (Seconds(86_400), "1d"), (Seconds(172_800), "2d"), (Seconds(604_800), "7d"), (Seconds(2_592_000), "30d"),
)  # fmt: skip
"""Lifetimes of tokens, and what OpenBao calls those up to each."""


def lifetime(token: TokenEntry) -> str:
    """Return what OpenBao calls the lifetime that a token was made with."""
    return next((name for most, name in _TTLS if token.expires and token.ttl <= most), "+Inf")


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
