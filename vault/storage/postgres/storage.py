# SPDX-License-Identifier: EUPL-1.2
"""One PostgreSQL for any number of nodes, each of which reads and writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, TypeVar

from vault.storage.postgres import schema
from vault.storage.postgres.batches import Batches
from vault.storage.postgres.connection import DEADLINE, Address, Connection
from vault.storage.postgres.database import Database, OnStatement, OnTurn, Slot
from vault.storage.postgres.examination import risk_of_failover
from vault.storage.postgres.lanes import Lanes
from vault.storage.postgres.reads import Reader
from vault.storage.postgres.transaction import Transaction
from vault.storage.postgres.turn import Turn
from vault.storage.protocol import Change, Node, ReadTx, StorageBusy, StorageFailure, StorageLost, Timer, Tx
from vault.values.times import Millis, time_after

T = TypeVar("T")

_MOST: Final = 1024
"""Transactions that are open at once: more are refused."""


def _id(node: Node) -> str:
    """Return what tells a server from others, and is the same once it has started again."""
    return f"{node.hostname} {node.api_addr}"


class _Block:
    """The block of one transaction, of either kind."""

    def __init__(self, storage: PostgresStorage, *, optimistic: bool) -> None:
        self._storage = storage
        self._optimistic = optimistic
        self._block = storage.turn.block()

    async def __aenter__(self) -> Tx:
        self._task = self._storage.enter()
        try:
            if not self._optimistic:
                return await self._block.__aenter__()
            await self._storage.batches.enter()
        except BaseException:
            self._storage.leave(self._task)
            raise
        self._tx = self._storage.transaction()
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._optimistic:
                await self._block.__aexit__(kind, error, trace)
            else:
                try:
                    if kind is None:
                        await self._tx.commit()
                    elif issubclass(kind, Exception):
                        await self._tx.confirm()
                finally:
                    self._tx.end()
        finally:
            self._storage.leave(self._task)


class PostgresStorage:
    """See `Storage`."""

    def __init__(
        self,
        address: Address,
        on_statement: OnStatement | None = None,
        *,
        on_turn: OnTurn | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        """`on_statement` is called with the name of each statement before it runs; what it raises fails it.

        `on_turn` is told of it when the database's history is no longer the one that was seen; `deadline` is how many
        seconds a statement may take.
        """
        self._database: Final = Database(address, on_statement, on_turn=on_turn, deadline=deadline)
        self._writer: Final = Slot(self._database)
        self._lanes: Final = Lanes(self._database, self._writer)
        self.batches: Final = Batches(self._database, self._writer, self._lanes)
        self.turn: Final = Turn(self._database, self._writer, self._lanes, self.batches.lines)
        self._noting: Final = asyncio.Lock()
        self._inside: set[asyncio.Task[Any] | object] = set()
        self._left = asyncio.Event()
        self._closed = False

    @classmethod
    async def open(
        cls, address: Address, on_statement: OnStatement | None = None, *, on_turn: OnTurn | None = None
    ) -> PostgresStorage:
        """Connect, and make sure that there is a vault, or the place for one. Raises `StorageFailure`."""
        storage = cls(address, on_statement, on_turn=on_turn)
        try:
            await storage._lanes.ask(storage._database.check)
            await storage._writer.connection()
        except BaseException:
            await storage.close()
            raise
        return storage

    def enter(self) -> asyncio.Task[Any] | object:
        """Note who begins a transaction. Raises `StorageFailure`, `StorageBusy` and `RuntimeError`."""
        task = self._outside()
        if len(self._inside) >= _MOST:
            raise StorageBusy("too many transactions wait for the database")
        self._inside.add(task)
        return task

    def _outside(self) -> asyncio.Task[Any] | object:
        if self._closed:
            raise StorageFailure("the storage is closed")
        task = asyncio.current_task() or object()
        if task in self._inside:
            raise RuntimeError("this task is in a transaction already, and would wait for itself")
        return task

    def leave(self, task: asyncio.Task[Any] | object) -> None:
        """Note that a transaction is over."""
        self._inside.discard(task)
        self._left.set()

    def transaction(self) -> Transaction:
        """Return a transaction that is checked when it commits."""
        return Transaction(self._database, self._lanes, self.batches)

    def reader(self) -> ReadTx:
        """See `Storage.reader`."""
        if self._closed:
            raise StorageFailure("the storage is closed")
        return Reader(self._database, self._lanes)

    def write(self, *, optimistic: bool = False) -> AbstractAsyncContextManager[Tx]:
        """See `Storage.write`."""
        return _Block(self, optimistic=optimistic)

    async def claim(self, now: Millis, limit: int, *, hold: Millis) -> Sequence[Timer]:
        """See `Storage.claim`; the longest claimable are taken. They are told by when they are due."""
        self._outside()
        self._database.announce("claim")
        until = time_after(now, hold)
        rows = await self._note(lambda connection: connection.rows(schema.CLAIM, now, limit, until))
        timers = [Timer(kind, key, Millis(due), attempts) for kind, key, due, attempts in rows]
        return sorted(timers, key=lambda timer: (timer.due, timer.kind, timer.key))

    async def next_due(self) -> Millis | None:
        """See `Storage.next_due`."""
        self._database.announce("next_due")
        rows = await self._lanes.ask(lambda connection: connection.rows(schema.NEXT_DUE))
        return Millis(rows[0][0]) if rows else None

    async def now(self) -> Millis | None:
        """See `Storage.now`."""
        rows = await self._lanes.ask(lambda connection: connection.rows(schema.NOW))
        return Millis(rows[0][0])

    async def size(self) -> int | None:
        """See `Storage.size`."""
        rows = await self._lanes.ask(lambda connection: connection.rows(schema.DATABASE_SIZE))
        return int(rows[0][0])

    async def risks(self) -> Sequence[str]:
        """See `Storage.risks`."""
        risk = await self._lanes.ask(risk_of_failover)
        return (f"storage {self._database.address}: {risk}",) if risk else ()

    async def news(self, since: int) -> tuple[int, Sequence[Change] | None]:
        """See `Storage.news`."""
        self._database.announce("news")

        async def ask(connection: Connection) -> tuple[int, Sequence[Change] | None, bool]:
            rows = await connection.rows(schema.NEWS, self._database.newest_of(since))
            newest, known, pruned = rows[0][:3]
            epoch = self._database.epoch_of(connection, newest)
            if epoch == since:
                return epoch, [], True
            if known:
                changes = [
                    Change(self._database.epoch_of(connection, n), kind, key)
                    for _, _, _, n, kind, key in rows
                    if n is not None
                ]
                return epoch, changes, True
            if not pruned:
                # It is lower where an older backup is in place: transactions begin there.
                self._database.epoch = epoch
                self._lanes.forget_all()
            return epoch, None, pruned

        epoch, changes, same_history = await self._lanes.ask(ask)
        if since > 0 and not same_history:
            self._database.tell_of_turn(since, epoch)
        return epoch, changes

    async def meet(self, node: Node) -> Sequence[Node]:
        """See `Storage.meet`."""
        about = (node.hostname, node.api_addr, node.cluster_addr, node.version, node.api)
        aside = timedelta(seconds=node.aside)
        known = (_id(node), *about, schema.newest_version(), node.serves, aside, schema.LIVES)
        rows = await self._note(lambda connection: connection.rows(schema.MEET, *known))
        return [
            Node(
                hostname=host,
                api_addr=address,
                cluster_addr=cluster,
                version=version,
                api=api,
                serves=serves,
                aside=aside,
                seen=Millis(seen),
            )
            for host, address, cluster, version, api, serves, aside, seen in rows
        ]

    async def part(self, node: Node) -> None:
        """See `Storage.part`."""
        await self._note(lambda connection: connection.rows(schema.DEPART, _id(node)))

    async def _note(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask for what is committed by itself, one such thing after the other.

        A database that answers reads may let commits wait, for a standby say: of the connections for reads this waits on one.
        """
        async with self._noting:
            return await self._lanes.ask(ask)

    async def check(self) -> None:
        """See `Storage.check`. A database that does not answer has not been exchanged: each statement says so itself."""
        try:
            await self._lanes.ask(self._database.check)
        except StorageLost:
            raise
        except StorageFailure:
            return

    async def close(self) -> None:
        """See `Storage.close`."""
        self._closed = True
        while self._inside:
            self._left.clear()
            await self._left.wait()
        await self.batches.close()
        await self.turn.close()
        await self._lanes.close()
        self._database.closed = True
