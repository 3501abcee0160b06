# SPDX-License-Identifier: EUPL-1.2
"""Group commit: writers take turns in one SQLite transaction, and share its statements and its fsync.

1. A writer waits for its turn. The first begins the transaction; other processes that write are waited for in a thread.
2. What it writes waits in memory, where its reads look first. What needs SQLite earlier spills behind a savepoint.
3. It leaves its writes in the batch and hands the turn over. Whoever waited longest is next.
4. When nobody waits or the batch is full, all that was written goes to SQLite, each kind in one statement.
5. A thread commits, and writes long values. Meanwhile the next batch is open: what this one wrote is looked up in memory.
   No other process comes in between, because the turnstile is held. If the commit fails, both batches fail.
6. Everybody of the batch is answered, never before.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from vault.storage.protocol import StorageFailure
from vault.storage.single_thread import SingleThread
from vault.storage.sqlite.batch import OpenBatch, Outcome, fresh_stamp
from vault.storage.sqlite.database import Connection, is_busy
from vault.storage.sqlite.files import Files
from vault.storage.sqlite.group_size import GroupSize
from vault.storage.sqlite.pending_writes import PendingWrites
from vault.storage.sqlite.reads import Found, whole_row
from vault.storage.sqlite.row_cache import Rows
from vault.storage.sqlite.turnstile import Turnstile

T = TypeVar("T")

_LULL: Final = 3
"""Turns of the event loop without another writer after which no more are waited for: a request takes two to get here."""


class GroupCommit:
    """The one writer of a database file in this process.

    `connect` opens its connection, and `thread` commits. `patience` is how many seconds a batch waits for other processes,
    once it is its turn at the `turnstile`. `rows` are told what is committed here; `size` says for how many a batch waits.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        thread: SingleThread,
        turnstile: Turnstile,
        files: Files,
        rows: Rows,
        size: GroupSize,
        *,
        patience: float,
    ) -> None:
        self._connect = connect
        self._turnstile = turnstile
        self._files = files
        self._rows = rows
        self._patience = patience
        self._connection: Connection | None = connect()
        self._file: Final = self._connection.file
        self._thread: Final = thread
        self._waiting: deque[asyncio.Future[Outcome]] = deque()
        self._batch: OpenBatch | None = None
        self._committing: OpenBatch | None = None
        self._size = size
        self._wanted = 0
        """Writers that a batch should have, if they keep coming."""
        self._lingers = False
        self._savepoint = False
        self._inside = False
        self._beginning = False
        self._holder: asyncio.Task[object] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._closed = False
        self._saved = False
        """Whether a journal that lost its name is in the database."""

    @property
    def connection(self) -> Connection:
        """The writer's connection; opened anew when a rollback on the last one failed."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    @property
    def _in_transaction(self) -> bool:
        """Whether the batch still stands; some failures make SQLite roll it back by itself."""
        return self._connection is not None and self._connection.raw.in_transaction

    async def enter(self) -> None:
        """Wait for the turn. Raises `StorageFailure`; then there is nothing to leave."""
        if self._closing:
            raise StorageFailure(f"storage {self._file}: it is closed")
        task = asyncio.current_task()
        if self._holder is not None and task is self._holder:
            raise RuntimeError("this task is in a transaction already, and would wait for itself")
        self._idle.clear()
        if self._inside or self._next_waiting() is not None or not self._take():
            await self._queue()  # 1.
        self._holder = task

    @property
    def open(self) -> OpenBatch:
        """The batch that whoever has the turn is in. Raises `StorageFailure` where SQLite has rolled it back."""
        batch = self._batch
        if batch is not None:
            if batch.before is not None:
                return batch
            connection = self._connection
            if connection is not None and connection.raw.in_transaction:
                return batch
        raise StorageFailure(f"storage {self._file}: the transaction was rolled back; try again")

    async def spill(self, own: PendingWrites) -> None:
        """Give SQLite what the batch has and, behind a savepoint, what this writer has. Raises `StorageFailure`."""
        await self.open.founded()
        batch = self.open
        batch.spilled = True
        if not self._savepoint:
            try:
                await self._apply(batch.pending)
            except asyncio.CancelledError:
                raise  # SQLite has all of what others wrote
            except BaseException:
                self._roll_back()
                raise
            self.connection.run("savepoint", "SAVEPOINT writer")
            self._savepoint = True
        await self._apply(own)  # 2.

    async def _apply(self, pending: PendingWrites) -> None:
        rest = pending.apply(self.connection)
        if rest is not None:
            await self.work(rest)

    async def work(self, do: Callable[[], T]) -> T:
        """Do something long with the connection in the thread, for who has the turn. Raises what it raises.

        Who is cancelled waits for the end of it, for he is about to undo what it does.
        """
        doing = self._thread.do(do)
        cancelled: asyncio.CancelledError | None = None
        while not doing.done():
            try:
                await asyncio.wait((doing,))
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None and doing.exception() is None:
            raise cancelled
        return doing.result()

    async def whole(self, path: str) -> Found:
        """Read what is long within the transaction, in the thread. Raises `StorageFailure`."""
        return await self.work(lambda: whole_row(self.connection, path))

    def release(self, own: PendingWrites) -> asyncio.Future[Outcome]:
        """Leave with success and return what tells how the commit went. Nobody is answered before.

        Who makes anything untrue lets nobody further into this batch: nobody sees it before it is durable.
        Raises `StorageFailure` when the batch is gone; then `undo` is still to be called.
        """
        batch = self.open
        if self._savepoint:
            self.connection.run("release", "RELEASE writer")
            self._savepoint = False
        batch.size += 1
        heavy = batch.pending.absorb(own)  # 3.
        batch.closed = heavy or bool(own.untrue)
        self._inside, self._holder = False, None
        ended = batch.wait()
        self._advance()
        return ended

    def undo(self) -> None:
        """Leave without a trace; the rest of the batch is not affected. Never waits."""
        self._inside, self._holder = False, None
        nested, self._savepoint = self._savepoint, False
        try:
            if nested and self._in_transaction:
                self.connection.run("rollback_to", "ROLLBACK TO writer")
                self.connection.run("release", "RELEASE writer")
        except StorageFailure:
            self._roll_back()
        self._end_turn()

    async def check(self) -> None:
        """Look at the files, in the thread. Raises `StorageFailure`.

        Where only the journal lost its name, what is in it is brought into the database while it is still open; it is
        tried each time until it is there, because whoever writes can be in the way.
        """
        if not self._closing:
            await self._thread.do(self._check)

    def _check(self) -> None:
        try:
            self._files.check()
        except StorageFailure:
            if not self._saved and self._files.only_journal_gone and self._connection is not None:
                self._saved = self._connection.save_journal()
            raise

    async def close(self) -> None:
        """Let those who came finish, refuse newcomers, and close the connection."""
        self._closing = True
        await self._idle.wait()
        if not self._closed:
            self._closed = True
            await self._thread.do(self._release_files)
            self._thread.end()

    def _take(self) -> bool:
        """Take the free turn, and begin where nothing is open; False when it will be handed over later."""
        if self._batch is not None:
            self._inside = not self._batch.full
        elif self._committing is None and not self._beginning:
            try:
                self._inside = self._begin()
            except BaseException:
                self._advance()
                raise
            if not self._inside:
                self._begin_in_thread()
        return self._inside

    async def _queue(self) -> None:
        """Wait until the turn is handed over."""
        turn: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            outcome = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result() is None:
                self._inside = False
                self._advance()
            raise
        if outcome is not None:
            raise type(outcome)(str(outcome)) from outcome

    def _begin(self) -> bool:
        """Begin if no other process is in the way; if one is, keep the place behind it."""
        if not self._turnstile.enter_now():
            return False
        try:
            self.connection.run("begin", "BEGIN IMMEDIATE")
        except StorageFailure as problem:
            if is_busy(problem):
                return False
            self._turnstile.leave()
            raise
        self._turnstile.leave()
        self._begun()
        return True

    def _begun(self) -> None:
        """Open a batch, or found the one that is open already, if what it stands on is what is there.

        Raises `StorageFailure`, and then nothing has begun.
        """
        batch = self._batch
        try:
            stamp = self._rows.stamp()
        except StorageFailure:
            self._roll_back()
            raise
        if batch is None:
            self._batch = OpenBatch(stamp)
        elif batch.base == stamp:
            batch.found()
        else:
            self._roll_back()
            self._fail(batch, StorageFailure(f"storage {self._file}: another process came first; try again"))

    def _fail(self, batch: OpenBatch, problem: StorageFailure) -> None:
        """Give up the open batch."""
        self._batch = None
        batch.end(problem)

    def _end_turn(self) -> None:
        """Fail the batch if its transaction is gone, and let whoever is next go on."""
        batch = self._batch
        if batch is not None and batch.before is None and not self._in_transaction:
            problem = StorageFailure(f"storage {self._file}: the batch was rolled back; try again")
            self._fail(batch, problem)
        self._advance()

    def _advance(self) -> None:
        """Decide what comes next, unless somebody has the turn: commit, begin, hand over, or rest."""
        while not self._inside and not self._beginning:
            turn, batch, busy = self._next_waiting(), self._batch, self._committing is not None
            if batch is not None and batch.size and not busy and (turn is None or batch.full):
                if batch.size < self._wanted and not batch.full:
                    self._linger(batch)
                    return
                self._commit_in_thread(batch)
            elif turn is None:
                if not busy:
                    self._rest()
                return
            elif batch is None:
                if busy or not self._begin_for(turn):
                    return
            elif batch.full:
                return
            else:
                del self._waiting[0]
                self._inside = True
                turn.set_result(None)

    def _linger(self, batch: OpenBatch) -> None:
        """Wait for more writers, as long as they keep coming."""
        if not self._lingers:
            self._lingers = True
            asyncio.get_running_loop().call_soon(self._look_again, batch, batch.size, _LULL)

    def _look_again(self, batch: OpenBatch, size: int, left: int) -> None:
        if self._batch is batch and batch.size < self._wanted and left:
            left = left - 1 if batch.size == size else _LULL
            asyncio.get_running_loop().call_soon(self._look_again, batch, batch.size, left)
            return
        self._lingers = False
        self._wanted = 0
        self._advance()

    def _begin_for(self, turn: asyncio.Future[Outcome]) -> bool:
        """Begin for who is first in line; False when that is being waited for."""
        try:
            begun = self._begin()
        except StorageFailure as problem:
            del self._waiting[0]
            turn.set_result(problem)
            return True
        if not begun:
            self._begin_in_thread()
        return begun

    def _next_waiting(self) -> asyncio.Future[Outcome] | None:
        while self._waiting and self._waiting[0].done():
            del self._waiting[0]
        return self._waiting[0] if self._waiting else None

    def _rest(self) -> None:
        """Nobody waits and nobody is in the batch: close it."""
        if self._batch is not None:
            self._batch = None
            self._roll_back()
        self._idle.set()

    def _begin_in_thread(self) -> None:
        """Wait for other processes off the event loop, then hand over to whoever is first."""
        self._beginning = True
        work = self._thread.do(self._begin_patiently)
        work.add_done_callback(self._begun_in_thread)

    def _begin_patiently(self) -> Outcome:
        try:
            until = time.monotonic() + self._patience
            self._turnstile.enter(self._patience)
            connection = self.connection
            connection.wait_for_lock(max(0.0, until - time.monotonic()))
            try:
                connection.run("begin", "BEGIN IMMEDIATE")
            finally:
                connection.wait_for_lock(0)
        except StorageFailure as problem:
            return problem
        finally:
            self._turnstile.leave()
        return None

    def _begun_in_thread(self, work: asyncio.Future[Outcome]) -> None:
        self._beginning = False
        problem = self._outcome(work)
        if problem is None:
            try:
                self._begun()
            except StorageFailure as failed:
                problem = failed
        if problem is not None:
            if self._batch is not None:
                self._fail(self._batch, problem)
            for turn in self._waiting:
                if not turn.done():
                    turn.set_result(problem)
        self._advance()

    def _commit_in_thread(self, batch: OpenBatch) -> None:
        """Let SQLite have what waits, here, where no other thread wants the interpreter, and commit in the thread.

        What is long is written there too: that takes longer than it costs to want the interpreter. The files are looked at
        here, for the thread would want the interpreter again for each.
        Meanwhile the next batch is open, unless it would have to ask SQLite for what this one did, or its epoch.
        """
        self._committing, self._batch = batch, None
        loop = asyncio.get_running_loop()
        try:
            for check in batch.checks:
                check()
            self._files.check()
            if batch.spilled or not batch.pending.empty:
                batch.stamp = fresh_stamp()
                if not batch.spilled:
                    moves = bool(batch.pending.untrue)
                    self._rows.expect(batch.pending.rows, batch.base, batch.stamp, moves=moves)
                batch.epoch = batch.pending.end(self.connection, batch.stamp)  # 4.
            if not batch.spilled and not batch.pending.untrue and self._turnstile.enter_now():
                self._batch = OpenBatch(batch.stamp, batch)
                self._rows.expect_no_other()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be left waiting for it
            self._rows.end(kept=False)
            self._roll_back()
            loop.call_soon(self._committed, batch, self._failure(error, "writing"))
            return
        self._size.begin()
        work = self._thread.do(partial(self._commit, batch.pending))
        work.add_done_callback(lambda work: self._committed(batch, self._outcome(work)))

    def _commit(self, pending: PendingWrites) -> Outcome:
        try:
            pending.end_long(self.connection)
            self.connection.run("commit", "COMMIT")  # 5.
            self._rows.committed()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next batch must be able to begin
            self._roll_back()
            return self._failure(error, "committing")
        return None

    def _committed(self, batch: OpenBatch, outcome: Outcome) -> None:
        if outcome is None:
            try:
                self._files.check()  # or nobody would find what was committed
            except StorageFailure as lost:
                outcome = lost
        self._rows.end(kept=outcome is None, epoch=batch.epoch)
        self._committing = None
        batch.end(outcome)  # 6.
        following = self._batch
        self._wanted = self._size.end(batch.size, 0 if following is None else following.size)
        if following is not None:
            self._follow(following, outcome)
        self._advance()

    def _follow(self, batch: OpenBatch, outcome: Outcome) -> None:
        """Begin for the batch that stands on the one that was just committed, if that went well and it is needed."""
        if outcome is None and (batch.size or self._inside):
            try:
                if not self._begin():
                    self._begin_in_thread()
            except StorageFailure as problem:
                self._fail(batch, problem)
            return
        self._turnstile.leave()
        self._batch = None
        if outcome is not None:
            batch.end(outcome)

    def _outcome(self, work: asyncio.Future[Outcome]) -> Outcome:
        """Return what the thread reported; what it did not expect is a failure too."""
        error = work.exception()
        return work.result() if error is None else self._failure(error, "committing")

    def _failure(self, error: BaseException, doing: str) -> StorageFailure:
        if isinstance(error, StorageFailure):
            return error
        return StorageFailure(f"storage {self._file}: {type(error).__name__} while {doing}")

    def _roll_back(self) -> None:
        """Undo the whole transaction; a connection that cannot even do that is given up."""
        try:
            if self._in_transaction:
                self.connection.run("rollback", "ROLLBACK")
        except StorageFailure:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.raw.close()

    def _release_files(self) -> None:
        self._disconnect()
        self._turnstile.close()
