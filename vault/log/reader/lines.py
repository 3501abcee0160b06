# SPDX-License-Identifier: EUPL-1.2
"""Reads lines of segments, open or closed, by where they are in the uncompressed file."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from vault.log.format.canonical import LONGEST_RECORD
from vault.log.format.segment import (
    CHECKPOINTS,
    MANIFEST,
    SEGMENT,
    BadSegment,
    Manifest,
    Segment,
    read_checkpoints,
)

LONGEST_LINE: Final = LONGEST_RECORD + 1
"""Bytes of the longest line, with its newline."""
_OPEN_FILES: Final = 64
_KEPT_MANIFESTS: Final = 64
_KEPT_BYTES: Final = 8 << 20
"""Bytes of uncompressed members that are kept."""
_NOTES_BYTES: Final = 256 << 10
_NAME: Final = re.compile(r"([0-9]{20})\.(jsonl|manifest)")


class SegmentGone(Exception):
    """A segment is not there: it was purged."""


def segments_in(folder: Path) -> dict[int, bool]:
    """Return the segments of a log by their first records, in order, and whether each is closed."""
    found: dict[int, bool] = {}
    for name in os.listdir(folder):
        parts = _NAME.fullmatch(name)
        if parts is not None:
            first = int(parts[1])
            found[first] = found.get(first, False) or parts[2] == "manifest"
    return dict(sorted(found.items()))


def read_manifest(folder: Path, first: int) -> Manifest:
    """Return the manifest of a closed segment. Raises `SegmentGone`, `BadSegment`."""
    segment = Segment(folder, first)
    try:
        return segment.manifest()
    except BadSegment:
        if segment.closed:
            raise
        raise SegmentGone(f"segment {first} is not there") from None


class BriefManifest(msgspec.Struct, frozen=True):
    """What identifies a closed segment: a start reads that of each, and the rest of one."""

    first: int
    last: int
    sha256: str


_brief: Final = msgspec.json.Decoder(BriefManifest).decode


def read_brief_manifest(folder: Path, first: int) -> BriefManifest | None:
    """Return what identifies a closed segment; None where its manifest cannot be read."""
    try:
        found = _brief(Segment(folder, first).path(MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if found.first == first else None


def newest_notes(folder: Path, first: int) -> Iterator[str]:
    """Yield the last notes that were signed while a segment was open, the newest first, as many as a few hundred."""
    try:
        with Segment(folder, first).path(CHECKPOINTS).open("rb") as file:
            if file.seek(0, os.SEEK_END) > _NOTES_BYTES:
                file.seek(-_NOTES_BYTES, os.SEEK_END)
                file.readline()
            else:
                file.seek(0)
            found = [stored.note for stored in read_checkpoints(file)]
    except FileNotFoundError:
        return
    yield from reversed(found)


class Lines:
    """The segments of all logs below a folder. One thread uses it."""

    def __init__(self, folder: Path, *, files: int = _OPEN_FILES, kept_bytes: int = _KEPT_BYTES) -> None:
        """Keep so many files open, and so many bytes of uncompressed members."""
        self._folder = folder
        self._files: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._manifests: OrderedDict[tuple[str, int], Manifest] = OrderedDict()
        self._members: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._kept, self._most_kept, self._most_files = 0, kept_bytes, files

    def read(self, log: str, segment: int, *, begin: int, end: int) -> bytes:
        """Return what is between two places of a segment. Raises `SegmentGone`, `BadSegment`.

        It may be less where the segment is open and ends before.
        """
        file = self._file(log, segment)
        if file >= 0:
            return os.pread(file, end - begin, begin)
        found = self._from(log, segment, begin)
        at = begin + len(found)
        while found and at < end:
            more = self._from(log, segment, at)
            if not more:
                break
            found, at = found + more, at + len(more)
        return found[: end - begin]

    def following(self, log: str, segment: int, *, begin: int, most: int) -> list[bytes]:
        """Return whole lines from a place on, without newlines: about `most` bytes, none where there is no whole one yet.

        Raises `SegmentGone`, `BadSegment`: also for a line that is longer than any may be.
        """
        file = self._file(log, segment)
        if file >= 0:
            found = os.pread(file, max(most, LONGEST_LINE + 1), begin)
        else:
            found = self._from(log, segment, begin)
        lines = found.split(b"\n")
        torn = lines.pop()
        if not lines and (len(torn) >= LONGEST_LINE or (torn and file < 0)):
            raise BadSegment("a line has no end")
        return lines

    def size(self, log: str, segment: int) -> int:
        """Return how many bytes a segment has, uncompressed. Raises `SegmentGone`, `BadSegment`."""
        file = self._file(log, segment)
        return os.fstat(file).st_size if file >= 0 else self.manifest(log, segment).size

    def manifest(self, log: str, segment: int) -> Manifest:
        """Return the manifest of a closed segment. Raises `SegmentGone`, `BadSegment`."""
        key = log, segment
        found = self._manifests.pop(key, None) or read_manifest(self._folder / log, segment)
        self._manifests[key] = found
        if len(self._manifests) > _KEPT_MANIFESTS:
            self._manifests.popitem(last=False)
        return found

    def forget(self, log: str, segment: int) -> None:
        """Keep nothing of a segment: it was closed, or purged."""
        file = self._files.pop((log, segment), -1)
        if file >= 0:
            os.close(file)
        self._manifests.pop((log, segment), None)
        for key in [key for key in self._members if key[:2] == (log, segment)]:
            self._kept -= len(self._members.pop(key))

    def close(self) -> None:
        """Close all files."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _file(self, log: str, segment: int) -> int:
        """Return the descriptor of an open segment, -1 where it is closed."""
        key = log, segment
        file = self._files.get(key, -1)
        if file >= 0:
            self._files.move_to_end(key)
            return file
        try:
            path = Segment(self._folder / log, segment).path(SEGMENT)
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return -1
        self._files[key] = file
        if len(self._files) > self._most_files:
            os.close(self._files.popitem(last=False)[1])
        return file

    def _from(self, log: str, segment: int, begin: int) -> bytes:
        """Return what is from a place of a closed segment to the end of the member that has it."""
        manifest = self.manifest(log, segment)
        if begin >= manifest.size:
            return b""
        number = bisect_right(manifest.members, begin, key=lambda member: member[2]) - 1
        return self._member(log, manifest, number)[begin - manifest.members[number][2] :]

    def _member(self, log: str, manifest: Manifest, number: int) -> bytes:
        key = log, manifest.first, number
        found = self._members.pop(key, None)
        if found is None:
            found = self._read_member(Segment(self._folder / log, manifest.first), manifest, number)
            self._kept += len(found)
        self._members[key] = found
        while self._kept > self._most_kept and len(self._members) > 1:
            self._kept -= len(self._members.popitem(last=False)[1])
        return found

    @staticmethod
    def _read_member(segment: Segment, manifest: Manifest, number: int) -> bytes:
        _, place, begin = manifest.members[number]
        end = manifest.members[number + 1][2] if number + 1 < len(manifest.members) else manifest.size
        try:
            found = segment.member(place)
        except BadSegment:
            if segment.closed:
                raise
            raise SegmentGone(f"segment {manifest.first} is gone") from None
        if len(found) != end - begin:
            raise BadSegment(f"segment {manifest.first} has another length than its manifest says")
        return found
