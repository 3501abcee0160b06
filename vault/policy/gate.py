# SPDX-License-Identifier: EUPL-1.2
"""The one place that asks an ACL about a call."""

from __future__ import annotations

from vault.barrier.barrier import Barrier
from vault.framework.call import Call, Identity, Namespace
from vault.policy.acl import Acl, Verdict
from vault.policy.store import PolicyStore


class Gate:
    """Decides calls by the policies that the caller's identity names."""

    def __init__(self, policies: PolicyStore, barrier: Barrier) -> None:
        self._policies = policies
        self._barrier = barrier

    async def acl(self, identity: Identity, namespace: Namespace, now: int) -> Acl:
        """Return the compiled ACL of an identity. `now` is in milliseconds."""
        generation = self._policies.generation
        known = identity.cache.get("acl")
        if isinstance(known, tuple) and known[0] == generation and (known[2] == 0 or now < known[2]):
            compiled: Acl = known[1]
            return compiled
        core = self._barrier.reader(namespace.id, f"ns/{namespace.id}/")
        acl, until = await self._policies.acl(core, namespace.id, identity.policies, now)
        if core.epoch in (0, self._policies.epoch()):
            identity.cache["acl"] = (generation, acl, until)
        return acl

    async def check(self, call: Call) -> Verdict:
        """Decide one call. The caller is known."""
        if call.identity is None:
            raise AssertionError("nobody to decide for")
        acl = await self.acl(call.identity, call.namespace, call.now)
        return acl.check(
            call.operation,
            call.namespace.path + call.path,
            data=call.data,
            wrap_ttl=call.wrap_ttl,
            now=call.now // 1000,
        )
