# SPDX-License-Identifier: EUPL-1.2
"""The kinds of storage that the tests of routes run on, and how many applications have one open."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import Cluster
from tests.shared import Shared
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Storage, Timer
from vault.values.times import Millis

_EVER = Millis(1 << 60)
_MANY = 1_000_000
_TOGETHER = 500
"""Entries that are read at once: of more that wait than 1,024, PostgreSQL's storage refuses some."""
_MEMORY = ("entries", "paths", "alarms", "changes", "epoch")


@dataclass(frozen=True)
class Kind:
    """A storage, and who has it open."""

    storage: str
    """As `Shared` knows it."""
    applications: int = 1
    """How many have it open, which are asked in turn."""
    workers: bool = False
    """Whether they are workers of one server, not nodes."""
    pooled: bool = False
    """Whether they reach it through PgBouncer."""

    @property
    def in_memory(self) -> bool:
        """Whether nothing but this process has it."""
        return self.storage.startswith("memory")


KINDS = {
    "memory": Kind("memory"),
    "memory-lagging": Kind("memory-lagging"),
    "sqlite": Kind("sqlite"),
    "sqlite-2": Kind("sqlite", applications=2, workers=True),
    "postgresql": Kind("postgresql"),
    "postgresql-2": Kind("postgresql", applications=2),
    "pgbouncer-2": Kind("postgresql", applications=2, pooled=True),
}


class Site:
    """Where one application, or several together, keep everything."""

    def __init__(
        self,
        kind: Kind,
        postgres: Callable[[], Cluster] | None = None,
        pooler: Callable[[], str] | None = None,
    ) -> None:
        """`postgres` is asked for where it is of that kind, and `pooler` for the directory of its socket."""
        self.kind = kind
        through = pooler() if pooler is not None and kind.pooled else ""
        self._folder = None if kind.in_memory else tempfile.TemporaryDirectory(prefix="site-")
        self._shared = Shared(
            kind.storage, Path(self._folder.name if self._folder else ""), postgres, through
        )

    def open(self) -> Storage:
        """Return what one more of them has, which closes it."""
        return self._shared.open()

    def close(self) -> None:
        """Have others use what it was in. All who had it open have closed it."""
        self._shared.tidy()
        if self._folder is not None:
            self._folder.cleanup()


async def entries_of(storage: Storage) -> dict[str, bytes]:
    """Return all entries that a storage holds."""
    reader = storage.reader()
    paths = await reader.scan("")
    values: list[bytes | None] = []
    for first in range(0, len(paths), _TOGETHER):
        values += await asyncio.gather(*(reader.get(path) for path in paths[first : first + _TOGETHER]))
    return {path: value for path, value in zip(paths, values, strict=True) if value is not None}


async def timers_of(storage: Storage) -> list[Timer]:
    """Return all timers that a storage holds; where somebody had taken one, it may be taken again now."""
    found = list(await storage.claim(_EVER, _MANY, hold=Millis(1)))
    async with storage.write() as tx:
        for timer in found:
            await tx.at(timer)
    return found


async def copy_of(source: Storage) -> MemoryStorage:
    """Return a memory that holds what a storage does."""
    made = MemoryStorage()
    await load(source, made)
    return made


async def load(source: Storage, target: Storage) -> None:
    """Give a storage what another holds."""
    if isinstance(source, MemoryStorage) and isinstance(target, MemoryStorage):
        for name in _MEMORY:
            setattr(target.data, name, copy.deepcopy(getattr(source.data, name)))
        return
    entries, timers = await entries_of(source), await timers_of(source)
    async with target.write() as tx:
        for path, value in entries.items():
            await tx.put(path, value)
        for timer in timers:
            await tx.at(timer)
        await tx.invalidate("all", "")  # where a vault was made, the epoch is no longer 0
