# SPDX-License-Identifier: EUPL-1.2
"""Transactions that are shared: what several requests have to write at once is written in one, and all wait for its commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, TypeVar

from vault.barrier.view import View
from vault.storage.protocol import StorageFailure
from vault.values.ids import NamespaceId

T = TypeVar("T")
R = TypeVar("R")
_MOST: Final = 64
"""What is written in one transaction at most."""

Begin = Callable[[NamespaceId], AbstractAsyncContextManager[View]]
Write = Callable[[View, Sequence[T]], Awaitable[Sequence[R]]]


class SharedWrites(Generic[T, R]):
    """Writes what is asked for, of a namespace one transaction at a time: who comes meanwhile shares the next one."""

    def __init__(self, begin: Begin, write: Write[T, R]) -> None:
        """`begin` opens a transaction; `write` does all that it is given, and returns what becomes of each."""
        self._begin = begin
        self._write = write
        self._waiting: dict[NamespaceId, list[tuple[T, asyncio.Future[R]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, where: NamespaceId, what: T) -> R:
        """Return what became of `what` once that is durable. Raises what its writing raises.

        Who is cancelled takes nothing back: it may be written all the same.
        """
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(where)
        if waiting is None:
            self._waiting[where] = [(what, done)]
            task = asyncio.create_task(self._work(where))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append((what, done))
        return await done

    async def _work(self, where: NamespaceId) -> None:
        """Write until nobody waits."""
        try:
            while waiting := self._waiting[where]:
                self._waiting[where] = waiting[_MOST:]
                await self._together(where, waiting[:_MOST])
        finally:
            for _, done in self._waiting.pop(where):
                done.cancel()

    async def _together(self, where: NamespaceId, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        """Write all of a batch. Where that fails and it is not the storage that does, each by itself."""
        try:
            async with self._begin(where) as tx:
                results = await self._write(tx, [what for what, _ in batch])
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody may be left waiting
            if len(batch) > 1 and not isinstance(error, StorageFailure):
                for one in batch:
                    await self._together(where, (one,))
                return
            for _, done in batch:
                if not done.done():
                    shared = isinstance(error, StorageFailure)
                    done.set_exception(type(error)(str(error)) if shared else error)
            return
        for (_, done), result in zip(batch, results, strict=True):
            if not done.done():
                done.set_result(result)
