# SPDX-License-Identifier: EUPL-1.2
"""A watch over the event loop: how late it is, and where it was when it stood still. Nobody is answered meanwhile.

A timer measures how late the loop comes to it. A thread looks where the loop is once that has taken too long; it
gets its turn when whatever holds the interpreter lets go of it, which is still within the function that did.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from time import monotonic, thread_time
from types import FrameType
from typing import Final

import msgspec

from vault.framework.call import Call
from vault.framework.telemetry.log import Log, place
from vault.framework.telemetry.metrics import Metrics
from vault.values.times import nanos_of

BEAT: Final = 0.1
"""Seconds between two looks."""
STALL: Final = 0.25
"""Seconds that the loop may be late before that is told."""
QUIET: Final = 10.0
"""Seconds between two lines of the log; what comes in between is counted."""


class Sight(msgspec.Struct, frozen=True):
    """Where the loop was: places in the code, innermost first, and whose request it worked at."""

    at: str
    mount: str
    address: str


class LoopWatch:
    """Measures the loop that it was started on."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._delays = metrics.timing("coffre.loop.delay_seconds")
        self._stalls = metrics.counter("coffre.loop.stalls_total")
        self._sight: Sight | None = None
        self._untold = 0
        self._told = -QUIET
        self._ended = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._loop_thread = 0
        self._due = self._worked = 0.0

    def start(self) -> None:
        """Begin to watch the running loop."""
        self._loop_thread = threading.get_ident()
        self._wait()
        threading.Thread(target=self._look, name="loop-watch", daemon=True).start()

    def stop(self) -> None:
        """End the watch."""
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._worked = thread_time()
        self._due = monotonic() + BEAT
        self._timer = asyncio.get_running_loop().call_later(BEAT, self._beat)

    def _beat(self) -> None:
        late = max(monotonic() - self._due, 0.0)
        self._delays.observe(nanos_of(late))
        if late > STALL:
            self._tell(late, thread_time() - self._worked)
        self._sight = None
        self._wait()

    def _tell(self, late: float, worked: float) -> None:
        """Count a stall, and log it unless one was logged just now; `worked` is in seconds of processor time."""
        self._stalls.count += 1
        if monotonic() - self._told < QUIET:
            self._untold += 1
            return
        sight = self._sight or Sight("", "", "")
        self._log.caution(
            "server",
            "the event loop stood still and nobody was answered",
            seconds=round(late, 3),
            reason="it worked" if worked > late / 2 else "it waited, or the machine did other work",
            count=self._untold + 1,
            at=sight.at,
            mount=sight.mount,
            address=sight.address,
        )
        self._told, self._untold = monotonic(), 0

    def _look(self) -> None:
        """Look where the loop is, once it is late; in a thread of its own."""
        while not self._ended.wait(BEAT):
            if self._sight is None and monotonic() - self._due > STALL:
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 -- the documented way to ask
                self._sight = sight_of(frame)


def sight_of(frame: FrameType | None) -> Sight:
    """Return what a frame and its callers tell: places, never values."""
    found: list[str] = []
    call: Call | None = None
    while frame is not None:
        found.append(place(frame.f_code, frame.f_lineno))
        if call is None and "call" in frame.f_code.co_varnames:
            known = frame.f_locals.get("call")
            call = known if isinstance(known, Call) else None
        frame = frame.f_back
    mount = getattr(call, "mount", None)
    return Sight(" < ".join(found[:12]), mount.path if mount else "", getattr(call, "client_address", ""))
