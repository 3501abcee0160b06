# SPDX-License-Identifier: EUPL-1.2
"""Records of one log that follow each other, as they are sent together."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec


class Place(NamedTuple):
    """Where a log goes on: a segment by its first record, bytes of it, the next record, and the hash of the one before.

    The hash is empty where nobody knows it.
    """

    segment: int
    offset: int
    seq: int
    last: str = ""


class Head(msgspec.Struct, frozen=True):
    """What forwarding reads of a record."""

    log: str
    seq: int
    prev_hash: str
    observed_timestamp: str
    timestamp: str = ""
    event_name: str = ""
    outcome: str = ""


class Record(NamedTuple):
    """A line without its newline, and what was read of it."""

    line: bytes
    head: Head


class Batch(msgspec.Struct, frozen=True):
    """At least one record, and where the log goes on after the last one."""

    log: str
    records: tuple[Record, ...]
    end: Place

    @property
    def first(self) -> int:
        """The number of the first record."""
        return self.records[0].head.seq

    @property
    def last(self) -> int:
        """The number of the last record."""
        return self.records[-1].head.seq

    @property
    def ndjson(self) -> bytes:
        """All lines, each with its newline."""
        return b"".join(record.line + b"\n" for record in self.records)


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a device has in memory at a time."""

    records: int = 500
    bytes: int = 1 << 20


USUAL: Final = BatchLimits()
