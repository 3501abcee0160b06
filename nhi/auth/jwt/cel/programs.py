# SPDX-License-Identifier: EUPL-1.2
"""Runs programs, each tenant's in turn, where none costs another tenant its login (SL-95).

All share one process as long as they are quick. A tenant of which a program was not, or ended the process, goes on in a
process that is new for each of its programs; and a program that ended that one too is left alone for a while.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Lock
from typing import Final, TypeVar

import msgspec

from nhi.auth.jwt.cel import protocol
from nhi.auth.jwt.cel.process import Cost, LibraryMissing, ProgramProcess, ProgramStopped
from nhi.auth.jwt.cel.protocol import Answer, Question
from vault.framework.call import Call
from vault.framework.errors import Limited, Malformed

QUICK: Final = Cost(used=0.25, passed=5.0)
"""What a program may cost where all run: as much as it takes to read the longest one. A usual one takes a millisecond."""
LONGEST: Final = Cost(used=5.0, passed=20.0)
"""What it may cost where it makes its own tenant wait, and others of which a program was not quick."""
APART: Final = 600.0
"""Seconds for which a tenant runs its programs apart after one that was not quick."""
PARKED: Final = 10.0
"""Seconds for which a program is not run after it ended a process of its own: twice what that cost."""
MOST: Final = 64
"""Programs of one tenant that run or wait for their turn; others are refused at once."""
_MARKS: Final = 4096
MISSING: Final = "CEL roles are not available: the server was installed without its part `cel`"
_COSTLY: Final = "error executing cel program: it takes too long or too much memory"
_WAIT: Final = "too many CEL programs wait for their turn: try again"
_LEFT_ALONE: Final = f"{_COSTLY}, and is not run again for {PARKED:.0f} seconds"

T = TypeVar("T")


class Programs:
    """The processes that programs of this server run in; none is told of another's claims."""

    def __init__(
        self,
        quick: Cost = QUICK,
        longest: Cost = LONGEST,
        now: Callable[[], float] = time.monotonic,
        *,
        most: int = MOST,
    ) -> None:
        """`quick` and `longest` are what a program may cost among all, and apart; `now` is in seconds.

        `most` programs of one tenant run or wait for their turn.
        """
        self._most = most
        self._quick, self._longest = quick, longest
        self._common, self._own = _Lane(), _Lane()
        self._slow = _Marks(APART, now)
        self._parked = _Marks(PARKED, now)
        self._waiting: Counter[str] = Counter()
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def check(self, tenant: str, question: Question) -> None:
        """Make sure that a program can be run. Raises `Malformed`, `Limited`."""
        answer = await self._answer(tenant, question)
        if answer.refused:
            raise Malformed(answer.refused)

    async def run(self, tenant: str, question: Question) -> Answer:
        """Return what a program makes of a token. Raises `Malformed`, `Limited`."""
        answer = await self._answer(tenant, question)
        if answer.refused:
            raise Malformed(f"error executing cel program: {answer.refused}")
        return answer

    @property
    def pid(self) -> int:
        """The number of the process that all share; 0 while there is none."""
        return self._common.process.pid

    def close(self) -> None:
        """End the processes; a later question starts others."""
        self._common.process.close()
        self._own.process.close()

    async def _answer(self, tenant: str, question: Question) -> Answer:
        """Return what a process says, once it is this tenant's turn, and this question's among its own."""
        program = _digest(tenant, question)
        if self._parked.has(program):
            raise Limited(_LEFT_ALONE)
        if self._waiting[tenant] >= self._most:
            raise Limited(_WAIT)
        self._waiting[tenant] += 1
        try:
            async with self._turns.setdefault(tenant, asyncio.Lock()):
                if not self._slow.has(tenant):
                    answer = await self._common.run(lambda: self._among_all(tenant, question))
                    if answer is not None:
                        return answer
                return await self._own.run(lambda: self._apart(program, question))
        except LibraryMissing:
            raise Malformed(MISSING) from None
        finally:
            self._waiting[tenant] -= 1
            if not self._waiting[tenant]:
                del self._waiting[tenant]

    def _among_all(self, tenant: str, question: Question) -> Answer | None:
        """Ask the process that all share; None where the tenant may do so no longer."""
        try:
            return self._common.process.ask(_packed(question), self._quick)
        except ProgramStopped:
            self._slow.mark(tenant)
            return None

    def _apart(self, program: bytes, question: Question) -> Answer:
        """Ask a process in which nothing else was run."""
        if self._parked.has(program):
            raise Limited(_LEFT_ALONE)
        try:
            return self._own.process.ask(_packed(question), self._longest)
        except ProgramStopped:
            self._parked.mark(program)
            raise Malformed(_COSTLY) from None
        finally:
            self._own.process.close()


class _Lane:
    """A process, and the thread that waits for it. A tenant has one place in it at a time: so all have their turn."""

    def __init__(self) -> None:
        self.process = ProgramProcess()
        self._thread = ThreadPoolExecutor(1, "cel")
        weakref.finalize(self, self._thread.shutdown, wait=False)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what comes of some work, once it is its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _Marks:
    """What is marked, each for so many seconds; seen and made from any thread."""

    def __init__(self, seconds: float, now: Callable[[], float], most: int = _MARKS) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._until: dict[Hashable, float] = {}
        self._lock = Lock()

    def mark(self, one: Hashable) -> None:
        """Mark it, from now on."""
        with self._lock:
            now = self._now()
            self._until.pop(one, None)
            self._until = {known: until for known, until in self._until.items() if until > now}
            if len(self._until) >= self._most:
                del self._until[next(iter(self._until))]
            self._until[one] = now + self._seconds

    def has(self, one: Hashable) -> bool:
        """Whether it is marked now."""
        with self._lock:
            return self._until.get(one, 0.0) > self._now()


def tenant_of(call: Call) -> str:
    """Return whose programs a call runs: the namespace below the root one, with all in it; there, each mount."""
    return call.namespace.path.partition("/")[0] or call.mount.uuid


def _packed(question: Question) -> bytes:
    try:
        return protocol.packed(question)
    except OverflowError:
        raise Malformed("error executing cel program: a claim is a number of more than 64 bits") from None


def _digest(tenant: str, question: Question) -> bytes:
    """Return what a program is known by, whatever it is asked."""
    bare = msgspec.structs.replace(question, claims=None, now=0)
    return sha256(tenant.encode() + b"\0" + protocol.packed(bare)).digest()
