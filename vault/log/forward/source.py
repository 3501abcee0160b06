# SPDX-License-Identifier: EUPL-1.2
"""Reads one log from a place on, batch by batch, whether its segments are open, closed or closed meanwhile."""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_right
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from vault.log.format.checkpoint import BadCheckpoint, parse_checkpoint
from vault.log.format.note import BadNote, parse_note
from vault.log.format.segment import SEGMENT, BadSegment, Manifest, Segment, list_segments
from vault.log.format.tree import EMPTY_ROOT, encode_hash, leaf_hash
from vault.log.forward.batch import Batch, BatchLimits, Head, Place, Record

START: Final = Place(0, 0, 0, encode_hash(EMPTY_ROOT))
"""Where every log begins."""
_CHUNK: Final = 1 << 20
_LONGEST_LINE: Final = 65_536
_CHECKPOINTS: Final = 4096
"""So many of the newest checkpoints are looked at: one a second."""
_head: Final = msgspec.json.Decoder(Head).decode


class RecordsGone(Exception):
    """Records were purged before they were read; the log begins with record `first` now."""

    def __init__(self, first: int) -> None:
        super().__init__(f"the log begins with record {first}")
        self.first = first


class LogChanged(Exception):
    """What follows a place is not what followed it before: the machine fell before it had all on its disk."""


class LogSource:
    """One log. One thread uses it."""

    def __init__(self, folder: Path, log: str) -> None:
        """`folder` is the log folder."""
        self._folder, self.log = folder / log, log
        self._manifest: tuple[int, Manifest] | None = None

    def find(self, seq: int, last: str) -> Place:
        """Return the place before record `seq`; `last` is the hash of the one before it.

        Raises `RecordsGone`, `LogChanged` where the log is shorter, `BadSegment` and `OSError`.
        """
        segments = list_segments(self._folder)
        held = [segment for segment in segments if segment.first <= seq]
        if not held:
            if segments:
                raise RecordsGone(segments[0].first)
            return START if seq == 0 else Place(0, 0, seq, last)
        segment = held[-1]
        place = self._member(segment, seq) if segment.closed else Place(segment.first, 0, segment.first)
        while place.seq < seq:
            found = self._lines(place, seq - place.seq)
            if not found:
                raise LogChanged
            place = Place(place.segment, place.offset + sum(map(len, found)), place.seq + len(found))
        return place._replace(last=last)

    def signed(self, seq: int) -> Place:
        """Return the newest place up to record `seq` that a machine which fell has not lost: that of a checkpoint.

        Raises as `find`, but not `LogChanged`.
        """
        held = [segment for segment in list_segments(self._folder) if segment.first <= seq]
        if not held:
            return START
        first = held[-1].first
        for stored in reversed(deque(held[-1].checkpoints(), _CHECKPOINTS)):
            with contextlib.suppress(BadNote, BadCheckpoint, LogChanged):
                size = parse_checkpoint(parse_note(stored.note.encode()).text).size
                if first <= size <= seq:
                    return self.find(size, "")
        return Place(first, 0, first)

    def read(self, place: Place, limits: BatchLimits) -> Batch | None:
        """Return the records that follow, None where there are none yet.

        Raises `RecordsGone`, `LogChanged`, and `BadSegment` for what is damaged.
        """
        lines = self._lines(place, limits.records, limits.bytes)
        if not lines:
            following = self._following(place)
            if following is None:
                return None
            place = following
            lines = self._lines(place, limits.records, limits.bytes)
        return self._batch(place, lines) if lines else None

    def _following(self, place: Place) -> Place | None:
        """Return the begin of the next segment where this one has ended, and nothing was appended meanwhile."""
        following = Segment(self._folder, place.seq)
        if place.seq == place.segment or not (following.path(SEGMENT).exists() or following.closed):
            if Segment(self._folder, place.segment).closed:
                raise BadSegment(f"records after {place.seq - 1} are missing")
            return None
        return place._replace(segment=place.seq, offset=0)

    def _batch(self, place: Place, lines: list[bytes]) -> Batch:
        records = [self._record(line, place.seq + at) for at, line in enumerate(lines)]
        if place.last and records[0].head.prev_hash != place.last:
            raise LogChanged
        end = Place(
            place.segment,
            place.offset + sum(map(len, lines)),
            place.seq + len(lines),
            encode_hash(leaf_hash(records[-1].line)),
        )
        return Batch(self.log, tuple(records), end)

    def _record(self, line: bytes, seq: int) -> Record:
        try:
            head = _head(line)
        except (msgspec.MsgspecError, ValueError):
            raise BadSegment(f"record {seq} cannot be read") from None
        if (head.log, head.seq) != (self.log, seq):
            raise BadSegment(f"another record is where record {seq} belongs")
        return Record(line[:-1], head)

    def _lines(self, place: Place, records: int, size: int = _CHUNK) -> list[bytes]:
        """Return whole lines from a place on, with their newlines. Raises `RecordsGone`, `BadSegment`."""
        data = self._bytes(Segment(self._folder, place.segment), place, size)
        *lines, rest = data.split(b"\n")
        if not lines and len(rest) > _LONGEST_LINE:
            raise BadSegment(f"a line after record {place.seq - 1} has no end")
        taken: list[bytes] = []
        for line in lines[:records]:
            size -= len(line) + 1
            if taken and size < 0:
                break
            taken.append(line + b"\n")
        return taken

    def _bytes(self, segment: Segment, place: Place, size: int) -> bytes:
        """Return what follows a place in its segment: about `size` bytes, and a whole line at least."""
        try:
            file = os.open(segment.path(SEGMENT), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return self._unpacked(segment, place, size)
        try:
            return os.pread(file, max(size, _LONGEST_LINE + 1), place.offset)
        finally:
            os.close(file)

    def _unpacked(self, segment: Segment, place: Place, size: int) -> bytes:
        if not segment.closed:
            found = [other.first for other in self._segments() if other.first > segment.first]
            if found or place.offset:
                raise RecordsGone(min(found, default=place.seq))
            return b""
        manifest = self._read_manifest(segment)
        number = bisect_right(manifest.members, place.offset, key=lambda member: member[2]) - 1
        begin = manifest.members[number][2]
        parts: list[bytes] = []
        for _, packed, _ in manifest.members[number:]:
            parts.append(segment.member(packed))
            if sum(map(len, parts)) - (place.offset - begin) >= size:
                break
        return b"".join(parts)[place.offset - begin :]

    def _segments(self) -> list[Segment]:
        try:
            return list_segments(self._folder)
        except FileNotFoundError:
            return []

    def _member(self, segment: Segment, seq: int) -> Place:
        manifest = self._read_manifest(segment)
        number = bisect_right(manifest.members, seq, key=lambda member: member[0]) - 1
        first, _, offset = manifest.members[number]
        return Place(segment.first, offset, first)

    def _read_manifest(self, segment: Segment) -> Manifest:
        if self._manifest is None or self._manifest[0] != segment.first:
            self._manifest = segment.first, segment.manifest()
        return self._manifest[1]

    def end(self) -> int:
        """Return how many records the log has. Raises `BadSegment`, `OSError`."""
        segments = list_segments(self._folder)
        if not segments:
            return 0
        newest = segments[-1]
        if newest.closed:
            return self._read_manifest(newest).last + 1
        with newest.path(SEGMENT).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 3 * _LONGEST_LINE))
            data = file.read()
        line = data[: data.rfind(b"\n")].rpartition(b"\n")[2]
        if not line or b"\n" not in data:
            return newest.first
        try:
            return _head(line).seq + 1
        except (msgspec.MsgspecError, ValueError):
            raise BadSegment("the last record cannot be read") from None
