# SPDX-License-Identifier: EUPL-1.2
"""Whether anything was committed to a file since, without asking SQLite: two counters that processes share.

A committer raises `started` before its COMMIT, while it holds SQLite's write lock, and copies it to
`finished` behind it. As long as both are equal and as they were, every row is as it was. A committer that
dies in between leaves them unequal until the next one has finished: until then nothing is remembered.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from struct import Struct
from typing import Final

from vault.storage.protocol import StorageFailure

_COUNTER: Final = Struct("@Q")
_BYTES: Final = 2 * _COUNTER.size
_MOST: Final = 4096
"""Rows that are kept."""
_LONGEST: Final = 4096
"""Bytes of the longest of them, its path included."""


class Commits:
    """The counters, in the file `<database>-turn`, which every process that writes to the database opens."""

    def __init__(self, database: Path) -> None:
        """Open them. Raises `StorageFailure`."""
        name = f"{database}-turn"
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(handle).st_size < _BYTES:
                    os.ftruncate(handle, _BYTES)
                self._counters = mmap.mmap(handle, _BYTES)
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageFailure(f"storage {name}: it cannot be opened: {error.strerror}") from error
        self._mine = 0

    def seen(self) -> bytes:
        """Return both counters as they are."""
        return self._counters[:_BYTES]

    def start(self) -> None:
        """Say that a COMMIT follows. The caller holds SQLite's write lock."""
        (started,) = _COUNTER.unpack_from(self._counters)
        self._mine = started + 1
        _COUNTER.pack_into(self._counters, 0, self._mine)

    def finish(self) -> None:
        """Say that the COMMIT that was announced has ended, whether or not it succeeded."""
        _COUNTER.pack_into(self._counters, _COUNTER.size, self._mine)


class Rows:
    """Rows that were read and are still true: sealed values only, so no secret is kept here.

    They are few and short (SL-71), and all go when anything is committed.
    """

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._as_of = b""
        self._kept: dict[str, tuple[int, bytes | None]] = {}

    def find(self, path: str) -> tuple[int, bytes | None] | None:
        """Return epoch and value of the row at `path`, or None to ask the database."""
        if self._commits.seen() == self._as_of:
            return self._kept.get(path)
        self._kept.clear()
        return None

    def before(self) -> bytes:
        """Return what `keep` wants to know; taken before the statement."""
        return self._commits.seen()

    def keep(self, path: str, row: tuple[int, bytes | None], before: bytes) -> None:
        """Remember what a statement found, unless a commit was under way while it ran."""
        if before != self._as_of:
            self._kept.clear()
            self._as_of = before
        half = _COUNTER.size
        if before[:half] != before[half:] or self._commits.seen() != before:
            return
        if len(path) + len(row[1] or b"") <= _LONGEST:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[path] = row

    def forget(self) -> None:
        """Remember nothing: the database is closed."""
        self._as_of = b""
        self._kept.clear()
