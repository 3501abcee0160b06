# SPDX-License-Identifier: EUPL-1.2
"""One device: a thread that reads every log of the folder, sends, and stores how far the receiver has it.

A round takes one batch of each log. What was sent and does not count as accepted yet is kept as a place alone: if the
connection is lost, it is read again. A request over HTTP is repeated as it was, so that the receiver knows it again.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from vault.framework.clock import Clock, Entropy
from vault.log.forward.batch import USUAL, Batch, BatchLimits, Place
from vault.log.forward.cursor import Cursor
from vault.log.forward.kinds.sender import Sender
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.supply import Supply
from vault.log.forward.transport.failure import BatchTooLarge, ConnectionLost, SendFailure
from vault.log.forward.transport.stream import Deadline

_SHARE: Final = 0.8
"""So much of its deadline one attempt may take: the failure is to be known within it."""
_POLL: Final = 0.2
"""Seconds between two looks for new records."""
_FIRST_WAIT: Final = 0.1
_LONGEST_WAITS: Final = {"required": 2.0, "best_effort": 30.0}
"""Seconds between two attempts, at most: while a required one fails, requests are refused."""
_REPEATS: Final = 3
"""Failures after which a request is no longer repeated as it was."""
_STORE_EVERY: Final = 1.0
"""Seconds between two writes of the cursor, and so what comes again after a crash."""
_AFTER_DEFECT: Final = 30.0


def defect(error: Exception) -> str:
    """Return the words for what nobody expected: its kind alone, as what it says may be of a record."""
    return f"a defect: {type(error).__name__}"


class _SentBatch(NamedTuple):
    """What was sent and is not accepted yet."""

    at: float
    log: str
    records: int
    end: Place


class Progress(msgspec.Struct, kw_only=True):
    """What a device's thread tells of itself, for others to read; each value is true by itself."""

    places: dict[str, Place] = {}
    """By log the next record that is not accepted."""
    caught_up: bool = False
    error: str = ""
    failing_since: float | None = None
    """By the monotonic clock, as all times here."""
    lasting: bool = False
    damaged: bool = False
    """Whether some log cannot be read."""
    unstored: bool = False
    """Whether the cursor cannot be written: what was accepted since comes again after a start."""
    attempt_since: float | None = None
    accepted_at: float = 0.0
    """When it last accepted something, or had all there is."""
    accepted: int = 0
    repeated: int = 0
    failures: int = 0
    purged: int = 0
    rewound: int = 0


class Device:
    """Forwards to one receiver."""

    def __init__(
        self,
        settings: DeviceSettings,
        folder: Path,
        sender: Sender,
        *,
        clock: Clock,
        entropy: Entropy,
        limits: BatchLimits = USUAL,
    ) -> None:
        """`folder` is the log folder."""
        self.settings, self.sender = settings, sender
        self.progress = Progress(accepted_at=clock.monotonic())
        self._clock, self._entropy = clock, entropy
        self._limits, self._most = limits, limits.records
        self._cursor = Cursor(folder, settings.name)
        self._supply = Supply(folder, self._cursor, clock.monotonic)
        self._unsettled: deque[_SentBatch] = deque()
        self._hand: Batch | None = None
        """What is sent again as it was."""
        self._row = 0
        """Failures since something was accepted."""
        self._proven = False
        """Whether something was accepted by this connection."""
        self._stored_at = clock.monotonic()
        self._stop, self._news = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"log-{settings.name}", daemon=True)

    def start(self) -> None:
        """Begin to forward."""
        self._thread.start()

    def wake(self) -> None:
        """Look for new records now."""
        self._news.set()

    def stop(self) -> None:
        """Begin to end: what there is is sent first, if the receiver takes it."""
        self._stop.set()
        self._news.set()

    def join(self, seconds: float) -> None:
        """Wait until it has ended; after so many seconds the receiver is left."""
        self._thread.join(seconds)
        self.sender.abort()
        self._thread.join(_SHARE)

    # ------------------------------------------------------------------------------------ the thread
    def _run(self) -> None:
        if not self._cursor.load():
            self.progress.error = "the cursor could not be read: all records are sent again"
        self._publish()
        while not self._stop.is_set():
            wait = self._guarded(self._turn)
            (self._stop if self._row else self._news).wait(wait)  # news shorten no back-off
            self._news.clear()
        self._guarded(self._end)
        self.sender.close()

    def _guarded(self, work: Callable[[], float]) -> float:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 -- a background loop: another device's thread must not be needed
            return self._fail(SendFailure(defect(error), lasting=True, wait=_AFTER_DEFECT))

    def _turn(self) -> float:
        """Make one round, and return the seconds until the next one."""
        try:
            self._settle()
            sent = self._round()
        except SendFailure as failure:
            return self._failed(failure)
        self._publish()
        self._store_if_due()
        if sent:
            return 0.0
        if not self._unsettled and self._row == 0 and not self._supply.damaged:
            self._all_taken()
        return min(_POLL, self.sender.settles or _POLL)

    def _all_taken(self) -> None:
        self._cursor.caught_up = self.progress.caught_up = True
        self.progress.accepted_at = self._clock.monotonic()

    def _round(self) -> bool:
        """Send one batch of each log that has one; return whether there was any. Raises `SendFailure`."""
        sent = False
        for log in self._supply.logs():
            limits = msgspec.structs.replace(self._limits, records=self._most)
            batch = self._hand or self._supply.next(log, limits)
            if batch is not None:
                self._send(batch)
                sent = True
        return sent

    # ------------------------------------------------------------------------------------ sending
    def _send(self, batch: Batch) -> None:
        """Send a batch. Raises `SendFailure`."""
        now = self._clock.monotonic()
        self._hand = batch if not self.sender.settles else None
        self.progress.attempt_since = now
        try:
            self.sender.send(batch, Deadline(self._clock.monotonic, self.settings.deadline * _SHARE))
        except SendFailure as failure:
            self._shrink(len(batch.records), now=isinstance(failure, BatchTooLarge))
            raise
        finally:
            self.progress.attempt_since = None
        self._hand = None
        self._supply.sent(batch)
        self._unsettled.append(_SentBatch(self._clock.monotonic(), batch.log, len(batch.records), batch.end))
        self._settle()

    def _shrink(self, records: int, *, now: bool) -> None:
        """Send half as many records next, if a batch of so many cannot be sent: perhaps it was too long for the time.

        What is repeated as it was is repeated a few times before that.
        """
        if now or self._row >= _REPEATS or self.sender.settles:
            self._most, self._hand = max(1, records // 2), None

    def _settle(self) -> None:
        """Count as accepted what was sent long enough ago by a connection that stands. Raises `ConnectionLost`."""
        self.sender.check()
        until = self._clock.monotonic() - self.sender.settles
        while self._unsettled and self._unsettled[0].at <= until:
            self._accept(self._unsettled.popleft())

    def _accept(self, sent: _SentBatch) -> None:
        self._supply.accept(sent.log, sent.end)
        self._most = min(self._limits.records, 2 * self._most)
        self._row, self._proven = 0, True
        self.progress.accepted += sent.records
        self.progress.accepted_at = self._clock.monotonic()
        self.progress.failing_since, self.progress.lasting = None, False

    def _publish(self) -> None:
        progress, supply = self.progress, self._supply
        progress.places, progress.caught_up = dict(self._cursor.places), self._cursor.caught_up
        progress.purged, progress.rewound, progress.damaged = supply.purged, supply.rewound, supply.damaged

    # ------------------------------------------------------------------------------------ failures
    def _failed(self, failure: SendFailure) -> float:
        """Go back to what is accepted, and return the seconds until the next attempt."""
        self._forget_sent()
        if isinstance(failure, BatchTooLarge):
            return 0.0
        if isinstance(failure, ConnectionLost) and self._proven:
            self._proven = False  # receivers end connections that stood idle, and when they are started anew
            return 0.0
        self._proven = False
        return self._fail(failure)

    def _fail(self, failure: SendFailure) -> float:
        self._row += 1
        progress = self.progress
        progress.failures += 1
        progress.error, progress.lasting = str(failure), failure.lasting
        if progress.failing_since is None:
            progress.failing_since = self._clock.monotonic()
        longest = _LONGEST_WAITS[self.settings.policy]
        wait = min(longest, _FIRST_WAIT * (1 << min(self._row, 16)))
        chance = int.from_bytes(self._entropy.bytes(2)) / 0x10000
        return max(wait * (0.5 + chance / 2), failure.wait)

    def _forget_sent(self) -> None:
        """Have what was sent and is not accepted read again."""
        self.progress.repeated += sum(sent.records for sent in self._unsettled)
        self._unsettled.clear()
        self._supply.forget_sent()

    # ------------------------------------------------------------------------------------ the cursor
    def _store_if_due(self) -> None:
        now = self._clock.monotonic()
        if now - self._stored_at >= _STORE_EVERY:
            self._stored_at = now
            self._store()

    def _store(self) -> None:
        try:
            self._cursor.store()
        except OSError:
            self.progress.unstored = True
        else:
            self.progress.unstored = False

    def _end(self) -> float:
        """Send what there is, once, if the receiver takes records; and store what it has."""
        if self._row == 0:
            with contextlib.suppress(SendFailure):
                while self._round():
                    pass
                if self.sender.finish(Deadline(self._clock.monotonic, self.settings.deadline * _SHARE)):
                    while self._unsettled:
                        self._accept(self._unsettled.popleft())
        self._store()
        return 0.0
