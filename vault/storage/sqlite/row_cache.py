# SPDX-License-Identifier: EUPL-1.2
"""Rows that were read and are still true: what tells is the database itself.

Every commit leaves a number in it that no other commit has, its stamp, and every statement returns the stamp of what it
saw. As long as that is the same, every row is as it was. It does not matter who changed the file: another process, or
somebody who put a backup in its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from typing import Final, NamedTuple

from vault.storage.order import all_folders
from vault.storage.sqlite.journal_index import one_commit_between

Look = tuple[str, str, int]
"""A way to look below a prefix: `list` or `scan`, behind which name, and how many names at most."""

_MOST: Final = 4096
"""Rows that are kept."""
_FEW: Final = 16
"""Prefixes that a row is compared with one by one."""
_LONGEST: Final = 4096
"""Bytes of the longest of them, its path included."""


class Point(NamedTuple):
    """A state of the database: its epoch, and the stamp of the last commit."""

    epoch: int
    stamp: int


class _ExpectedCommit(NamedTuple):
    """A commit of this process that is under way: the stamp before and behind it, what it writes, if it moves the epoch.

    `head` is that of the journal's index while this process holds the lock and has not committed yet.
    """

    head: bytes
    before: int
    after: int
    rows: Mapping[str, bytes | None]
    moves: bool


class Rows:
    """Rows by path, and names below prefixes, all of one state: sealed values, so no secret is kept here.

    They are few and short (SL-71). What this process commits is noted in them, so that they stay; all go when anybody
    else commits anything. The database is asked for its stamp when the head of its journal's index is another one than
    at the last look, and not the one that our own commit left.
    """

    def __init__(self, look: Callable[[], bytes], ask: Callable[[], int]) -> None:
        """`look` returns what changes with every commit, `ask` the stamp of the last one."""
        self._look = look
        self._ask = ask
        self._head = b""
        self._stamp = 0
        self._as_of = Point(0, -1)
        self._kept: OrderedDict[str, bytes | None] = OrderedDict()
        self._listed: OrderedDict[str, tuple[Look, tuple[str, ...]]] = OrderedDict()
        self._expected: _ExpectedCommit | None = None
        self._ours: tuple[bytes, int] | None = None
        self._alone = False
        """Whether no other server can commit until the expected commit has ended."""

    def stamp(self) -> int:
        """Return the stamp of the last commit. Raises `StorageFailure`."""
        head = self._look()
        if head != self._head:
            ours = self._ours
            if ours is not None and ours[0] == head:
                self._stamp = ours[1]  # nothing new is learned by asking
            else:
                self._stamp = self._ask()
            self._head = head  # as it was before: where it changed meanwhile, it is asked again
        return self._stamp

    def find(self, path: str) -> tuple[int, bytes | None] | None:
        """Return epoch and value of the row at `path`, or None to ask the database. Raises `StorageFailure`."""
        head = self._look()
        if head != self._head:
            self._learn(head)
        epoch, as_of = self._as_of
        stamp, kept = self._stamp, self._kept
        if stamp != as_of:
            expected = self._expected
            if expected is None or stamp != expected.after:
                self._clear()
                return None
            if expected.moves or path in expected.rows:
                return None
        return (epoch, kept[path]) if path in kept else None

    def _learn(self, head: bytes) -> None:
        """Find out which commit left this head. Raises `StorageFailure`."""
        expected = self._expected
        if self._alone and expected is not None and one_commit_between(expected.head, head):
            self._head, self._stamp = head, expected.after  # the thread that committed it has not said so yet
        else:
            self.stamp()

    def find_below(self, prefix: str, look: Look) -> tuple[int, tuple[str, ...]] | None:
        """Return epoch and names of what was looked for below `prefix` in this way, or None to ask the database."""
        stamp = self.stamp()
        if stamp != self._as_of.stamp:
            expected = self._expected
            if expected is None or expected.moves or stamp != expected.after:
                return None
        known = self._listed.get(prefix)
        return (self._as_of.epoch, known[1]) if known is not None and known[0] == look else None

    def keep(self, path: str, seen: Point, value: bytes | None) -> None:
        """Remember what a statement found in the state that it saw."""
        if len(path) + len(value or b"") > _LONGEST or not self._holds(seen):
            return
        expected = self._expected
        if expected is not None and path in expected.rows and seen.stamp == expected.after:
            return
        self._kept[path] = value
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def keep_below(self, prefix: str, look: Look, seen: Point, names: Sequence[str]) -> None:
        """Remember what lies below `prefix`, as `keep`."""
        if len(prefix) + sum(map(len, names)) > _LONGEST or not self._holds(seen):
            return
        expected = self._expected
        if expected is not None and any(path.startswith(prefix) for path in expected.rows):
            return
        self._listed[prefix] = (look, tuple(names))
        if len(self._listed) > _MOST:
            self._listed.popitem(last=False)

    def _holds(self, seen: Point) -> bool:
        """Whether what is kept is of this state; all goes where it is of another."""
        if seen.stamp == self._as_of.stamp:
            return True
        expected = self._expected
        if expected is not None and seen.stamp == expected.after:
            return not expected.moves
        self._clear()
        self._as_of, self._expected = seen, None
        return True

    def _clear(self) -> None:
        self._kept.clear()
        self._listed.clear()

    def expect(self, rows: Mapping[str, bytes | None], before: int, after: int, *, moves: bool) -> None:
        """Say that this process is about to commit these rows, and holds SQLite's write lock.

        `before` is the stamp of what they are committed to, `after` the one that they get. Until `end`, what is not among
        them is as it was. A commit that `moves` the epoch can be seen meanwhile by somebody else, and nothing older may
        be answered then: once its stamp is there, SQLite is asked.
        """
        if before != self._as_of.stamp:
            return
        self._ours = None
        self._expected = _ExpectedCommit(self._look(), before, after, rows, moves)
        if self._listed and self._touch_listed(rows):
            for folder in all_folders(rows):
                self._listed.pop(folder, None)

    def _touch_listed(self, rows: Mapping[str, bytes | None]) -> bool:
        """Whether any row may be below a listed prefix: where few are listed, that is asked faster than all folders named."""
        listed = self._listed
        return len(listed) > _FEW or any(map(methodcaller("startswith", tuple(listed)), rows))

    def expect_no_other(self) -> None:
        """Say that no other server commits until `end`: then the next commit is the expected one.

        Where that fails on a broken disk and somebody else who is no server commits within milliseconds, what is kept
        counts for these.
        """
        self._alone = True

    def committed(self) -> None:
        """Say, in whichever thread, that what was expected is committed; whoever looks before that asks the database.

        The head that our commit left is noted whole: its count alone begins anew when SQLite makes the index again
        after a crash, and then comes to the same number by commits of others.
        """
        expected, head = self._expected, self._look()
        if expected is not None and one_commit_between(expected.head, head):
            self._ours = (head, expected.after)

    def end(self, *, kept: bool, epoch: int = 0) -> None:
        """Note what was committed, if it was, and the `epoch` that it moved to, if it did."""
        expected, self._expected, self._alone = self._expected, None, False
        if not kept:
            self._head = b""  # whose commit was seen, if any was, is to be asked
        if not kept or expected is None or self._as_of.stamp != expected.before:
            return
        self._as_of = Point(epoch if expected.moves else self._as_of.epoch, expected.after)
        for path, value in expected.rows.items():
            if path in self._kept:
                del self._kept[path]
                if len(path) + len(value or b"") <= _LONGEST:
                    self._kept[path] = value

    def forget(self) -> None:
        """Remember nothing: the database is closed."""
        self._as_of, self._expected, self._ours, self._head = Point(0, -1), None, None, b""
        self._look = bytes
        self._clear()
