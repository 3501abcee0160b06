# SPDX-License-Identifier: EUPL-1.2
"""The room on the disks of a server, and the size of its database, as metrics.

A file system that does not answer keeps whoever asks it waiting, so a thread asks, and readers of metrics get what it was told
last: NaN before that.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Mapping
from functools import partial
from typing import Final

from vault.framework.telemetry.metrics import Metrics
from vault.server.config.settings import Config

EVERY: Final = 15.0
"""Seconds between two looks."""
_BESIDE: Final = ("", "-wal")
"""What a database of SQLite consists of."""
_FREE: Final = "coffre.disk.free_bytes"
_SIZE: Final = "coffre.disk.size_bytes"
_DATABASE: Final = "coffre.storage.size_bytes"


class DiskWatch:
    """Looks at the disks of what a configuration names: database, log, audit files, and the server's log."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._database = config.storage.path
        self._places = dict(_places(config))
        self._known: dict[tuple[str, str], float] = {}
        self._ended = threading.Event()
        for what in self._places:
            for name in (_FREE, _SIZE):
                metrics.gauge(name, partial(self._told, name, what), what=what)
        if self._database:
            metrics.gauge(_DATABASE, partial(self._told, _DATABASE, ""))

    def start(self) -> None:
        """Begin to look, in a thread that ends with the process at the latest."""
        threading.Thread(target=self._run, name="disk-watch", daemon=True).start()

    def stop(self) -> None:
        """End that."""
        self._ended.set()

    def look(self) -> None:
        """Look once. What cannot be asked is not known any more."""
        for what, folder in self._places.items():
            free = size = math.nan
            with contextlib.suppress(OSError):
                found = os.statvfs(folder)
                free, size = float(found.f_bavail * found.f_frsize), float(found.f_blocks * found.f_frsize)
            self._known[_FREE, what], self._known[_SIZE, what] = free, size
        if self._database:
            size = 0.0
            for end in _BESIDE:
                with contextlib.suppress(OSError):
                    size += os.stat(self._database + end).st_size
            self._known[_DATABASE, ""] = size or math.nan

    def _run(self) -> None:
        self.look()
        while not self._ended.wait(EVERY):
            self.look()

    def _told(self, name: str, what: str) -> float:
        return self._known.get((name, what), math.nan)


def _places(config: Config) -> Mapping[str, str]:
    """Return by what is there the folder of it; of several audit files each has its device's name."""
    files = {
        "storage": config.storage.path,
        **{f"audit {device.path.rstrip('/')}": device.file for device in config.audit},
        "server log": config.log_file,
    }
    found = {what: os.path.dirname(os.path.abspath(file)) for what, file in files.items() if file}
    return {**found, "log": config.log.path} if config.log.path else found
