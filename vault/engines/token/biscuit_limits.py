# SPDX-License-Identifier: EUPL-1.2
"""Limits of tokens that are issued with a Biscuit, or with a token of one: never more than it has itself.

Its checks go with them (`vault.token.ancestors`). What is here is the rest: policies, lifetime, and what would outlive it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vault.engines.token.spec import TokenSpec
from vault.framework.call import Call, Identity
from vault.framework.errors import Malformed, Unauthenticated
from vault.token.ancestors import Ancestor
from vault.token.lifetime import Lifetime, LifetimeLimits, capped
from vault.token.store import TokenStore
from vault.values.times import Nanos, Seconds, nanos_to_seconds, time_between


async def ancestor_of(call: Call, tokens: TokenStore, now: Nanos) -> Ancestor:
    """Return what a new token of a narrowed caller hangs on, at `now` (nanoseconds). Raises `Unauthenticated`."""
    caller = call.caller()
    if caller.ancestor:
        found = await tokens.ancestors.find(call.core, caller.namespace, caller.ancestor, now)
    else:
        found = await tokens.ancestors.keep(call)
    if found is None:
        raise Unauthenticated
    return found


def refuse_more(spec: TokenSpec, policies: Sequence[str], caller: Identity, *, orphaned: bool) -> None:
    """Refuse a token that a narrowed caller may not make, whatever its policies allow. Raises `Malformed`."""
    if orphaned:
        raise Malformed("a token that is made with a Biscuit ends with it: it cannot be an orphan")
    if spec.batch:
        raise Malformed(
            "a token that is made with a Biscuit cannot be a batch token, which nobody could revoke"
        )
    if spec.period:
        raise Malformed("a token that is made with a Biscuit ends with it: it cannot be periodic")
    if spec.params.entity_alias:
        raise Malformed("a token that is made with a Biscuit stands for its workload, and for no entity")
    if "root" in policies or not set(policies) <= set(caller.policies):
        raise Malformed("child policies must be subset of parent")


def capped_limits(limits: LifetimeLimits, ancestor: Ancestor, now: Nanos) -> LifetimeLimits:
    """Return the lifetimes of a new token at `now` (nanoseconds): not beyond what it hangs on. Raises `Malformed`."""
    left = nanos_to_seconds(time_between(now, ancestor.ends))
    if left < 1:
        raise Malformed("the Biscuit is about to end: nothing can be made with it any more")
    return LifetimeLimits(default=min(limits.default, left), longest=min(limits.longest, left))


def capped_lifetime(life: Lifetime, ancestor: Ancestor | None, now: Nanos) -> Lifetime:
    """Return a lifetime from `now` (nanoseconds) on that does not go beyond what a token hangs on."""
    left = Seconds(0)
    if ancestor is not None:
        left = max(left, nanos_to_seconds(time_between(now, ancestor.ends)))
    cut = capped("TTL", life.ttl, longest=left)
    return Lifetime(cut.ttl, life.warnings + cut.warnings)
