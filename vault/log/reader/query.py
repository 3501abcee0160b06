# SPDX-License-Identifier: EUPL-1.2
"""Which records of a block a search means: what the index says, and where it has checksums only what the records say."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from vault.log.format.segment import BadSegment
from vault.log.reader.index.columns import Candidates, Criterion, records_of
from vault.log.reader.index.entry import BY_PREFIX, Entry, Kind, decode, values
from vault.log.reader.index.store import Block, BlockGone
from vault.log.reader.lines import Lines, SegmentGone
from vault.log.reader.messages import NONSENSE, Filters, Tenants

KINDS: Final[Mapping[str, Kind]] = {
    "event": Kind.EVENT,
    "resource": Kind.RESOURCE,
    "resource_type": Kind.TYPE,
    "outcome": Kind.OUTCOME,
    "phase": Kind.PHASE,
    "actor": Kind.ACTOR,
    "address": Kind.ADDRESS,
    "policy": Kind.POLICY,
    "rule": Kind.RULE,
    "credential": Kind.CREDENTIAL,
    "request_id": Kind.REQUEST,
    "trace_id": Kind.TRACE,
}
"""By the name of a filter what it asks for."""


def criteria_of(filters: Filters, tenants: Tenants) -> tuple[Criterion, ...]:
    """Return what filters ask for, of some tenants or of all."""
    found = [] if tenants is None else [Criterion(Kind.TENANT, frozenset(tenants))]
    for name, asked in filters.items():
        kind = KINDS[name]
        begun = tuple(value[:-1] for value in asked if value.endswith("*")) if kind in BY_PREFIX else ()
        found.append(
            Criterion(kind, frozenset(value for value in asked if not (begun and value.endswith("*"))), begun)
        )
    return tuple(found)


class Match(NamedTuple):
    """Finds records of one log's blocks."""

    lines: Lines
    log: str
    criteria: Sequence[Criterion]
    left_out: Sequence[int] = ()
    """The numbers of records that are not meant whatever they have, in order."""

    def records(self, block: Block, bits: int) -> int:
        """Return those of some records of a block that have all that is asked for."""
        low, high = (bisect_left(self.left_out, seq) for seq in (block.first, block.first + block.count))
        for seq in self.left_out[low:high]:
            bits &= ~(1 << (seq - block.first))
        doubts: list[tuple[Criterion, int, list[Candidates]]] = []
        for criterion in self.criteria:
            certain, doubtful = 0, []
            for found in block.find(criterion):
                if found.value:
                    doubtful.append(found)
                else:
                    certain |= found.bits
            either = certain
            for found in doubtful:
                either |= found.bits
            bits &= either
            if not bits:
                return 0
            if doubtful:
                doubts.append((criterion, certain, doubtful))
        for criterion, certain, doubtful in doubts:
            for found in doubtful:
                certain |= self._having(block, criterion.kind, found, found.bits & bits & ~certain)
            bits &= certain
        return bits

    def line(self, block: Block, at: int) -> bytes:
        """Return a record of a block; nothing where it is there no more."""
        try:
            places = block.places
            return self.lines.read(self.log, block.segment, begin=places[at], end=places[at + 1])[:-1]
        except (SegmentGone, BadSegment, BlockGone):
            return b""

    def _having(self, block: Block, kind: Kind, found: Candidates, bits: int) -> int:
        """Return those of some candidates that have the value: one of them tells for all that are known to be alike."""
        if not bits:
            return 0
        if found.alike and (entry := self._entry(block, (bits & -bits).bit_length() - 1)) is not None:
            return bits if found.value in values(entry, kind) else 0
        has = 0
        for at in records_of(bits):
            entry = self._entry(block, at)
            if entry is not None and found.value in values(entry, kind):
                has |= 1 << at
        return has

    def _entry(self, block: Block, at: int) -> Entry | None:
        try:
            entry = decode(self.line(block, at))
        except NONSENSE:
            return None
        return entry if entry.seq == block.first + at else None
