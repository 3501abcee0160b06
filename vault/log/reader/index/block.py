# SPDX-License-Identifier: EUPL-1.2
"""The newest block of a log: up to 4,096 records of one segment, with what they have of each kind."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from vault.log.reader.index.columns import (
    MOST_RECORDS,
    UNIQUE,
    Candidates,
    ChecksumColumn,
    CodeColumn,
    Criterion,
    find,
    groups,
)
from vault.log.reader.index.entry import FIRST_VALUE, SEVERAL, Entry, Kind, values
from vault.values.times import Nanos

_MOST_MORE: Final = 16_384
"""Values that the records of a block may have beyond one each."""


class OpenBlock:
    """Grows by records. Of what they have it keeps what a stored block has, and no more."""

    def __init__(self, first: int, *, segment: int, begin: int) -> None:
        """Begin with record `first`, whose line begins at `begin` in its segment."""
        self.first: Final = first
        self.segment: Final = segment
        self.times: array[int] = array("q")
        self.places: array[int] = array("I", [begin])
        """Where the first line begins, and where each ends."""
        self.tenants: dict[str, int] = {}
        """By tenant, the number that its first record here has in its own chain."""
        self.columns: Final[Mapping[Kind, CodeColumn | ChecksumColumn]] = {
            kind: ChecksumColumn() if kind in UNIQUE else CodeColumn() for kind in Kind
        }

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.times)

    @property
    def begins(self) -> Nanos:
        """When its first record was made."""
        return Nanos(self.times[0])

    @property
    def ends(self) -> Nanos:
        """When its last record was made."""
        return Nanos(self.times[-1])

    @property
    def full(self) -> bool:
        """Whether it takes no more records."""
        return len(self.times) >= MOST_RECORDS or any(
            self.columns[kind].more >= _MOST_MORE for kind in SEVERAL
        )

    def extend(self, entries: Sequence[Entry], times: Sequence[int], places: Sequence[int]) -> None:
        """Take the next records: their entries, their times, and where their lines end in the segment."""
        for kind, column in self.columns.items():
            column.extend(map(FIRST_VALUE[kind], entries))
        for at, entry in enumerate(entries, len(self.times)):
            if entry.credential.blocks or len(entry.policy.grant) > 1:
                self._add_more(at, entry)
            if entry.tenant not in self.tenants:
                self.tenants[entry.tenant] = entry.tenant_seq
        self.times.extend(times)
        self.places.extend(places)

    def _add_more(self, at: int, entry: Entry) -> None:
        for kind in SEVERAL:
            column = self.columns[kind]
            assert isinstance(column, CodeColumn)
            for value in values(entry, kind) - {FIRST_VALUE[kind](entry)}:
                column.add(at, value)

    def find(self, criterion: Criterion) -> Iterator[Candidates]:
        """Yield the records that have, or may have, what a criterion asks for."""
        column = self.columns[criterion.kind]
        return find(criterion, packed, lambda: column.names) if (packed := column.packed()) else iter(())

    def groups(self, kind: Kind) -> Mapping[str, int]:
        """Return by value the records that have it, of a kind with few values."""
        column = self.columns[kind]
        return groups(packed, column.names) if (packed := column.packed()) else {}
