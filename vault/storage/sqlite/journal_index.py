# SPDX-License-Identifier: EUPL-1.2
"""What SQLite itself looks at to find out whether anything was committed: the head of its journal's index.

Every connection maps `DB-shm`. A COMMIT ends with writing the head of that index anew: a counter of changes, the last
frame, checksums and salts (<https://www.sqlite.org/walformat.html>, section 2). A read begins with comparing it with the
head that was there before. So do we, for a hundredth of what a statement costs: as long as these bytes are the same,
whoever asks SQLite learns nothing new.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, cast

from vault.storage.protocol import StorageFailure

_HEAD: Final = 48
"""Bytes of the head; a copy of it follows, which is written first."""
_COUNT: Final = slice(8, 12)
"""Where in the head the number of commits is, in the machine's own byte order."""

SMALLEST: Final = 1 << 15
"""Bytes of the smallest index: SQLite never makes it shorter, and reading what was cut off ends the process."""
_STATE: Final = struct.Struct("=14xHI12x8s56xI28xI")
"""Both copies of the head, and what checkpoints leave behind them: page size, frames, salts; pages brought in, and meant to."""
_WHOLE_PAGE: Final = 1
"""Stands for a page size of 65,536, which does not fit."""
_FRAME_HEAD: Final = 24
_JOURNAL_HEAD: Final = 32


class JournalState(NamedTuple):
    """How much is in the journal, and how much of that is in the database too."""

    page_size: int
    frames: int
    salts: bytes
    """What a journal begins with, after 16 bytes; another one each time that it is begun anew."""
    done: int
    """Frames up to which the database has everything."""
    begun: int
    """Up to which it may have some: more than `done` while a checkpoint runs, and after one that was cut off."""

    @property
    def size(self) -> int:
        """The least bytes that the journal has."""
        page = 1 << 16 if self.page_size == _WHOLE_PAGE else self.page_size
        return self.frames and _JOURNAL_HEAD + self.frames * (_FRAME_HEAD + page)


class _MappedIndex:
    """One index in memory, and how many storages of this process look at it."""

    def __init__(self, name: str) -> None:
        self.users = 0
        self.file = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.memory = mmap.mmap(self.file, mmap.PAGESIZE, access=mmap.ACCESS_READ)
        except BaseException:
            os.close(self.file)
            raise

    def close(self) -> None:
        self.memory.close()
        os.close(self.file)


_mapped: Final[dict[tuple[int, int], _MappedIndex]] = {}
"""By device and inode. A process that closes any descriptor of a file loses all its locks on it, SQLite's too: so there is
one for all storages of this process, and it is closed behind the last of them."""
_changing: Final = threading.Lock()


def one_commit_between(before: bytes, after: bytes) -> bool:
    """Whether exactly one transaction was committed between two heads."""
    if not before or not after:
        return False
    first, last = (int.from_bytes(head[_COUNT], sys.byteorder) for head in (before, after))
    return last == (first + 1) & 0xFFFF_FFFF


def is_open(database: Path) -> bool:
    """Whether a storage of this process looks at the database; then no file of it may be opened and closed again."""
    try:
        found = os.stat(f"{os.path.realpath(database)}-shm")
    except OSError:
        return False
    with _changing:
        return (found.st_dev, found.st_ino) in _mapped


class Index:
    """The index of one database's journal, which a connection has open already."""

    def __init__(self, database: Path) -> None:
        """Raises `StorageFailure`."""
        name = f"{os.path.realpath(database)}-shm"
        try:
            with _changing:
                found = os.stat(name)
                self._place = (found.st_dev, found.st_ino)
                mapped = _mapped.get(self._place) or _mapped.setdefault(self._place, _MappedIndex(name))
                mapped.users += 1
        except (OSError, ValueError) as error:
            raise StorageFailure(f"storage {name}: it cannot be looked at: {error}") from error
        self.head = cast("Callable[[], bytes]", partial(mapped.memory.__getitem__, slice(0, _HEAD)))
        """Returns the head as it is. There is none to return once it is closed."""
        self._memory = mapped.memory
        self._open = True

    def state(self) -> JournalState | None:
        """Return what it says of the journal; None while it is being written."""
        memory = self._memory
        if memory[:_HEAD] != memory[_HEAD : 2 * _HEAD]:
            return None
        return JournalState(*_STATE.unpack_from(memory))

    def close(self) -> None:
        """Look no more; only once every connection of the storage is closed."""
        if not self._open:
            return
        self._open = False
        self.head = bytes
        with _changing:
            mapped = _mapped[self._place]
            mapped.users -= 1
            if not mapped.users:
                del _mapped[self._place]
                mapped.close()
