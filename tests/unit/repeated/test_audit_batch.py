# SPDX-License-Identifier: EUPL-1.2
"""Answers that wait for one write: whatever fails, each leaves or is refused, and none without its record."""

import asyncio
import sys
from collections.abc import Sequence

import pytest

from vault.framework.call import Call
from vault.framework.errors import Unavailable, VaultError
from vault.repeated.audit_batch import AuditBatch, Exchange
from vault.storage.protocol import CommitRefused
from vault.values.times import Nanos

_TIMES = (Nanos(1), Nanos(2))


class Device:
    """Takes what is written, unless it has a defect."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        """The ids of calls, those that were written together with blanks between them."""
        self.defect: Exception | None = None

    def write(self, exchanges: Sequence[Exchange]) -> VaultError | None:
        if self.defect is not None:
            raise self.defect
        self.taken.append(" ".join([call.id for call, *_ in exchanges]))
        return None


class Caller:
    """Waits for an answer, and learns whether it may leave."""

    def __init__(self, defect: Exception | None = None) -> None:
        self.told: list[VaultError | None] = []
        self._defect = defect

    def leave(self, failure: VaultError | None) -> None:
        self.told.append(failure)
        if self._defect is not None:
            raise self._defect


def _exchange(name: str) -> Exchange:
    call = Call()
    call.id = name
    return call, None, _TIMES, {}, None


def _filled(device: Device, reported: list[Exception], *callers: Caller) -> AuditBatch:
    batch = AuditBatch(device.write, reported.append)
    for number, caller in enumerate(callers):
        batch.add(_exchange(str(number)))
        batch.then(caller.leave)
    return batch


def test_a_caller_whose_answer_cannot_leave_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        device, reported, defect = Device(), list[Exception](), RuntimeError("gone")
        callers = [Caller(), Caller(defect), Caller()]
        batch = _filled(device, reported, *callers)
        assert batch.flush() is None
        assert [caller.told for caller in callers] == [[None]] * 3
        assert (reported, device.taken) == ([defect], ["0 1 2"])
        assert batch.flush() is None and device.taken == ["0 1 2"]

    asyncio.run(scenario())


def test_a_write_that_fails_in_a_way_that_nobody_expected_refuses_every_caller() -> None:
    async def scenario() -> None:
        device, reported = Device(), list[Exception]()
        device.defect = OSError("nobody thought of it")
        callers = [Caller(), Caller()]
        batch = _filled(device, reported, *callers)
        failure = batch.flush()
        assert isinstance(failure, Unavailable)
        assert [caller.told for caller in callers] == [[failure]] * 2
        assert reported == [device.defect]
        device.defect, later = None, Caller()
        batch.add(_exchange("later"))
        batch.then(later.leave)
        await asyncio.sleep(0)
        assert (later.told, device.taken) == ([None], ["later"])

    asyncio.run(scenario())


def test_writes_are_recorded_before_the_first_commit_that_one_of_them_is_in() -> None:
    async def scenario() -> None:
        device, reported = Device(), list[Exception]()
        batch = AuditBatch(device.write, reported.append)
        first, second = batch.hold(_exchange("1")), batch.hold(_exchange("2"))
        await asyncio.sleep(0)
        assert first == second and device.taken == []
        first()
        second()
        assert device.taken == ["1 2"]
        third = batch.hold(_exchange("3"))
        assert third != first
        first()
        assert device.taken == ["1 2"]
        third()
        assert device.taken == ["1 2", "3"]

    asyncio.run(scenario())


def test_sl_53_a_write_whose_record_was_lost_with_that_of_a_read_is_refused_at_its_commit() -> None:
    async def scenario() -> None:
        device, reported, reader = Device(), list[Exception](), Caller()
        batch = AuditBatch(device.write, reported.append)
        held = batch.hold(_exchange("1"))
        batch.add(_exchange("2"))
        batch.then(reader.leave)
        device.defect = OSError("full")
        await asyncio.sleep(0)  # the read leaves with this turn of the loop, and takes what is held along
        assert isinstance(reader.told[0], Unavailable)
        device.defect = None
        for _ in range(2):
            with pytest.raises(CommitRefused, match="OSError"):
                held()
        batch.hold(_exchange("3"))()
        assert device.taken == ["3"]

    asyncio.run(scenario())


def test_what_is_written_is_no_longer_in_memory_however_long_its_check_is() -> None:
    async def scenario() -> None:
        exchange = _exchange("1")
        unheld = sys.getrefcount(exchange)
        held = AuditBatch(lambda _: Unavailable(), list[Exception]().append).hold(exchange)
        assert sys.getrefcount(exchange) > unheld
        with pytest.raises(CommitRefused):
            held()
        assert sys.getrefcount(exchange) == unheld

    asyncio.run(scenario())
