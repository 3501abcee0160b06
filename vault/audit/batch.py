# SPDX-License-Identifier: EUPL-1.2
"""Records of reads that came in together go out in one write, and their answers only behind it.

A call that changes nothing may leave its lines here and its answer with them. Whoever came in by the same turn
of the event loop shares the write; at its end every answer leaves, or is refused where no device took the lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from vault.framework.errors import Unavailable, VaultError
from vault.framework.record_batch import Leave


class Batch:
    """Lines that no device has taken yet, by device, and what waits for them."""

    __slots__ = ("_leaving", "_lines", "_report", "_write")

    def __init__(
        self,
        devices: int,
        write: Callable[[Sequence[bytes], int], VaultError | None],
        report: Callable[[Exception], None],
    ) -> None:
        """`write` takes the lines of each device and how many calls they are of; it returns what went wrong.

        `report` is told what nobody expected: it keeps no other answer from leaving, and no line from being refused.
        """
        self._report = report
        self._lines: Sequence[list[bytes]] = [[] for _ in range(devices)]
        self._leaving: list[Leave] = []
        self._write = write

    def add(self, lines: Sequence[bytes]) -> None:
        """Take the lines of one call, one for each device."""
        held = self._lines
        if not held[0]:
            asyncio.get_running_loop().call_soon(self.flush)
        for of_device, line in zip(held, lines, strict=True):
            of_device.append(line)

    def then(self, leave: Leave) -> None:
        """Call `leave` once everything that was added so far is written."""
        self._leaving.append(leave)

    def flush(self) -> VaultError | None:
        """Write what there is now, and let go what waited for it. Returns the refusal where no device took it."""
        held, leaving = self._lines, self._leaving
        count = len(held[0])
        if not count:
            return None
        self._lines, self._leaving = [[] for _ in held], []
        failure: VaultError | None
        try:
            failure = self._write([b"".join(of_device) for of_device in held], count)
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody is answered unrecorded, nor left waiting
            self._report(error)
            failure = Unavailable(detail=type(error).__name__)
        for leave in leaving:
            try:
                leave(failure)
            except Exception as error:  # noqa: BLE001 -- it is this one's own affair; the others wait behind it
                self._report(error)
        return failure
