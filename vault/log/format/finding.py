# SPDX-License-Identifier: EUPL-1.2
"""What verification says: findings, each about some records of one log, in words that are the same each time."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Kind(StrEnum):
    """What a finding is about. The last three are no faults: they say what is so."""

    FRAUD = "fraud"
    """Two statements that the log's key has signed, of which one is false: anybody can be shown that."""
    REWRITTEN = "rewritten"
    """Records are others than those that a checkpoint stands for."""
    CUT = "cut"
    """The log is shorter than a checkpoint says."""
    CHANGED = "changed"
    """A record is not the one that the next one names."""
    SEQUENCE = "sequence"
    """A record is missing, or another one stands in its place."""
    TENANT = "tenant"
    """A record does not follow the one before it in the part of its tenant."""
    TIME = "time"
    """A record's time is none, or before that of the record before it."""
    RECORD = "record"
    """A line is no record of this log."""
    CHECKPOINT = "checkpoint"
    """A checkpoint is none, or not signed by a known key."""
    MANIFEST = "manifest"
    """A manifest does not say what its segment has."""
    SEGMENT = "segment"
    """A file is missing, or can't be read."""
    ABSENT = "absent"
    """A log is not there."""
    TORN = "torn"
    PURGED = "purged"
    COVERAGE = "coverage"


NO_FAULTS: Final = frozenset({Kind.TORN, Kind.PURGED, Kind.COVERAGE})
"""What says how it is, and nothing of how it should be."""
RECORD_FAULTS: Final = frozenset({Kind.CHANGED, Kind.SEQUENCE, Kind.TENANT, Kind.TIME, Kind.RECORD})
"""What is the matter with one record, by what is written in it and in the next."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found. `first` and `last` are the records it is about; None where it is about none."""

    kind: Kind
    log: str
    words: str
    first: int | None = None
    last: int | None = None
    notes: tuple[str, ...] = ()
    """The signed notes that show it, where somebody else is to be convinced."""

    @property
    def fault(self) -> bool:
        """Whether something is not as it should be."""
        return self.kind not in NO_FAULTS

    def __str__(self) -> str:
        """Tell it in one line."""
        return f"{self.log}: {self.words}" if self.log else self.words


def span(first: int, last: int) -> str:
    """Return how records are named: `record 3`, `records 3 to 5`."""
    return f"record {first}" if first == last else f"records {first} to {last}"
