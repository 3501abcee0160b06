# SPDX-License-Identifier: EUPL-1.2
"""Devices that keep somebody waiting: the loop never is, whoever waits does so for a while, and lines stay whole."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.audit.test_broker import _call as call_
from tests.unit.engines.system.house import House, play
from vault.audit import writer as module
from vault.audit.device import DeviceConfig, DeviceFailure, open_device
from vault.audit.writer import Writer
from vault.engines.system.operations.audit import AuditEngine
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import Unavailable

LONG = b"x" * 300_000 + b"\n"
"""More than a pipe takes at once."""


class Gated:
    """A device that takes what comes while its gate is open, and waits otherwise."""

    def __init__(self, *, prompt: bool = False) -> None:
        self.prompt = prompt
        self.gate = threading.Event()
        self.taken: list[bytes] = []
        self.defect: Exception | None = None
        self.closed = threading.Event()

    def write(self, line: bytes, now: float) -> None:
        del now
        self.gate.wait()
        if self.defect is not None:
            raise self.defect
        self.taken.append(line)

    def reopen(self) -> None:
        self.gate.wait()

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE", 0.2)


def _fifo(folder: Path) -> Path:
    path = folder / "pipe"
    os.mkfifo(path)
    return path


def _writer(path: Path) -> Writer:
    return Writer(
        "pipe/", open_device(DeviceConfig(path="pipe/", kind="file", options={"file_path": str(path)}))
    )


async def _outcome(writer: Writer, line: bytes) -> DeviceFailure | None:
    try:
        outcome = writer.write(line, time.monotonic())
    except DeviceFailure as failure:
        return failure
    return None if outcome is None else await outcome


def test_a_line_that_was_taken_as_its_time_ran_out_is_taken_and_so_is_the_next() -> None:
    async def scenario() -> None:
        device = Gated()
        device.gate.set()
        writer = Writer("slow/", device)
        outcome = writer.write(b"one\n", time.monotonic())
        assert outcome is not None
        time.sleep(2 * module.DEADLINE)  # noqa: ASYNC251 -- the loop is busy: it hears of both in one turn
        assert await outcome is None
        await asyncio.sleep(0)
        assert await _outcome(writer, b"two\n") is None
        assert device.taken == [b"one\n", b"two\n"]
        writer.close()
        writer.finish()

    asyncio.run(scenario())


async def _taken(writer: Writer, line: bytes) -> None:
    """Ask until a line is taken."""
    while await _outcome(writer, line) is not None:  # noqa: ASYNC110 -- the thread tells nobody that it is free
        await asyncio.sleep(0.01)


def _read(fd: int, until: Callable[[bytes], bool]) -> bytes:
    found = b""
    while not until(found):
        found += os.read(fd, 1 << 16)
    return found


def test_a_device_that_hangs_costs_one_wait_and_then_none_until_it_goes_on() -> None:
    async def scenario() -> None:
        device = Gated()
        writer = Writer("slow/", device)
        first = await _outcome(writer, b"1\n")
        assert first is not None and "took no record" in str(first)
        for _ in range(1000):
            assert await _outcome(writer, b"2\n") is not None
        device.gate.set()
        await _taken(writer, b"3\n")
        assert device.taken == [b"1\n", b"3\n"]
        writer.close()
        writer.finish()
        assert device.closed.is_set()

    asyncio.run(scenario())


def test_lines_keep_their_order_and_what_waits_is_bounded() -> None:
    async def scenario() -> None:
        device = Gated()
        writer = Writer("slow/", device, most_bytes=10)
        waiting = [writer.write(b"%d\n" % number, 0) for number in range(5)]
        with pytest.raises(DeviceFailure):
            writer.write(b"x", 0)
        device.gate.set()
        assert [await one for one in waiting if one is not None] == [None] * 5
        assert device.taken == [b"%d\n" % number for number in range(5)]
        assert await _outcome(writer, b"x\n") is None

    asyncio.run(scenario())


def test_a_defect_of_a_device_is_a_failure_as_any_other() -> None:
    async def scenario() -> None:
        device = Gated()
        device.gate.set()
        writer = Writer("slow/", device)
        for device.defect in (DeviceFailure("full"), ZeroDivisionError("hunter2")):
            failure = await _outcome(writer, b"x\n")
            assert failure is not None and "hunter2" not in str(failure)

    asyncio.run(scenario())


def test_a_local_disk_that_was_slow_once_is_left_to_a_thread_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        moment = [1000.0]
        monkeypatch.setattr(module, "monotonic", lambda: moment[0])
        device = Gated(prompt=True)
        device.gate.set()
        writer = Writer("disk/", device)
        outcome = writer.write(b"1\n", 0)
        assert (outcome, writer.prompt) == (None, True)
        take = device.write

        def slow(line: bytes, now: float) -> None:
            moment[0] += module.SLOW * 2
            take(line, now)

        device.write = slow  # type: ignore[method-assign]  # a disk that is busy
        outcome = writer.write(b"2\n", 0)
        assert (outcome, writer.prompt) == (None, False)
        outcome = writer.write(b"3\n", 0)
        assert outcome is not None and await outcome is None
        device.write = take  # type: ignore[method-assign]  # no longer
        moment[0] += module.APART
        assert writer.prompt and writer.write(b"4\n", 0) is None
        assert device.taken == [b"1\n", b"2\n", b"3\n", b"4\n"]

    asyncio.run(scenario())


def test_a_pipe_without_a_reader_refuses_and_takes_lines_once_somebody_reads(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = _fifo(tmp_path)
        writer = _writer(path)
        failure = await _outcome(writer, b"1\n")
        assert failure is not None and "nobody reads this pipe" in str(failure)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        assert await _outcome(writer, b"2\n") is None
        assert os.read(reader, 100) == b"2\n"
        os.close(reader)
        assert await _outcome(writer, b"3\n") is not None
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        assert await _outcome(writer, b"4\n") is None
        assert os.read(reader, 100) == b"4\n"
        writer.close()

    asyncio.run(scenario())


def test_a_pipe_whose_reader_stops_keeps_lines_whole_and_goes_on_with_its_reader(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = _fifo(tmp_path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer = _writer(path)
        assert await _outcome(writer, LONG) is not None
        assert await _outcome(writer, b"refused\n") is not None
        os.set_blocking(reader, True)
        ends = asyncio.to_thread(_read, reader, lambda found: found.endswith(b"last\n"))
        reading = asyncio.ensure_future(ends)
        await _taken(writer, b"last\n")
        lines = (await reading).splitlines(keepends=True)
        assert lines[0] == LONG and set(lines[1:]) == {b"last\n"}
        writer.close()

    asyncio.run(scenario())


def test_a_pipe_that_is_read_slowly_takes_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE", 60.0)

    async def scenario() -> None:
        path = _fifo(tmp_path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        writer = _writer(path)
        lines = [b"%05d" % number * 4000 + b"\n" for number in range(50)]

        def slowly() -> bytes:
            found = b""
            while found.count(b"\n") < len(lines):
                found += os.read(reader, 4096)
                time.sleep(0.0001)
            return found

        reading = asyncio.ensure_future(asyncio.to_thread(slowly))
        outcomes = await asyncio.gather(*(_outcome(writer, line) for line in lines))
        assert outcomes == [None] * len(lines)
        assert await reading == b"".join(lines)
        writer.close()

    asyncio.run(scenario())


def test_requests_go_on_with_another_device_and_are_refused_without_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = _fifo(tmp_path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        file = tmp_path / "audit.log"
        pipe = DeviceConfig(path="pipe/", kind="file", options={"file_path": str(path)})
        disk = DeviceConfig(path="disk/", kind="file", options={"file_path": str(file)})
        house = House(devices=[pipe])
        await house.open(AuditEngine(house.audit, Pool(), allow_creation=True, allow_prefix=True))
        assert (await house("GET", "sys/audit")).status == 200
        assert os.read(reader, 1 << 16).count(b"\n") == 2
        hold = house.audit._devices["pipe/"]._device
        os.set_blocking(hold._fd, False)  # type: ignore[attr-defined]  # to fill the pipe
        try:
            while True:
                os.write(hold._fd, b"\n" * 4096)  # type: ignore[attr-defined]  # the same
        except BlockingIOError:
            os.set_blocking(hold._fd, True)  # type: ignore[attr-defined]  # the same
        before = dict(house.storage.data.entries)
        answer = await house("POST", "sys/audit/disk", {"type": "file", "options": disk.options})
        assert answer.status == 500 and dict(house.storage.data.entries) == before
        began = time.process_time()
        assert (await house("GET", "sys/audit")).status == 500
        assert time.process_time() - began < 1
        os.set_blocking(reader, False)
        while (await house("GET", "sys/audit")).status != 200:
            with contextlib.suppress(BlockingIOError):
                os.read(reader, 1 << 20)
            await asyncio.sleep(0.01)
        house.audit.close()
        os.close(reader)

        both = House(devices=[pipe, disk])
        await both.open(AuditEngine(both.audit, Pool(), allow_creation=True, allow_prefix=True))
        file.write_bytes(b"")
        assert (await both("GET", "sys/audit")).status == 200
        assert file.read_bytes().count(b"\n") == 2
        both.audit.close()

    play(scenario)


def test_sealed_records_wait_for_a_pipe_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = _fifo(tmp_path)
        pipe = DeviceConfig(path="pipe/", kind="file", options={"file_path": str(path)})
        house = House(devices=[pipe])
        later = house.audit.request(call_())
        assert later is not None
        with pytest.raises(Unavailable):
            await later
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        later = house.audit.response(call_(), None)
        assert later is not None
        await later
        assert os.read(reader, 1 << 16).count(b"\n") == 1

    asyncio.run(scenario())


def test_a_device_that_was_tried_and_not_enabled_is_released(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House()
        await house.open(AuditEngine(house.audit, Pool(), allow_creation=True, allow_prefix=True))
        path = _fifo(tmp_path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        body = {"type": "file", "options": {"file_path": str(path)}}
        assert (await house("POST", "sys/audit/pipe", body)).status == 204
        assert house.audit._tried == {}
        assert os.read(reader, 1 << 16).startswith(b'{"time":"')
        assert (await house("GET", "sys/audit")).status == 200
        assert os.read(reader, 1 << 16).count(b"\n") >= 2
        await house.audit.reopen()
        assert (await house("GET", "sys/audit")).status == 200
        house.audit.close()

    play(scenario)
