# SPDX-License-Identifier: EUPL-1.2
"""Makes backups when they are due. Of several processes and servers on one storage one at a time makes each.

All times are the cluster's, not this machine's (docs/adr/0035). A timer says when; whoever claims it takes the schedule for itself, in a transaction, and moves the timer on as long as it is
at work. One that dies leaves a timer that comes due, and whoever claims that begins anew. The work itself is done by a
process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.view import View, core_prefix
from vault.engines.system.operations.snapshots import ScheduleFacts
from vault.framework.clock import Clock, rfc3339
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Counter, Metrics
from vault.server.config.settings import StorageSettings
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.snapshots.messages import Outcome, Task
from vault.server.snapshots.state import ScheduleState, put_state, read_state
from vault.storage.protocol import StorageFailure, Timer
from vault.values.ids import ROOT_ID
from vault.values.times import Millis, Seconds, millis_after, millis_to_nanos

SNAPSHOT_KIND: Final = "snapshot"
_LEASE: Final = Seconds(30)
"""For so long others leave a schedule alone whose maker says nothing."""
_SOONEST: Final = Seconds(60)
_LATEST: Final = Seconds(3600)
"""How long after a failure the next attempt comes: the first one, and the longest."""
_OTHERS: Final = 5.0
"""Seconds for which a node that does not have a schedule leaves its timer to those that may."""
_FORGOTTEN: Final = 3600.0
"""Seconds after which nobody has it: its timer ends. Who does sets it again, by its looks."""
_CORE: Final = core_prefix(ROOT_ID)
_AWAY: Final = (BarrierSealed, BarrierFailure, StorageFailure)


class Recorder(Protocol):
    """The log."""

    def notice(self, event: str, said: Mapping[str, object], outcome: str = "success") -> object:
        """Have it say what no request asked for."""
        ...


class Errand(Protocol):
    """A process that makes a backup."""

    def outcome(self) -> Awaitable[Outcome]:
        """Return what became of it, once it has ended; whoever is cancelled meanwhile ends it."""
        ...


class Schedules:
    """The schedules of this process."""

    def __init__(
        self,
        settings: Sequence[SnapshotSettings],
        storage: StorageSettings,
        barrier: Barrier,
        *,
        clock: Clock,
        shared: Callable[[], Millis],
        mark: Callable[[], str],
        own: str,
        start: Callable[[Task], Errand],
        audit: Recorder,
        log: Log,
        metrics: Metrics,
        renewed: float = 10.0,
        longest: float = 3600.0,
    ) -> None:
        """`shared` tells the time that all processes have, and `mark` of which cluster they are, once the vault is open.

        `own` names this process among all; `start` starts the process that makes a backup.

        Every `renewed` seconds it says that it is at work; a backup may take its interval, and at least `longest` seconds.
        """
        self._renewed, self._longest = renewed, longest
        self._settings = {one.name: one for one in settings}
        self._storage, self._barrier, self._clock = storage, barrier, clock
        self._shared, self._mark = shared, mark
        self._own, self._start, self._audit, self._log = own, start, audit, log
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._beginning: asyncio.Task[None] | None = None
        self.states: dict[str, ScheduleState] = {}
        """What was last known of each; nothing before the vault was open."""
        self._failed: dict[str, Counter] = {}
        for name in self._settings:
            self._show(metrics, name)

    def _show(self, metrics: Metrics, name: str) -> None:
        def gauge(called: str, value: Callable[[ScheduleState], float]) -> None:
            metrics.gauge(
                called, lambda: value(self.states[name]) if name in self.states else math.nan, schedule=name
            )

        gauge("coffre.snapshot.last_success_timestamp_seconds", lambda state: state.done / 1000)
        gauge("coffre.snapshot.last_duration_seconds", lambda state: state.lasted / 1000)
        gauge("coffre.snapshot.last_size_bytes", lambda state: float(state.size))
        gauge("coffre.snapshot.consecutive_failures", lambda state: float(state.failures))
        self._failed[name] = metrics.counter("coffre.snapshot.failures_total", schedule=name)

    @property
    def failing(self) -> int:
        """How many schedules have no backup of their last attempt."""
        return sum(state.failures > 0 for state in self.states.values())

    async def facts(self) -> Mapping[str, ScheduleFacts]:
        """Return what is known of each by its name. Raises `BarrierSealed`."""
        return {name: _facts(one, await self._read(name)) for name, one in self._settings.items()}

    def start(self) -> None:
        """Set the timers of schedules that are new, or are to come sooner than before; the vault is open."""
        if self._settings:
            self._beginning = asyncio.get_running_loop().create_task(self._begin())

    async def stop(self) -> None:
        """End what is under way here; others may begin anew at once."""
        tasks = [task for task in (self._beginning, *self._tasks.values()) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._tasks.clear()

    async def _begin(self) -> None:
        with contextlib.suppress(*_AWAY):
            await self.look(begins=True)

    async def look(self, *, begins: bool = False) -> None:
        """Know what others have made, and set timers that are lost, or were put off by a clock that was ahead.

        What `begins` may have another interval than before.
        """
        now = self._shared()
        for name, settings in self._settings.items():
            state = await self._read(name)
            if _righted(state, now, settings.interval, begins=begins) is not None:
                async with self._barrier.write(ROOT_ID, _CORE) as core:
                    state = await read_state(core, name)
                    right = _righted(state, now, settings.interval, begins=begins)
                    if right is not None:
                        await self._put(core, name, right)
                        self.states[name] = right

    async def _read(self, name: str) -> ScheduleState:
        state = await read_state(self._barrier.reader(ROOT_ID, _CORE), name)
        self.states[name] = state
        return state

    async def _put(self, core: View, name: str, state: ScheduleState) -> None:
        await put_state(core, name, state)
        await core.at(Timer(SNAPSHOT_KIND, name, state.due))

    async def due(self, core: View, name: str) -> None:
        """Begin a backup, unless another process makes it. See `Handler`."""
        state, now = await read_state(core, name), self._shared()
        if name not in self._settings:
            if now < _after(state.due, _FORGOTTEN):  # another node may have it: the timer is that one's
                await core.at(Timer(SNAPSHOT_KIND, name, _after(now, _OTHERS)))
            return
        if state.due > now:
            await core.at(Timer(SNAPSHOT_KIND, name, state.due))
            return
        await core.at(Timer(SNAPSHOT_KIND, name, millis_after(now, _LEASE)))
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = asyncio.get_running_loop().create_task(self._run(self._settings[name]))

    async def _run(self, settings: SnapshotSettings) -> None:
        """Take the schedule, make a backup, and say what became of it."""
        name = settings.name
        try:
            begun = await self._take(name)
            if begun is None:
                return
            began = self._clock.monotonic()
            outcome = await self._made(settings, begun)
            lasted = Millis(int((self._clock.monotonic() - began) * 1000))
            self._tell(name, outcome)
            await self._settle(settings, outcome, lasted)
        except asyncio.CancelledError:
            with contextlib.suppress(*_AWAY):
                await self._give_back(name)
            raise
        except _AWAY as failure:
            self._log.caution(
                "background", "what became of a backup cannot be stored", schedule=name, reason=str(failure)
            )
        except Exception as error:  # noqa: BLE001 - the next one comes all the same, once its timer is due
            self._log.crash("background", "a schedule of backups met a defect", error, schedule=name)

    async def _take(self, name: str) -> Millis | None:
        """Take a schedule; return when that was, or None where another process has it."""
        async with self._barrier.write(ROOT_ID, _CORE) as core:
            state, now = await read_state(core, name), self._shared()
            if state.due > now:
                return None
            state = replace(state, maker=self._own, begun=now, due=millis_after(now, _LEASE))
            await self._put(core, name, state)
        self.states[name] = state
        return now

    async def _made(self, settings: SnapshotSettings, begun: Millis) -> Outcome:
        """Have it made, as long as the schedule is ours."""
        errand = self._start(Task(storage=self._storage, snapshot=settings, begun=begun, mark=self._mark()))
        work = asyncio.ensure_future(errand.outcome())
        renewing = asyncio.get_running_loop().create_task(self._renew(settings.name))
        longest = max(settings.interval, self._longest)
        try:
            await asyncio.wait({work, renewing}, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if renewing.done():
                return Outcome(failure="another server took it over, as this one was silent for too long")
            return Outcome(failure=f"it took longer than {longest:g} s and was ended")
        finally:
            renewing.cancel()
            work.cancel()
            await asyncio.wait({work, renewing})

    async def _renew(self, name: str) -> None:
        """Say now and then that this process is at work; return once another one is."""
        while True:
            await asyncio.sleep(self._renewed)
            with contextlib.suppress(*_AWAY):
                async with self._barrier.write(ROOT_ID, _CORE) as core:
                    state = await read_state(core, name)
                    if state.maker != self._own:
                        return
                    await self._put(core, name, replace(state, due=millis_after(self._shared(), _LEASE)))

    async def _settle(self, settings: SnapshotSettings, outcome: Outcome, lasted: Millis) -> None:
        """Store what became of it, and when the next one is due."""
        name, now = settings.name, self._shared()
        async with self._barrier.write(ROOT_ID, _CORE) as core:
            state = await read_state(core, name)
            if state.maker != self._own:
                return
            if outcome.failure:
                failures = state.failures + 1
                delay = min(settings.interval, _LATEST, _SOONEST * 2 ** min(failures - 1, 10))
                state = replace(state, failures=failures, failure=outcome.failure, due=_after(now, delay))
            else:
                state = replace(
                    state, done=now, name=outcome.name, size=outcome.size, lasted=lasted, failures=0, failure="",
                    due=max(now, _after(state.begun, settings.interval)),
                )  # fmt: skip
            state = replace(state, maker="")
            await self._put(core, name, state)
        self.states[name] = state

    async def _give_back(self, name: str) -> None:
        async with self._barrier.write(ROOT_ID, _CORE) as core:
            state = await read_state(core, name)
            if state.maker == self._own:
                await self._put(core, name, replace(state, maker="", due=self._shared()))

    def _tell(self, name: str, outcome: Outcome) -> None:
        """Tell log, server log and metrics what became of it."""
        if outcome.failure:
            self._failed[name].count += 1
            self._log.failure("background", "no backup was made", schedule=name, reason=outcome.failure)
            self._audit.notice("esa.snapshot.failed", {"schedule": name, "reason": outcome.failure}, "failed")
            return
        self._log.note(
            "background", "a backup was made", schedule=name, backup=outcome.name, size=outcome.size,
            entries=outcome.entries,
        )  # fmt: skip
        if outcome.cleared:
            self._log.caution(
                "background",
                "what a backup that was cut off had left was removed",
                schedule=name,
                count=outcome.cleared,
            )
        said = {"schedule": name, "backup": outcome.name, "bytes": outcome.size, "epoch": outcome.epoch}
        self._audit.notice("esa.snapshot.create", said)
        if outcome.removed:
            self._audit.notice("esa.snapshot.remove", {"schedule": name, "backups": outcome.removed})
        if outcome.unremoved:
            self._log.caution(
                "background", "older backups were not removed", schedule=name, reason=outcome.unremoved
            )


def _righted(state: ScheduleState, now: Millis, interval: float, *, begins: bool) -> ScheduleState | None:
    """Return the state with the timer that it is to have; None where that is so.

    What is later than it can be was stored by a clock that was ahead: until that moment there would be no backup, and nobody told.
    """
    soon = millis_after(now, _LEASE)
    ahead = state.begun > soon or state.due > _after(soon, interval)
    known = replace(state, begun=Millis(0) if state.begun > soon else state.begun, done=min(state.done, now))
    soonest = _after(known.begun, interval) if known.begun else now
    if state.maker:
        due = soon if ahead else state.due
    else:
        due = min(soonest, state.due or soonest)
    lost = state.due < millis_after(now, Seconds(-_LEASE))
    sooner = (begins or ahead) and due < state.due
    return replace(known if ahead else state, due=due) if lost or sooner else None


def _facts(settings: SnapshotSettings, state: ScheduleState) -> ScheduleFacts:
    return ScheduleFacts(
        type=settings.kind,
        interval=settings.interval,
        next=_shown(Millis(0) if state.maker else state.due),
        running=bool(state.maker),
        last_success=_shown(state.done),
        backup=state.name,
        size=state.size,
        duration=state.lasted / 1000,
        failures=state.failures,
        failure=state.failure,
    )


def _shown(moment: Millis) -> str:
    return rfc3339(millis_to_nanos(moment)) if moment else ""


def _after(moment: Millis, seconds: float) -> Millis:
    return Millis(moment + int(seconds * 1000))
