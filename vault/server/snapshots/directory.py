# SPDX-License-Identifier: EUPL-1.2
"""Backups in a directory. Whoever makes one removes before what was left of others, but for what somebody still writes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from vault.server.snapshots.names import Item, begun_at, is_left_over
from vault.storage.copies.atomic_file import flush

_MOST: Final = 100_000
"""Files of a directory that are looked at."""

Make = Callable[[Path], None]
"""Makes a backup of this name. Raises `StorageFailure`; then nothing has the name."""


class Directory:
    """See `Destination`."""

    def __init__(self, schedule: str, folder: Path, mark: str = "") -> None:
        """`mark` is that of the cluster; see `mark_of`."""
        self._schedule, self._folder, self._mark = schedule, folder, mark

    def items(self) -> Sequence[Item]:
        """See `Destination.items`."""
        return [
            Item(found.name, found.stat(follow_symlinks=False).st_size)
            for found in self._files()
            if begun_at(self._schedule, found.name)
        ]

    def clear(self) -> int:
        """See `Destination.clear`."""
        return clear(self._schedule, self._folder, self._mark)

    def put(self, name: str, make: Make) -> int:
        """See `Destination.put`."""
        file = self._folder / name
        make(file)
        return file.stat().st_size

    def remove(self, name: str) -> None:
        """See `Destination.remove`."""
        (self._folder / name).unlink(missing_ok=True)
        flush(self._folder)

    def _files(self) -> list[os.DirEntry[str]]:
        with os.scandir(self._folder) as found:
            return [
                entry
                for _, entry in zip(range(_MOST), found, strict=False)
                if entry.is_file(follow_symlinks=False)
            ]


def clear(schedule: str, folder: Path, mark: str = "") -> int:
    """Remove what was left in a folder of making a cluster's backups, and nobody writes to; return how many pieces it was."""
    with os.scandir(folder) as found:
        names = [entry.name for _, entry in zip(range(_MOST), found, strict=False)]
    return sum(is_left_over(schedule, name, mark=mark) and _removed(folder / name) for name in names)


def _removed(file: Path) -> bool:
    """Remove a file unless somebody holds it, as whoever writes one does, or what it is the journal of."""
    held = Path(f"{file}".removesuffix("-journal"))
    try:
        handle = os.open(
            held if held.exists() else file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
