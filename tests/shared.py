# SPDX-License-Identifier: EUPL-1.2
"""A storage of each kind that several servers have open, as so many processes would."""

import asyncio
import copy
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tests.lagging import LaggingStorage
from tests.postgres import Cluster, Untimed
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Storage
from vault.storage.sqlite.database import OnStatement
from vault.storage.sqlite.storage import SqliteStorage

T = TypeVar("T")

_MEMORY = ("entries", "paths", "alarms", "changes", "epoch")


class _Borrowed(MemoryStorage):
    """Whoever has it open closes it, and takes it from nobody else."""

    async def close(self) -> None:
        """Leave it as it is."""


class _Lagging(LaggingStorage):
    """The same, and its statements suspend."""

    async def close(self) -> None:
        """Leave it as it is."""


_MEMORIES = {"memory": _Borrowed, "memory-lagging": _Lagging}


class Shared:
    """In memory, all have the same one; of SQLite and PostgreSQL, each has a storage of its own.

    What is made of it is closed by whoever has it, or at the end of `run`.
    """

    def __init__(
        self,
        kind: str = "memory",
        folder: Path = Path(),
        postgres: Callable[[], Cluster] | None = None,
        pooler: str = "",
    ) -> None:
        """`postgres` is asked for where that is the kind; `pooler` is the directory of the socket of one before it."""
        self._pooler = pooler
        self._cluster = postgres() if postgres is not None and kind == "postgresql" else None
        self._database = "" if self._cluster is None else self._cluster.empty()
        self._file = folder / "shared.db" if kind == "sqlite" else None
        self._kind = kind
        self._backups = 0
        self._memory: MemoryStorage | None = None
        self._opened: list[Storage] = []

    def open(self, on_statement: OnStatement | None = None) -> Storage:
        """Return what one more server has. `on_statement` is told of statements; in memory the first one's is."""
        if self._file is not None:
            self._opened.append(SqliteStorage.open(self._file, on_statement=on_statement))
            return self._opened[-1]
        if self._cluster is not None:
            address = self._cluster.address(self._database)
            address = msgspec.structs.replace(address, host=self._pooler or address.host)
            self._opened.append(Untimed(address, on_statement))
            return self._opened[-1]
        if self._memory is None:
            self._memory = _MEMORIES[self._kind](on_statement=on_statement)
        return self._memory

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Run a story in which it is opened, and close what was."""

        async def whole() -> T:
            try:
                return await story
            finally:
                for storage in self._opened:
                    await storage.close()

        return asyncio.run(whole())

    def back_up(self) -> object:
        """Copy what is committed; for `restore`."""
        if self._cluster is not None:
            return self._cluster.back_up(self._database)
        if self._file is None:
            assert self._memory is not None
            return {name: copy.deepcopy(getattr(self._memory.data, name)) for name in _MEMORY}
        self._backups += 1
        backup = self._file.with_name(f"backup-{self._backups}.db")
        _copy(self._file, backup)
        return backup

    def restore(self, backup: Any) -> None:
        """Put a copy in place under all who have it open, as `sqlite3 FILE ".restore BACKUP"` does."""
        if self._file is not None:
            _copy(backup, self._file)
            return
        if self._cluster is not None:
            self._cluster.restore(self._database, backup)
            return
        assert self._memory is not None
        for name in _MEMORY:
            setattr(self._memory.data, name, copy.deepcopy(backup[name]))

    def tidy(self) -> None:
        """Give back what others use after this."""
        if self._cluster is not None:
            self._cluster.give_back(self._database)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
