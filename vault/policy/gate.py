# SPDX-License-Identifier: EUPL-1.2
"""The only module that asks an ACL about a call."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from vault.barrier.barrier import Barrier
from vault.barrier.view import core_prefix
from vault.framework import schema
from vault.framework.call import Call, Identity, Namespace
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.errors import NotFound, Reason
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.policy.decision.acl import Acl, AclVerdict
from vault.policy.decision.readable import readable
from vault.policy.store import PolicyStore
from vault.values.times import Millis, millis_to_seconds

_OUTSIDE: Final = AclVerdict(allowed=False, reason=Reason.NAMESPACE)
_FREE: Final = AclVerdict(allowed=True)
"""The decision for a call that needs no policy."""
_AT_A_TIME: Final = 16
"""Names of a listing that are looked at before others may have a turn."""


def seen_by(identity: Identity, path: str) -> str | None:
    """Return a full path as the policies of `identity` spell it, relative to its namespace; None outside of that.

    So a policy never covers parents and siblings of its namespace, whatever its text (SL-07).
    """
    inside = identity.namespace.path
    return path[len(inside) :] if path.startswith(inside) else None


class Gate:
    """Decides calls by the policies that the caller's identity names."""

    def __init__(self, policies: PolicyStore, barrier: Barrier) -> None:
        self._policies = policies
        self._barrier = barrier

    async def acl(self, identity: Identity, now: Millis) -> Acl:
        """Return the compiled ACL of an identity: its own namespace's policies. `now` is in milliseconds."""
        known = self._cached_acl(identity, now)
        if known is not None:
            return known
        generation = self._policies.generation
        namespace = identity.namespace
        core = self._barrier.reader(namespace.id, core_prefix(namespace.id))
        facts = identity.entity.facts if identity.entity is not None else identity.template_facts
        acl, until = await self._policies.acl(core, namespace.id, identity.all_policies, now, facts)
        if core.epoch in (0, self._policies.epoch()):
            identity.shared["acl"] = (generation, acl, until)
        return acl

    async def acl_of(self, namespace: Namespace, names: tuple[str, ...], now: Millis) -> Acl:
        """Return the ACL of a namespace's policies for a caller without an entity. `now` is in milliseconds."""
        core = self._barrier.reader(namespace.id, core_prefix(namespace.id))
        acl, _ = await self._policies.acl(core, namespace.id, names, now)
        return acl

    def _cached_acl(self, identity: Identity, now: Millis) -> Acl | None:
        known = identity.shared.get("acl")
        if (
            isinstance(known, tuple)
            and known[0] == self._policies.generation
            and (not known[2] or now < known[2])
        ):
            acl: Acl = known[1]
            return acl
        return None

    def until(self, identity: Identity) -> Millis:
        """Return when (ms) the ACL behind the decision on an identity ends; 0 for as long as the facts are true."""
        known = identity.shared.get("acl")
        if not isinstance(known, tuple):
            return Millis(1)
        acl: Acl = known[1]
        stale = acl.stale_at
        rules = Millis(0 if stale == math.inf else int(stale * 1000))
        policies: Millis = known[2]
        return min(rules or policies, policies or rules)

    def decide(self, call: Call) -> AclVerdict | None:
        """Decide one call from memory; None if only `check` can."""
        if call.identity is None:
            return None
        acl = self._cached_acl(call.identity, call.now)
        return None if acl is None else self._verdict(acl, call, call.identity)

    async def check(self, call: Call) -> AclVerdict:
        """Decide one call. The caller is known."""
        if call.identity is None:
            raise AssertionError("a call without a caller")
        return self._verdict(await self.acl(call.identity, call.now), call, call.identity)

    def lets_either(self, call: Call) -> AclVerdict | None:
        """Return the decision where the caller may create and update alike, so that it need not be known which; else None.

        From memory alone, and not where the credential itself has checks, which see the operation.
        """
        identity = call.identity
        if identity is None or identity.narrowing is not None:
            return None
        acl = self._cached_acl(identity, call.now)
        path = seen_by(identity, call.namespace.path + call.path)
        if acl is None or path is None:
            return None
        return acl.lets_either(path, now=millis_to_seconds(call.now))

    def _verdict(self, acl: Acl, call: Call, identity: Identity) -> AclVerdict:
        path = seen_by(identity, call.namespace.path + call.path)
        if path is None:
            return _OUTSIDE
        verdict = acl.check(
            call.operation,
            path,
            data=call.data,
            wrap_ttl=call.options.wrap_ttl if call.options.wrap_asked else None,
            now=millis_to_seconds(call.now),
        )
        if verdict.missing != call.operation or identity.kind not in call.bound.route.access.free_for:
            return verdict  # `free_for` is no way around constraints
        return verdict if acl.denies(call.operation, path) else _FREE

    async def filter(self, call: Call, reply: Reply[object]) -> None:
        """Leave in a listing the names that the caller's policy lets through. Raises `NotFound` for an empty LIST.

        By the ACL of the last decision, even if policies have changed since: the fence has found that the listing is no
        newer than the decision.
        """
        acl, path = _decided_by(call)
        verdict = cast("AclVerdict", call.decision)  # only this module makes one
        scans, now = call.operation is Operation.SCAN, millis_to_seconds(call.now)

        async def visible(keys: Sequence[str]) -> Sequence[str]:
            kept, turn = list[str](), TimeSlice()
            for start in range(0, len(keys), _AT_A_TIME):
                kept += acl.visible(verdict, path, keys[start : start + _AT_A_TIME], now=now)
                await turn.step()
            return kept

        await _keep(reply, visible, empty=scans)

    async def narrow(self, call: Call, reply: Reply[object]) -> None:
        """Leave in a listing the names that the caller may read, as requested.

        By the same ACL as `filter`. Raises `NotFound` when there are none, `Malformed` where there are too many folders for
        so many rules.
        """
        acl, path = _decided_by(call)
        reads = call.bound.route.access.reads
        if reads is not None:
            inside = len(call.path) - len(call.mount.path)
            path = path[: len(path) - inside] + reads + call.captures.get("path", "")
        base = path if path.endswith("/") else f"{path}/"
        await _keep(reply, lambda keys: readable(acl, base, keys, now=millis_to_seconds(call.now)))


def _decided_by(call: Call) -> tuple[Acl, str]:
    """Return the ACL of the last decision on a call, and the call's path as that ACL spells it."""
    identity = call.identity
    known = identity.shared.get("acl") if identity is not None else None
    acl: Acl | None = known[1] if isinstance(known, tuple) else None
    path = seen_by(identity, call.namespace.path + call.path) if identity is not None else None
    if acl is None or path is None:
        raise AssertionError("a filter without a decision")
    return acl, path


async def _keep(
    reply: Reply[object], visible: Callable[[Sequence[str]], Awaitable[Sequence[str]]], *, empty: bool = False
) -> None:
    """Leave the visible names in a listing. Raises `NotFound` when there are none, unless it may be `empty`."""
    data = schema.to_plain(reply.data)
    keys = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(keys, list):
        return
    kept = await visible(keys)
    if keys and not kept and not empty:
        raise NotFound
    data["keys"] = list(kept)
    if isinstance(data.get("key_info"), dict):
        wanted = set(kept)
        data["key_info"] = {key: info for key, info in data["key_info"].items() if key in wanted}
    reply.data = data
