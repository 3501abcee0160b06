# SPDX-License-Identifier: EUPL-1.2
"""Follows one log for a reader: every record once and in order, by its number in the log or in a tenant's chain."""

from __future__ import annotations

from collections.abc import Sequence

from vault.framework.concurrency.time_slice import TimeSlice
from vault.log.format.segment import BadSegment
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.columns import Criterion, records_of
from vault.log.reader.index.entry import Kind
from vault.log.reader.index.store import Block, BlockGone
from vault.log.reader.lines import Lines, SegmentGone
from vault.log.reader.messages import MOST_BYTES, Follow, Refused, TailPage, joined
from vault.log.reader.query import Match


def wakes(log: FollowedLog, ask: Follow) -> bool:
    """Whether a tail is to be answered: there is a record behind its number that is none of reading, or never will be."""
    newest = log.waking if ask.tenant is None else log.tenants_waking.get(ask.tenant, -1)
    return newest > ask.after or bool(log.damage)


async def follow(log: FollowedLog, lines: Lines, ask: Follow) -> TailPage:
    """Return the next records. Raises `Refused` where they were purged, or cannot be read."""
    try:
        found = (
            _records(log, lines, ask)
            if ask.tenant is None
            else await _tenants_records(log, lines, ask, ask.tenant)
        )
    except BlockGone:
        raise Refused("busy", "records were purged meanwhile; ask again") from None
    except (SegmentGone, BadSegment):
        raise Refused(
            "missing", "the segment of these records cannot be read; see the status of the log"
        ) from None
    if not found and log.damage:
        raise Refused("damaged", f"nothing is read behind a record that is not as it should be: {log.damage}")
    return TailPage(count=len(found), pieces=joined(found), after=ask.after + len(found))


def _records(log: FollowedLog, lines: Lines, ask: Follow) -> list[bytes]:
    seq = ask.after + 1
    if seq < log.first:
        raise Refused("purged", f"the oldest record of the log is {log.first}", first=log.first)
    found: list[bytes] = []
    size = 0
    while len(found) < ask.limit and size < MOST_BYTES and (block := log.block_of(seq)) is not None:
        at = seq - block.first
        end = min(block.count, at + ask.limit - len(found))
        places = block.places
        while end > at + 1 and places[end] - places[at] > MOST_BYTES:
            end = at + (end - at) // 2
        part = lines.read(log.name, block.segment, begin=places[at], end=places[end])
        if len(part) != places[end] - places[at]:
            raise SegmentGone
        found += part.split(b"\n")[:-1]
        seq, size = block.first + end, size + len(part)
    return found


async def _tenants_records(log: FollowedLog, lines: Lines, ask: Follow, tenant: str) -> list[bytes]:
    """Return the records behind a number in a tenant's chain."""
    number = ask.after + 1
    if number > log.tenant_through(tenant):
        return []
    match = Match(lines, log.name, [Criterion(Kind.TENANT, frozenset([tenant]))])
    blocks: list[Block] = [*log.blocks, log.open]
    found: list[bytes] = []
    size, turn = 0, TimeSlice()
    for block in blocks[await _block_of_tenant(blocks, tenant, number) :]:
        if len(found) == ask.limit or size >= MOST_BYTES:
            break
        first = block.tenants.get(tenant)
        if first is None:
            await turn.step()
            continue
        if first > number + len(found):
            raise Refused("purged", f"the oldest record of this namespace in the log is {first}", first=first)
        records = records_of(match.records(block, (1 << block.count) - 1))
        for at in records[number + len(found) - first :][: ask.limit - len(found)]:
            line = match.line(block, at)
            if not line:
                raise SegmentGone
            found.append(line)
            size += len(line)
            await turn.step()
    return found


async def _block_of_tenant(blocks: Sequence[Block], tenant: str, number: int) -> int:
    """Return the place of the last block that begins with this record of a tenant or an earlier one; 0 where none does.

    Halves what is left, and passes over blocks without the tenant.
    """
    turn = TimeSlice()
    low, high = 0, len(blocks)
    while high - low > 1:
        middle = at = (low + high) // 2
        while at < high and tenant not in blocks[at].tenants:
            at += 1
            await turn.step()
        if at < high and blocks[at].tenants[tenant] <= number:
            low = at
        else:
            high = middle
        await turn.step()
    return low
