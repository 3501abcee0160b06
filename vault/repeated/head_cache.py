# SPDX-License-Identifier: EUPL-1.2
"""The head cache: a request that repeats byte for byte is not parsed again, because a digest finds its parsed head.

A client sends the same head whenever it reads the same secret. Equal bytes mean the same request, so nothing is
decided here: the plan beside the head says how long it is valid, and the pipeline records, runs and fences each call.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, Final, Protocol

from vault.cache.follow import BoundedCache
from vault.framework.call import Call
from vault.framework.request.record import RecordBatch
from vault.repeated.plan import Plan
from vault.repeated.plans import Plans
from vault.values.times import Millis

HEAD: Final = "coffre.head"
"""Key of the ASGI scope: for a request that arrived in one piece, the digest of its bytes, and how many of them
follow the head; None for any other."""
_KEPT: Final = 4096
"""Heads in the cache."""
_FRAMING: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
"""Headers of requests that are not cached: their framing or answer depends on more than head and body length."""


BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods of requests with a body."""


class Outlet(Protocol):
    """The way back to a client."""

    def respond(self, status: int, head: bytes, body: bytes, /) -> bool:
        """Send a whole answer; `head` holds finished header lines. False where ASGI's messages must do it."""
        ...

    def send(self, message: Any, /) -> Coroutine[Any, Any, None]:  # noqa: ANN401 - ASGI's own type
        """Send one of ASGI's messages."""
        ...

    def wait(self, batch: RecordBatch, /) -> None:
        """The answer comes once this batch is written."""
        ...

    def close(self) -> None:
        """End the connection without an answer."""
        ...


Again = Callable[[bytes, tuple[str, int], Outlet], Coroutine[Any, Any, None] | None]
"""Serves a request by the digest of its bytes, its client and the way back; None where it has to be parsed."""


class CachedHead:
    """A parsed head with its plan."""

    __slots__ = ("body", "head", "plan")

    def __init__(self, plan: Plan, call: Call) -> None:
        self.plan: Final = plan
        self.head: Final = call.head
        self.body: Final = call.body

    def fill(self, call: Call, client: tuple[str, int]) -> None:
        """Fill a call as parsing and planning would."""
        call.client_address, call.client_port = client
        call.head = self.head
        call.token = self.plan.identity.token
        call.body = self.body  # it is decoded again if the call starts over
        self.plan.fill(call)


class HeadCache:
    """The cached heads of one listener."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._kept: BoundedCache[tuple[bytes, str], CachedHead] = BoundedCache(_KEPT)
        plans.accompany(self._tidy)

    def find(self, head: bytes, client: str, now: Millis) -> CachedHead | None:
        """Return the cached head of a request by the digest of its bytes; None when its plan is no longer true."""
        known = self._kept.get((head, client))
        return known if known is not None and self._plans.holds(known.plan, now) else None

    def _tidy(self, now: Millis) -> None:
        self._kept.discard(lambda known: not self._plans.holds(known.plan, now))

    def learn(self, scope: MutableMapping[str, Any], call: Call, plan: Plan) -> None:
        """Cache the head of a call and its plan, if the bytes are exactly one request."""
        came = scope.get(HEAD)
        if came is None or scope["http_version"] != "1.1":
            return
        lengths = []
        for name, value in call.head.headers:
            if name in _FRAMING or (name == b"connection" and value.lower() != b"keep-alive"):
                return
            if name == b"content-length":
                lengths.append(value)
        head, behind = came
        if lengths == ([b"%d" % behind] if call.head.method in BODIED else []) and len(call.body) == behind:
            self._kept.put((head, call.client_address), CachedHead(plan, call))
