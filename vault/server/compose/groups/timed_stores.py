# SPDX-License-Identifier: EUPL-1.2
"""Stores of policies and leases, timed under OpenBao's names. What is answered from memory never gets here."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.telemetry.metrics import Metrics
from vault.lease.model import Lease
from vault.lease.store import LeaseStore
from vault.policy.store import PolicyEntry, PolicyStore
from vault.values.ids import LeaseId, NamespaceId, TokenKey


class TimedPolicies(PolicyStore):
    """Policies, timed when they are read, written and deleted."""

    def __init__(self, epoch: Callable[[], int], pool: Pool, metrics: Metrics) -> None:
        super().__init__(epoch, pool)
        self._gets = metrics.timing("policy.get_policy")
        self._puts = metrics.timing("policy.set_policy")
        self._deletes = metrics.timing("policy.delete_policy")

    async def get(self, core: ReadView, name: str) -> PolicyEntry | None:
        """See `PolicyStore.get`."""
        began = perf_counter_ns()
        found = await super().get(core, name)
        self._gets.observe(perf_counter_ns() - began)
        return found

    async def put(
        self, core: View, name: str, entry: PolicyEntry, namespace_id: NamespaceId = ROOT.id
    ) -> None:
        """See `PolicyStore.put`."""
        began = perf_counter_ns()
        await super().put(core, name, entry, namespace_id)
        self._puts.observe(perf_counter_ns() - began)

    async def delete(self, core: View, name: str, namespace_id: NamespaceId = ROOT.id) -> None:
        """See `PolicyStore.delete`."""
        began = perf_counter_ns()
        await super().delete(core, name, namespace_id)
        self._deletes.observe(perf_counter_ns() - began)


class TimedLeases(LeaseStore):
    """Leases, timed when they are made, looked up and ended."""

    def __init__(self, clock: Clock, entropy: Entropy, metrics: Metrics) -> None:
        super().__init__(clock, entropy)
        self._issues = metrics.timing("expire.register")
        self._gets = metrics.timing("expire.fetch_lease_times")
        self._ends = metrics.timing("expire.revoke")
        self._tokens = metrics.timing("expire.revoke_by_token")

    async def issue(self, core: View, lease: Lease) -> None:
        """See `LeaseStore.issue`."""
        began = perf_counter_ns()
        await super().issue(core, lease)
        self._issues.observe(perf_counter_ns() - began)

    async def get(self, core: ReadView, lease_id: LeaseId) -> Lease | None:
        """See `LeaseStore.get`."""
        began = perf_counter_ns()
        found = await super().get(core, lease_id)
        self._gets.observe(perf_counter_ns() - began)
        return found

    async def remove(self, core: View, lease: Lease) -> None:
        """See `LeaseStore.remove`."""
        began = perf_counter_ns()
        await super().remove(core, lease)
        self._ends.observe(perf_counter_ns() - began)

    async def token_gone(self, core: View, token: TokenKey) -> bool:
        """See `LeaseStore.token_gone`."""
        began = perf_counter_ns()
        more = await super().token_gone(core, token)
        self._tokens.observe(perf_counter_ns() - began)
        return more
