# SPDX-License-Identifier: EUPL-1.2
"""Writes one log: appends to its open segment, and begins the next one when that is large or old.

A whole segment is closed, compressed and indexed by the log reader, another process. What is here is on the way of
every request: a write to memory of the operating system, and once a second the writing to disk, in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import Final

import msgspec

from vault.log.chain import Chain, Position
from vault.log.format.files import append_whole, replace_file, rewrite, sync_folder
from vault.log.format.segment import SEGMENT, STATE, Segment

_FULL: Final = {errno.ENOSPC: "the disk is full; free space", errno.EDQUOT: "a quota is reached; raise it"}
_SEQ: Final = b'","seq":'
"""What is before a record's number. Within a value each quotation mark has a backslash before it, so it is found nowhere else."""


class LogFailure(Exception):
    """The log did not take a record; the message says why and how to mend it."""


def follows(line: bytes, seq: int) -> bool:
    """Whether a line is record number `seq`."""
    start = line.find(_SEQ) + len(_SEQ)
    digits = b"%d," % seq
    return line[start : start + len(digits)] == digits


class LogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When a segment ends: after so many bytes, or so many seconds."""

    segment_bytes: int = 64 << 20
    segment_seconds: float = 86_400


class LogWriter:
    """The file of one log. It takes whole records that its chain has made, in their order, and nothing else."""

    prompt: Final = True
    """A local append goes to memory; see `vault.audit.device.AuditDevice`."""

    def __init__(self, folder: Path, chain: Chain, limits: LogLimits, lock: int) -> None:
        """`folder` is the log's own; `lock` is the descriptor of its locked file, which is held until the end.

        Call `begin` before the first write.
        """
        self.folder, self.chain = folder, chain
        self._limits, self._lock = limits, lock
        self._fd = -1
        self._size, self._ends = 0, 0.0
        self._first = 0
        self._unsynced = set[int]()
        """Segments that may not be on the disk, the open one among them, by their first record."""
        self._doubtful = False
        """Whether the last try to have them there failed."""
        self._positions: dict[int, Position] = {}
        """Where segments begin, by their first record, until that is stored."""
        self._syncing = threading.Lock()

    @property
    def segment(self) -> int:
        """The number of the first record of the open segment."""
        return self._first

    def begin(self, first: int, size: int, now: float) -> None:
        """Go on with the segment that begins with record `first` and has `size` bytes, or begin it. Raises `OSError`."""
        path = Segment(self.folder, first).path(SEGMENT)
        if not path.exists():
            self.begins(first)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.ftruncate(fd, size)  # a torn last line was never answered for
        if self._fd >= 0:
            os.close(self._fd)
        self.note_unsynced(first)
        self._fd, self._first, self._size = fd, first, size
        self._ends = now + self._limits.segment_seconds

    def note_unsynced(self, first: int) -> None:
        """Note that a segment may not be on the disk: who wrote it may have ended before."""
        self._unsynced.add(first)

    def begins(self, first: int) -> None:
        """Note that a segment begins with record `first`, where the chain is now: it is stored by the next `sync`.

        Until then a start reads the segment before it too, which is not closed as long.
        """
        self._positions[first] = self.chain.position()

    def write(self, line: bytes, now: float) -> None:
        """Append records that the chain has made, one or several. Raises `LogFailure`, and then none is in the file.

        A failure takes back all that the chain has and the file has not: whoever made a record meanwhile is refused too.
        """
        chain = self.chain
        count = chain.count_in(line)
        if not count or not follows(line, chain.written):
            chain.take_back()  # what was made and never came here must not keep out all that follows
            raise LogFailure("the log did not take the record before this one")
        try:
            if self._size >= self._limits.segment_bytes or now >= self._ends:
                self.begin(chain.written, 0, now)
            append_whole(self._fd, line)
        except OSError as error:
            chain.take_back()
            fix = _FULL.get(error.errno or 0, f"{error.strerror}; see that its folder is there and writable")
            raise LogFailure(f"the log cannot be written: {fix}") from error
        self._size += len(line)
        chain.wrote(count)

    def end_segment(self, now: float) -> None:
        """Begin another segment, unless the open one has no record: it may be long before another record comes.

        Raises `OSError`, and then the next record begins it. It can be closed after the next `sync`.
        """
        first = self.chain.written
        if first > self._first:
            self._ends = float("-inf")
            self.begin(first, 0, now)

    def sync(self) -> None:
        """Have all on the disk that is written by now: records, names of segments, and then where segments begin.

        One call after another: what one of them has to wait for, the next one may not leave out. What could not be
        synced is tried again with the next. It blocks. Raises `OSError`.
        """
        with self._syncing:
            newest = self._first  # the open segment, or one that has ended since
            for first in sorted(self._unsynced):
                self._sync_segment(first)
                if first < newest:
                    self._unsynced.discard(first)
            self._doubtful = False
            sync_folder(self.folder)
            # A start that finds a position reads nothing before it: so it comes behind that.
            begun = [first for first in self._positions.copy() if first <= newest]
            for first in begun:
                replace_file(
                    Segment(self.folder, first).path(STATE), b"".join(self._positions[first].encode())
                )
                del self._positions[first]
            if begun:
                sync_folder(self.folder)

    def _sync_segment(self, first: int) -> None:
        fd = os.open(Segment(self.folder, first).path(SEGMENT), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if self._doubtful:
                size, whole = self._size, os.fstat(fd).st_size
                rewrite(fd, whole if first != self._first else min(size, whole))
            os.fsync(fd)
        except OSError:
            self._doubtful = True
            raise
        finally:
            os.close(fd)

    def reopen(self) -> None:
        """Do nothing: segments end by themselves, and nobody else moves them."""

    def close(self) -> None:
        """Release the file and the log."""
        with contextlib.suppress(OSError):  # the next start reads more
            self.sync()
        descriptors = [self._fd, self._lock]
        self._fd, self._lock = -1, -1
        for fd in descriptors:
            if fd >= 0:
                with contextlib.suppress(OSError):  # it is closed even so
                    os.close(fd)
