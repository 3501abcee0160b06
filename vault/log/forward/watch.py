# SPDX-License-Identifier: EUPL-1.2
"""What the server keeps of its devices: twice a second their report is read, in a thread, and requests look at an attribute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from vault.framework.clock import Clock
from vault.framework.concurrency.lasting import LastingTask, Told
from vault.framework.concurrency.offload import Pool
from vault.log.forward.gate import Gate
from vault.log.forward.report import Report, read_report
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.status import DeviceStatus

EVERY: Final = 0.5
"""Seconds between two readings. What happened to a device is told within them, and the half second of a report."""
_OWN: Final = ("", "")
"""Whose work it is: the server's own."""

Notice = Callable[[str, Mapping[str, object]], None]
"""Has the log say that something happened: the event, and what is said of it."""


class DeviceWatch:
    """Watches the devices of one log folder, from the event loop."""

    def __init__(
        self,
        folder: Path,
        devices: Sequence[DeviceSettings],
        clock: Clock,
        notice: Notice,
        *,
        defect: Told,
        tells: Callable[[], bool] = lambda: True,
        every: float = EVERY,
    ) -> None:
        """`defect` is told of what ended the watch, which is begun anew.

        `tells` says whether events are this process's to record: several workers watch the same devices.
        """
        self.gate: Final = Gate(devices, clock.monotonic())
        self._folder, self._clock, self._notice = folder, clock, notice
        self._tells, self._every = tells, every
        self._report: Report | None = None
        self._pool = Pool(threads=1, name="log-devices")
        self._task = LastingTask(self._watch, defect)

    @property
    def refusal(self) -> str:
        """Why requests are refused; empty where they are not."""
        return self.gate.refusal

    @property
    def devices(self) -> Sequence[DeviceStatus]:
        """The devices, as they were told last."""
        return () if self._report is None else self._report.devices

    @property
    def problem(self) -> str:
        """What keeps devices from being sent anything at all; empty where nothing does."""
        return "" if self._report is None else self._report.problem

    def start(self) -> None:
        """Begin to watch."""
        self._task.start()

    async def stop(self) -> None:
        """End that."""
        await self._task.stop()

    async def _watch(self) -> None:
        while True:
            self._report = await self._pool.run(_OWN, partial(read_report, self._folder), owed=True)
            for changed in self.gate.look(self._report, self._clock.monotonic()):
                if self._tells():
                    self._notice(changed.event, changed.said)
            await asyncio.sleep(self._every)
