# SPDX-License-Identifier: EUPL-1.2
"""Whether anything was committed to a file since, without asking SQLite: two counters that processes share.

A committer raises `started` before its COMMIT, while it holds SQLite's write lock, and copies it to
`finished` behind it. As long as both are equal and as they were, every row is as it was. A committer that
dies in between leaves them unequal until the next one has finished: until then nothing is remembered.
"""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Final

from vault.storage.order import all_folders
from vault.storage.protocol import StorageFailure

Look = tuple[str, str, int]
"""A way to look below a prefix: `list` or `scan`, behind which name, and how many names at most."""

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

    def undisturbed(self) -> bool:
        """Whether the COMMIT that ended last is the last one of this process."""
        (started,) = _COUNTER.unpack_from(self._counters)
        return bool(started == self._mine)

    def start(self) -> None:
        """Say that a COMMIT follows. The caller holds SQLite's write lock."""
        (started,) = _COUNTER.unpack_from(self._counters)
        self._mine = started + 1
        _COUNTER.pack_into(self._counters, 0, self._mine)

    def finish(self) -> None:
        """Say that the COMMIT that was announced has ended, whether or not it succeeded."""
        _COUNTER.pack_into(self._counters, _COUNTER.size, self._mine)


class Rows:
    """Rows that were read and are still true, and names below prefixes: sealed values, so no secret is kept here.

    They are few and short (SL-71). What this process commits is noted in them, so that they stay; all go when
    another one commits anything. All are of one epoch: a commit of this process that moves it takes them along.
    """

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._as_of = b""
        self._epoch = 0
        self._kept: OrderedDict[str, bytes | None] = OrderedDict()
        self._listed: OrderedDict[str, tuple[Look, tuple[str, ...]]] = OrderedDict()
        self._expected: Mapping[str, bytes | None] = {}
        self._moves = False
        self._states: tuple[bytes, ...] = ()

    def find(self, path: str) -> tuple[int, bytes | None] | None:
        """Return epoch and value of the row at `path`, or None to ask the database."""
        seen = self._commits.seen()
        if seen == self._as_of:
            return (self._epoch, self._kept[path]) if path in self._kept else None
        if seen in self._states:
            lasts = not self._moves and path not in self._expected and path in self._kept
            return (self._epoch, self._kept[path]) if lasts else None
        self._clear()
        return None

    def find_below(self, prefix: str, look: Look) -> tuple[int, tuple[str, ...]] | None:
        """Return epoch and names of what was looked for below `prefix` in this way, or None to ask the database."""
        seen = self._commits.seen()
        if seen != self._as_of and (self._moves or seen not in self._states):
            return None
        known = self._listed.get(prefix)
        return (self._epoch, known[1]) if known is not None and known[0] == look else None

    def before(self) -> bytes:
        """Return what `keep` wants to know; taken before the statement."""
        return self._commits.seen()

    def keep(self, path: str, row: tuple[int, bytes | None], before: bytes) -> None:
        """Remember what a statement found, unless it may have been changed while it ran."""
        epoch, value = row
        lasts = self._true(before) or (path not in self._expected and self._lasts(before))
        if lasts and len(path) + len(value or b"") <= _LONGEST:
            self._at(epoch)
            self._kept[path] = value
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)

    def keep_below(self, prefix: str, look: Look, found: tuple[int, Sequence[str]], before: bytes) -> None:
        """Remember what lies below `prefix`, as `keep`."""
        epoch, names = found
        lasts = self._true(before) or self._lasts(before)
        changes = any(path.startswith(prefix) for path in self._expected)
        if lasts and not changes and len(prefix) + sum(map(len, names)) <= _LONGEST:
            self._at(epoch)
            self._listed[prefix] = (look, tuple(names))
            if len(self._listed) > _MOST:
                self._listed.popitem(last=False)

    def _true(self, before: bytes) -> bool:
        """Whether what was read since `before` is what is committed now; what was kept earlier goes if it is not."""
        half = _COUNTER.size
        if before in self._states or before[:half] != before[half:] or self._commits.seen() != before:
            return False
        if before != self._as_of:
            self._clear()
            self._as_of = before
        return True

    def _lasts(self, before: bytes) -> bool:
        """Whether nothing but the commit that is expected, which leaves the epoch alone, has happened since `before`."""
        if self._moves:
            return False
        states = (self._as_of, *self._states)
        return bool(self._states) and before in states and self._commits.seen() in states

    def _at(self, epoch: int) -> None:
        """Keep nothing of another epoch."""
        if epoch != self._epoch:
            self._clear()
            self._epoch = epoch

    def _clear(self) -> None:
        self._kept.clear()
        self._listed.clear()

    def expect(self, rows: Mapping[str, bytes | None] | None, *, moves: bool = False) -> None:
        """Say that this process is about to commit these rows, and holds SQLite's write lock; None: others too.

        Until `end`, what is not among them is as it was as long as the counters show nothing but this commit:
        while it runs, or when it has just ended. One that `moves` the epoch can be seen meanwhile by somebody else,
        and nothing older may be answered then: until `end` SQLite is asked.
        """
        seen = self._commits.seen()
        if rows is None or seen != self._as_of:
            return
        (count,) = _COUNTER.unpack_from(seen)
        after = _COUNTER.pack(count + 1)
        self._expected, self._moves = rows, moves
        self._states = (after + seen[_COUNTER.size :], after + after)
        if self._listed:
            for folder in all_folders(rows):
                self._listed.pop(folder, None)

    def end(self, *, kept: bool, epoch: int = 0) -> None:
        """Note what was committed, if it was, and the `epoch` that it moved to, if it did."""
        rows, states, moves = self._expected, self._states, self._moves
        self._expected, self._states, self._moves = {}, (), False
        if not kept or not states or self._commits.seen() != states[1]:
            return
        self._as_of = states[1]
        if moves:
            self._epoch = epoch
        for path, value in rows.items():
            if path in self._kept:
                del self._kept[path]
                if len(path) + len(value or b"") <= _LONGEST:
                    self._kept[path] = value

    def forget(self) -> None:
        """Remember nothing: the database is closed."""
        self._as_of = b""
        self._clear()
