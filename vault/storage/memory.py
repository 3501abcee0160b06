# SPDX-License-Identifier: EUPL-1.2
"""A storage in memory: the contract at its plainest, for `--dev` and for tests. Nothing survives the process."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from types import TracebackType
from typing import Final

import msgspec
from msgspec.structs import replace

from vault.storage.order import end_of, names_below, paths_below, refuse_unfit
from vault.storage.protocol import (
    MOST_REMOVED,
    Basis,
    Change,
    Check,
    Node,
    ReadTx,
    StorageFailure,
    Timer,
    Tx,
)
from vault.values.times import Millis, time_after

KEPT_CHANGES: Final = 10_000
"""How many changes are kept at least, in whole epochs; a cache that is further behind drops everything."""


class _Alarm(msgspec.Struct):
    """A timer and the moment (ms) from which it can be claimed."""

    timer: Timer
    ready: Millis


class _Data(msgspec.Struct):
    """What is committed. `paths` holds the keys of `entries`, sorted."""

    entries: dict[str, bytes] = msgspec.field(default_factory=dict)
    paths: list[str] = msgspec.field(default_factory=list)
    alarms: dict[tuple[str, str], _Alarm] = msgspec.field(default_factory=dict)
    epoch: int = 0
    changes: list[Change] = msgspec.field(default_factory=list)

    def seek(self, start: str, end: str | None) -> Iterable[str]:
        """Return the committed paths from `start` up to `end`."""
        first = bisect_left(self.paths, start)
        last = len(self.paths) if end is None else bisect_left(self.paths, end)
        return (self.paths[i] for i in range(first, last))

    def put(self, path: str, value: bytes) -> None:
        """Store one entry."""
        if path not in self.entries:
            insort(self.paths, path)
        self.entries[path] = value

    def delete(self, path: str) -> None:
        """Remove one entry, if it is there."""
        if self.entries.pop(path, None) is not None:
            del self.paths[bisect_left(self.paths, path)]

    def record(self, kinds_and_keys: Iterable[tuple[str, str]]) -> None:
        """Move the epoch, record what became untrue, and prune whole epochs."""
        self.epoch += 1
        self.changes.extend(Change(self.epoch, kind, key) for kind, key in kinds_and_keys)
        if len(self.changes) > KEPT_CHANGES:
            last = self.changes[-KEPT_CHANGES - 1].epoch
            self.changes = [change for change in self.changes if change.epoch > last]


class _Reader:
    """Reads committed data."""

    def __init__(self, storage: MemoryStorage) -> None:
        self.epoch = 0
        self._storage = storage

    def _statement(self, name: str) -> _Data:
        data = self._storage.statement(name)
        self.epoch = data.epoch
        return data

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        return self._statement("get").entries.get(path)

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        return path in self._statement("get").entries

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        return names_below(self._statement("list").seek, prefix, after, limit)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        return paths_below(self._statement("scan").seek, prefix, after, limit)


class _Transaction(_Reader):
    """An overlay over the committed data: `_written` maps a path to its new value, or to None when removed."""

    def __init__(self, storage: MemoryStorage) -> None:
        super().__init__(storage)
        self.committed = 0
        self._written: dict[str, bytes | None] = {}
        self._added: list[str] = []
        self._alarms: dict[tuple[str, str], _Alarm | None] = {}
        self._untrue: dict[tuple[str, str], None] = {}
        self._checks: dict[Check, None] = {}
        self._broken: StorageFailure | None = None
        self._open = True

    def _statement(self, name: str) -> _Data:
        if not self._open:
            raise RuntimeError("this transaction has ended; open another one")
        if self._broken is not None:
            raise StorageFailure(str(self._broken)) from self._broken
        try:
            return super()._statement(name)
        except StorageFailure as failure:
            self._broken = failure
            raise

    def _seek(self, start: str, end: str | None) -> Iterable[str]:
        first = bisect_left(self._added, start)
        last = len(self._added) if end is None else bisect_left(self._added, end)
        for path in merge(self._storage.data.seek(start, end), self._added[first:last]):
            if self._written.get(path, b"") is not None:
                yield path

    def _write(self, path: str, value: bytes | None) -> None:
        if path not in self._written and path not in self._storage.data.entries:
            insort(self._added, path)
        self._written[path] = value

    async def get(self, path: str) -> bytes | None:
        """See `ReadTx.get`."""
        data = self._statement("get")
        return self._written[path] if path in self._written else data.entries.get(path)

    async def has(self, path: str) -> bool:
        """See `ReadTx.has`."""
        data = self._statement("get")
        return self._written[path] is not None if path in self._written else path in data.entries

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.list`."""
        self._statement("list")
        return names_below(self._seek, prefix, after, limit)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        """See `ReadTx.scan`."""
        self._statement("scan")
        return paths_below(self._seek, prefix, after, limit)

    async def put(self, path: str, value: bytes) -> None:
        """See `Tx.put`."""
        self._statement("put")
        refuse_unfit(path)
        self._write(path, value)

    async def delete(self, path: str) -> None:
        """See `Tx.delete`."""
        self._statement("delete")
        self._write(path, None)

    async def delete_prefix(self, prefix: str) -> int:
        """See `Tx.delete_prefix`."""
        self._statement("delete_prefix")
        doomed = [*self._seek(f"{prefix}\0", end_of(prefix))]
        for path in doomed:
            self._written[path] = None
        return len(doomed)

    async def delete_some(self, prefix: str, limit: int, *, after: str = "") -> str:
        """See `Tx.delete_some`."""
        entries = self._statement("delete_some").entries
        doomed: list[str] = []
        room, last = MOST_REMOVED, ""
        for path in self._seek(f"{prefix}{after}\0", end_of(prefix)):
            if len(doomed) == limit or room <= 0:
                last = doomed[-1][len(prefix) :]
                break
            doomed.append(path)
            room -= len(self._written.get(path) or entries.get(path) or b"")
        self._written.update(dict.fromkeys(doomed))
        return last

    async def at(self, timer: Timer) -> None:
        """See `Tx.at`."""
        self._statement("at")
        refuse_unfit(timer.kind + timer.key)
        self._alarms[timer.kind, timer.key] = _Alarm(timer, timer.due)

    async def cancel(self, kind: str, key: str) -> None:
        """See `Tx.cancel`."""
        self._statement("cancel")
        self._alarms[kind, key] = None

    @property
    def outdates(self) -> bool:
        """See `Tx.outdates`."""
        return bool(self._untrue)

    async def invalidate(self, kind: str, key: str) -> None:
        """See `Tx.invalidate`."""
        self._statement("invalidate")
        refuse_unfit(kind + key)
        self._untrue[kind, key] = None

    def before_commit(self, check: Check) -> None:
        """See `Tx.before_commit`."""
        self._checks[check] = None

    def rest_on(self, basis: Basis) -> bool:
        """See `Tx.rest_on`: no epoch is newer than a transaction's."""
        del basis
        return False

    def commit(self) -> None:
        """Apply everything, or raise and apply nothing."""
        for check in self._checks:
            check()
        data = self._statement("commit")
        for path, value in self._written.items():
            if value is None:
                data.delete(path)
            else:
                data.put(path, value)
        for at, alarm in self._alarms.items():
            if alarm is None:
                data.alarms.pop(at, None)
            else:
                data.alarms[at] = alarm
        if self._untrue:
            data.record(self._untrue)

    def end(self) -> None:
        """Refuse whatever is still tried in this transaction."""
        self._open = False


class _Write:
    """The block of one transaction."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self._tx = _Transaction(storage)

    async def __aenter__(self) -> Tx:
        await self._storage.enter()
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._tx.commit()
        finally:
            self._tx.end()
            self._storage.leave()


class MemoryStorage:
    """See `Storage`. Transactions run one after the other, in the order in which they were opened.

    `on_statement` is called with the name of each statement before it runs; what it raises
    (a `StorageFailure`) fails that statement: tests inject faults with it.
    """

    def __init__(self, *, on_statement: Callable[[str], None] | None = None) -> None:
        self.data: Final = _Data()
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None
        self._on_statement = on_statement
        self._closed = False

    def statement(self, name: str) -> _Data:
        """Announce one statement and return the committed data."""
        if self._closed:
            raise StorageFailure("the storage is closed")
        if self._on_statement is not None:
            self._on_statement(name)
        return self.data

    async def enter(self) -> None:
        """Wait for the turn to write."""
        task = asyncio.current_task()
        if self._holder is not None and task is self._holder:
            raise RuntimeError("this task is in a transaction already, and would wait for itself")
        await self._lock.acquire()
        self._holder = task

    def leave(self) -> None:
        """Hand the turn to whoever waits longest."""
        self._holder = None
        self._lock.release()

    def reader(self) -> ReadTx:
        """See `Storage.reader`."""
        return _Reader(self)

    def write(self, *, optimistic: bool = False) -> _Write:
        """See `Storage.write`."""
        return _Write(self)

    async def claim(self, now: Millis, limit: int, *, hold: Millis) -> Sequence[Timer]:
        """See `Storage.claim`; the longest claimable come first."""
        await self.enter()
        try:
            data = self.statement("claim")
            due = [alarm for alarm in data.alarms.values() if alarm.ready <= now]
            due.sort(key=lambda alarm: (alarm.ready, alarm.timer.kind, alarm.timer.key))
            claimed = [alarm.timer for alarm in due[:limit]]
            for alarm in due[:limit]:
                alarm.timer = replace(alarm.timer, attempts=alarm.timer.attempts + 1)
                alarm.ready = time_after(now, hold)
            return claimed
        finally:
            self.leave()

    async def next_due(self) -> Millis | None:
        """See `Storage.next_due`."""
        alarms = self.statement("next_due").alarms.values()
        return min((alarm.ready for alarm in alarms), default=None)

    async def size(self) -> int | None:
        """See `Storage.size`."""
        return None

    async def risks(self) -> Sequence[str]:
        """See `Storage.risks`."""
        return ()

    async def now(self) -> Millis | None:
        """See `Storage.now`."""
        return None

    async def news(self, since: int) -> tuple[int, Sequence[Change] | None]:
        """See `Storage.news`."""
        data = self.statement("news")
        if since == data.epoch:
            return since, []
        if not any(change.epoch == since for change in data.changes):
            return data.epoch, None
        first = bisect_left(data.changes, since + 1, key=lambda change: change.epoch)
        return data.epoch, data.changes[first:]

    async def meet(self, node: Node) -> Sequence[Node]:
        """See `Storage.meet`: there can be no other one."""
        return [node]

    async def part(self, node: Node) -> None:
        """See `Storage.part`."""

    async def check(self) -> None:
        """See `Storage.check`: there are no files."""

    async def close(self) -> None:
        """See `Storage.close`."""
        async with self._lock:
            self._closed = True
