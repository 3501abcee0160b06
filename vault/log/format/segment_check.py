# SPDX-License-Identifier: EUPL-1.2
"""Checks one segment: its lines as records, and that its manifest says what it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from vault.log.format.canonical import LONGEST_RECORD
from vault.log.format.finding import Finding, Kind
from vault.log.format.record_check import RecordCheck, Report
from vault.log.format.segment import BadSegment, Manifest, Segment
from vault.log.format.tree import encode_hash

MOST_FAULTS: Final = 1000
"""Faults of the records of one segment after which no more of it is read. What has none can't be compressed much, as it has hashes."""


class SegmentCheck:
    """One segment of a log. `run` reads it once, and counts what its manifest is to say."""

    def __init__(self, segment: Segment, records: RecordCheck, report: Report, *, newest: bool) -> None:
        """`newest` tells that no other segment follows, so that its last line may be torn."""
        self._segment, self._records, self._report, self._newest = segment, records, report, newest
        self._log = segment.folder.name
        self._ended = True
        """Whether the file was read to its end."""

    def run(self, taken: Callable[[], None]) -> None:
        """Check all of it; `taken` is called after each record."""
        manifest = self._manifest()
        places = {} if manifest is None else {seq: place for seq, _, place in manifest.members}
        records, digest, size, begins = self._records, sha256(), 0, ""
        starts: dict[int, _Start] = {}
        most = records.faults + MOST_FAULTS
        for line in self._lines():
            if records.seq in places and places[records.seq] == size:
                starts[records.seq] = _Start(len(line), sha256(line).digest())
            digest.update(line)
            size += len(line)
            if records.take(line[:-1]):
                taken()
            begins = begins or records.time
            if records.faults > most:
                self._give_up()
                break
        if manifest is not None and self._ended:
            found = _Content(digest.hexdigest(), size, begins, starts)
            self._compare(manifest, found)

    def _lines(self) -> Iterator[bytes]:
        """Yield the whole lines; tell of what comes after them."""
        try:
            for line in self._segment.lines():
                if not line.endswith(b"\n"):
                    self._tell_tail(line)
                    return
                yield line
        except BadSegment as failure:
            self._ended = False
            self._report(
                Finding(kind=Kind.SEGMENT, log=self._log, words=str(failure), first=self._records.seq)
            )

    def _give_up(self) -> None:
        """Tell that the rest of the segment is not looked at."""
        self._ended = False
        words = (
            f"segment {self._segment.first} has more than {MOST_FAULTS} faults, and what follows is not read"
        )
        self._report(Finding(kind=Kind.SEGMENT, log=self._log, words=words, first=self._records.seq))

    def _tell_tail(self, tail: bytes) -> None:
        seq = self._records.seq
        kind, words = Kind.RECORD, f"record {seq}: its line has no end"
        if len(tail) > LONGEST_RECORD:
            words = f"record {seq}: it has more than {LONGEST_RECORD} bytes, and nothing after it is read"
        elif self._newest:
            kind, words = (
                Kind.TORN,
                f"record {seq}: its line has no end, as after a crash; it was never answered for",
            )
        self._report(Finding(kind=kind, log=self._log, words=words, first=seq, last=seq))

    def _manifest(self) -> Manifest | None:
        if not self._segment.closed:
            return None
        try:
            return self._segment.manifest()
        except BadSegment as failure:
            self._report(
                Finding(kind=Kind.MANIFEST, log=self._log, words=str(failure), first=self._segment.first)
            )
            return None

    def _compare(self, manifest: Manifest, found: _Content) -> None:
        records = self._records
        pairs: list[tuple[str, object, object]] = [
            ("digest", manifest.sha256, found.digest),
            ("size", manifest.size, found.size),
            ("last record", manifest.last, records.seq - 1),
            ("first time", manifest.begins, found.begins),
            ("last time", manifest.ends, records.time),
        ]
        if records.tree is not None:
            pairs.append(("root", manifest.root, encode_hash(records.tree.root())))
        if records.whole:
            pairs.append(("end of tenants' parts", manifest.tenants, records.tenants))
        wrong = [what for what, said, is_so in pairs if said != is_so]
        if not all(self._is_member(seq, offset, found.starts) for seq, offset, _ in manifest.members):
            wrong.append("place of records")
        if wrong:
            first = self._segment.first
            words = f"the manifest of segment {first} says another {', '.join(wrong)}"
            self._report(
                Finding(kind=Kind.MANIFEST, log=self._log, words=words, first=first, last=records.seq - 1)
            )

    def _is_member(self, seq: int, offset: int, starts: Mapping[int, _Start]) -> bool:
        """Whether a record can be read alone, where the manifest says."""
        start = starts.get(seq)
        if start is None:
            return False
        try:
            return sha256(self._segment.member(offset, most=start.size)).digest() == start.digest
        except BadSegment:
            return False


class _Start(NamedTuple):
    """The line with which a member begins: its bytes, and their hash."""

    size: int
    digest: bytes


class _Content(NamedTuple):
    """What a segment has. `starts` are the lines with which members begin, by the number of the record."""

    digest: str
    size: int
    begins: str
    starts: Mapping[int, _Start]
