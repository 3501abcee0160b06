# SPDX-License-Identifier: EUPL-1.2
"""Traces of requests: which are traced, and what is said of each. It says where a route is, and never what stood in a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Final, NamedTuple

from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import VaultError
from vault.framework.reply import Reply
from vault.framework.telemetry.trace import CURRENT, Sampler, Trace, parent_of
from vault.repeated.plan import Plan
from vault.wire.in_flight import Handle

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "LIST", "SCAN"})
_OTHER: Final = "_OTHER"
"""What the semantic conventions call any other method."""


class RequestFacts(NamedTuple):
    """What a request was."""

    id: str
    method: str
    route: str
    """The template of the route below its mount: `data/{path}`; empty for a path that leads to none."""
    mount: str
    kind: str
    """The kind of the mount."""
    namespace: str
    operation: str
    status: int
    error: str
    """The kind of the refusal; empty for an answer."""


class RequestTraces:
    """Traces the requests that the sampler takes, and puts them where they are sent from."""

    def __init__(
        self,
        sampler: Sampler,
        clock: Clock,
        statuses: Mapping[type[VaultError], int],
        put: Callable[[Trace], None],
    ) -> None:
        self._sampler, self._clock, self._statuses, self._put = sampler, clock, statuses, put

    def around(self, handle: Handle) -> Handle:
        """Return `handle`, traced. Whoever is not traced pays for the choice alone."""

        async def traced(call: Call, plan: Plan | None = None) -> Reply[object] | None:
            came = call.head.trace
            parent = parent_of(came) if came else None
            taken = self._sampler.takes()
            if not taken and not self._sampler.begins(parent):
                CURRENT.set(None)
                return await handle(call, plan)
            trace = Trace(self._clock.nanos(), parent)
            CURRENT.set(trace)
            status, error = 500, "exception"
            try:
                reply = await handle(call, plan)
                status, error = (204 if reply is None else reply.status or 200), ""
                return reply
            except VaultError as refusal:
                status, error = self._statuses.get(type(refusal), 500), type(refusal).__name__
                raise
            finally:
                CURRENT.set(None)
                trace.ended = perf_counter_ns()
                if taken or (call.identity is not None and self._sampler.keeps()):
                    trace.facts = facts_of(call, status, error)
                    self._put(trace)

        return traced


def facts_of(call: Call, status: int, error: str) -> RequestFacts:
    """Return what is said of a call."""
    bound = getattr(call, "bound", None)
    method = call.head.method
    return RequestFacts(
        id=call.id,
        method=method if method in _METHODS else _OTHER,
        route="" if bound is None else bound.route.template,
        mount=call.mount.path,
        kind=call.mount.kind,
        namespace=call.namespace.path,
        operation=getattr(call, "operation", ""),
        status=status,
        error=error,
    )
