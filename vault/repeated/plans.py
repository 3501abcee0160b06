# SPDX-License-Identifier: EUPL-1.2
"""Reads that come again: what the pipeline found out about one is kept until a fact that it stands on changes.

A plan holds where the path leads, who calls, that the ACL lets the caller, and the parameters: everything but
the answer. It is for a plain GET, whose only input is token, path and address, and for a body that only asks,
whose bytes are then part of the key. It ends as soon as any policy or mount changed (the follower's `era`), when
its caller's identity is held no longer, and when the token or a rule expires (`until`). So a token that goes takes
its own plans along and nobody else's. Each call is audited, run, and fenced by the epoch that its data was read at,
as without a plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vault.cache.follow import BoundedCache, Follower
from vault.framework.call import Call
from vault.framework.request.operation import Operation
from vault.repeated.plan import Plan
from vault.values.times import Millis

_KEPT: Final = 4096
"""Plans in memory."""
_LONGEST: Final = 512
"""Bytes of the longest target, and of the longest body, that has one (SL-71)."""

Key = tuple[bytes, bytes, str]
"""Digest of the token, the request target as it came, the client's address: all that a plain GET consists of.

Of a request with a body: digest of all its bytes, or nothing where it is not known to ask; verb and target; the address.
"""


Tidy = Callable[[Millis], None]
"""Forgets what is no longer true at a time."""


class Plans:
    """The plans of this server."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._kept: BoundedCache[Key, Plan] = BoundedCache(_KEPT)
        self._beside: list[Tidy] = []
        self.asked: dict[bytes, bool] = {}
        """Verbs and targets of requests with bodies that came before, and whether these only ask.

        What is sent there again is looked for by its bytes: all of them where it asks, those of the head where it writes.
        """

    def accompany(self, tidy: Tidy) -> None:
        """Have what stands on plans forgotten along with them."""
        self._beside.append(tidy)

    def tidy(self, now: Millis) -> None:
        """Forget plans that are no longer true at `now`: they hold tokens, which end with a seal or a revocation (SL-58)."""
        self._kept.discard(lambda plan: not self.holds(plan, now))
        for tidy in self._beside:
            tidy(now)

    def recall(self, call: Call, key: Key) -> Plan | None:
        """Fill in what is known of a call, and return its plan; None when that is nothing, or no longer true."""
        plan = self._kept.get(key)
        if plan is None or not self.holds(plan, call.now):
            call.key = key if len(key[1]) <= _LONGEST else None
            return None
        plan.fill(call)
        return plan

    def holds(self, plan: Plan, now: Millis) -> bool:
        """Whether a plan is still true at `now` (milliseconds since the epoch)."""
        stands = self._follower.era if plan.identity.held else self._follower.state
        return plan.stands is stands and not (plan.until and now >= plan.until)

    @property
    def era(self) -> object:
        """See `Follower.era`."""
        return self._follower.era

    def met_write(self, target: bytes) -> bool:
        """Whether a write was sent to this verb and target before; from now on it was."""
        met = self.asked.get(target) is False
        if not met and len(target) <= _LONGEST:
            self._meet(target, asks=False)
        return met

    def _meet(self, target: bytes, *, asks: bool) -> None:
        if len(self.asked) >= _KEPT:
            self.asked.clear()
        self.asked[target] = asks

    def keep(self, call: Call, as_of: object, until: Millis) -> None:
        """Remember a call if another one like it would be let in too.

        `as_of` is the follower's `state` from before the call was let in: by the facts of then it was answered.
        """
        identity = call.identity
        asks = call.bound.route.access.asks and len(call.path) + len(call.body) <= _LONGEST
        if (
            call.key is None
            or identity is None
            or not (identity.kind == "service" if identity.narrowing is None else identity.narrowing.steady)
            or identity.uses
            or call.bound.route.access.unaudited
            or call.bound.route.access.despite_audit
            or not (asks or (call.operation is Operation.READ and not call.data))
            or call.warnings
            or as_of is not self._follower.state
        ):
            return
        if identity.kind == "biscuit" and identity.cache.setdefault("asked", call.id) == call.id:
            return  # most Biscuits are presented once: a plan would outlive them in the memory that theirs is bound to
        if not call.key[0]:
            self._meet(call.key[1], asks=True)
            return
        plan = Plan(
            self._follower.era if identity.held else as_of,
            Millis(min((end for end in (until, identity.ends, identity.recheck_at) if end), default=0)),
            call.destination,
            call.bound,
            identity,
            call.decision,
            call.params,
            call.operation,
            call.data,
        )
        self._kept.put(call.key, plan)
