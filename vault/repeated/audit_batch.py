# SPDX-License-Identifier: EUPL-1.2
"""The audit batch: records of reads that arrived together are written together, and their answers leave after that.

1. A call that changes nothing leaves its lines here, and its answer waits with them.
2. All calls of one turn of the event loop share one write.
3. After the write every answer leaves, or a refusal where no device took the lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from vault.framework.errors import Unavailable, VaultError
from vault.framework.request.record import Leave


class AuditBatch:
    """Lines that no device has taken yet, by device, and what waits for them."""

    __slots__ = ("_leaving", "_lines", "_report", "_write")

    def __init__(
        self,
        devices: int,
        write: Callable[[Sequence[bytes], int], VaultError | None],
        report: Callable[[Exception], None],
    ) -> None:
        """`write` takes the lines of each device and the number of calls; it returns the refusal if no device took
        them.

        `report` takes an unexpected exception. The other answers leave all the same.
        """
        self._report = report
        self._lines: Sequence[list[bytes]] = [[] for _ in range(devices)]
        self._leaving: list[Leave] = []
        self._write = write

    def add(self, lines: Sequence[bytes]) -> None:
        """Take the lines of one call, one for each device."""
        # 1. The lines wait for the end of this turn of the event loop.
        held = self._lines
        if not held[0]:
            asyncio.get_running_loop().call_soon(self.flush)
        for of_device, line in zip(held, lines, strict=True):
            of_device.append(line)

    def then(self, leave: Leave) -> None:
        """Call `leave` once everything added so far is written."""
        self._leaving.append(leave)

    def flush(self) -> VaultError | None:
        """Write now, and let the waiting answers go. Returns the refusal where no device took the lines."""
        # Calls that come during the write belong to the next batch.
        held, leaving = self._lines, self._leaving
        count = len(held[0])
        if not count:
            return None
        self._lines, self._leaving = [[] for _ in held], []
        failure: VaultError | None
        # 2. One write for all.
        try:
            failure = self._write([b"".join(of_device) for of_device in held], count)
        except Exception as error:  # noqa: BLE001 -- no call may be answered unrecorded, and none may wait for ever
            self._report(error)
            failure = Unavailable(detail=type(error).__name__)
        # 3. The answers leave, or the refusal.
        for leave in leaving:
            try:
                leave(failure)
            except Exception as error:  # noqa: BLE001 -- a failure of one answer must not keep the others waiting
                self._report(error)
        return failure
