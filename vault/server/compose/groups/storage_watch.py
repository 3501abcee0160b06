# SPDX-License-Identifier: EUPL-1.2
"""Whether the storage answers, and how large a database elsewhere is, as metrics. It is asked while nobody else asks it, too."""

from __future__ import annotations

import asyncio
import contextlib
import math
from functools import partial
from time import perf_counter_ns
from typing import Final

from vault.framework.concurrency.lasting import LastingTask
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.storage.protocol import Storage, StorageFailure

EVERY: Final = 5.0
"""Seconds between two questions."""
SIZE_EVERY: Final = 12
"""How many of these questions pass from one for the size to the next: its server looks at each file of the database."""
PATIENCE: Final = 10.0
"""Seconds after which a storage that has not answered is away."""


class StorageWatch:
    """Asks the storage for what it has in memory or an index: when the next timer is due."""

    def __init__(self, storage: Storage, metrics: Metrics, log: Log, *, elsewhere: bool = False) -> None:
        """`elsewhere` says whether the database is on a server of its own; files of this one are `DiskWatch`'s."""
        self._storage: Final = storage
        self._answers = True
        self._size, self._until_size = math.nan, 0
        self._elsewhere = elsewhere
        self._times = metrics.timing("coffre.storage.probe_duration_seconds")
        self._task = LastingTask(
            self._watch, partial(log.crash, "server", "asking the storage met a defect; it is begun anew")
        )
        metrics.gauge("coffre.storage.reachable", lambda: float(self._answers))
        if elsewhere:
            metrics.gauge("coffre.storage.size_bytes", lambda: self._size)

    def start(self) -> None:
        """Begin to ask."""
        self._task.start()

    async def stop(self) -> None:
        """End that."""
        await self._task.stop()

    async def look(self) -> None:
        """Ask once."""
        began = perf_counter_ns()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._storage.next_due()
        except (StorageFailure, TimeoutError):
            self._answers = False
        else:
            self._answers = True
            self._times.observe(perf_counter_ns() - began)

    async def look_at_size(self) -> None:
        """Ask how large it is. Where it does not say, that is not known any more."""
        self._size = math.nan
        with contextlib.suppress(StorageFailure, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                self._size = float(await self._storage.size() or math.nan)

    async def _watch(self) -> None:
        while True:
            await self.look()
            if self._elsewhere and self._until_size == 0:
                await self.look_at_size()
            self._until_size = (self._until_size or SIZE_EVERY) - 1
            await asyncio.sleep(EVERY)
