# SPDX-License-Identifier: EUPL-1.2
"""The transactions that share one commit."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from vault.storage.protocol import Check, StorageFailure
from vault.storage.sqlite.pending_writes import PendingWrites

LARGEST_BATCH: Final = 256
"""How many transactions may share a commit, so that the first is not kept waiting by a steady stream."""

Outcome = StorageFailure | None


class OpenBatch:
    """The open transaction: how many writers are in it and what they wrote, whether it takes more, how it ended.

    `epoch` is the one that it moved to when it was written, 0 if it did not.
    `before` is the batch that it stands on while that is being committed: SQLite does not know of this one yet.
    """

    def __init__(self, base: int, before: OpenBatch | None = None) -> None:
        """`base` is the stamp of what it stands on."""
        self.base = base
        self.stamp = base
        """The stamp that it leaves, once it is being committed and there is anything to commit."""
        self.size = 0
        self.closed = False
        self.pending = PendingWrites()
        self.spilled = False
        self.epoch = 0
        self.before = before
        self.checks: dict[Check, None] = {}
        """What is asked before it is committed; also by who left it again without a trace."""
        self._waiting: list[asyncio.Future[Outcome]] = []
        self._unfounded: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Whether nobody else may enter."""
        return self.closed or self.size >= LARGEST_BATCH

    async def founded(self) -> None:
        """Return once SQLite knows of this batch, or it has failed; for the one writer who has the turn."""
        if self.before is not None:
            self._unfounded = asyncio.get_running_loop().create_future()
            await self._unfounded

    def found(self) -> None:
        """Say that SQLite knows of it."""
        self.before = None
        if self._unfounded is not None and not self._unfounded.done():
            self._unfounded.set_result(None)

    def wait(self) -> asyncio.Future[Outcome]:
        """Return what one writer learns the end of the batch by; that he no longer waits is nobody else's affair."""
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(ended)
        return ended

    def end(self, outcome: Outcome) -> None:
        """Tell everybody in the batch how it ended."""
        self.found()
        for ended in self._waiting:
            if not ended.done():
                ended.set_result(outcome)


def fresh_stamp() -> int:
    """Return a number that no other commit has, here or in any copy of the database; 0 is that of none."""
    return 1 + secrets.randbits(62)
