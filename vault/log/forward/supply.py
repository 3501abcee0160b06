# SPDX-License-Identifier: EUPL-1.2
"""What a device is to be sent next, of every log of a folder, and how far it has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from vault.log.format.segment import BadSegment, list_logs
from vault.log.forward.batch import Batch, BatchLimits, Place
from vault.log.forward.cursor import Cursor
from vault.log.forward.source import START, LogChanged, LogSource, RecordsGone

_TRY_AGAIN: Final = 5.0
"""Seconds after which a log that could not be read is read again."""


class Supply:
    """The logs of one folder, for one device. One thread uses it."""

    def __init__(self, folder: Path, cursor: Cursor, now: Callable[[], float]) -> None:
        """`cursor` says how far the device is; `now` is a monotonic clock's."""
        self.cursor = cursor
        self._folder, self._now = folder, now
        self._sources: dict[str, LogSource] = {}
        self._next: dict[str, Place] = {}
        """By log the next record that is not sent, where that is not the one that is not accepted."""
        self._damaged: dict[str, float] = {}
        """Logs that cannot be read, and when that is tried again."""
        self._changes: dict[str, int] = {}
        """By log the record before which it was found to have changed."""
        self.purged = 0
        """Records that were purged before they were read."""
        self.rewound = 0
        """How often a log had changed, and was read again from its last checkpoint."""

    @property
    def damaged(self) -> bool:
        """Whether some log cannot be read."""
        return bool(self._damaged)

    def logs(self) -> list[str]:
        """Return the logs that there are."""
        try:
            return [str(log) for log in list_logs(self._folder)]
        except OSError:
            return []

    def next(self, log: str, limits: BatchLimits) -> Batch | None:
        """Return the next records of a log, None where there are none. One that is damaged keeps no other from it."""
        if self._damaged.get(log, 0.0) > self._now():
            return None
        source = self._sources.setdefault(log, LogSource(self._folder, log))
        try:
            batch = self._read(source, limits)
        except RecordsGone as gone:
            self._skip(log, gone.first)
            return None
        except (BadSegment, OSError):
            self._damaged[log] = self._now() + _TRY_AGAIN
            return None
        self._damaged.pop(log, None)
        return batch

    def _read(self, source: LogSource, limits: BatchLimits) -> Batch | None:
        try:
            return source.read(self._place(source), limits)
        except LogChanged:
            self._rewind(source)
            return source.read(self._place(source), limits)

    def _place(self, source: LogSource) -> Place:
        """Return where a log goes on; a place that was stored is looked for in its segment, once."""
        log = source.log
        place = self._next.get(log) or self.cursor.places.get(log, START)
        if place.offset or place.segment == place.seq:
            return place
        found = source.find(place.seq, place.last)
        if log in self._next:
            self._next[log] = found
        else:
            self.cursor.places[log] = found
        return found

    def _rewind(self, source: LogSource) -> None:
        """Go back to the last checkpoint of a log that is not as it was: the machine fell before it had all on its disk.

        Where that leads to the same place again, the log is as it is: whoever verifies it sees why.
        """
        log = source.log
        place = self._next.get(log) or self.cursor.places.get(log, START)
        if self._changes.get(log) == place.seq:
            back = place._replace(last="")
        else:
            self._changes[log] = place.seq
            self.rewound += 1
            back = source.signed(place.seq)
        self._next.pop(log, None)
        self.cursor.places[log] = back

    def _skip(self, log: str, first: int) -> None:
        """Go on where a log begins now."""
        place = self._next.pop(log, None) or self.cursor.places.get(log, START)
        self.purged += max(0, first - place.seq)
        self.cursor.places[log] = Place(first, 0, first)

    def sent(self, batch: Batch) -> None:
        """Go on after a batch."""
        self._next[batch.log] = batch.end

    def accept(self, log: str, end: Place) -> None:
        """Note that the device has a log up to a place."""
        self.cursor.places[log] = end

    def forget_sent(self) -> None:
        """Go back to what is accepted."""
        self._next.clear()
