# SPDX-License-Identifier: EUPL-1.2
"""The requests in flight: timed by route, shown while they run, and ended when they take too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from time import perf_counter_ns
from typing import Any, Final, Protocol
from weakref import WeakSet

from vault.framework.call import Call
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import Failed, VaultError, forget_frames
from vault.framework.limits import JsonLimits
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.telemetry.metrics import Metrics, Timing
from vault.framework.telemetry.refusals import Refusals
from vault.repeated.plan import Plan
from vault.values.times import nanos_of
from vault.wire.bodies import CUT, Bodies
from vault.wire.early import complete, reason_of, recorded


class Handle(Protocol):
    """The pipeline, as a front sees it."""

    def __call__(self, call: Call, plan: Plan | None = None) -> Awaitable[Reply[object] | None]:
        """Carry a call out, by its plan where it has one. Raises `VaultError`."""
        ...


Refuse = Callable[[Call, VaultError], Awaitable[object]]
Tell = Callable[[Call, VaultError], None]

_OVERDUE: Final = "overdue"
_MOST_ROUTES: Final = 1000
"""Pairs of mount and operation that are timed apart."""


class ListenerRequests:
    """The requests of one listener. `Front` writes its fields directly: a method call would cost too much."""

    def __init__(
        self, requests: RunningRequests, longest: float, max_body: int, json_limits: JsonLimits
    ) -> None:
        """`longest` is how many seconds a request may take, `max_body` how many bytes its body."""
        self.longest: Final = longest
        self.bodies: Final = Bodies(max_body, unknown=min(max_body, json_limits.unknown))
        self.json_limits: Final = json_limits
        self.running: Final[dict[Call, int]] = {}
        self.times: Final = requests.times
        self.new_times: Final = requests.new_times
        self.handle: Final = requests.handle
        self.pool: Final = requests.pool
        self.refused: Final = requests.refusals.count
        self.refuse: Final = requests.refuse
        self.tell: Final = requests.tell
        self._by_error: Final = requests.by_error

    def note_refusal(self, call: Call, scope: Mapping[str, Any], error: VaultError, *, begun: bool) -> None:
        """Count a refusal, which the pipeline has recorded where it had `begun`; otherwise it is recorded here."""
        if begun:
            self._by_error[type(error)].count += 1
        else:
            self._refuse_early(call, scope, error)

    def _refuse_early(self, call: Call, scope: Mapping[str, Any], error: VaultError) -> None:
        """Count and record the refusal of a call that the pipeline never had.

        Nobody is told of a refusal whose client left, so that is not recorded: whoever is not even answered has no line.
        """
        answered = "refused" in scope.get("state", ())  # by the connection, which has counted it
        if not answered:
            self.refused(reason_of(error), call.client_address)
        if answered or error.message != CUT:
            self.tell_of(call, scope, error)

    def tell_of(self, call: Call, scope: Mapping[str, Any], error: VaultError) -> None:
        """Record the refusal of a call of which only a part was read."""
        complete(call, scope)
        self.tell(call, recorded(error))

    async def late(self, call: Call, ended: asyncio.CancelledError) -> VaultError:
        """Return the recorded refusal of a request that took too long. Raises `ended` if it was cancelled otherwise."""
        task = asyncio.current_task()
        if ended.args != (_OVERDUE,) or task is None:
            raise ended
        task.uncancel()
        forget_frames(ended)
        try:
            late: VaultError = Failed("context deadline exceeded")
            await self.refuse(call, late)
        except VaultError as unrecorded:
            late = unrecorded
        self._by_error[type(late)].count += 1
        return late


class RunningRequests:
    """The requests of all listeners, and the timings that they share: `route.read.secret-` and their sums."""

    def __init__(
        self,
        metrics: Metrics,
        handle: Handle,
        refuse: Refuse,
        tell: Tell,
        refusals: Refusals,
        statuses: Mapping[type[VaultError], int],
    ) -> None:
        """`handle` is the pipeline's; `refuse` records a refusal from outside it; `refusals` counts those before it.

        `tell` records those, for the log. `statuses` has that of each refusal.
        """
        self.handle: Final = handle
        self.refusals: Final = refusals
        self.refuse: Final = refuse
        self.tell: Final = tell
        self.pool: Final = Pool(threads=1, name="answer")
        """Encodes long answers."""
        self.times: Final[dict[tuple[str, Operation], list[int]]] = {}
        """Durations that are not yet added to a timing, by path of the mount and operation."""
        self._routes: dict[tuple[str, Operation], Timing] = {}
        self._metrics = metrics
        self._lanes: WeakSet[ListenerRequests] = WeakSet()
        metrics.summary("core.handle_request", lambda: self._timings(login=False))
        metrics.summary("core.handle_login_request", lambda: self._timings(login=True))
        metrics.summary("coffre.request.duration_seconds", self._all_timings)
        by_status = {
            status: metrics.counter("coffre.request.refusals_total", status=str(status))
            for status in sorted({*statuses.values()})
        }
        self.by_error: Final = {error: by_status[status] for error, status in statuses.items()}
        """By error: how many requests were refused with its status, once the pipeline had them."""
        metrics.gauge(
            "core.in_flight_requests", lambda: float(sum(len(lane.running) for lane in self._lanes))
        )

    def lane(self, *, longest: float, max_body: int, json_limits: JsonLimits) -> ListenerRequests:
        """Return the requests of a new listener, for as long as its front; see `ListenerRequests` for the limits."""
        lane = ListenerRequests(self, longest, max_body, json_limits)
        self._lanes.add(lane)
        return lane

    def running(self) -> Iterator[Call]:
        """The calls that are being answered."""
        for lane in self._lanes:
            yield from list(lane.running)

    def new_times(self, call: Call) -> list[int]:
        """Return the list for durations of the call's mount and operation; one common list when there are too many."""
        where, operation = call.mount.path, call.operation
        if len(self.times) >= _MOST_ROUTES:
            where = ""
        flat = where.replace("/", "-")
        self._routes[where, operation] = self._metrics.timing(f"route.{operation}.{flat}")
        return self.times.setdefault((where, operation), [])

    def settle(self) -> None:
        """Add the waiting durations to the timings; called once in a while, and before metrics are read."""
        for key, times in self.times.items():
            self._routes[key].extend(times)
            times.clear()

    def end_overdue(self) -> int:
        """End every request that has taken too long; return how many. Called once in a while."""
        now, ended = perf_counter_ns(), 0
        for lane in self._lanes:
            longest = nanos_of(lane.longest)
            late = {call for call, began in lane.running.items() if now - began > longest}
            if late:
                ended += sum(
                    1 for task in asyncio.all_tasks() if _call_of(task) in late and task.cancel(_OVERDUE)
                )
        return ended

    def _all_timings(self) -> list[Timing]:
        self.settle()
        return list(self._routes.values())

    def _timings(self, *, login: bool) -> list[Timing]:
        self.settle()
        return [t for (where, operation), t in self._routes.items() if _is_login(where, operation) is login]


def _is_login(where: str, operation: Operation) -> bool:
    """Whether this is a login: a write to an auth mount other than the token store's."""
    return where.startswith("auth/") and where != "auth/token/" and operation is Operation.UPDATE


def _call_of(task: asyncio.Task[Any]) -> Call | None:
    """Return the call that a task is answering. Only used for overdue tasks, so that other requests pay nothing for it.

    A read was `begun` outside its task: the task runs a generator that continues it.
    """
    step: Any = task.get_coro()
    while step is not None:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None)
        known = frame.f_locals if frame is not None else {}
        found = known.get("call")
        if isinstance(found, Call):
            return found
        step = getattr(step, "cr_await", None) or known.get("begun")
    return None
