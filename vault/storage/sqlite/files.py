# SPDX-License-Identifier: EUPL-1.2
"""Whether the files that are open are still those with their names.

Somebody may move the database, remove its journal or put another file in the place of either, under a running server.
What is written from then on is in a file that nobody will find. Or he copies a backup over the database, or cuts the
journal: then the name is the same, and the content a mixture. So it is looked before and behind each commit, and once in a
second.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from vault.storage.protocol import StorageFailure, StorageLost
from vault.storage.sqlite.foreign_writes import ForeignWrites
from vault.storage.sqlite.journal_index import SMALLEST, Index

BESIDE: Final = ("-wal", "-shm", "-turn", "-journal")
"""How the names end of files that belong to a database."""
MARK: Final = "-lost"
"""How the name ends of a file that says that a database is no longer what a server wrote: a restore removes it."""
_OPEN: Final = ("-wal", "-shm")
"""What SQLite keeps open beside the database: its journal, and the journal's index."""


_LOCK: Final = struct.Struct("hhqqi4x")
"""The system's `struct flock`: kind, from where, begin, length, process."""
_DATABASE, _JOURNAL, _INDEX = 0, 1, 2
"""Where each is in the list of names."""
_SHARED: Final = 0x4000_0002, 510
"""Bytes of a database on which whoever reads it has a lock (SQLite file format, 1.3, the lock-byte page): begin, length."""


class Files:
    """The files of one database, as they were when it was opened. What is wrong with them stays wrong."""

    def __init__(self, database: Path) -> None:
        # The database by the name that it was given; SQLite keeps the others beside what a symbolic link leads to.
        self._database = os.path.realpath(database)
        self._names = [str(database), *(f"{self._database}{end}" for end in _OPEN)]
        self._known: list[tuple[int, int]] = []
        self._foreign: ForeignWrites | None = None
        self._overwritten = False
        self.problem: StorageLost | None = None

    def remember(self, index: Index) -> None:
        """Take note of the files that are open, once all of them are. Raises `StorageFailure`."""
        try:
            self._known = [_identity(os.stat(name)) for name in self._names]
            self._foreign = ForeignWrites(index, self._names[_JOURNAL])
        except OSError as error:
            raise StorageFailure(f"storage {error.filename}: {error.strerror}") from error

    def check(self) -> None:
        """Look once. Raises `StorageLost`, from now on each time."""
        self.refuse_lost()
        foreign = self._foreign
        if foreign is None:
            return
        index = self._same(_INDEX)
        if index.st_size < SMALLEST:
            self._fail(self._names[_INDEX], "was cut")
        before = foreign.state()
        database, journal = self._same(_DATABASE), self._same(_JOURNAL)
        if foreign.to_database(before, database):
            self._fail_overwritten(_DATABASE)
        if foreign.to_journal(before, journal):
            self._fail_overwritten(_JOURNAL)

    def _same(self, which: int) -> os.stat_result:
        """Look at a file that has to be the one that is open."""
        name = self._names[which]
        try:
            found = os.stat(name)
        except OSError as error:
            self._fail(
                name,
                "has no name any more"
                if isinstance(error, FileNotFoundError)
                else f"cannot be looked at ({error.strerror})",
            )
        if _identity(found) != self._known[which]:
            self._fail(name, "was exchanged for another one")
        return found

    @contextmanager
    def released(self) -> Iterator[None]:
        """Within the block all connections are closed; afterwards nothing is looked at.

        The last one that SQLite closes would bring the journal into a database that is another one's by now, or what is
        left of a journal that was cut: so nobody has the database alone meanwhile, where something else wrote to either.
        """
        with suppress(StorageFailure):
            self.check()
        held = -1
        try:
            if self._overwritten:
                with suppress(OSError):
                    held = os.open(self._names[_DATABASE], os.O_RDONLY | os.O_CLOEXEC)
                    fcntl.fcntl(held, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, *_SHARED, 0))
            yield
        finally:
            if held >= 0:
                os.close(held)
            if self._foreign is not None:
                self._foreign.close()
                self._foreign = None

    @property
    def only_journal_gone(self) -> bool:
        """Whether the database is in its place, and nothing is in the place of its journal."""
        try:
            database = os.stat(self._names[_DATABASE])
            return _identity(database) == self._known[_DATABASE] and not os.path.lexists(
                self._names[_JOURNAL]
            )
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

    def _fail_overwritten(self, which: int) -> NoReturn:
        self._overwritten = True
        # Or whoever starts next, perhaps by itself, would take a mixture for the vault.
        with suppress(OSError):
            os.close(os.open(f"{self._database}{MARK}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._end(
            f"storage {self._names[which]}: something else than SQLite wrote to the file, or cut it, while this server"
            " has it open; nothing more is read or written, and what is left stays as it is: stop it, restore a backup"
            " and start it again"
        )

    def _fail(self, name: str, what: str) -> NoReturn:
        self._end(
            f"storage {name}: the file that this server has open {what}; nothing more is read or"
            " written: stop it, put the files back and start it again"
        )

    def _end(self, problem: str) -> NoReturn:
        self.problem = StorageLost(problem)
        raise StorageLost(problem)


def refuse_marked(database: Path) -> None:
    """Raises `StorageFailure` where a server found its files overwritten, and nothing was restored since."""
    mark = f"{os.path.realpath(database)}{MARK}"
    if os.path.lexists(mark):
        raise StorageFailure(
            f"storage {database}: something else than SQLite wrote to it or to its journal, or cut them, under a running"
            " server, so what is left may be a mixture, or old; nothing was changed: restore a backup with `vaultctl"
            f" operator snapshot restore`, or remove {mark} to take what is left"
        )


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
