# SPDX-License-Identifier: EUPL-1.2
"""Answers that wait for one write: whatever fails, each leaves or is refused, and none without its record."""

import asyncio
import sys
from collections.abc import Sequence

import pytest

from vault.framework.errors import Unavailable, VaultError
from vault.repeated.audit_batch import AuditBatch
from vault.storage.protocol import CommitRefused


class Device:
    """Takes what is written, unless it has a defect."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.defect: Exception | None = None

    def write(self, of_devices: Sequence[bytes], count: int) -> VaultError | None:
        if self.defect is not None:
            raise self.defect
        self.taken += of_devices
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


def _filled(device: Device, reported: list[Exception], *callers: Caller) -> AuditBatch:
    batch = AuditBatch(1, device.write, reported.append)
    for number, caller in enumerate(callers):
        batch.add([b"%d\n" % number])
        batch.then(caller.leave)
    return batch


def test_a_caller_whose_answer_cannot_leave_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        device, reported, defect = Device(), list[Exception](), RuntimeError("gone")
        callers = [Caller(), Caller(defect), Caller()]
        batch = _filled(device, reported, *callers)
        assert batch.flush() is None
        assert [caller.told for caller in callers] == [[None]] * 3
        assert (reported, device.taken) == ([defect], [b"0\n1\n2\n"])
        assert batch.flush() is None and device.taken == [b"0\n1\n2\n"]

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
        batch.add([b"later\n"])
        batch.then(later.leave)
        await asyncio.sleep(0)
        assert (later.told, device.taken) == ([None], [b"later\n"])

    asyncio.run(scenario())


def test_lines_of_writes_wait_for_the_first_commit_that_one_of_them_is_in() -> None:
    async def scenario() -> None:
        device, reported = Device(), list[Exception]()
        batch = AuditBatch(1, device.write, reported.append)
        first, second = batch.hold([b"1\n"]), batch.hold([b"2\n"])
        await asyncio.sleep(0)
        assert first == second and device.taken == []
        first()
        second()
        assert device.taken == [b"1\n2\n"]
        third = batch.hold([b"3\n"])
        assert third != first
        first()
        assert device.taken == [b"1\n2\n"]
        third()
        assert device.taken == [b"1\n2\n", b"3\n"]

    asyncio.run(scenario())


def test_sl_53_a_write_whose_lines_were_lost_with_those_of_a_read_is_refused_at_its_commit() -> None:
    async def scenario() -> None:
        device, reported, reader = Device(), list[Exception](), Caller()
        batch = AuditBatch(1, device.write, reported.append)
        held = batch.hold([b"1\n"])
        batch.add([b"2\n"])
        batch.then(reader.leave)
        device.defect = OSError("full")
        await asyncio.sleep(0)  # the read leaves with this turn of the loop, and takes what is held along
        assert isinstance(reader.told[0], Unavailable)
        device.defect = None
        for _ in range(2):
            with pytest.raises(CommitRefused, match="OSError"):
                held()
        batch.hold([b"3\n"])()
        assert device.taken == [b"3\n"]

    asyncio.run(scenario())


def test_what_is_written_is_no_longer_in_memory_however_long_its_check_is() -> None:
    async def scenario() -> None:
        line = b"x" * 100
        unheld = sys.getrefcount(line)
        held = AuditBatch(1, lambda *_: Unavailable(), list[Exception]().append).hold([line])
        assert sys.getrefcount(line) > unheld
        with pytest.raises(CommitRefused):
            held()
        assert sys.getrefcount(line) == unheld

    asyncio.run(scenario())
