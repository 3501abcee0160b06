# SPDX-License-Identifier: EUPL-1.2
"""What transactions wrote and SQLite does not know yet: one statement of each kind brings all of it in.

Most transactions read and write a few rows by their paths. What they write is kept here and looked up here, so
it costs no statement, and leaving it out again costs nothing at all.

Long values go in apart from the rest, in a thread, and so does what lies where one was: SQLite has to write or to free each of
its pages.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from operator import methodcaller
from typing import Final

from vault.storage.order import all_folders
from vault.storage.protocol import LONG, Timer
from vault.storage.sqlite.database import Connection

KEPT_CHANGES: Final = 10_000
"""How many changes are kept at least, in whole epochs; a cache that is further behind drops everything."""

_PRUNE_EVERY: Final = 128
"""Pruning looks at all kept changes, so it happens once in so many epochs or changes."""
_HEAVIEST: Final = 4 << 20
"""Weight of rows and timers that wait here at most, and then go to SQLite before the end; and bytes of long rows that share
a commit with no more."""
_WEIGHT: Final = 4 << 10
"""What a row or timer weighs beside its bytes: a thousand wait."""
_LONGEST: Final = 64 << 20
"""Bytes of long rows that do."""

_FEW: Final = 64
"""Rows of which each is looked at, rather than at the folders that they are in."""

_PUT_ANY: Final = (
    "INSERT INTO entry (path, value) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET value = excluded.value"
)
_PUT: Final = f"{_PUT_ANY} WHERE length(entry.value) <= ?"
_DELETE_ANY: Final = "DELETE FROM entry WHERE path = ?"
_DELETE: Final = f"{_DELETE_ANY} AND length(value) <= ?"
_IS_LONG: Final = "SELECT 1 FROM entry WHERE path = ? AND length(value) > ?"
_AT: Final = (
    "INSERT OR REPLACE INTO timer (kind, key, due, claimed_until, attempts) VALUES (?, ?, ?, NULL, ?)"
)
_CANCEL: Final = "DELETE FROM timer WHERE kind = ? AND key = ?"
_STAMP: Final = "UPDATE head SET stamp = ?"
_MOVE_EPOCH: Final = "UPDATE head SET stamp = ?, epoch = epoch + ? RETURNING epoch"
_LONGEST_STEP: Final = 1 << 28
"""Epochs grow by up to so much: two histories share none, and there are enough for centuries."""
_CHANGE: Final = "INSERT INTO change (n, kind, key) VALUES (?, ?, ?)"
_PRUNE: Final = "DELETE FROM change WHERE n <= (SELECT n FROM change ORDER BY n DESC LIMIT 1 OFFSET ?)"


class PendingWrites:
    """Rows by path (None where one is removed), timers by kind and key (None: cancelled), and what became untrue."""

    __slots__ = ("_folders", "_left", "_long_bytes", "_sorted", "_weight", "full", "rows", "timers", "untrue")

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._sorted = 0
        """How many of the rows are in `_folders`."""
        self.rows: dict[str, bytes | None] = {}
        self.timers: dict[tuple[str, str], Timer | None] = {}
        self.untrue: dict[tuple[str, str], None] = {}
        self._left: Sequence[str] = ()
        """Where `end` left something for `end_long`."""
        self._weight = 0
        self._long_bytes = 0
        self.full = False
        """Whether one transaction put more here than should wait in memory."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.rows or self.timers or self.untrue)

    def put(self, path: str, value: bytes) -> None:
        """Note a row's new value."""
        self.rows[path] = value
        length = len(value)
        if length > LONG:
            self._long_bytes += length
            self.full = self.full or self._long_bytes > _LONGEST
        else:
            self._weight += length + _WEIGHT
            if self._weight > _HEAVIEST:
                self.full = True

    def delete(self, path: str) -> None:
        """Note that a row is removed."""
        self.rows[path] = None
        self._weight += _WEIGHT
        if self._weight > _HEAVIEST:
            self.full = True

    def set_timer(self, kind: str, key: str, timer: Timer | None) -> None:
        """Note a timer; None where it is cancelled."""
        self.timers[kind, key] = timer
        self._weight += _WEIGHT
        if self._weight > _HEAVIEST:
            self.full = True

    def touches(self, prefix: str) -> bool:
        """Whether any row is below `prefix`, which is empty or ends in `/`."""
        if len(self.rows) <= _FEW:
            return any(map(methodcaller("startswith", prefix), self.rows))
        all_folders(islice(self.rows, self._sorted, None), self._folders)
        self._sorted = len(self.rows)
        return prefix in self._folders

    def absorb(self, later: PendingWrites) -> bool:
        """Add what a later transaction wrote; return whether nothing more is to wait for the commit of this."""
        self.rows.update(later.rows)
        if later.timers:
            self.timers.update(later.timers)
        if later.untrue:
            self.untrue.update(later.untrue)
        self._weight += later._weight
        self._long_bytes += later._long_bytes
        return self._weight > _HEAVIEST or self._long_bytes > _HEAVIEST

    def apply(self, connection: Connection) -> Callable[[], None] | None:
        """Write rows and timers, and know nothing of them any more. Raises `StorageFailure`: some may be written.

        Returns what writes the long ones, for a thread; None without any.
        """
        rows, timers, long = self.rows, self.timers, self._long_bytes > 0
        self.rows, self.timers = {}, {}
        self._weight, self._long_bytes, self.full = 0, 0, False
        self._folders, self._sorted = set(), 0
        left = _write(connection, rows, timers, long=long)
        return partial(_write_long, connection, rows, left) if left else None

    def end(self, connection: Connection, stamp: int) -> int:
        """Write everything that is left but for long rows, last what became untrue, and the `stamp`.

        It can still be looked up here. Returns the epoch that something became untrue with, else 0. Raises `StorageFailure`.
        """
        self._left = _write(connection, self.rows, self.timers, long=self._long_bytes > 0)
        if not self.untrue:
            connection.run("stamp", _STAMP, (stamp,))
            return 0
        epoch: int
        (epoch,) = connection.row("epoch", _MOVE_EPOCH, (stamp, 1 + secrets.randbelow(_LONGEST_STEP)))
        connection.many("change", _CHANGE, [(epoch, *what) for what in self.untrue])
        if stamp % _PRUNE_EVERY == 0 or len(self.untrue) >= _PRUNE_EVERY:
            connection.run("prune", _PRUNE, (KEPT_CHANGES,))
        return epoch

    def end_long(self, connection: Connection) -> None:
        """Write what `end` left, in a thread. Raises `StorageFailure`."""
        if self._left:
            _write_long(connection, self.rows, self._left)


def _write(
    connection: Connection,
    rows: Mapping[str, bytes | None],
    timers: Mapping[tuple[str, str], Timer | None],
    *,
    long: bool,
) -> Sequence[str]:
    """Write all but what takes long; return where that is: a long value is to be written, or lies there.

    `long` says whether any of the values is long.
    """
    put = [(path, value, LONG) for path, value in rows.items() if value is not None]
    left: list[str] = []
    if long:
        left = [path for path, value, _ in put if len(value) > LONG]
        put = [row for row in put if len(row[1]) <= LONG]
    if connection.many("apply", _PUT, put) < len(put):
        left += _long_ones(connection, [path for path, _, _ in put])
    gone = [(path, LONG) for path, value in rows.items() if value is None]
    if connection.many("apply", _DELETE, gone) < len(gone):
        left += _long_ones(connection, [path for path, _ in gone])
    set_now = [(t.kind, t.key, t.due, t.attempts) for t in timers.values() if t is not None]
    connection.many("apply", _AT, set_now)
    connection.many("apply", _CANCEL, [at for at, timer in timers.items() if timer is None])
    return left


def _long_ones(connection: Connection, paths: Sequence[str]) -> Sequence[str]:
    """Return where a long value lies."""
    return [path for path in paths if connection.rows("apply", _IS_LONG, (path, LONG))]


def _write_long(connection: Connection, rows: Mapping[str, bytes | None], paths: Sequence[str]) -> None:
    connection.many("apply", _PUT_ANY, [(path, rows[path]) for path in paths if rows[path] is not None])
    connection.many("apply", _DELETE_ANY, [(path,) for path in paths if rows[path] is None])
