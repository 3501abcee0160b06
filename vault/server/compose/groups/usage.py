# SPDX-License-Identifier: EUPL-1.2
"""How much of everything there is: tokens, leases, entities and secrets, counted now and then under OpenBao's names.

Nothing that a request does is counted, so that none waits for it: all is looked through, in slices of time and by pages,
and metrics show what the last count has found, sealed or not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter_ns

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure, BarrierSealed, NamespaceSealed
from vault.barrier.view import ReadView, core_prefix
from vault.framework.call import ROOT, Namespace
from vault.framework.concurrency.lasting import LastingTask
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Labels, Metrics
from vault.mount.router import Router
from vault.namespace.book import Namespaces
from vault.server.application import Colleagues
from vault.server.compose.groups.countable import StoredItems
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.leases import Leases
from vault.server.compose.groups.mounts import Mounts
from vault.server.compose.groups.token_metrics import lifetime, method
from vault.storage.protocol import StorageFailure
from vault.token.store import TokenStore
from vault.values.ids import MountAccessor

Counts = Counter[tuple[str, Labels]]
"""By name of a metric and its labels."""


class Usage:
    """Counts, once in `every` seconds while the vault is open."""

    def __init__(
        self,
        metrics: Metrics,
        barrier: Barrier,
        namespaces: Namespaces,
        router: Router,
        countable: StoredItems,
        log: Log,
        *,
        cluster: str,
        every: float,
        most: int,
        counts: Callable[[], bool] = lambda: True,
    ) -> None:
        """`every` is 0 where nothing is to be counted. A metric has `most` series at most, those with the highest counts.

        `counts` says whether it is this process that counts.
        """
        self._metrics, self._barrier = metrics, barrier
        self._namespaces, self._router, self._countable = namespaces, router, countable
        self._cluster, self._every, self._most, self._is_mine = cluster, every, most, counts
        self._counts: Counts = Counter()
        self._times = metrics.timing("metrics.collection")
        self._task = LastingTask(
            self._run, partial(log.crash, "server", "counting what there is met a defect; it is begun anew")
        )

    def start(self) -> None:
        """Begin, unless nothing is to be counted."""
        if self._every:
            self._task.start()

    async def stop(self) -> None:
        """End that."""
        await self._task.stop()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            with contextlib.suppress(BarrierFailure, BarrierSealed, StorageFailure):
                if self._is_mine() and not self._barrier.sealed:
                    await self.count()

    async def count(self) -> None:
        """Count everything, and show it."""
        began = perf_counter_ns()
        counts: Counts = Counter()
        for namespace in self._open():
            with contextlib.suppress(NamespaceSealed):
                counts.update(await self._counted(namespace))
        self._mounts(counts)
        self._show(counts)
        self._times.observe(perf_counter_ns() - began)

    def _open(self) -> Iterator[Namespace]:
        yield ROOT
        for entry in list(self._namespaces):
            namespace = self._namespaces.live(entry.id)
            if namespace is not None and not self._namespaces.shut(namespace):
                yield namespace

    async def _counted(self, namespace: Namespace) -> Counts:
        core = self._barrier.reader(namespace.id, core_prefix(namespace.id))
        where = namespace.path.rstrip("/") or "root"
        counts: Counts = Counter()
        shown = partial(self._add, counts, namespace=where)
        shown("token.count", 0)
        pace = TimeSlice()
        async for token in self._countable.tokens(core):
            shown("token.count")
            shown("token.count.by_auth", auth_method=method(self._router, namespace, token)[0])
            shown("token.count.by_ttl", creation_ttl=lifetime(token))
            for policy in token.policies:
                shown("token.count.by_policy", policy=policy)
            await pace.step()
        await self._identities(core, namespace, shown)
        leases, parked = await self._countable.leases(core)
        counts["expire.num_leases", ()] += leases
        counts["expire.num_irrevocable_leases", ()] += parked
        for table in self._router.within(namespace):
            for mount in list(table) if table.namespace.id == namespace.id else ():
                held = await self._countable.secrets(
                    core, mount.entry.kind, mount.entry.uuid, (mount.entry.options or {}).get("version", "")
                )
                if held is not None:
                    shown("secret.kv.count", held, mount_point=mount.entry.path)
        return counts

    async def _identities(self, core: ReadView, namespace: Namespace, shown: Callable[..., None]) -> None:
        entities, aliases = await self._countable.entities(core)
        shown("identity.entity.count", entities)
        mounts = {
            mount.entry.accessor: mount.entry
            for table in self._router.within(namespace)
            for mount in table
            if table.namespace.id == namespace.id
        }
        for accessor, held in Counter(aliases).items():
            entry = mounts.get(MountAccessor(accessor))
            if entry is not None:
                shown("identity.entity.alias.count", held, auth_method=entry.kind, mount_point=entry.path)

    def _mounts(self, counts: Counts) -> None:
        for kind in ("auth", "logical"):
            found = [mount for table in self._router.within(ROOT) for mount in table]
            held = sum(mount.entry.is_auth == (kind == "auth") for mount in found)
            self._add(counts, "core.mount_table.num_entries", held, local="false", type=kind)

    def _add(self, counts: Counts, name: str, held: int = 1, **labels: str) -> None:
        counts[name, tuple(sorted({"cluster": self._cluster, **labels}.items()))] += held

    def _show(self, counts: Counts) -> None:
        """Show what was counted; of a metric with too many series, those with the highest counts."""
        kept: Counts = Counter()
        series = Counter[str]()
        for key, count in counts.most_common():
            series[key[0]] += 1
            if series[key[0]] <= self._most:
                kept[key] = count
        for name, labels in self._counts.keys() - kept.keys():
            self._metrics.forget(name, **dict(labels))
        self._counts = kept
        for name, labels in kept:
            self._metrics.gauge(name, partial(self._held, name, labels), **dict(labels))

    def _held(self, name: str, labels: Labels) -> float:
        return float(self._counts[name, labels])


def make_usage(
    ground: Ground, mounts: Mounts, tokens: TokenStore, leases: Leases, colleagues: Colleagues | None
) -> Usage:
    """Make what counts; of several workers the first does."""
    settings = ground.config.telemetry
    return Usage(
        ground.metrics,
        ground.barrier,
        mounts.namespaces,
        mounts.router,
        StoredItems(tokens, leases.store),
        ground.log,
        cluster=ground.config.cluster_name,
        every=settings.usage_gauge_period,
        most=settings.maximum_gauge_cardinality,
        counts=lambda: colleagues is None or colleagues.first,
    )
