# SPDX-License-Identifier: EUPL-1.2
"""The audit batch: records of calls that go on together are written together, and nothing leaves before.

1. A read leaves its lines here, and its answer waits with them. All reads of one turn of the event loop share one write.
2. A write leaves its lines here too. They are written before its transaction is committed, for all that share the commit.
3. After the write every answer leaves, or a refusal where no device took the lines; and the commit may go on, or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from vault.framework.errors import Unavailable, VaultError
from vault.framework.request.record import Leave
from vault.storage.protocol import Check, CommitRefused


class _Page:
    """Lines that are written together, by device, what waits for them, and how it went."""

    __slots__ = ("_batch", "due", "failure", "leaving", "lines", "written")

    def __init__(self, batch: AuditBatch, devices: int) -> None:
        self._batch = batch
        self.lines: Sequence[list[bytes]] = [[] for _ in range(devices)]
        self.leaving: list[Leave] = []
        self.due = self.written = False
        """Whether it is written at the end of this turn of the event loop, and whether it is written."""
        self.failure: VaultError | None = None

    def settle(self) -> None:
        """Write now, unless that is done. Raises `CommitRefused` where no device took the lines."""
        if not self.written:
            self._batch.flush()
        if self.failure is not None:
            raise CommitRefused(self.failure.detail)


class AuditBatch:
    """Lines that no device has taken yet, by device, and what waits for them."""

    __slots__ = ("_devices", "_page", "_report", "_write")

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
        self._devices = devices
        self._page = _Page(self, devices)
        self._write = write

    def add(self, lines: Sequence[bytes]) -> None:
        """Take the lines of one read, one for each device."""
        # 1. The lines wait for the end of this turn of the event loop.
        page = self._page
        if not page.due:
            page.due = True
            asyncio.get_running_loop().call_soon(self.flush)
        for of_device, line in zip(page.lines, lines, strict=True):
            of_device.append(line)

    def hold(self, lines: Sequence[bytes]) -> Check:
        """Take the lines of one write. What is returned is to be called before that is committed."""
        page = self._page
        for of_device, line in zip(page.lines, lines, strict=True):
            of_device.append(line)
        return page.settle

    def then(self, leave: Leave) -> None:
        """Call `leave` once everything added so far is written."""
        self._page.leaving.append(leave)

    def flush(self) -> VaultError | None:
        """Write now, and let the waiting answers go. Returns the refusal where no device took the lines."""
        # Calls that come during the write belong to the next page.
        page = self._page
        count = len(page.lines[0])
        if not count:
            return None
        self._page = _Page(self, self._devices)
        # 2. One write for all.
        try:
            page.failure = self._write([b"".join(of_device) for of_device in page.lines], count)
        except Exception as error:  # noqa: BLE001 -- no call may be answered unrecorded, and none may wait for ever
            self._report(error)
            page.failure = Unavailable(detail=type(error).__name__)
        page.written, page.lines = True, ()  # a failed commit leads here for as long as its error is held
        # 3. The answers leave, or the refusal.
        for leave in page.leaving:
            try:
                leave(page.failure)
            except Exception as error:  # noqa: BLE001 -- a failure of one answer must not keep the others waiting
                self._report(error)
        return page.failure
