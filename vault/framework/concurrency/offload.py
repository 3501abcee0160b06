# SPDX-License-Identifier: EUPL-1.2
"""Work that takes more than a few milliseconds, off the event loop: a few threads, a bounded queue, clients take turns.

Work in C that releases the interpreter lock (hashing, compression) costs the loop nothing there. Work in Python
shares the interpreter: the loop may wait one switch interval (5 ms) at each of its turns, but no longer.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv6Address
from typing import Final, Generic, ParamSpec, TypeVar

from vault.framework.call import Call
from vault.framework.errors import Busy
from vault.values.times import Seconds

T = TypeVar("T")
P = ParamSpec("P")
J = TypeVar("J")
Client = tuple[str, str]
"""Whose work it is: the mount that it is done for, and the address that asked. Mounts take turns, then addresses."""

THREADS: Final = 2
"""Jobs that run at one time."""
WAITING: Final = 128
"""Jobs that may wait for a thread."""
_RETRY: Final = Seconds(1)


def client_of(call: Call) -> Client:
    """Return the client of a call: its mount, which belongs to one namespace, and the place of its address."""
    return call.mount.uuid, place_of(call.client_address)


def place_of(address: str) -> str:
    """Return what counts as one client of an address: of version 6 its network of 64 bits (RFC 6177)."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or found.packed[:8].hex())


class FairQueue(Generic[J]):
    """Waiting jobs. The next job belongs to the mount that has waited longest, and there to the address that has."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, OrderedDict[str, deque[J]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, client: Client, job: J) -> None:
        """Let a job wait behind those of the same client."""
        inner = self._waiting.setdefault(client[0], OrderedDict())
        inner.setdefault(client[1], deque()).append(job)
        self._count += 1

    def take(self) -> J:
        """Return the next job. Raises `KeyError` when none waits."""
        mount, inner = self._waiting.popitem(last=False)
        address, jobs = inner.popitem(last=False)
        job = jobs.popleft()
        self._count -= 1
        if jobs:
            inner[address] = jobs
        if inner:
            self._waiting[mount] = inner
        return job

    def crowd_out(self, client: Client) -> J | None:
        """Take the newest job away from the client with most waiting jobs; None if `client` would have as many."""
        own = self._waiting.get(client[0], OrderedDict())
        mount = max(self._waiting, key=lambda name: _size(self._waiting[name]), default=client[0])
        inner = self._waiting.get(mount, own)
        if _size(inner) <= _size(own) + 1:
            mount, inner = client[0], own
        address = max(inner, key=lambda name: len(inner[name]), default=client[1])
        if mount == client[0] and len(inner.get(address, ())) <= len(own.get(client[1], ())) + 1:
            return None
        job = inner[address].pop()
        self._count -= 1
        if not inner[address]:
            del inner[address]
        if not inner:
            del self._waiting[mount]
        return job


def _size(inner: OrderedDict[str, deque[J]]) -> int:
    return sum(map(len, inner.values()))


class Pool:
    """Threads that work for clients in turn. All methods belong to one event loop."""

    def __init__(self, *, threads: int = THREADS, waiting: int = WAITING, name: str = "work") -> None:
        """At most `waiting` jobs wait, not counting those that are owed. `name` is the name of the threads."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._most = waiting
        self._turns: FairQueue[asyncio.Future[None]] = FairQueue()
        self._owed: FairQueue[asyncio.Future[None]] = FairQueue()
        self._owing = False
        """Whether the last turn went to a job that is owed: those and the others alternate too."""
        weakref.finalize(self, self._threads.shutdown, wait=False)

    @property
    def waiting(self) -> int:
        """How much work waits."""
        return len(self._turns) + len(self._owed)

    async def run(self, client: Client, work: Callable[[], T], *, owed: bool = False) -> T:
        """Return what `work` returns, done in a thread once it is the client's turn.

        Raises what `work` raises, and `Busy` when the queue is full: the client with most waiting jobs loses its
        newest one. A job is `owed` when its call has already changed something: it waits however long the queue is.
        A job that has begun runs to its end and holds its thread, even if its caller was cancelled.
        """
        await self._turn(client, owed=owed)
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        except BaseException:
            self._next()
            raise
        done.add_done_callback(self._over)
        return await asyncio.shield(done)

    async def of(self, call: Call, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """As `run`, for who calls: return what `work` returns for what it is given."""
        return await self.run(client_of(call), partial(work, *given, **named), owed=call.spent)

    async def do(self, call: Call, work: Callable[[], T], *, slow: bool) -> T:
        """Return what `work` returns: done at once, or as `run` does where it is `slow`."""
        return await self.run(client_of(call), work) if slow else work()

    async def _turn(self, client: Client, *, owed: bool) -> None:
        """Wait for a thread, and take it. Raises `Busy`."""
        if self._free:
            self._free -= 1
            return
        if not owed and len(self._turns) >= self._most:
            loser = self._turns.crowd_out(client)
            if loser is None:
                raise Busy(retry_after=_RETRY)
            if not loser.done():
                loser.set_exception(Busy(retry_after=_RETRY))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._owed if owed else self._turns).add(client, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._next()  # it had its turn, and gives the thread to the next
            raise

    def _over(self, done: asyncio.Future[T]) -> None:
        """Give the thread to the next job. A failure without a waiting caller is dropped."""
        if not done.cancelled():
            done.exception()
        self._next()

    def _next(self) -> None:
        """Give a free thread to the next job whose caller still waits."""
        while self._turns or self._owed:
            self._owing = not self._owing
            first, second = (self._owed, self._turns) if self._owing else (self._turns, self._owed)
            turn = (first or second).take()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
