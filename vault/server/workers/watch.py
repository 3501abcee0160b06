# SPDX-License-Identifier: EUPL-1.2
"""Which workers the supervisor ends: those that stand still, that never get to serve, and that do not end.

Time is counted in beats, not in seconds: of those a machine that stood still as a whole has let many pass, and nobody asked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from vault.server.workers import control

if TYPE_CHECKING:
    import socket

    from vault.framework.telemetry.log import Log

BEAT_SECONDS: Final = 2.0
"""How long between two times that workers are asked to show that their event loops go on."""
START_SECONDS: Final = 60.0
"""How long a worker that is started beside others, or in their place, may take until it serves: a quarter of a second is usual, and
30 seconds may go by where it opens by a token."""
_LONGEST: Final = 16
"""How many times as long as usual a start may take in the end, where each of those before took too long and none serves."""
_MOST_MISSED: Final = 10
"""Beats that a worker may let pass."""
SILENT: Final = "a worker does not answer and is ended"
_LATE: Final = "a worker does not get to serve and is ended"
_LATE_FIRST: Final = "the first worker does not serve yet, and is not ended: it may be preparing the storage"
_NONE_ANSWERS: Final = "no worker answers, and none is ended"


class Child:
    """One worker, as the supervisor knows it."""

    def __init__(self, end: socket.socket, wait: control.Wait, *, number: int, seat: int, pid: int) -> None:
        self.number = number
        self.seat = seat
        self.pid = pid
        self.control = end
        self.outbox = control.Outbox(end, wait)
        self.began = time.monotonic()
        self.joined = False
        self.left = False
        self.ready = False
        self.waited = 0
        """Beats that passed before it served."""
        self.asked = False
        self.missed = 0
        """Beats that passed since it was asked, in which another one answered; or since it left."""
        self.ended = False
        self.reloads = False
        """Whether it was asked to reload, and has not said that this is done."""
        self.failure = ""


class Watch:
    """Looks at all workers with each beat."""

    def __init__(
        self, children: Mapping[int, Child], log: Log, *, beat: float, patience: float, start: float
    ) -> None:
        """`children` are the supervisor's, as they are at the time.

        `beat` is how many seconds there are between two beats, `patience` how many a worker has for its end, and `start`
        until it serves.
        """
        self._children = children
        self._log = log
        self._beat_seconds = beat
        self._patience = patience
        self._start = start
        self._unanswered = 0
        self._longer = 1
        """How many times as long a start may take: twice as long after each that was too late where none serves."""

    @property
    def unanswered(self) -> bool:
        """Whether no worker has answered lately."""
        return self._unanswered > 0

    def beat(self, *, first_start: bool) -> None:
        """Ask workers whether their event loops go on, and end who has to be; `first_start`: none has served yet."""
        self._look_for_still()
        serving = any(child.ready and child.joined and not child.ended for child in self._children.values())
        if serving:
            self._longer = 1
        late = False
        for child in self._children.values():
            if child.left:
                child.missed += 1
                if child.missed * self._beat_seconds >= self._patience:
                    self.put_out(child, SILENT)
            elif not child.ready:
                child.waited += 1
                late |= self._ended_late(child, first_start=first_start, serving=serving)
        if late and not serving:
            self._longer = min(2 * self._longer, _LONGEST)

    def put_out(self, child: Child, why: str) -> None:
        """End a worker, which one that waits for a disk does later. Another one is started once it has ended."""
        if not child.ended:
            child.ended = True
            self._log.failure("server", why, pid=child.pid)
            kill(child, signal.SIGKILL)

    def _look_for_still(self) -> None:
        """End who has not said for long that its event loop goes on, while another one did.

        Where none does it is hardly theirs, but a disk's or the machine's, and with the last of them the keys would go.
        """
        joined = [child for child in self._children.values() if child.joined]
        owing = [child for child in joined if child.asked]
        self._unanswered = self._unanswered + 1 if joined and len(owing) == len(joined) else 0
        if self._unanswered == _MOST_MISSED:
            self._log.failure("server", _NONE_ANSWERS, count=len(joined))
        for child in joined:
            if not child.asked:
                child.asked, child.missed = True, 0
                child.outbox.say(control.BEAT)
            elif not self._unanswered:
                child.missed += 1
                if child.missed >= _MOST_MISSED:
                    self.put_out(child, SILENT)

    def _ended_late(self, child: Child, *, first_start: bool, serving: bool) -> bool:
        """End who should serve by now, wherever that hangs, and tell whether it was. Who has not joined has no keys.

        One that has may be the last that has them: it is ended only where another one serves. Where none serves, what opens the
        vault may be slow, and the next ones have longer for it. What the very first one does may take long, and whoever started
        the server has a deadline of their own.
        """
        late = child.waited * self._beat_seconds
        if first_start:
            if late >= self._start > late - self._beat_seconds:
                self._log.caution("server", _LATE_FIRST, pid=child.pid, seconds=self._start)
            return False
        if late < self._start * self._longer or (child.joined and not serving) or child.ended:
            return False
        self.put_out(child, _LATE)
        return True


def kill(child: Child, number: int) -> None:
    """Send a worker a signal; one that has ended meanwhile is not missed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, number)
