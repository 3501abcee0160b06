# SPDX-License-Identifier: EUPL-1.2
"""Reads of one turn of the event loop share one round trip; while all connections are busy, the next ones gather.

A read joins only a statement that has not been sent: so that one's snapshot is taken after whoever reads had asked. What
is handed out is a future, as a request may begin outside any task, and none that is cancelled cancels a statement.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from vault.storage.postgres import schema
from vault.storage.postgres.connection import Connection, Lost, Silent
from vault.storage.postgres.database import Database, Slot
from vault.storage.protocol import LONG, StorageBusy, StorageFailure

T = TypeVar("T")

_TOGETHER: Final = 128
"""Reads in one statement."""
_RECENT: Final = 1.0
"""Seconds for which an entry that was read or written is guessed to be as it was: less than a failover takes."""
_BRIEF: Final = 0.05
"""The same of ranges, and of entries of which such a guess was wrong."""
_DOUBTED: Final = 10.0
"""Seconds for which nothing is guessed of these for longer: others write them too."""
_REMEMBERED: Final = 1024
_SMALL: Final = 4096
"""Entries that are remembered for that, and their bytes."""
_FEW: Final = 16
"""Ranges that are remembered, and paths in one."""
_MOST: Final = 1024
"""Reads that wait: more are refused."""


class EntryRow(NamedTuple):
    """An entry as a statement saw it: no value, and version 0, where there is none.

    Nor is there a value, but a length, where that is long.
    """

    epoch: int
    value: bytes | None
    version: int
    length: int = 0


class Range(NamedTuple):
    """Paths from `start` up to `beyond`, and what tells whether one of them changed: how many, and the newest version."""

    start: str
    beyond: str
    paths: int
    version: int


class RangePage(NamedTuple):
    """What a statement found in a range, which may have more."""

    epoch: int
    paths: Sequence[str]
    seen: Range
    whole: bool


Asked = tuple[str, str, int]
"""Where a range begins and ends, and how many paths are wanted at most."""


class _Job(NamedTuple, Generic[T]):
    """Something asked in a statement of its own."""

    ask: Callable[[Connection], Awaitable[T]]
    answer: asyncio.Future[T]


class Lanes:
    """The connections that read."""

    def __init__(self, database: Database, writer: Slot) -> None:
        """Beside the first, there is a second one where the database has a connection left for it after the `writer`'s."""
        self._database: Final = database
        self.first: Final = Slot(database)
        self._slots = [self.first, Slot(database, [self.first, writer])]
        self._free = [*self._slots]
        self._gets: deque[tuple[str | None, asyncio.Future[EntryRow]]] = deque()
        self._jobs: deque[_Job[Any]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = False
        self._timeline = database.timeline
        self._recent: dict[str, tuple[float, EntryRow]] = {}
        self._doubted: dict[str, float] = {}
        self._pages: dict[Asked, tuple[float, RangePage]] = {}

    def recent_page(self, asked: Asked) -> RangePage | None:
        """Return what was in a range a moment ago, without an epoch: a guess, as `recent` gives."""
        self._keep_to_history()
        known = self._pages.get(asked)
        if known is None or known[0] < asyncio.get_running_loop().time():
            return None
        return known[1]

    def remember_page(self, asked: Asked, page: RangePage) -> None:
        """Guess from now on that this is in a range, if it is not much."""
        self._pages.pop(asked, None)
        if len(page.paths) <= _FEW:
            self._pages[asked] = asyncio.get_running_loop().time() + _BRIEF, page._replace(epoch=0)
            if len(self._pages) > _FEW:
                del self._pages[next(iter(self._pages))]

    def recent(self, path: str) -> EntryRow | None:
        """Return an entry as it was a moment ago, without an epoch: good as a guess that is checked when it matters."""
        self._keep_to_history()
        known = self._recent.get(path)
        if known is None or known[0] < asyncio.get_running_loop().time():
            return None
        return known[1]

    def forget_all(self) -> None:
        """Believe nothing: an older backup may be in the place of what was seen, and its versions come again."""
        self._pages.clear()
        self._recent.clear()

    def _keep_to_history(self) -> None:
        """Forget what another timeline had: commits that a failover lost gave versions that come again."""
        if self._timeline != self._database.timeline:
            self._timeline = self._database.timeline
            self.forget_all()

    def doubt(self, paths: Iterable[str]) -> None:
        """Believe nothing of these entries, and for a while nothing for long: a guess about one of them was wrong."""
        paths = [*paths]
        self.forget(paths)
        until = asyncio.get_running_loop().time() + _DOUBTED
        for path in paths:
            self._doubted.pop(path, None)
            self._doubted[path] = until
        while len(self._doubted) > _REMEMBERED:
            del self._doubted[next(iter(self._doubted))]

    def forget(self, paths: Iterable[str]) -> None:
        """Believe nothing of these entries any more, nor of any range."""
        self._pages.clear()
        for path in paths:
            self._recent.pop(path, None)

    def remember(self, entries: Iterable[tuple[str | None, EntryRow]], *, written: bool = False) -> None:
        """Guess from now on that these are so, but for what is known to be older; they were read, or `written`."""
        self._keep_to_history()
        now = asyncio.get_running_loop().time()
        for path, row in entries:
            if path is None:
                continue
            until = now + (_BRIEF if self._doubted.get(path, 0.0) > now else _RECENT)
            known = self._recent.pop(path, None)
            for start, beyond, most in [*self._pages] if written else ():
                if start <= path < beyond:
                    del self._pages[start, beyond, most]
            if len(row.value or b"") > _SMALL or row.length > LONG:
                continue  # what was there is older, or of the same version and replaced
            newer = known is not None and known[0] >= now and known[1].version > row.version
            self._recent[path] = known if known is not None and newer else (until, row._replace(epoch=0))
        while len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def get(self, path: str | None) -> asyncio.Future[EntryRow]:
        """Return what will be the entry at a path; of None, there is none."""
        answer: asyncio.Future[EntryRow] = self._accept()
        self._gets.append((path, answer))
        return answer

    def ask(self, ask: Callable[[Connection], Awaitable[T]]) -> asyncio.Future[T]:
        """Return what will be the answer to a statement of its own."""
        answer: asyncio.Future[T] = self._accept()
        self._jobs.append(_Job(ask, answer))
        return answer

    def _accept(self) -> asyncio.Future[Any]:
        if len(self._gets) + len(self._jobs) >= _MOST:
            raise StorageBusy("too many reads wait for the database")
        loop = asyncio.get_running_loop()
        if not self._woken and self._free:
            self._woken = True
            loop.call_soon(self._wake)
        return loop.create_future()

    def _wake(self) -> None:
        """Give what has gathered to lanes that are free: entries to one, and the rest to others."""
        self._woken = False
        wanted = min(len(self._free), bool(self._gets) + len(self._jobs))
        for _ in range(wanted):
            self._begin(self.first if self.first in self._free else self._free[0])

    def _begin(self, slot: Slot) -> None:
        self._free.remove(slot)
        task = asyncio.get_running_loop().create_task(self._drive(slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, slot: Slot) -> None:
        """Ask until nothing waits, or this lane has no connection and is not the only one: the first asks what is left."""
        try:
            if slot is not self.first:
                try:
                    await slot.connection()
                except StorageFailure:
                    return
            while self._gets or self._jobs:
                if self._gets:
                    await self._together(slot)
                if self._jobs:
                    await self._alone(slot, self._jobs.popleft())
        finally:
            self._free.append(slot)
            self._hand_over(slot)

    def _hand_over(self, slot: Slot) -> None:
        """Let the first lane do what another one left, if it does nothing else."""
        if (self._gets or self._jobs) and self.first is not slot and self.first in self._free:
            self._begin(self.first)

    async def _together(self, slot: Slot) -> None:
        gets = [self._gets.popleft() for _ in range(min(len(self._gets), _TOGETHER))]
        gets = [get for get in gets if not get[1].done()]
        if not gets:
            return
        try:
            paths = [path for path, _ in gets]
            rows = await _again(slot, partial(self._rows, paths=paths))
            self.remember(zip(paths, rows, strict=True))
        except BaseException as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            for _, answer in gets:
                _refuse(answer, error)
            return
        for (_, answer), row in zip(gets, rows, strict=True):
            if not answer.done():
                answer.set_result(row)

    async def _rows(self, connection: Connection, paths: Sequence[str | None]) -> Sequence[EntryRow]:
        if len(paths) == 1:
            return [await row_at(self._database, connection, paths[0])]
        newest, *columns = await connection.row(schema.ROWS, paths)
        epoch = self._database.epoch_of(connection, newest)
        return [
            EntryRow(epoch, value, version or 0, length or 0)
            for value, version, length in zip(*columns, strict=True)
        ]

    async def _alone(self, slot: Slot, job: _Job[Any]) -> None:
        if job.answer.done():
            return
        try:
            found = await _again(slot, job.ask)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            _refuse(job.answer, error)
            return
        if not job.answer.done():
            job.answer.set_result(found)

    async def close(self) -> None:
        """Answer what waits, and close the connections."""
        while self._tasks or self._woken:
            await asyncio.gather(*self._tasks)
            await asyncio.sleep(0)
        for slot in self._slots:
            await slot.close()


async def row_at(database: Database, connection: Connection, path: str | None) -> EntryRow:
    """Ask for one entry."""
    newest, value, version, length = await connection.row(schema.ROW, path)
    return EntryRow(database.epoch_of(connection, newest), value, version or 0, length or 0)


async def _again(slot: Slot, ask: Callable[[Connection], Awaitable[T]]) -> T:
    """Ask, and once more where the connection had broken while nothing was asked: a read may be done twice."""
    try:
        return await ask(await slot.connection())
    except Silent:
        raise
    except Lost:
        return await ask(await slot.connection())


def _refuse(answer: asyncio.Future[Any], error: BaseException) -> None:
    """Tell one of those who wait what went wrong: each is told by an error of its own, which it may add to."""
    if answer.done():
        return
    if isinstance(error, StorageFailure):
        answer.set_exception(type(error)(str(error)))
    else:
        answer.set_exception(StorageFailure(f"the database could not be asked ({type(error).__name__})"))
