# SPDX-License-Identifier: EUPL-1.2
"""Searches all logs of a folder: pages of records in the order by time, then log, then number.

Blocks are looked at lazily: of each log the next one stands in a heap where its first record would be, and is searched
when its turn comes. So a page costs what it shows, and what was skipped for it. A traversal goes on behind a position,
which is a place in that order and none in a file: records may come, and segments be closed or purged meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final

import msgspec

from vault.framework.concurrency.time_slice import TimeSlice
from vault.log.reader.follower import FollowedLog, damaged
from vault.log.reader.index.columns import records_of, within
from vault.log.reader.index.entry import decode
from vault.log.reader.index.store import Block, BlockGone
from vault.log.reader.lines import Lines
from vault.log.reader.messages import MOST_BYTES, NONSENSE, Position, Search, SearchPage, joined
from vault.log.reader.query import Match, criteria_of
from vault.values.times import Nanos, Seconds, second_of, seconds_to_nanos, time_after

_OF_THE_END: Final = frozenset({"phase", "outcome"})
"""Filters that ask how calls ended."""
SECONDS: Final = 5.0
"""How long a search may take; then its page ends where it is."""
_BEHIND_ALL: Final = "~"
"""Comes after the name of every log."""
_END: Final = (1 << 62) - 1

Key = tuple[int, int, int]
"""Time, place of the log among all by name, and number; each negative where the newest comes first."""


class Range(msgspec.Struct, frozen=True):
    """Records of one log: from a time and before another, from a number and before another."""

    begins: Nanos
    ends: Nanos
    first: int
    end: int

    def bits(self, block: Block, count: int) -> int:
        """Return which of the first `count` records of a block are in it."""
        low = min(max(0, self.first - block.first), count)
        high = min(max(low, self.end - block.first), count)
        bits = (1 << high) - (1 << low)
        if block.begins < self.begins or block.ends >= self.ends:
            bits &= within(block.times[:count], self.begins, self.ends)
        return bits


def range_of(log: str, ask: Search, end: int) -> Range:
    """Return what of a log is still to be searched, before record `end`."""
    at = ask.position
    if at is None:
        return Range(ask.begins, ask.ends, 0, end)
    same, behind = log == at.log, time_after(at.time, Nanos(1))
    if ask.order == "asc":
        begins = at.time if same or log > at.log else behind
        return Range(max(ask.begins, begins), ask.ends, at.seq + 1 if same else 0, end)
    ends = behind if same or log < at.log else at.time
    return Range(ask.begins, min(ask.ends, ends), 0, min(at.seq, end) if same else end)


class _Cursor:
    """Where a page stands in one log: hits of a block, the next one last, and blocks that were not looked at."""

    def __init__(
        self,
        match: Match,
        blocks: Iterator[tuple[Block, int]],
        range_: Range,
        rank: int,
        sign: int,
    ) -> None:
        self.match, self._range, self._rank, self._sign = match, range_, rank, sign
        self._blocks = blocks
        self._block: Block | None
        self._block, self._count = next(blocks, (None, 0))
        self._times: Sequence[int] = ()
        self.hits: list[int] = []

    @property
    def key(self) -> Key | None:
        """Where the next hit is, or comes first if there is one; None at the end."""
        if self._block is None:
            return None
        if self.hits:
            at = self.hits[-1]
            return (
                self._sign * self._times[at],
                self._sign * self._rank,
                self._sign * (self._block.first + at),
            )
        if self._sign > 0:
            return max(self._block.begins, self._range.begins), self._rank, 0
        return -min(self._block.ends, self._range.ends - 1), -self._rank, -_END

    def look(self) -> None:
        """Search the block whose turn it is; one that was purged meanwhile has nothing."""
        assert self._block is not None
        try:
            bits = self._range.bits(self._block, self._count)
            found = records_of(self.match.records(self._block, bits)) if bits else []
            times = self._block.times if found else ()
        except BlockGone:
            found, times = [], ()
        if found:
            self._times = times
            self.hits = found if self._sign < 0 else found[::-1]
        else:
            self._block, self._count = next(self._blocks, (None, 0))

    def take(self) -> tuple[Position, bytes]:
        """Return the next hit, and its line; none where it was purged."""
        assert self._block is not None
        block, at = self._block, self.hits.pop()
        seq = block.first + at
        position = Position(Nanos(self._times[at]), self.match.log, seq)
        line = self.match.line(block, at)
        if not self.hits:
            self._block, self._count = next(self._blocks, (None, 0))
        try:
            return position, line if decode(line).seq == seq else b""
        except NONSENSE:
            return position, b""


class Page:
    """One page of a search, over what is indexed when it begins."""

    def __init__(self, logs: Iterable[FollowedLog], lines: Lines, ask: Search) -> None:
        logs = sorted(logs, key=lambda log: log.name)
        if ask.open:
            newest = max((log.observed for log in logs), default=Nanos(0))
            ask = msgspec.structs.replace(ask, ends=max(ask.ends, time_after(newest, Nanos(1))))
        self._ask = ask
        self._damaged = damaged(logs)
        self._sign = 1 if ask.order == "asc" else -1
        criteria = criteria_of(ask.filters, ask.tenants)
        ending = not _OF_THE_END.isdisjoint(ask.filters)
        self._heap: list[tuple[Key, _Cursor]] = []
        self._through: dict[str, int] = {}
        self._tenants_through: dict[str, dict[str, int]] = {}
        for rank, log in enumerate(logs):
            self._note(log)
            range_ = range_of(log.name, ask, log.next)
            blocks = log.blocks_within(begins=range_.begins, ends=range_.ends)
            match = Match(lines, log.name, criteria, log.superseded if ending else ())
            cursor = _Cursor(match, iter(blocks[:: self._sign]), range_, rank, self._sign)
            if cursor.key is not None:
                self._heap.append((cursor.key, cursor))
        heapify(self._heap)

    def _note(self, log: FollowedLog) -> None:
        if self._ask.tenants is None:
            if log.next:
                self._through[log.name] = log.next - 1
            return
        through = {
            tenant: number for tenant in self._ask.tenants if (number := log.tenant_through(tenant)) >= 0
        }
        if through:
            self._tenants_through[log.name] = through

    async def read(self, now: Callable[[], float], until: float) -> SearchPage:
        """Return the page, with what was found until then if it takes longer."""
        records: list[bytes] = []
        size, last, late = 0, self._ask.position, False
        turn = TimeSlice()
        while self._heap and len(records) < self._ask.limit and size < MOST_BYTES:
            late = now() >= until
            if late:
                break
            cursor = self._heap[0][1]
            if cursor.hits:
                last, line = cursor.take()
                if line:
                    records.append(line)
                    size += len(line)
            else:
                cursor.look()
            if cursor.key is None:
                heappop(self._heap)
            else:
                heapreplace(self._heap, (cursor.key, cursor))
            await turn.step()
        return SearchPage(
            count=len(records),
            pieces=joined(records),
            position=self._reached(last) if self._heap and late else last if self._heap else None,
            complete=not late and not self._damaged,
            damaged=self._damaged,
            ends=self._ask.ends,
            indexed_through=self._through,
            tenants_through=self._tenants_through,
        )

    def _reached(self, last: Position | None) -> Position:
        """Return how far the page came, to a whole second: when records of others were made is nobody's business."""
        time = Nanos(self._sign * self._heap[0][0][0])
        if self._sign > 0:
            reached = Position(second_of(time), "", -1)
        else:
            reached = Position(time_after(second_of(time), seconds_to_nanos(Seconds(1))), _BEHIND_ALL, _END)
        if last is None:
            return reached
        further = (reached.time, reached.log, reached.seq) > (last.time, last.log, last.seq)
        return reached if further == (self._sign > 0) else last
