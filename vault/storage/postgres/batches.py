# SPDX-License-Identifier: EUPL-1.2
"""Commits: all transactions that end while one round trip is under way share the next one.

What a transaction wrote is seen by others of this process from its end on. Who read it in the same batch stands or falls
with it; who did so later commits after it, and only if it did.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from vault.storage.postgres import schema
from vault.storage.postgres.connection import Connection, Full, Late, Lost, Silent, late
from vault.storage.postgres.database import Database, Slot
from vault.storage.postgres.lanes import EntryRow, Lanes
from vault.storage.postgres.lines import Lines
from vault.storage.postgres.unit import Unit, ask_all
from vault.storage.protocol import Conflict, OutcomeUnknown, StorageFailure

_TOGETHER: Final = 128
_HEAVIEST: Final = 16 << 20
"""Bytes of values in one commit of several units: less than a second, in which nobody else commits."""
_HEAVY: Final = 4 << 20
"""Bytes of values for which a commit may take a second longer than others."""
_ENOUGH: Final = 8
"""Units that are worth a round trip of their own, so that whoever comes later need not be waited for."""
_FADING: Final = 0.95
_LONGEST_STEP: Final = 1 << 24
"""Epochs grow by up to so much: two histories share none, and there are enough for many years."""
_GRACE: Final = 0.5
"""Seconds for which a commit is waited for beyond its limit: the database ends it first, and says so."""
_FIND_OUT: Final = 5.0
"""Seconds for which the outcome of a batch is looked for."""
_PAUSE: Final = 0.05
_LIMITS: Final = (
    "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
)
_LIMIT: Final = """
    SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)
"""


class Batch:
    """Units that are committed in one statement."""

    def __init__(self) -> None:
        self.id: Final = uuid.UUID(int=secrets.randbits(128), version=4)
        self.units: list[Unit] = []
        self.rows: dict[str, Unit] = {}
        """Who wrote a path last."""
        self.timers: dict[tuple[str, str], Unit] = {}
        self.reads: set[str] = set()
        self.untrue: dict[tuple[str, str], None] = {}
        """Facts, by kind and key, that are untrue after it."""
        self.weight = 0
        """How many bytes the values of all units have."""
        self.closed = False

    @property
    def heavy(self) -> bool:
        """Whether it may take longer than others."""
        return self.weight >= _HEAVY

    def takes(self, unit: Unit) -> bool:
        """Whether a unit may be committed with these, after them: nothing that they make untrue is what it rests on."""
        return (
            not self.closed
            and (not self.units or self.weight + unit.weight <= _HEAVIEST)
            and (not self.untrue or unit.outlasts(self.untrue))
        )

    def add(self, unit: Unit) -> None:
        """Take a unit along: in one group with those that it read from, or whose writes it replaces."""
        unit.group = max((each.group for each in self.units), default=0) + 1
        self.units.append(unit)
        before = [self.rows[path] for path in unit.rows if path in self.rows]
        before += [self.timers[at] for at in unit.timers if at in self.timers]
        before += [
            source for source in unit.seen.values() if isinstance(source, Unit) and source in self.units
        ]
        joined = {each.group for each in before}
        if joined:
            for each in self.units:
                if each.group in joined:
                    each.group = unit.group
        self._note(unit)
        self.closed = len(self.units) >= _TOGETHER or unit.full

    def _note(self, unit: Unit) -> None:
        self.weight += unit.weight
        for path in unit.rows:
            before = self.rows.get(path)
            if before is not None:
                before.replaced.add(path)
        self.rows.update(dict.fromkeys(unit.rows, unit))
        self.timers.update(dict.fromkeys(unit.timers, unit))
        self.reads.update(unit.seen)
        self.untrue.update(unit.untrue)

    def apart(self, other: Batch) -> bool:
        """Whether it is all the same which of two commits first: neither touches what the other changes, nor rests on it."""
        return (
            self.rows.keys().isdisjoint(other.rows)
            and self.timers.keys().isdisjoint(other.timers)
            and self._undisturbed(other)
            and other._undisturbed(self)
        )

    def _undisturbed(self, other: Batch) -> bool:
        return self.reads.isdisjoint(other.rows) and not any(
            unit.covers(other.rows) or (other.untrue and not unit.outlasts(other.untrue))
            for unit in self.units
        )

    def drop_lost(self) -> list[Unit]:
        """Take out, and return, all that read from a unit that lost, and all that stand or fall with these."""
        groups = {
            unit.group
            for unit in self.units
            if any(isinstance(source, Unit) and source.lost for source in unit.seen.values())
        }
        doomed = [unit for unit in self.units if unit.group in groups]
        self.units = [unit for unit in self.units if unit.group not in groups]
        self.rows, self.timers, self.reads, self.untrue, self.weight = {}, {}, set(), {}, 0
        for unit in self.units:
            unit.replaced.clear()
            self._note(unit)
        return doomed


class Batches:
    """Sends one batch after the other, or two at once.

    The second goes while the first is under way, as soon as it is as long: the time that it takes to the database and back
    passes while the first commits there. It goes by the connection of the `writer` who holds the turn, if nobody does.
    """

    def __init__(self, database: Database, writer: Slot, lanes: Lanes) -> None:
        """Where there is no connection left for batches, they borrow the `writer`'s."""
        self._database: Final = database
        self._lanes: Final = lanes
        self._writer: Final = writer
        self._slot: Final = Slot(database, [lanes.first, writer])
        self._waiting: deque[Batch] = deque()
        self._sent: list[Batch] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = False
        self._crowd = 0.0
        """How many units there were lately at once, waiting and sent."""
        self.lines: Final = Lines()

    def pending(self, path: str) -> Unit | None:
        """Return who wrote last at a path, and has not committed yet."""
        for batch in self._uncommitted():
            if path in batch.rows:
                return batch.rows[path]
        return None

    def touches(self, start: str, beyond: str) -> bool:
        """Whether anything that has not committed yet was written in a range."""
        return any(start <= path < beyond for batch in self._uncommitted() for path in batch.rows)

    async def settle(self) -> None:
        """Wait until what has ended by now has committed, or not."""
        waits = [
            unit.durable for batch in self._uncommitted() for unit in batch.units if unit.durable is not None
        ]
        if waits:
            await asyncio.wait(waits)

    def _uncommitted(self) -> Iterator[Batch]:
        """Yield batches, the newest first."""
        yield from reversed(self._waiting)
        yield from reversed(self._sent)

    def commit(self, unit: Unit) -> asyncio.Future[None] | None:
        """Return what ends once a unit is durable, with `Conflict` or `StorageFailure` where it is not; None: it is.

        Raises `Conflict` where that is known at once.
        """
        if (
            not unit.writes
            and unit.asked
            and unit.true_at == unit.epoch
            and len(unit.seen) + len(unit.ranges) <= 1
        ):
            ask_all([unit])
            return None
        self._refuse_stale(unit)
        if not self._waiting or not self._waiting[-1].takes(unit):
            self._waiting.append(Batch())
        self._waiting[-1].add(unit)
        loop = asyncio.get_running_loop()
        unit.durable = loop.create_future()
        self._crowd = max(self._crowd, sum(len(batch.units) for batch in self._uncommitted()))
        self._wake()
        return unit.durable

    async def enter(self) -> None:
        """Let what waits be sent before more is done that takes the loop's time, if it is half of all there is."""
        if self.ripe:
            await asyncio.sleep(0)  # it is sent in this turn of the loop,
            await asyncio.sleep(0)  # and what is sent in a turn leaves at its end

    @property
    def ripe(self) -> bool:
        """Whether there is enough to be sent, and it may be."""
        if not (self._woken and self._waiting):
            return False
        return len(self._waiting[0].units) >= max(_ENOUGH, self._crowd / 2)

    def _wake(self) -> None:
        """Have the next batch sent, if it may be."""
        if self._waiting and not self._woken and self._may_send():
            self._woken = True
            task = asyncio.get_running_loop().create_task(self._send())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _may_send(self) -> bool:
        if not self._sent:
            return True
        first, following = self._sent[0], self._waiting[0]
        return (
            len(self._sent) == 1
            and not first.heavy
            and len(following.units) >= len(first.units)
            and self._has_room()
            and following.apart(first)
        )

    def _has_room(self) -> bool:
        """Whether a connection is free for a second batch."""
        if not self._slot.lock.locked():
            return self._slot.connected
        return self._writer.connected and not self._writer.lock.locked() and not self.lines.turns

    def lose(self, unit: Unit, why: str) -> Conflict:
        """Return what is raised for a unit that lost. What it had read and written is hot from now on."""
        self.lines.heat(path for path in unit.seen if path in unit.rows)
        return Conflict(why)

    def _refuse_stale(self, unit: Unit) -> None:
        """Raise `Conflict` where it is known here already that a unit read what is not so any more."""
        if unit.basis is None and 0 < unit.epoch < self._database.epoch:
            raise self.lose(unit, "what this transaction rests on became untrue")
        for path, source in unit.seen.items():
            if isinstance(source, Unit) and (source.lost or path in source.replaced):
                raise self.lose(unit, "what this transaction had read was not kept, or not for long")
            newest = self.pending(path)
            if newest is not None and newest is not source:
                raise self.lose(unit, "another transaction changed what this one had read")
        for batch in self._uncommitted():
            if unit.ranges and unit.covers(batch.rows):
                raise self.lose(unit, "another transaction changed what this one had listed")

    async def _send(self) -> None:
        if not self.ripe:
            await asyncio.sleep(0)  # whoever ends in this turn of the loop shares the round trip
        self._crowd *= _FADING
        self._woken = False
        if not self._waiting or not self._may_send():
            return
        batch = self._waiting.popleft()
        batch.closed = True
        self._sent.append(batch)
        try:
            ask_all(batch.units)
            failed, epoch, version = await self._outcome(batch)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            self._sent.remove(batch)
            self._fail(batch.units, error)
        else:
            self._sent.remove(batch)
            for unit in batch.units:
                if unit.group not in failed:
                    self._end(unit, epoch, version)
            self._fail([unit for unit in batch.units if unit.group in failed])
        self._wake()

    def _end(self, unit: Unit, epoch: int, version: int) -> None:
        """Tell whoever waits that a unit is durable."""
        unit.epoch, unit.version = epoch, version
        self._lanes.remember(
            [
                (path, EntryRow(0, value, 0 if value is None else version))
                for path, value in unit.rows.items()
            ],
            written=True,
        )
        if unit.durable is not None and not unit.durable.done():
            unit.durable.set_result(None)

    def _fail(self, units: Iterable[Unit], error: BaseException | None = None) -> None:
        """Tell whoever waits that units were not kept: they lost, without an error. So did all that rests on them."""
        gone = [*units]
        for unit in gone:
            unit.lost = True
            if isinstance(error, StorageFailure):
                failure: StorageFailure = type(error)(str(error))
            elif error is None:
                failure = self.lose(unit, "another transaction changed what this one rests on")
            else:
                failure = StorageFailure(f"could not commit ({type(error).__name__})")
            if unit.durable is not None and not unit.durable.done():
                unit.durable.set_exception(failure)
        if not gone:
            return
        for batch in [*self._waiting]:
            self._fail(batch.drop_lost())
        self._waiting = deque(batch for batch in self._waiting if batch.units)

    async def _outcome(self, batch: Batch) -> tuple[set[int], int, int]:
        """Commit a batch; return which groups failed, the epoch, and the version of what was written."""
        if not self._slot.lock.locked():
            async with self._slot.lock:
                try:
                    await self._slot.connection()
                except Full:
                    pass
                else:
                    return await self._outcome_by(self._slot, batch)
        async with self._writer.lock:
            return await self._outcome_by(self._writer, batch)

    async def _outcome_by(self, slot: Slot, batch: Batch) -> tuple[set[int], int, int]:
        connection = await slot.connection()
        written = await _ahead(connection, batch, self._database) if batch.heavy else None
        try:
            if written is None:
                row = await write(connection, batch, self._database)
            else:
                row = await _committed(connection, written)
        except Lost as lost:
            connection, row = await found_out(slot, batch.id, lost)
        return set(row[0]), self._database.epoch_of(connection, row[1]), row[2]

    async def close(self) -> None:
        """Close the connection, once all that came is committed."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._slot.close()


async def found_out(slot: Slot, batch: uuid.UUID, lost: Lost) -> tuple[Connection, Sequence[Any]]:
    """Return how a batch ended of which no answer came. Raises `StorageFailure` where it was not done, `OutcomeUnknown` where nobody knows."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _FIND_OUT
    while loop.time() < until:
        try:
            connection = await slot.connection()
            row = await connection.row(schema.SETTLE, batch)
        except StorageFailure:
            await asyncio.sleep(_PAUSE)
            continue
        if row[2]:
            return connection, row
        raise _not_kept(lost) from None
    raise OutcomeUnknown(f"{lost}; what was to be written may have been") from None


def _not_kept(lost: Lost) -> StorageFailure:
    """Return what is raised where a connection was lost, and nothing of a batch was kept."""
    return StorageFailure(lost.late if isinstance(lost, Silent) else str(lost))


async def _ahead(connection: Connection, batch: Batch, database: Database) -> Sequence[Any]:
    """Write a heavy batch without committing it, as only a transaction has a limit of its own; return how it ended.

    Raises `StorageFailure`: then it is known that nothing was kept, though the connection be gone.
    """
    try:
        await connection.run("BEGIN")
        return await write(connection, batch, database)
    except Lost as lost:
        raise _not_kept(lost) from None
    except BaseException:
        connection.abort()
        raise


async def _committed(connection: Connection, row: Sequence[Any]) -> Sequence[Any]:
    try:
        await connection.run("COMMIT")
    except BaseException:
        connection.abort()
        raise
    return row


async def write_on(connection: Connection, batch: Batch, database: Database) -> Sequence[Any]:
    """As `write`, in a transaction that goes on: with the limits that it had. Raises as that does."""
    if not batch.heavy:
        return await write(connection, batch, database)
    limits = await connection.row(_LIMITS)
    row = await write(connection, batch, database)
    await connection.row(_LIMIT, *limits)
    return row


async def write(connection: Connection, batch: Batch, database: Database) -> Sequence[Any]:
    """Have a batch written, and committed with the transaction that is open, if there is one; there is where it is heavy.

    That one then keeps its limits. Raises `StorageFailure`, and `Lost` where the connection is gone.
    """
    limit = database.deadline
    if batch.heavy:
        limit += batch.weight / _HEAVY
        limits = (
            "statement_timeout",
            "idle_in_transaction_session_timeout",
        )  # for the server is idle until it has it all
        await connection.run("; ".join(f"SET LOCAL {name} = '{limit * 1000:.0f}ms'" for name in limits))
    try:
        return await connection.row(schema.COMMIT, *arguments(batch, database), patience=limit + _GRACE)
    except Late:
        raise StorageFailure(late(database.address)) from None


def arguments(batch: Batch, database: Database) -> Iterable[object]:
    """Return the values of `commit_batch`, in its order.

    Of what a unit read from another one of its batch, nothing is checked but what that rests on itself; whoever it read from
    before has committed.
    """
    units = batch.units
    rows = [(unit.group, path, *_value(unit, path)) for path, unit in batch.rows.items()]
    timers = [(unit.group, *at, *_timer(unit, at)) for at, unit in batch.timers.items()]
    reads = [
        (unit.group, path, source if isinstance(source, int) else source.version)
        for unit in units
        for path, source in unit.seen.items()
        if isinstance(source, int) or source not in units
    ]
    ranges = [(unit.group, *seen) for unit in units for seen in unit.ranges]
    untrue = [(unit.group, *what) for unit in units for what in unit.untrue]
    epochs = [
        (unit.group, database.newest_of(unit.true_at), None if unit.basis is None else unit.basis.kind)
        for unit in units
        if unit.epoch or unit.asked or unit.basis is not None
    ]
    keys = [(unit.group, key) for unit in units if unit.basis is not None for key in unit.basis.keys]
    unit_numbers, unit_epochs, spared = zip(*epochs, strict=True) if epochs else ((),) * 3
    yield batch.id
    yield 1 + secrets.randbelow(_LONGEST_STEP)
    yield unit_numbers
    yield unit_epochs
    for table, width in ((reads, 3), (ranges, 5), (rows, 4), (timers, 5), (untrue, 3)):
        yield from zip(*table, strict=True) if table else ((),) * width
    yield spared
    yield from zip(*keys, strict=True) if keys else ((),) * 2


def _value(unit: Unit, path: str) -> tuple[bytes | None, uuid.UUID | None]:
    part = unit.parts.get(path)
    return (unit.rows[path], None) if part is None else (None, part)


def _timer(unit: Unit, at: tuple[str, str]) -> tuple[int | None, int | None]:
    timer = unit.timers[at]
    return (None, None) if timer is None else (timer.due, timer.attempts)
