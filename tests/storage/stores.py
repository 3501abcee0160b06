# SPDX-License-Identifier: EUPL-1.2
"""The storages that the suite runs on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tests.lagging import LaggingStorage
from tests.postgres import Cluster
from vault.storage.memory import MemoryStorage
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Conflict, Storage, StorageFailure, Tx
from vault.storage.sqlite.database import OnStatement
from vault.storage.sqlite.storage import SqliteStorage

T = TypeVar("T")

_DEADLINE = 60.0
"""Seconds for a statement: some have 68 MB, on a machine that does much else."""
MEMORIES = {"memory": MemoryStorage, "memory-lagging": LaggingStorage}


class Store:
    """Makes empty storages of one kind, and plays a story on each."""

    def __init__(self, kind: str, folder: Path, cluster: Callable[[], Cluster] | None = None) -> None:
        self.kind = kind
        self._cluster = cluster
        self._databases: list[str] = []
        self._files = (folder / f"{number}.db" for number in itertools.count())

    def open(self, on_statement: OnStatement | None = None) -> Storage:
        """Return an empty storage."""
        if self.kind == "postgresql":
            assert self._cluster is not None
            self._databases.append(self._cluster().empty())
            address = self._cluster().address(self._databases[-1])
            return PostgresStorage(address, on_statement, deadline=_DEADLINE)
        if self.kind != "sqlite":
            return MEMORIES[self.kind](on_statement=on_statement)
        return SqliteStorage.open(next(self._files), on_statement=on_statement)

    def play(self, story: Callable[[Storage], Awaitable[T]], on_statement: OnStatement | None = None) -> T:
        """Run `story` on an empty storage, and close it afterwards."""

        async def run() -> T:
            storage = self.open(on_statement)
            try:
                return await story(storage)
            finally:
                await storage.close()

        try:
            return asyncio.run(run(), debug=False)
        finally:
            self.tidy()

    def tidy(self) -> None:
        """Give back the databases whose storages are closed."""
        while self._databases and self._cluster is not None:
            self._cluster().give_back(self._databases.pop())


class Fault:
    """Fails the `at`-th statement (counted from 0), or each one with a name in `names`, once armed."""

    def __init__(self, at: int = -1, *names: str) -> None:
        self.armed = False
        self.seen: list[str] = []
        self.hits = 0
        self._at = at
        self._names = names

    def __call__(self, name: str) -> None:
        if not self.armed:
            return
        self.seen.append(name)
        if len(self.seen) - 1 == self._at or name in self._names:
            self.hits += 1
            raise StorageFailure(f"injected at {name}")


async def fill(storage: Storage, *paths: str) -> None:
    """Store each path with itself as the value, in one transaction."""
    async with storage.write() as tx:
        for path in paths:
            await tx.put(path, path.encode())


async def invalidate(storage: Storage, *keys: str) -> int:
    """Make keys untrue in one transaction; return the epoch that this moved to."""
    async with storage.write() as tx:
        for key in keys:
            await tx.invalidate("kind", key)
    reader = storage.reader()
    await reader.get("")
    return reader.epoch


async def everything(storage: Storage) -> dict[str, bytes | None]:
    """Return all entries."""
    reader = storage.reader()
    return {path: await reader.get(path) for path in await reader.scan("")}


async def until_kept(storage: Storage, work: Callable[[Tx], Awaitable[T]]) -> tuple[T, int]:
    """Run an optimistic transaction, once more where it lost, and then in its turn; return what it gave and how often it ran."""
    for times in (1, 2):
        with suppress(Conflict):
            async with storage.write(optimistic=True) as tx:
                found = await work(tx)
            return found, times
    async with storage.write() as tx:
        return await work(tx), 3


async def add(tx: Tx) -> None:
    """Append one `x`."""
    value = await tx.get("counter") or b""
    await asyncio.sleep(0)
    await tx.put("counter", value + b"x")


async def number(tx: Tx) -> None:
    """Add a name that says how many there were."""
    there = await tx.list("n/")
    await asyncio.sleep(0)
    await tx.put(f"n/{len(there):03}", b"")
