# SPDX-License-Identifier: EUPL-1.2
"""Makes of a device's progress, and of the logs as they are, what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vault.framework.clock import Clock, parse_rfc3339_whole
from vault.log.format.segment import BadSegment, list_logs
from vault.log.forward.batch import BatchLimits, Place
from vault.log.forward.device import Device, Progress
from vault.log.forward.source import START, LogChanged, LogSource, RecordsGone
from vault.log.forward.status import STUCK_AFTER, DeviceStatus, State
from vault.values.times import exact_seconds, time_between

_ONE: Final = BatchLimits(records=1, bytes=1)
DAMAGED: Final = "a segment of the log cannot be read"
UNSTORED: Final = "the cursor cannot be written"
SLOW: Final = "the receiver does not take records in time"


class Overview:
    """Looks at the logs of a folder. One thread uses it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._sources: dict[str, LogSource] = {}
        self._sizes: dict[str, int] = {}

    def look(self) -> None:
        """Find out where each log ends now."""
        try:
            logs = [str(log) for log in list_logs(self._folder)]
        except OSError:
            logs = []
        found = {}
        for log in logs:
            source = self._sources.setdefault(log, LogSource(self._folder, log))
            try:
                found[log] = source.end()
            except (BadSegment, OSError):
                found[log] = self._sizes.get(log, 0)
        self._sizes = found

    def status(self, device: Device) -> DeviceStatus:
        """Return what is known of a device, against the ends that the last look found."""
        progress, settings, now = device.progress, device.settings, self._clock.monotonic()
        places = progress.places
        late = {log: places.get(log, START) for log in self._sizes}
        late = {log: place for log, place in late.items() if place.seq < self._sizes[log]}
        lag = max((self._age(log, place) for log, place in late.items()), default=0.0)
        idle = now - progress.accepted_at if late else 0.0
        state, error = _judge(progress, settings.deadline, lag, now)
        return DeviceStatus(
            name=settings.name,
            kind=settings.kind,
            policy=settings.policy,
            deadline=settings.deadline,
            state=state,
            error=error,
            caught_up=progress.caught_up,
            lag_records=self._waiting(late),
            lag_seconds=round(lag, 3),
            idle_seconds=round(idle, 3),
            accepted=progress.accepted,
            repeated=progress.repeated,
            failures=progress.failures,
            purged=progress.purged,
            refused=device.sender.refused,
            rewound=progress.rewound,
            logs={log: place.seq for log, place in places.items()},
        )

    def _waiting(self, late: Mapping[str, Place]) -> int:
        return sum(self._sizes[log] - place.seq for log, place in late.items())

    def _age(self, log: str, place: Place) -> float:
        """Return how many seconds ago the record at a place was appended; 0 where it cannot be read."""
        source = self._sources[log]
        try:
            if not place.offset and place.segment != place.seq:
                place = source.find(place.seq, "")
            batch = source.read(place._replace(last=""), _ONE)
            if batch is None:
                return 0.0
            appended = parse_rfc3339_whole(batch.records[0].head.observed_timestamp)
        except (BadSegment, RecordsGone, LogChanged, OSError, ValueError):
            return 0.0
        return max(0.0, exact_seconds(time_between(appended, self._clock.nanos())))


def _judge(progress: Progress, deadline: float, lag: float, now: float) -> tuple[State, str]:
    """Return the state of a device, and its last error."""
    if progress.damaged:
        return "stuck", DAMAGED
    if progress.unstored:
        return "stuck", UNSTORED
    failing = progress.failing_since
    if failing is not None:
        stuck = progress.lasting or now - failing > STUCK_AFTER
        return ("stuck" if stuck else "retrying"), progress.error
    attempt = progress.attempt_since
    if attempt is not None and now - attempt > deadline:
        return "retrying", SLOW
    return ("behind" if lag > deadline else "healthy"), progress.error
