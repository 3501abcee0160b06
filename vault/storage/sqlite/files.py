# SPDX-License-Identifier: EUPL-1.2
"""Whether the files that are open are still those with their names.

Somebody may move the database, remove its journal or put another file in the place of either, under a running server.
What is written from then on is in a file that nobody will find. So it is looked before and behind each commit, and once
in a second.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from vault.storage.protocol import StorageFailure, StorageLost

BESIDE: Final = ("-wal", "-shm", "-turn", "-journal")
"""How the names end of files that belong to a database."""
_OPEN: Final = ("-wal", "-shm")
"""What SQLite keeps open beside the database: its journal, and the journal's index."""


class Files:
    """The files of one database, as they were when it was opened. What is wrong with them stays wrong."""

    def __init__(self, database: Path) -> None:
        # The database by the name that it was given; SQLite keeps the others beside what a symbolic link leads to.
        self._names = [str(database), *(f"{os.path.realpath(database)}{end}" for end in _OPEN)]
        self._known: list[tuple[int, int]] = []
        self.problem: StorageLost | None = None

    def remember(self) -> None:
        """Take note of the files that are open, once all of them are. Raises `StorageFailure`."""
        try:
            self._known = [_identity(name) for name in self._names]
        except OSError as error:
            raise StorageFailure(f"storage {error.filename}: {error.strerror}") from error

    def check(self) -> None:
        """Look once. Raises `StorageLost`, from now on each time."""
        self.refuse_lost()
        for name, known in zip(self._names, self._known, strict=False):
            try:
                found = _identity(name)
            except OSError as error:
                self._fail(
                    name,
                    "has no name any more"
                    if isinstance(error, FileNotFoundError)
                    else f"cannot be looked at ({error.strerror})",
                )
            else:
                if found != known:
                    self._fail(name, "was exchanged for another one")

    @property
    def only_journal_gone(self) -> bool:
        """Whether the database is in its place, and nothing is in the place of its journal."""
        try:
            return _identity(self._names[0]) == self._known[0] and not os.path.lexists(self._names[1])
        except OSError:
            return False

    def refuse_lost(self) -> None:
        """Raises `StorageLost` where something was wrong before, without a look."""
        if self.problem is not None:
            raise StorageLost(str(self.problem))

    def check_content(self, found: tuple[int, int], known: tuple[int, int], *, empty: bool) -> None:
        """Compare the program and the schema that the content says it is of. Raises `StorageLost`, as `check`."""
        if found != known:
            of = (
                "an empty one"
                if empty
                else f"schema {found[1]}, this server has {known[1]}"
                if found[0] == known[0]
                else "another program's"
            )
            self._end(
                f"storage {self._names[0]}: its content was replaced by one that this server cannot follow ({of});"
                " nothing more is read or written: stop it, restore a backup if this is not what you want, and start"
                " it again"
            )

    def _fail(self, name: str, what: str) -> None:
        self._end(
            f"storage {name}: the file that this server has open {what}; nothing more is read or"
            " written: stop it, put the files back and start it again"
        )

    def _end(self, problem: str) -> None:
        self.problem = StorageLost(problem)
        raise StorageLost(problem)


def _identity(name: str) -> tuple[int, int]:
    found = os.stat(name)
    return found.st_dev, found.st_ino
