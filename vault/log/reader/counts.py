# SPDX-License-Identifier: EUPL-1.2
"""How many records there are of each outcome, by parts of a time that are equally long: a picture of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from vault.framework.concurrency.time_slice import TimeSlice
from vault.log.reader.follower import FollowedLog, damaged
from vault.log.reader.index.columns import within
from vault.log.reader.index.entry import Kind
from vault.log.reader.index.store import Block, BlockGone
from vault.log.reader.lines import Lines
from vault.log.reader.messages import Count, OutcomeCounts
from vault.log.reader.query import Match, criteria_of
from vault.values.times import Nanos

_STEPS = 512
"""Pieces, at least, after each of which counting may end for want of time."""


class _Tally:
    """Counts the records of one log's blocks. The last block is kept: the next piece of time may begin in it."""

    def __init__(self, log: FollowedLog, match: Match, *, begins: Nanos, ends: Nanos) -> None:
        self._match = match
        self._blocks = log.blocks_within(begins=begins, ends=ends)[::-1]
        self._groups: Mapping[str, int] | None = None

    def block_before(self, end: int) -> tuple[Block, int] | None:
        """Return the next block with records before a time, and how many it has."""
        return self._blocks[-1] if self._blocks and self._blocks[-1][0].begins < end else None

    def count(self, begin: int, end: int, counts: Counter[str]) -> bool:
        """Count what the next block has from a time and before another. Return whether it has more after that.

        One that was purged meanwhile has nothing.
        """
        try:
            if self._count(begin, end, counts):
                return True
        except BlockGone:
            pass
        self._blocks.pop()
        self._groups = None
        return False

    def _count(self, begin: int, end: int, counts: Counter[str]) -> bool:
        block, count = self._blocks[-1]
        if self._groups is None:
            bits = self._match.records(block, (1 << count) - 1)
            groups = (
                {outcome: found & bits for outcome, found in block.groups(Kind.OUTCOME).items()}
                if bits
                else {}
            )
            for found in groups.values():
                bits &= ~found
            self._groups = {**groups, "": bits}
        inside = -1 if begin <= block.begins and block.ends < end else within(block.times[:count], begin, end)
        for outcome, found in self._groups.items():
            number = (found & inside).bit_count()
            if number:
                counts[outcome] += number
        return block.ends >= end


async def count(
    logs: Collection[FollowedLog], lines: Lines, ask: Count, now: Callable[[], float], until: float
) -> OutcomeCounts:
    """Return the counts, or those of the beginning where that takes longer than until then."""
    broken, criteria = damaged(logs), criteria_of(ask.filters, ask.tenants)
    begins = Nanos(max(ask.begins, ask.done or ask.begins))
    tallies = [
        _Tally(log, Match(lines, log.name, criteria, log.superseded), begins=begins, ends=ask.ends)
        for log in logs
    ]
    tallies = [tally for tally in tallies if tally.block_before(ask.ends) is not None]
    length = max(1, ask.ends - ask.begins)
    pieces = ask.buckets * -(-_STEPS // ask.buckets)
    edges = [ask.begins + length * piece // pieces for piece in range(pieces + 1)]
    found = [Counter[str]() for _ in range(ask.buckets)]
    turn = TimeSlice()
    for piece in range(pieces):
        begin, end = max(edges[piece], begins), edges[piece + 1]
        if end <= begin:
            continue
        for tally in tallies:
            while tally.block_before(end) is not None:
                more = tally.count(begin, end, found[piece * ask.buckets // pieces])
                await turn.step()
                if more:
                    break
        if now() >= until and end < ask.ends:
            return OutcomeCounts(counts=tuple(found), done=Nanos(end), damaged=broken)
    return OutcomeCounts(counts=tuple(found), done=None, damaged=broken)
