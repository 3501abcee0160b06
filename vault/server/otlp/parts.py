# SPDX-License-Identifier: EUPL-1.2
"""The parts of a request that are traced: what it asked the storage for, and what was recorded of it.

What is not traced asks the storage itself, and pays for one look.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from time import perf_counter_ns
from types import TracebackType

from vault.audit.broker import Broker, Taken
from vault.framework.call import Call
from vault.framework.errors import VaultError
from vault.framework.reply import Reply
from vault.framework.telemetry.trace import CURRENT, Trace
from vault.storage.protocol import Basis, Check, ReadTx, Storage, Timer, Tx
from vault.values.times import Millis


class _Reader:
    """A `ReadTx` whose statements are parts of a trace."""

    __slots__ = ("_read", "_trace")

    def __init__(self, inner: ReadTx, trace: Trace) -> None:
        self._read, self._trace = inner, trace

    @property
    def epoch(self) -> int:
        return self._read.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._read.epoch = value

    async def get(self, path: str) -> bytes | None:
        began, failed = perf_counter_ns(), True
        try:
            found, failed = await self._read.get(path), False
            return found
        finally:
            self._trace.add("storage get", began, failed=failed)

    async def has(self, path: str) -> bool:
        began, failed = perf_counter_ns(), True
        try:
            found, failed = await self._read.has(path), False
            return found
        finally:
            self._trace.add("storage has", began, failed=failed)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        began, failed = perf_counter_ns(), True
        try:
            found, failed = await self._read.list(prefix, after=after, limit=limit), False
            return found
        finally:
            self._trace.add("storage list", began, failed=failed)

    async def scan(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[str]:
        began, failed = perf_counter_ns(), True
        try:
            found, failed = await self._read.scan(prefix, after=after, limit=limit), False
            return found
        finally:
            self._trace.add("storage scan", began, failed=failed)


class _Transaction(_Reader):
    """A `Tx` whose statements are parts of a trace; what it only notes for its commit is not."""

    __slots__ = ("_tx",)

    def __init__(self, inner: Tx, trace: Trace) -> None:
        super().__init__(inner, trace)
        self._tx = inner

    @property
    def committed(self) -> int:
        return self._tx.committed

    @committed.setter
    def committed(self, value: int) -> None:
        self._tx.committed = value

    @property
    def outdates(self) -> bool:
        return self._tx.outdates

    async def put(self, path: str, value: bytes) -> None:
        began, failed = perf_counter_ns(), True
        try:
            await self._tx.put(path, value)
            failed = False
        finally:
            self._trace.add("storage put", began, failed=failed)

    async def delete(self, path: str) -> None:
        began, failed = perf_counter_ns(), True
        try:
            await self._tx.delete(path)
            failed = False
        finally:
            self._trace.add("storage delete", began, failed=failed)

    async def delete_prefix(self, prefix: str) -> int:
        began, failed = perf_counter_ns(), True
        try:
            found, failed = await self._tx.delete_prefix(prefix), False
            return found
        finally:
            self._trace.add("storage delete below", began, failed=failed)

    async def delete_some(self, prefix: str, limit: int, *, after: str = "") -> str:
        began, failed = perf_counter_ns(), True
        try:
            last, failed = await self._tx.delete_some(prefix, limit, after=after), False
            return last
        finally:
            self._trace.add("storage delete below", began, failed=failed)

    async def at(self, timer: Timer) -> None:
        await self._tx.at(timer)

    async def cancel(self, kind: str, key: str) -> None:
        await self._tx.cancel(kind, key)

    async def invalidate(self, kind: str, key: str) -> None:
        await self._tx.invalidate(kind, key)

    def before_commit(self, check: Check) -> None:
        self._tx.before_commit(check)

    def rest_on(self, basis: Basis) -> bool:
        return self._tx.rest_on(basis)


class _OpenWrite:
    """A transaction of the storage: waiting for its turn and its commit are parts of a trace."""

    def __init__(self, inner: AbstractAsyncContextManager[Tx], trace: Trace) -> None:
        self._inner, self._trace = inner, trace

    async def __aenter__(self) -> Tx:
        began, failed = perf_counter_ns(), True
        try:
            tx, failed = await self._inner.__aenter__(), False
            return _Transaction(tx, self._trace)
        finally:
            self._trace.add("storage begin", began, failed=failed)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        began, failed = perf_counter_ns(), True
        try:
            kept = await self._inner.__aexit__(kind, error, traceback)
            failed = False
            return kept
        finally:
            self._trace.add("storage undo" if error else "storage commit", began, failed=failed)


class TracedStorage:
    """A storage that traces what requests ask of it; see `Storage`."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner
        self.claim, self.next_due, self.news, self.size = inner.claim, inner.next_due, inner.news, inner.size
        self.meet, self.part, self.check, self.close = inner.meet, inner.part, inner.check, inner.close
        self.risks = inner.risks

    async def now(self) -> Millis | None:
        """See `Storage.now`."""
        return await self._inner.now()

    def reader(self) -> ReadTx:
        """See `Storage.reader`."""
        trace = CURRENT.get()
        return self._inner.reader() if trace is None else _Reader(self._inner.reader(), trace)

    def write(self, *, optimistic: bool = False) -> AbstractAsyncContextManager[Tx]:
        """See `Storage.write`."""
        trace = CURRENT.get()
        inner = self._inner.write(optimistic=optimistic)
        return inner if trace is None else _OpenWrite(inner, trace)


class TracedBroker(Broker):
    """A broker that traces the records of requests. Those that are written with others are part of no request's time."""

    def request(self, call: Call, error: VaultError | None = None, *, hold: bool = False) -> Taken:
        """See `Broker.request`."""
        began = perf_counter_ns()
        taken = super().request(call, error, hold=hold)
        return taken if hold else _noted("audit request", began, taken)

    def response(self, call: Call, reply: Reply[object] | None, error: VaultError | None = None) -> Taken:
        """See `Broker.response`."""
        began = perf_counter_ns()
        return _noted("audit response", began, super().response(call, reply, error))

    def before_commit(self, call: Call, reply: Reply[object] | None) -> Taken:
        """See `Broker.before_commit`."""
        return self._batched("audit hold", call, reply, super().before_commit)

    def exchange(self, call: Call, reply: Reply[object] | None) -> Taken:
        """See `Broker.exchange`."""
        return self._batched("audit exchange", call, reply, super().exchange)

    def _batched(
        self,
        name: str,
        call: Call,
        reply: Reply[object] | None,
        record: Callable[[Call, Reply[object] | None], Taken],
    ) -> Taken:
        """Record, and note that, unless it was recorded as any other response, which has noted it."""
        trace, began = CURRENT.get(), perf_counter_ns()
        noted = 0 if trace is None else len(trace.parts)
        taken = record(call, reply)
        if trace is not None and taken is None and len(trace.parts) == noted:
            trace.add(name, began)
        return taken


def _noted(name: str, began: int, taken: Taken) -> Taken:
    trace = CURRENT.get()
    if trace is None:
        return taken
    if taken is None:
        trace.add(name, began)
        return None
    return _waited(trace, name, began, taken)


async def _waited(trace: Trace, name: str, began: int, taken: Awaitable[None]) -> None:
    failed = True
    try:
        await taken
        failed = False
    finally:
        trace.add(name, began, failed=failed)
