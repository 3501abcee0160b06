# SPDX-License-Identifier: EUPL-1.2
"""Writes one log: appends to its open segment, and begins the next one when that is large or old.

A whole segment is closed, compressed and indexed by the log reader, another process. What is here is on the way of
every request: a write to memory of the operating system, and once a second the writing to disk, in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

import msgspec

from vault.log.chain import Chain

SEGMENT: Final = ".jsonl"
STATE: Final = ".state"
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
        self._ended: list[int] = []
        """Descriptors of segments that ended since the last checkpoint."""

    @property
    def segment(self) -> int:
        """The number of the first record of the open segment."""
        return self._first

    def begin(self, first: int, size: int, now: float) -> None:
        """Go on with the segment that begins with record `first` and has `size` bytes, or begin it. Raises `OSError`."""
        path = self.folder / f"{first:020d}{SEGMENT}"
        if not path.exists():
            self._keep_state(first)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.ftruncate(fd, size)  # a torn last line was never answered for
        if self._fd >= 0:
            self._ended.append(self._fd)
        self._fd, self._first, self._size = fd, first, size
        self._ends = now + self._limits.segment_seconds

    def _keep_state(self, first: int) -> None:
        """Store where the log goes on, so that a start reads the newest segment alone."""
        path = self.folder / f"{first:020d}{STATE}"
        fresh = path.with_suffix(".fresh")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:  # which goes on after a short write
            file.write(msgspec.json.encode(self.chain.written_state()))
            file.flush()
            os.fsync(fd)
        fresh.rename(path)

    def write(self, line: bytes, now: float) -> None:
        """Append records that the chain has made, one or several. Raises `LogFailure`, and then none is in the file.

        A failure takes back all that the chain has and the file has not: whoever made a record meanwhile is refused too.
        """
        chain = self.chain
        if not follows(line, chain.written) or line.count(b"\n") > chain.waiting:
            chain.take_back()  # what was made and never came here must not keep out all that follows
            raise LogFailure("the log did not take the record before this one")
        try:
            if self._size >= self._limits.segment_bytes or now >= self._ends:
                self.begin(chain.written, 0, now)
            written = os.write(self._fd, line)
            if written != len(line):
                self._finish(line, written)
        except OSError as error:
            chain.take_back()
            fix = _FULL.get(error.errno or 0, f"{error.strerror}; see that its folder is there and writable")
            raise LogFailure(f"the log cannot be written: {fix}") from error
        self._size += len(line)
        chain.wrote(line.count(b"\n"))

    def _finish(self, line: bytes, written: int) -> None:
        """Write the rest after a short write; if that fails, cut off what was written of it. Raises `OSError`."""
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise

    def end_segment(self) -> None:
        """Have the next record begin another segment."""
        self._ends = float("-inf")

    def unsynced(self) -> list[int]:
        """Return descriptors of what is written and may not be on the disk yet; who syncs them closes them."""
        ended, self._ended = self._ended, []
        return [*ended, os.dup(self._fd), os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]

    def reopen(self) -> None:
        """Do nothing: segments end by themselves, and nobody else moves them."""

    def close(self) -> None:
        """Release the file and the log."""
        descriptors = [*self._ended, self._fd, self._lock]
        self._ended, self._fd, self._lock = [], -1, -1
        for fd in descriptors:
            if fd >= 0:
                with contextlib.suppress(OSError):  # it is closed even so
                    os.close(fd)
