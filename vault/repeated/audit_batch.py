# SPDX-License-Identifier: EUPL-1.2
"""The audit batch: records of calls that go on together are made and written together, and nothing leaves before.

1. A read leaves here what is to be recorded, and its answer waits with it. All reads of one turn of the event loop share one write.
2. A write leaves it here too. It is recorded before its transaction is committed, for all that share the commit.
3. After the write every answer leaves, or a refusal where no device took the records; and the commit may go on, or not.

Records of many calls are made one after the other, because between other work each would take twice as long: its code has
left the processor's caches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from vault.framework.call import Call
from vault.framework.errors import Unavailable, VaultError
from vault.framework.reply import Reply
from vault.framework.request.record import Leave
from vault.storage.protocol import Check, CommitRefused
from vault.values.times import Nanos

Exchange = tuple[Call, Reply[object] | None, tuple[Nanos, Nanos], Mapping[str, bool], VaultError | None]
"""What is recorded of a call whose request was held: call, answer, their times, recorded headers, and the refusal."""


class _Page:
    """Calls that are recorded together, what waits for that, and how it went."""

    __slots__ = ("_batch", "due", "exchanges", "failure", "leaving", "written")

    def __init__(self, batch: AuditBatch) -> None:
        self._batch = batch
        self.exchanges: list[Exchange] = []
        self.leaving: list[Leave] = []
        self.due = self.written = False
        """Whether it is written at the end of this turn of the event loop, and whether it is written."""
        self.failure: VaultError | None = None

    def settle(self) -> None:
        """Write now, unless that is done. Raises `CommitRefused` where no device took the records."""
        if not self.written:
            self._batch.flush()
        if self.failure is not None:
            raise CommitRefused(self.failure.detail)


class AuditBatch:
    """Calls that no device has a record of yet, and what waits for that."""

    __slots__ = ("_page", "_report", "_write")

    def __init__(
        self,
        write: Callable[[Sequence[Exchange]], VaultError | None],
        report: Callable[[Exception], None],
    ) -> None:
        """`write` makes the records of some calls and writes them; it returns the refusal if no device took them.

        `report` takes an unexpected exception. The other answers leave all the same.
        """
        self._report = report
        self._write = write
        self._page = _Page(self)

    def add(self, exchange: Exchange) -> None:
        """Take one read."""
        # 1. It waits for the end of this turn of the event loop.
        page = self._page
        if not page.due:
            page.due = True
            asyncio.get_running_loop().call_soon(self.flush)
        page.exchanges.append(exchange)

    def hold(self, exchange: Exchange) -> Check:
        """Take one write. What is returned is to be called before that is committed."""
        page = self._page
        page.exchanges.append(exchange)
        return page.settle

    def then(self, leave: Leave) -> None:
        """Call `leave` once everything added so far is written."""
        self._page.leaving.append(leave)

    def flush(self) -> VaultError | None:
        """Write now, and let the waiting answers go. Returns the refusal where no device took the records."""
        # Calls that come during the write belong to the next page.
        page = self._page
        if not page.exchanges:
            return None
        self._page = _Page(self)
        # 2. One write for all.
        try:
            page.failure = self._write(page.exchanges)
        except Exception as error:  # noqa: BLE001 -- no call may be answered unrecorded, and none may wait for ever
            self._report(error)
            page.failure = Unavailable(detail=type(error).__name__)
        if page.failure is not None:
            for call, *_ in page.exchanges:
                call.record.lose_outcome()
        page.written, page.exchanges = True, []  # a failed commit leads here for as long as its error is held
        # 3. The answers leave, or the refusal.
        for leave in page.leaving:
            try:
                leave(page.failure)
            except Exception as error:  # noqa: BLE001 -- a failure of one answer must not keep the others waiting
                self._report(error)
        return page.failure
