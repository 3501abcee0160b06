# SPDX-License-Identifier: EUPL-1.2
"""The files of a log: segments that are open or closed, what the manifests of closed ones say, and checkpoints.

A log folder has a folder for each log, and that has files named by the first record of a segment. A segment is closed
by its manifest: before, its records are read from the plain file, then from the compressed one.
"""

from __future__ import annotations

import gzip
import io
import itertools
import os
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from vault.log.format.canonical import LONGEST_RECORD
from vault.log.format.files import open_file
from vault.log.format.note import MOST_BYTES

SEGMENT: Final = ".jsonl"
CLOSED: Final = ".jsonl.gz"
MANIFEST: Final = ".manifest"
CHECKPOINTS: Final = ".checkpoints"
COSIGNED: Final = ".cosigned"
"""Checkpoints with the cosignatures of witnesses: the same as `CHECKPOINTS`, but fewer, and later."""
STATE: Final = ".state"
"""The file in which the writer keeps where a segment begins, until it is closed."""
MEMBER_RECORDS: Final = 256
"""Records that are compressed together, at most, so that one is read without those before it."""

_LOG: Final = re.compile(r"([0-9a-f]{8})-([0-9]{1,9})-([0-9]{1,9})")
_NAME: Final = re.compile(r"([0-9]{20})\.(?:jsonl|manifest)")
_LONGEST_LINE: Final = LONGEST_RECORD + 1
_SHORTEST_LINE: Final = 64
"""Bytes that no record is shorter than: it names the one before by a hash of 44 characters."""
MOST_SHORT_LINES: Final = 1000
"""Lines of a segment that may be shorter. A compressed file of a few kilobytes can have millions."""
_MEMBER_BYTES: Final = MEMBER_RECORDS * _LONGEST_LINE
_MANIFEST_BYTES: Final = 64 << 20
_CHECKPOINT_BYTES: Final = 2 * MOST_BYTES
_GZIP: Final = 31
"""What zlib calls the format of a gzip member."""
_CHUNK: Final = 1 << 16


class BadSegment(Exception):
    """A file of a segment can't be read, or is not what its manifest says; the message says which and why."""


class LogId(msgspec.Struct, frozen=True, order=True):
    """Who wrote a log: a node, one of its workers, and which of its logs it is."""

    node: str
    worker: int
    epoch: int

    @classmethod
    def parse(cls, text: str) -> LogId:
        """Read the name of a log's folder, which ends its origin too. Raises `ValueError`."""
        found = _LOG.fullmatch(text)
        if found is None or str(log := cls(found[1], int(found[2]), int(found[3]))) != text:
            raise ValueError("a log is called <node>-<worker>-<epoch>")
        return log

    def __str__(self) -> str:
        """Write it as folders and records have it."""
        return f"{self.node}-{self.worker}-{self.epoch}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename={"begins": "from", "ends": "to"}):
    """What a closed segment has."""

    first: int
    last: int
    sha256: str
    """Of the uncompressed file, in hexadecimal digits."""
    root: str
    """Of the tree that ends with it, in base64."""
    checkpoint: str
    """The last note that was signed while it was open; empty where none was."""
    size: int
    """Bytes of the uncompressed file."""
    members: tuple[tuple[int, int, int], ...]
    """Of each part that is compressed by itself: its first record, and where it begins compressed and uncompressed."""
    tenants: dict[str, tuple[int, str]]
    """By tenant the number of its last record so far in its own chain, and the leaf of that in base64."""
    begins: str
    """The time of its first record."""
    ends: str
    """The time of its last record."""

    def encode(self) -> bytes:
        """Return the content of the file."""
        return msgspec.json.encode(self, order="sorted")


class StoredCheckpoint(msgspec.Struct, frozen=True):
    """One line of a file of checkpoints: a signed note, and when it was stored, which nobody has signed."""

    note: str
    time: str = ""


class Segment(msgspec.Struct, frozen=True, order=True):
    """Records of one log that follow each other. `folder` is the log's, `first` the number of the first record."""

    folder: Path
    first: int

    def path(self, kind: str) -> Path:
        """Return the path of its file of this kind: `SEGMENT`, `CLOSED`, `MANIFEST`, `CHECKPOINTS`, `COSIGNED` or `STATE`."""
        return self.folder / f"{self.first:020}{kind}"

    @property
    def closed(self) -> bool:
        """Whether there is a manifest, with which nothing of it changes any more."""
        return self.path(MANIFEST).exists()

    def manifest(self) -> Manifest:
        """Return what its manifest says. Raises `BadSegment`, also where there is none."""
        content = _content(self.path(MANIFEST), _MANIFEST_BYTES)
        try:
            found = _MANIFEST.decode(content)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise BadSegment(f"the manifest of segment {self.first} can't be read") from None
        if found.first != self.first or not found.members or found.members[0] != (self.first, 0, 0):
            raise BadSegment(f"the manifest of segment {self.first} is another one's")
        return found

    def lines(self) -> Iterator[bytes]:
        """Yield its lines, each with its newline, from whichever file has them.

        What does not end, or is longer than a record may be, comes last and without a newline. Raises `BadSegment`,
        also after `MOST_SHORT_LINES` that are shorter than any record.
        """
        try:
            with self._open() as file:
                short = 0
                for line in read_lines(file):
                    short += len(line) < _SHORTEST_LINE
                    if short > MOST_SHORT_LINES:
                        raise BadSegment(
                            f"segment {self.first} has too many lines that are too short for a record"
                        )
                    yield line
        except (OSError, EOFError, zlib.error) as failure:
            raise BadSegment(f"segment {self.first} can't be read: {_told(failure)}") from None

    def record(self, seq: int) -> bytes:
        """Return one record, without its newline. Raises `BadSegment`, `LookupError` for one that it does not have."""
        lines = self._from_member(seq) if self.closed else self._from_start(seq)
        line = next(lines, b"")
        if not line.endswith(b"\n"):
            raise LookupError(f"segment {self.first} has no record {seq}")
        return line[:-1]

    def checkpoints(self, kind: str = CHECKPOINTS) -> Iterator[StoredCheckpoint]:
        """Yield the checkpoints that were signed while it was open; with `COSIGNED` those that witnesses have cosigned.

        A torn line is passed over. Raises `BadSegment`.
        """
        try:
            with open_file(self.path(kind)) as file:
                yield from read_checkpoints(file)
        except FileNotFoundError:
            return
        except OSError as failure:
            raise BadSegment(
                f"the checkpoints of segment {self.first} can't be read: {_told(failure)}"
            ) from None

    @contextmanager
    def _open(self) -> Iterator[BinaryIO | gzip.GzipFile]:
        """Open the file that has the records; one that is closed meanwhile is read as it is then."""
        file, packed = None, True
        if not self.closed:
            try:
                file, packed = open_file(self.path(SEGMENT)), False
            except FileNotFoundError:
                if not self.closed:
                    raise
        with file or open_file(self.path(CLOSED)) as found:
            yield gzip.GzipFile(fileobj=found) if packed else found

    def _from_start(self, seq: int) -> Iterator[bytes]:
        if seq < self.first:
            raise LookupError(f"segment {self.first} has no record {seq}")
        return itertools.islice(self.lines(), seq - self.first, None)

    def _from_member(self, seq: int) -> Iterator[bytes]:
        found = self.manifest()
        if not found.first <= seq <= found.last:
            raise LookupError(f"segment {self.first} has no record {seq}")
        first, offset, _ = found.members[bisect_right(found.members, seq, key=lambda member: member[0]) - 1]
        return itertools.islice(read_lines(io.BytesIO(self.member(offset))), seq - first, None)

    def member(self, offset: int, *, most: int = _MEMBER_BYTES) -> bytes:
        """Return the lines that are compressed together at a place of the compressed file: no more than `most` bytes.

        Raises `BadSegment`, also where they are more than records can be.
        """
        unpacker, parts, left = zlib.decompressobj(_GZIP), [], most
        try:
            with open_file(self.path(CLOSED)) as file:
                file.seek(offset)
                while not unpacker.eof and left and (packed := unpacker.unconsumed_tail or file.read(_CHUNK)):
                    parts.append(unpacker.decompress(packed, left))
                    left -= len(parts[-1])
        except (OSError, ValueError, OverflowError, zlib.error) as failure:
            raise BadSegment(f"segment {self.first} can't be read: {_told(failure)}") from None
        if not unpacker.eof and most == _MEMBER_BYTES:
            raise BadSegment(f"segment {self.first} has no whole member where its manifest says")
        return b"".join(parts)


_MANIFEST: Final = msgspec.json.Decoder(Manifest)
_CHECKPOINT: Final = msgspec.json.Decoder(StoredCheckpoint)


def list_logs(folder: Path) -> list[LogId]:
    """Return the logs that have a folder below a log folder, by node, worker and epoch."""
    found = []
    for name in os.listdir(folder):
        try:
            found.append(LogId.parse(name))
        except ValueError:
            continue
    return sorted(found)


def list_segments(folder: Path) -> list[Segment]:
    """Return the segments of one log, in order; `folder` is the log's."""
    names = (_NAME.fullmatch(name) for name in os.listdir(folder))
    return [Segment(folder, first) for first in sorted({int(name[1]) for name in names if name})]


def read_lines(file: io.BufferedIOBase | BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file, each with its newline; one without comes last, whatever follows it."""
    while line := file.readline(_LONGEST_LINE):
        yield line
        if not line.endswith(b"\n"):
            return


def read_checkpoints(file: BinaryIO) -> Iterator[StoredCheckpoint]:
    """Yield the checkpoints of a file, oldest first. What can't be read, as a torn line, is passed over."""
    while line := file.readline(_CHECKPOINT_BYTES):
        try:
            yield _CHECKPOINT.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue


def _content(path: Path, most: int) -> bytes:
    try:
        with open_file(path) as file:
            content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    except OSError as failure:
        raise BadSegment(f"{path.name} can't be read: {_told(failure)}") from None
    if len(content) > most:
        raise BadSegment(f"{path.name} has more than {most} bytes")
    return content


def _told(failure: Exception) -> str:
    strerror = getattr(failure, "strerror", None)
    return strerror or str(failure) or type(failure).__name__
