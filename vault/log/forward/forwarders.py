# SPDX-License-Identifier: EUPL-1.2
"""All devices of a log folder: as its settings name them, started and stopped as these change, and reported on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vault.framework.clock import Clock, Entropy
from vault.log.forward.device import Device, defect
from vault.log.forward.kinds.make import make_sender
from vault.log.forward.kinds.stream_sender import SETTLES
from vault.log.forward.overview import Overview
from vault.log.forward.report import FILE as REPORT
from vault.log.forward.report import Report, write_report
from vault.log.forward.settings import FILE, BadSettings, DeviceSettings, read_settings
from vault.log.forward.status import DeviceStatus
from vault.log.forward.transport.address import BadAddress

_EVERY: Final = 0.5
"""Seconds between two reports."""
_GRACE: Final = 1.0
"""Seconds in which devices are sent what there is when it ends."""
_UNREADABLE: Final = "the settings of the devices cannot be read"
_BAD_ADDRESS: Final = "the address of a device cannot be read"


class Forwarders:
    """The devices of one log folder."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str,
        clock: Clock,
        entropy: Entropy,
        settles: float = SETTLES,
    ) -> None:
        """`host` is this machine's name, for syslog; `settles` are the seconds of `StreamSender`."""
        self._folder, self._host, self._settles = folder, host, settles
        self._clock, self._entropy = clock, entropy
        self._devices: dict[str, Device] = {}
        self._overview = Overview(folder, clock)
        self._lock = threading.Lock()
        """Held by who looks at the logs, or changes the devices."""
        self._seen: object = None
        """Which file of settings was read."""
        self._problem = ""
        self._told = (folder / REPORT).exists()
        """Whether the report tells of anything."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-devices", daemon=True)

    def start(self) -> None:
        """Begin to forward, and to report."""
        self._guarded(self._refresh)
        self._thread.start()

    def stop(self, grace: float = _GRACE) -> None:
        """End. Devices that take records are sent what there is, for so many seconds; where each is, is stored."""
        self._stop.set()
        self._thread.join(grace)
        with self._lock:
            self._end(list(self._devices.values()), grace)
            self._devices = {}

    def wake(self) -> None:
        """Have new records forwarded at once; without it they wait for a fifth of a second at most."""
        for device in list(self._devices.values()):
            device.wake()

    def status(self) -> list[DeviceStatus]:
        """Return what is known of each device. It reads files."""
        with self._lock:
            if self._devices:
                self._overview.look()
            return [self._overview.status(device) for device in self._devices.values()]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._guarded(self._refresh)
            self._guarded(self._write)
            self._stop.wait(_EVERY)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 -- a background loop; the gate closes without its reports
            self._problem = defect(error)

    def _write(self) -> None:
        """Write the report; without devices once, as there is nothing to be told."""
        devices = tuple(self.status())
        if not devices and not self._problem and not self._told:
            return
        self._told = bool(devices or self._problem)
        try:
            write_report(
                self._folder, Report(at=self._clock.monotonic(), devices=devices, problem=self._problem)
            )
        except OSError:
            return  # the disk is full: the server learns nothing new, and knows what that means

    def _refresh(self) -> None:
        """Read the settings where they are new. Ones that cannot be read change nothing."""
        seen = self._state_of_settings()
        if seen == self._seen:
            return
        try:
            settings = read_settings(self._folder)
        except BadSettings:
            self._problem = _UNREADABLE
            return
        self._seen, self._problem = seen, ""
        with self._lock:
            self._apply({each.name: each for each in settings})

    def _state_of_settings(self) -> object:
        try:
            found = (self._folder / FILE).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _apply(self, wanted: dict[str, DeviceSettings]) -> None:
        gone = [device for name, device in self._devices.items() if wanted.get(name) != device.settings]
        self._end(gone, _GRACE)
        for device in gone:
            del self._devices[device.settings.name]
        for name, settings in wanted.items():
            if name not in self._devices and not self._stop.is_set():
                self._begin(settings)

    def _begin(self, settings: DeviceSettings) -> None:
        try:
            sender = make_sender(settings, self._host, self._clock, settles=self._settles)
        except BadAddress:
            self._problem = _BAD_ADDRESS
            return
        device = Device(settings, self._folder, sender, clock=self._clock, entropy=self._entropy)
        self._devices[settings.name] = device
        device.start()

    def _end(self, devices: list[Device], grace: float) -> None:
        until = self._clock.monotonic() + grace
        for device in devices:
            device.stop()
        for device in devices:
            device.join(max(0.0, until - self._clock.monotonic()))
