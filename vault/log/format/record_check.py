# SPDX-License-Identifier: EUPL-1.2
"""Checks one record after another: its form, its number, its time, and that it follows the record before it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from vault.log.format.canonical import NotCanonical, decode_record
from vault.log.format.finding import Finding, Kind, span
from vault.log.format.tree import EMPTY_ROOT, CompactRange, encode_hash, leaf_hash

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z")
_NOTHING: Final = encode_hash(EMPTY_ROOT)
_FIRST: Final = (-1, _NOTHING)
"""What stands before the first record of a tenant."""

PURGE: Final = "esa.log.purge"
"""The event by which a log says that the oldest records of one, itself or another, are about to go."""

Report = Callable[[Finding], None]


class AnnouncedPurge(msgspec.Struct, frozen=True, kw_only=True):
    """What record `seq` says: that the records of a log up to `last` go."""

    seq: int
    log: str
    last: int


class RecordCheck:
    """The records of one log, taken in order."""

    def __init__(self, log: str, report: Report, *, first: int = 0) -> None:
        """`first` is the number of the first record to come; what is before it is unknown unless it is 0."""
        self._log, self._report = log, report
        self.seq = first
        """The number of the next record."""
        self.tree: CompactRange | None = None if first else CompactRange()
        """The tree of all records so far; None where one of them is unknown."""
        self.time = ""
        """When the last record was appended."""
        self._last: str | None = None if first else _NOTHING
        """The leaf of the record before; None where that is unknown."""
        self.tenants: dict[str, tuple[int, str]] = {}
        """By tenant the number of its last record and the leaf of that, as manifests have it."""
        self.whole = not first
        """Whether all records of all tenants are known."""
        self.purges: list[AnnouncedPurge] = []
        """Purges that these records announce."""
        self.faults = 0
        """How many were told."""
        self._unreadable = False
        """Whether the line before was no record."""

    def continue_from(self, tree: CompactRange, last: bytes) -> None:
        """Take the records before the first one as this tree has them; `last` is the leaf of the last of them."""
        self.tree, self._last = tree, encode_hash(last)

    def take(self, body: bytes) -> bool:
        """Check the next line, which has no newline; return whether it is taken as the next record."""
        try:
            record = decode_record(body)
        except NotCanonical as problem:
            self._fault(Kind.RECORD, f"record {self.seq}: {problem}")
            self._lose_tenants()
            self._follow(body)
            self._unreadable = True
            return True
        seq = record.get("seq")
        if (seq != self.seq or type(seq) is not int) and not self._misplaced(seq):
            return False
        if self._last is not None and record.get("prev_hash") != self._last:
            before = max(self.seq - 1, 0)
            self._fault(Kind.CHANGED, f"record {before}: the next one names another hash", before)
        if record.get("log") != self._log:
            self._fault(Kind.RECORD, f"record {self.seq}: it is another log's")
        self._check_time(record.get("observed_timestamp"))
        leaf = self._follow(body)
        self._check_tenant(record, leaf)
        if record.get("event_name") == PURGE:
            self._note_purge(record.get("fields"))
        self._unreadable = False
        return True

    def _note_purge(self, fields: object) -> None:
        """Keep what the record before the next one announces."""
        said = fields if isinstance(fields, dict) else {}
        log, last = said.get("log"), said.get("last")
        if isinstance(log, str) and type(last) is int:
            self.purges.append(AnnouncedPurge(seq=self.seq - 1, log=log, last=last))

    def miss(self, end: int) -> None:
        """Go on with record `end`: those before it are not there."""
        self._fault(Kind.SEQUENCE, f"{span(self.seq, end - 1)}: missing", self.seq, end - 1)
        self._skip_to(end)

    def _follow(self, body: bytes) -> str:
        """Take a line into the chain, whatever it is, and return its leaf."""
        leaf = leaf_hash(body)
        if self.tree is not None:
            self.tree.append(leaf)
        self._last = encode_hash(leaf)
        self.seq += 1
        return self._last

    def _misplaced(self, seq: object) -> bool:
        """Tell of a record with another number than it should have; return whether the log goes on with it."""
        if type(seq) is not int or seq < 0:
            self._fault(Kind.SEQUENCE, f"record {self.seq}: it has no number")
            return False
        if self._unreadable and seq == self.seq - 1:  # what could not be read was put in, and no record
            self._skip_to(seq)
            return True
        self._fault(Kind.SEQUENCE, f"record {self.seq}: record {seq} stands in its place")
        if seq < self.seq:
            return False
        self._skip_to(seq)
        return True

    def _skip_to(self, seq: int) -> None:
        self.seq, self.tree, self._last = seq, None, None
        self._lose_tenants()

    def _lose_tenants(self) -> None:
        """Forget where each tenant's part goes on: a record that is missing or unreadable was somebody's."""
        self.tenants.clear()
        self.whole = False

    def _check_time(self, time: object) -> None:
        if not isinstance(time, str) or not _TIME.fullmatch(time):
            self._fault(Kind.TIME, f"record {self.seq}: its time is none")
        elif time < self.time:
            self._fault(Kind.TIME, f"record {self.seq}: its time is before that of the record before it")
        else:
            self.time = time

    def _check_tenant(self, record: dict[str, object], leaf: str) -> None:
        """Check the part of the record's tenant; the record is taken already."""
        tenant, seq = record.get("tenant"), record.get("tenant_seq")
        if not isinstance(tenant, str) or type(seq) is not int:
            self._fault(Kind.TENANT, f"record {self.seq - 1}: it has no tenant", self.seq - 1)
            self._lose_tenants()
            return
        before = self.tenants.get(tenant) or (_FIRST if self.whole else None)
        if before is not None and (seq != before[0] + 1 or record.get("tenant_prev_hash") != before[1]):
            words = f"record {self.seq - 1}: it does not follow record {before[0]} of its tenant"
            if before is _FIRST:
                words = f"record {self.seq - 1}: it is said not to be the first of its tenant"
            self._fault(Kind.TENANT, words, self.seq - 1)
        self.tenants[tenant] = (seq, leaf)

    def _fault(self, kind: Kind, words: str, first: int | None = None, last: int | None = None) -> None:
        self.faults += 1
        first = self.seq if first is None else first
        self._report(
            Finding(kind=kind, log=self._log, words=words, first=first, last=first if last is None else last)
        )
