# SPDX-License-Identifier: EUPL-1.2
"""The one place that asks an ACL about a call."""

from __future__ import annotations

from vault.barrier.barrier import Barrier
from vault.framework import schema
from vault.framework.call import Call, Identity, Namespace, Reply
from vault.framework.errors import NotFound
from vault.policy.acl import Acl, Verdict
from vault.policy.store import PolicyStore


class Gate:
    """Decides calls by the policies that the caller's identity names."""

    def __init__(self, policies: PolicyStore, barrier: Barrier) -> None:
        self._policies = policies
        self._barrier = barrier

    async def acl(self, identity: Identity, namespace: Namespace, now: int) -> Acl:
        """Return the compiled ACL of an identity. `now` is in milliseconds."""
        known = self._known(identity, now)
        if known is not None:
            return known
        generation = self._policies.generation
        core = self._barrier.reader(namespace.id, f"ns/{namespace.id}/")
        acl, until = await self._policies.acl(core, namespace.id, identity.policies, now)
        if core.epoch in (0, self._policies.epoch()):
            identity.cache["acl"] = (generation, acl, until)
        return acl

    def _known(self, identity: Identity, now: int) -> Acl | None:
        known = identity.cache.get("acl")
        if (
            isinstance(known, tuple)
            and known[0] == self._policies.generation
            and (not known[2] or now < known[2])
        ):
            acl: Acl = known[1]
            return acl
        return None

    def decide(self, call: Call) -> Verdict | None:
        """Decide one call by what is in memory; None to ask `check`."""
        if call.identity is None:
            return None
        acl = self._known(call.identity, call.now)
        return None if acl is None else self._verdict(acl, call)

    async def check(self, call: Call) -> Verdict:
        """Decide one call. The caller is known."""
        if call.identity is None:
            raise AssertionError("nobody to decide for")
        return self._verdict(await self.acl(call.identity, call.namespace, call.now), call)

    def _verdict(self, acl: Acl, call: Call) -> Verdict:
        return acl.check(
            call.operation,
            call.namespace.path + call.path,
            data=call.data,
            wrap_ttl=call.wrap_ttl if call.wrap_asked else None,
            now=call.now // 1000,
        )

    def filter(self, call: Call, reply: Reply[object]) -> None:
        """Leave in a listing only what the caller's own policy lets through. Raises `NotFound` when nothing is."""
        acl = self._known(call.identity, call.now) if call.identity is not None else None
        data = schema.to_plain(reply.data)
        if acl is None or not isinstance(call.decision, Verdict) or not isinstance(data, dict):
            raise AssertionError("a filter without a decision")
        keys = data.get("keys")
        if not isinstance(keys, list):
            return
        path = call.namespace.path + call.path
        kept = acl.visible(call.decision, path, keys, now=call.now // 1000)
        if keys and not kept:
            raise NotFound
        data["keys"] = list(kept)
        if isinstance(data.get("key_info"), dict):
            data["key_info"] = {key: info for key, info in data["key_info"].items() if key in set(kept)}
        reply.data = data
