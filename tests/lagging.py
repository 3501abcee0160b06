# SPDX-License-Identifier: EUPL-1.2
"""A storage in memory whose every statement suspends, before and after, as one behind a network does.

SQLite's and the memory's statements never suspend, so between two of them nobody else runs. Nothing may rest on that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar

from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Basis, Change, Check, ReadTx, Timer, Tx
from vault.values.times import Millis

T = TypeVar("T")


async def _late(statement: Coroutine[Any, Any, T]) -> T:
    """Let others run, carry out a statement, and let others run before anybody hears of it."""
    try:
        await asyncio.sleep(0)
    except BaseException:
        statement.close()
        raise
    try:
        return await statement
    finally:
        await asyncio.sleep(0)


class _Reader:
    """See `ReadTx`."""

    def __init__(self, tx: ReadTx) -> None:
        self._tx = tx

    @property
    def epoch(self) -> int:
        """See `ReadTx.epoch`."""
        return self._tx.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._tx.epoch = value

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        return await _late(self._tx.get(path))

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        return await _late(self._tx.has(path))

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        return await _late(self._tx.list(prefix, after=after, limit=limit))

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        return await _late(self._tx.scan(prefix, after=after, limit=limit))


class _Transaction(_Reader):
    """See `Tx`."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx)
        self._write = tx
        self.committed = 0

    @property
    def outdates(self) -> bool:
        """See `Tx.outdates`."""
        return self._write.outdates

    async def put(self, path: str, value: bytes) -> None:
        """See `Tx.put`."""
        await _late(self._write.put(path, value))

    async def delete(self, path: str) -> None:
        """See `Tx.delete`."""
        await _late(self._write.delete(path))

    async def delete_prefix(self, prefix: str) -> int:
        """See `Tx.delete_prefix`."""
        return await _late(self._write.delete_prefix(prefix))

    async def delete_some(self, prefix: str, limit: int, *, after: str = "") -> str:
        """See `Tx.delete_some`."""
        return await _late(self._write.delete_some(prefix, limit, after=after))

    async def at(self, timer: Timer) -> None:
        """See `Tx.at`."""
        await _late(self._write.at(timer))

    async def cancel(self, kind: str, key: str) -> None:
        """See `Tx.cancel`."""
        await _late(self._write.cancel(kind, key))

    async def invalidate(self, kind: str, key: str) -> None:
        """See `Tx.invalidate`."""
        await _late(self._write.invalidate(kind, key))

    def before_commit(self, check: Check) -> None:
        """See `Tx.before_commit`."""
        self._write.before_commit(check)

    def rest_on(self, basis: Basis) -> bool:
        """See `Tx.rest_on`."""
        return self._write.rest_on(basis)


class _Write:
    """The block of one transaction: it suspends once it has begun, and around the commit."""

    def __init__(self, block: AbstractAsyncContextManager[Tx]) -> None:
        self._block = block

    async def _pause(self) -> None:
        """Let others run. Who is cancelled meanwhile has done nothing."""
        try:
            await asyncio.sleep(0)
        except BaseException as ended:
            await self._block.__aexit__(type(ended), ended, ended.__traceback__)
            raise

    async def __aenter__(self) -> Tx:
        tx = await self._block.__aenter__()
        await self._pause()
        return _Transaction(tx)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pause()
        await self._block.__aexit__(kind, error, trace)
        await asyncio.sleep(0)


class LaggingStorage(MemoryStorage):
    """See `Storage`."""

    @property
    def claimed(self) -> bool:
        """Whether no other loop can write: a lock is of the loop where somebody has waited for it."""
        return self._lock.locked() or getattr(self._lock, "_loop", None) is not None

    async def rest(self) -> None:
        """Wait until nobody writes, so that servers on other loops can."""
        while self._lock.locked():
            await self.enter()
            self.leave()
            await asyncio.sleep(0)
        self._lock = asyncio.Lock()

    def reader(self) -> ReadTx:
        """See `Storage.reader`."""
        return _Reader(super().reader())

    def write(self, *, optimistic: bool = False) -> AbstractAsyncContextManager[Tx]:  # type: ignore[override]  # the memory's own block lies within
        """See `Storage.write`."""
        return _Write(super().write())

    async def claim(self, now: Millis, limit: int, *, hold: Millis) -> Sequence[Timer]:
        """See `Storage.claim`."""
        return await _late(super().claim(now, limit, hold=hold))

    async def next_due(self) -> Millis | None:
        """See `Storage.next_due`."""
        return await _late(super().next_due())

    async def news(self, since: int) -> tuple[int, Sequence[Change] | None]:
        """See `Storage.news`."""
        return await _late(super().news(since))
