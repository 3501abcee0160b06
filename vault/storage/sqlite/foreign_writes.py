# SPDX-License-Identifier: EUPL-1.2
"""Whether anything but SQLite wrote to the files under their own names: `cp BACKUP DATABASE`, a journal that was cut.

SQLite writes to the database only in a checkpoint, and the index of the journal says how far each has come: before its
first write up to where it means to come, and behind the last one that it is there. So a database that has another time or
size, while all that was begun is done and nothing was since, was written to by something else. The journal is at
least as long as the index says, and begins with the salts that the index has.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from vault.storage.sqlite.journal_index import Index, JournalState
from vault.values.times import Nanos

_SALTS: Final = 16
"""Where in a journal they are."""


class _SettledState(NamedTuple):
    """The database while no checkpoint was under way."""

    salts: bytes
    done: int
    nanos: Nanos
    size: int


class ForeignWrites:
    """What was last seen of the files that a storage has open."""

    def __init__(self, index: Index, journal: str) -> None:
        """Raises `OSError`."""
        self._index = index
        self._journal = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
        self._settled: _SettledState | None = None

    def state(self) -> JournalState | None:
        """Return what the index says, to be asked before the other files are looked at; None where it cannot tell now."""
        return self._index.state()

    def to_database(self, before: JournalState | None, found: os.stat_result) -> bool:
        """Tell whether something else wrote to the database, from how it was found behind `before`."""
        after = self._index.state()
        if before is None or after is None or not before.done == before.begun == after.begun == after.done:
            return False
        if before.salts != after.salts:
            return False
        seen = _SettledState(before.salts, before.done, Nanos(found.st_mtime_ns), found.st_size)
        known, self._settled = self._settled, seen
        return known is not None and known[:2] == seen[:2] and known != seen

    def to_journal(self, before: JournalState | None, found: os.stat_result) -> bool:
        """Tell whether something else wrote to the journal, or cut it."""
        if before is None or not before.frames:
            return False
        salts = os.pread(self._journal, len(before.salts), _SALTS)
        if self._index.state() != before:  # it may have been begun anew
            return False
        return found.st_size < before.size or salts != before.salts

    def close(self) -> None:
        """Look no more."""
        os.close(self._journal)
