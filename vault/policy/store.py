# SPDX-License-Identifier: EUPL-1.2
"""ACL policies in storage, and the compiled ACL of a set of them.

Keyed by tuples of (namespace id, names), never by glued strings (SL-06).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT
from vault.framework.concurrency.offload import Pool
from vault.framework.identity import IdentityFacts
from vault.policy.builtin import DEFAULT_POLICY, RESPONSE_WRAPPING_POLICY
from vault.policy.builtin import ROOT as ROOT_POLICY
from vault.policy.decision.acl import Acl, compile_acl
from vault.policy.text.parse import Policy, parse_policy
from vault.values.ids import NamespaceId
from vault.values.times import Millis, Nanos, nanos_to_millis

POLICY_KIND: Final = "policy"
"""Kind of the cached fact, and of the timer, of one policy; its key comes from `policy_key`."""
_PREFIX: Final = "policy/acl/"
BUILT_IN: Final = {ROOT_POLICY: "", "response-wrapping": RESPONSE_WRAPPING_POLICY}
"""Policies that are never stored."""
_COMPILED: Final = 4096
_SHORT: Final = 1024
"""Characters of a policy that is parsed on the event loop; a longer one takes milliseconds."""
_FEW: Final = 200
"""Rules that are compiled on the event loop."""
_KEPT: Final = 8 << 20
"""Characters of all policies in the cache of parsed ones."""


class PolicyEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stored policy. Times are nanoseconds since the epoch; `expires` 0 is never."""

    text: str
    version: int
    modified: Nanos
    cas_required: bool = False
    expires: Nanos = Nanos(0)
    allow_slashes: bool = False
    allow_wildcards: bool = False


def policy_key(namespace_id: NamespaceId, name: str) -> str:
    """Name one policy of one namespace. An id has no colon, so nothing else has this name."""
    return f"{namespace_id}:{name}"


_KIND: Final = RecordKind("policy", PolicyEntry)


class _CachedAcl(msgspec.Struct, frozen=True):
    """The ACL of some policies for callers without an entity; `until` in milliseconds, 0 for as long as the epoch."""

    acl: Acl
    until: Millis
    templated: tuple[Policy, ...] = ()
    """The parsed policies, where one has templates and so differs for every entity."""


class PolicyStore:
    """Policies of a namespace, and compiled ACLs that live until one of theirs changes."""

    def __init__(
        self, epoch: Callable[[], int], pool: Pool | None = None, *, most_compiled: int = _COMPILED
    ) -> None:
        """`epoch` returns the epoch at which this process's facts are true; `pool` does long work.

        `most_compiled` sets of policies, and parsed policies, are cached.
        """
        self._most_compiled = most_compiled
        self.epoch = epoch
        self.pool = pool or Pool()
        self._read: dict[tuple[str, PolicyEntry], Policy] = {}
        """Parsed policies by their text, so that a change of one does not cost parsing all others again."""
        self._read_size = 0
        self.generation = 0
        """Moves when anything compiled becomes untrue."""
        self._compiled: dict[tuple[str, tuple[str, ...]], _CachedAcl] = {}

    async def drop(self, key: str | None) -> None:
        """Empty the cache of compiled sets: there are few, so all are dropped."""
        del key
        self.generation += 1
        self._compiled.clear()

    async def prepare(self, core: View, now: Nanos, namespace_id: NamespaceId = ROOT.id) -> None:
        """Store the default policy of a new namespace."""
        entry = PolicyEntry(text=DEFAULT_POLICY, version=1, modified=now)
        await self.put(core, "default", entry, namespace_id)

    async def get(self, core: ReadView, name: str) -> PolicyEntry | None:
        """Return a stored policy."""
        value = await core.get(_PREFIX + name)
        return _KIND.decode(value) if value is not None else None

    async def names(self, core: ReadView) -> Sequence[str]:
        """Return the names of all stored policies, sorted."""
        return await core.list(_PREFIX)

    async def put(
        self, core: View, name: str, entry: PolicyEntry, namespace_id: NamespaceId = ROOT.id
    ) -> None:
        """Store a policy of the namespace whose own data `core` is."""
        await core.put(_PREFIX + name, _KIND.encode(entry))
        await core.invalidate(POLICY_KIND, policy_key(namespace_id, name))

    async def delete(self, core: View, name: str, namespace_id: NamespaceId = ROOT.id) -> None:
        """Remove a policy of the namespace whose own data `core` is."""
        await core.delete(_PREFIX + name)
        await core.invalidate(POLICY_KIND, policy_key(namespace_id, name))

    async def acl(
        self,
        core: ReadView,
        namespace_id: NamespaceId,
        names: tuple[str, ...],
        now: Millis,
        facts: IdentityFacts | None = None,
    ) -> tuple[Acl, Millis]:
        """Return the compiled ACL of these policies, and until when (ms) it holds; 0 for as long as the epoch.

        An unknown or expired policy grants nothing. `now` is in milliseconds; `facts` describe the entity, and
        without them templates have no values.
        """
        key = (namespace_id, names)
        known = self._compiled.get(key)
        if known is None or (known.until and now >= known.until):
            known = await self._compile(core, namespace_id, names, now)
            if core.epoch in (0, self.epoch()):
                if len(self._compiled) >= self._most_compiled:
                    self._compiled.clear()
                self._compiled[key] = known
        if known.templated and facts is not None:
            acl = await self._compiled_for(namespace_id, known.templated, now, facts)
            return acl, _sooner(known.until, acl)
        return known.acl, known.until

    async def _compile(
        self, core: ReadView, namespace_id: NamespaceId, names: tuple[str, ...], now: Millis
    ) -> _CachedAcl:
        policies, until = await self.texts(core, namespace_id, names, now)
        templated = tuple(policies) if any(policy.templated for policy in policies) else ()
        acl = await self._compiled_for(namespace_id, policies, now)
        return _CachedAcl(acl, _sooner(until, acl), templated)

    async def _compiled_for(
        self,
        namespace_id: NamespaceId,
        policies: Sequence[Policy],
        now: Millis,
        facts: IdentityFacts | None = None,
    ) -> Acl:
        """Compile policies: small ones on the event loop, others in a thread, where namespaces take turns."""

        def work() -> Acl:
            return compile_acl(policies, now=now / 1000, facts=facts)

        if sum(len(policy.rules) for policy in policies) <= _FEW:
            return work()
        return await self.pool.run((namespace_id, POLICY_KIND), work)

    async def texts(
        self, core: ReadView, namespace_id: NamespaceId, names: tuple[str, ...], now: Millis
    ) -> tuple[list[Policy], Millis]:
        """Return the parsed policies that count at `now` (ms), and when the first of them expires."""
        policies: list[Policy] = []
        until = Millis(0)
        for name in names:
            policy, expires = await self._policy(core, namespace_id, name)
            if policy is not None and (expires == 0 or now < expires):
                policies.append(policy)
                until = min(until or expires, expires or until)
        return policies, until

    async def _policy(
        self, core: ReadView, namespace_id: NamespaceId, name: str
    ) -> tuple[Policy | None, Millis]:
        """Return a policy and when it expires (ms)."""
        if name in BUILT_IN:
            return parse_policy(name, BUILT_IN[name]), Millis(0)
        entry = await self.get(core, name)
        if entry is None:
            return None, Millis(0)
        return await self.read(namespace_id, name, entry), nanos_to_millis(entry.expires)

    async def read(self, namespace_id: NamespaceId, name: str, entry: PolicyEntry) -> Policy:
        """Return a parsed policy, from the cache if it is there. Raises `PolicyError`, `Busy`."""
        key = (
            name,
            PolicyEntry(
                text=entry.text,
                version=0,
                modified=Nanos(0),
                allow_slashes=entry.allow_slashes,
                allow_wildcards=entry.allow_wildcards,
            ),
        )
        known = self._read.get(key)
        if known is not None:
            return known

        def work() -> Policy:
            return parse_policy(
                name, entry.text, allow_slashes=entry.allow_slashes, allow_wildcards=entry.allow_wildcards
            )

        short = len(entry.text) <= _SHORT
        policy = work() if short else await self.pool.run((namespace_id, POLICY_KIND), work)
        self._keep(key, policy)
        return policy

    def _keep(self, key: tuple[str, PolicyEntry], policy: Policy) -> None:
        """Cache a parsed policy; the oldest ones are dropped first."""
        if key in self._read:
            return
        self._read[key] = policy
        self._read_size += len(key[1].text)
        while self._read_size > _KEPT or len(self._read) > self._most_compiled:
            oldest = next(iter(self._read))
            del self._read[oldest]
            self._read_size -= len(oldest[1].text)


def _sooner(until: Millis, acl: Acl) -> Millis:
    """Return when (ms) an ACL ends: when its first rule expires, and not after `until`; 0 is never."""
    if acl.stale_at == math.inf:
        return until
    stale = Millis(math.ceil(acl.stale_at * 1000))
    return min(until or stale, stale)
