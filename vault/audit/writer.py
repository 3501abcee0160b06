# SPDX-License-Identifier: EUPL-1.2
"""Writes to a device without blocking the event loop.

An append to a local file goes to memory and is made at once. A pipe waits for its reader, a remote file for its
server, and a local disk can be slow for a while: then a thread writes, in order, and the request waits for it under
a deadline. While a device keeps its thread waiting, it refuses further records at once. A refused record may still be
written later: a record of a request that was not carried out does no harm, a missing record would.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from vault.audit.device import AuditDevice, DeviceFailure

DEADLINE: Final = 2.0
"""Seconds that a device has for a record."""
SLOW: Final = 0.1
"""An append on the event loop that takes this many seconds counts as slow."""
APART: Final = 60.0
"""After a slow append the thread writes for this many seconds."""
_MOST_BYTES: Final = 16 << 20
_LEAVING: Final = 1.0
"""Seconds that closing waits for the remaining lines."""

Outcome = asyncio.Future[DeviceFailure | None]


class _Job:
    """Lines to write, or another task on the device, with the future that waits for it and its loop."""

    __slots__ = ("act", "loop", "outcome", "size")

    def __init__(self, act: Callable[[], None], size: int) -> None:
        self.act, self.size = act, size
        self.loop = asyncio.get_running_loop()
        self.outcome: Outcome = self.loop.create_future()


class Writer:
    """Writes to one device, named `name`."""

    def __init__(self, name: str, device: AuditDevice, most_bytes: int = _MOST_BYTES) -> None:
        """`most_bytes` may wait for the device."""
        self._most_bytes = most_bytes
        self.name: Final = name
        self._device = device
        self._apart_until = 0.0
        self._jobs: deque[_Job] = deque()
        self._news = threading.Condition()
        self._waiting = 0
        """Jobs that are not done."""
        self._bytes = 0
        self._stuck = False
        self._thread: threading.Thread | None = None
        self._ending = False

    @property
    def prompt(self) -> bool:
        """Whether the next write is made at once."""
        if self._waiting or not self._device.prompt:
            return False
        return not self._apart_until or monotonic() >= self._apart_until

    def write(self, line: bytes, now: float) -> Outcome | None:
        """Take whole lines: at once, or later, as the returned outcome tells. Raises `DeviceFailure`."""
        if self.prompt:
            began = monotonic()
            self._device.write(line, now)
            ended = monotonic()
            self._apart_until = ended + APART if ended - began > SLOW else 0.0
            return None
        if self._stuck or self._bytes + len(line) > self._most_bytes:
            raise self._late()
        return self._begin(lambda: self._device.write(line, now), len(line))

    async def reopen(self) -> None:
        """Open the target again, after rotation. Raises `DeviceFailure`."""
        failure = await self._begin(self._device.reopen, 0)
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Release the target once the waiting lines are written. This does not wait for it."""
        with self._news:
            self._ending = True
            self._news.notify()
        if self._thread is None:
            self._device.close()

    def finish(self) -> None:
        """Wait until a closed target is released, up to a deadline. A device that hangs ends with the process."""
        if self._thread is not None:
            self._thread.join(_LEAVING)

    def _begin(self, act: Callable[[], None], size: int) -> Outcome:
        """Give the thread a task. The outcome is a failure if it takes too long."""
        job = _Job(act, size)
        self._waiting += 1
        self._bytes += size
        deadline = job.loop.call_later(DEADLINE, self._give_up, job)
        job.outcome.add_done_callback(lambda _: deadline.cancel())
        with self._news:
            self._jobs.append(job)
            self._news.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"audit {self.name}", daemon=True)
            self._thread.start()
        return job.outcome

    def _give_up(self, job: _Job) -> None:
        if not job.outcome.done():  # the thread may have finished it in this turn of the loop
            self._stuck = True
            job.outcome.set_result(self._late())

    def _late(self) -> DeviceFailure:
        return DeviceFailure(
            f'audit device "{self.name}": it took no record for {DEADLINE:.0f} s; see that its pipe is read, or its disk answers'
        )

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._jobs or self._ending)
                if not self._jobs:
                    break
                job = self._jobs.popleft()
            failure = None
            try:
                job.act()
            except DeviceFailure as failed:
                failure = failed
            except Exception as error:  # noqa: BLE001 -- the record is not taken, and the thread goes on
                failure = DeviceFailure(f'audit device "{self.name}": {type(error).__name__}')
            with contextlib.suppress(RuntimeError):  # the loop is closed: no request waits any more
                job.loop.call_soon_threadsafe(self._done, job, failure)
        self._device.close()

    def _done(self, job: _Job, failure: DeviceFailure | None) -> None:
        self._waiting -= 1
        self._bytes -= job.size
        self._stuck = False
        if not job.outcome.done():
            job.outcome.set_result(failure)
