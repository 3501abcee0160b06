# SPDX-License-Identifier: EUPL-1.2
"""Keeps a device's waiting from the event loop.

An append to a local file goes to memory and is made at once. A pipe waits for its reader, a file elsewhere for a server,
and a local disk too can be slow for a while: then a thread writes, in order, and whoever needs to know waits for it, for
so long and no longer. A device that keeps its thread waiting refuses what comes meanwhile at once. What it refused may
still be written: a record of something that did not happen is none that lacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from vault.audit.device import Device, DeviceFailure

DEADLINE: Final = 2.0
"""Seconds that a device has for a record."""
SLOW: Final = 0.1
"""Seconds after which an append that was made at once counts as slow."""
APART: Final = 60.0
"""Seconds for which a thread writes after that."""
_MOST_BYTES: Final = 16 << 20
"""Bytes that wait for a device."""
_LEAVING: Final = 1.0
"""Seconds for what still waits when a device is closed."""

Outcome = asyncio.Future[DeviceFailure | None]


class _Job:
    """Lines to be written, or something else to do with the device; who waits for it, and where."""

    __slots__ = ("act", "loop", "outcome", "size")

    def __init__(self, act: Callable[[], None], size: int) -> None:
        self.act, self.size = act, size
        self.loop = asyncio.get_running_loop()
        self.outcome: Outcome = self.loop.create_future()


class Writer:
    """Writes to one device, named `name`."""

    def __init__(self, name: str, device: Device) -> None:
        self._name = name
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
        """Take whole lines: at once, or as the outcome tells later. Raises `DeviceFailure`."""
        if self.prompt:
            began = monotonic()
            self._device.write(line, now)
            ended = monotonic()
            self._apart_until = ended + APART if ended - began > SLOW else 0.0
            return None
        if self._stuck or self._bytes + len(line) > _MOST_BYTES:
            raise self._late()
        return self._begin(lambda: self._device.write(line, now), len(line))

    async def reopen(self) -> None:
        """Open the target again, after rotation. Raises `DeviceFailure`."""
        failure = await self._begin(self._device.reopen, 0)
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Release the target, once what waits is written; nobody waits for that here."""
        with self._news:
            self._ending = True
            self._news.notify()
        if self._thread is None:
            self._device.close()

    def finish(self) -> None:
        """Wait until a closed target is released, or for so long: a device that hangs ends with the process."""
        if self._thread is not None:
            self._thread.join(_LEAVING)

    def _begin(self, act: Callable[[], None], size: int) -> Outcome:
        """Have the thread do something. The outcome is a failure where that takes too long."""
        job = _Job(act, size)
        self._waiting += 1
        self._bytes += size
        deadline = job.loop.call_later(DEADLINE, self._give_up, job)
        job.outcome.add_done_callback(lambda _: deadline.cancel())
        with self._news:
            self._jobs.append(job)
            self._news.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"audit {self._name}", daemon=True)
            self._thread.start()
        return job.outcome

    def _give_up(self, job: _Job) -> None:
        if not job.outcome.done():  # it may have been taken in this very turn of the loop
            self._stuck = True
            job.outcome.set_result(self._late())

    def _late(self) -> DeviceFailure:
        return DeviceFailure(
            f'audit device "{self._name}": it took no record for {DEADLINE:.0f} s; see that its pipe is read, or its disk answers'
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
            except Exception as error:  # noqa: BLE001 -- whatever it is, the record is not taken, and others come
                failure = DeviceFailure(f'audit device "{self._name}": {type(error).__name__}')
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                job.loop.call_soon_threadsafe(self._done, job, failure)
        self._device.close()

    def _done(self, job: _Job, failure: DeviceFailure | None) -> None:
        self._waiting -= 1
        self._bytes -= job.size
        self._stuck = False
        if not job.outcome.done():
            job.outcome.set_result(failure)
