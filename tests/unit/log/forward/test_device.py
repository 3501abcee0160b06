# SPDX-License-Identifier: EUPL-1.2
"""The thread of a device against a receiver whose every answer is told to it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.log.devices.receivers import wait_until
from tests.log.written import LOG, written
from vault.framework.clock import Clock, Entropy
from vault.log.forward.batch import Batch, BatchLimits
from vault.log.forward.device import Device
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.transport.failure import BatchTooLarge, ConnectionLost, SendFailure
from vault.log.forward.transport.stream import Deadline

TEN = BatchLimits(records=10)


class Scripted:
    """A receiver that does what stands in its script, a step for each batch, and then takes all."""

    refused = 0

    def __init__(self, *script: Exception | None, settles: float = 0.0) -> None:
        self.script, self.settles = list(script), settles
        self.got: list[tuple[int, int]] = []
        self.tried: list[tuple[int, int]] = []
        self.lost = False
        self.finishes = True

    def send(self, batch: Batch, deadline: Deadline) -> None:
        assert deadline.left() > 0
        self.tried.append((batch.first, batch.last))
        step = self.script.pop(0) if self.script else None
        if step is not None:
            raise step
        self.got.append((batch.first, batch.last))

    def check(self) -> None:
        if self.lost:
            self.lost = False
            raise ConnectionLost("the receiver ended the connection")

    def finish(self, deadline: Deadline) -> bool:
        return self.finishes

    def abort(self) -> None:
        """Nobody waits."""

    def close(self) -> None:
        """Nothing is open."""


class Even(Entropy):
    """No chance."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)


@contextmanager
def running(folder: Path, receiver: Scripted, limits: BatchLimits = TEN) -> Iterator[Device]:
    settings = DeviceSettings(
        kind="http", name="siem", address="http://127.0.0.1:1", policy="required", deadline=5
    )
    device = Device(settings, folder, receiver, clock=Clock(), entropy=Even(), limits=limits)
    device.start()
    try:
        yield device
    finally:
        device.stop()
        device.join(60)


def until(device: Device, condition: Callable[[], bool]) -> None:
    wait_until(condition, lambda: (device.progress, device.sender))


def stored(folder: Path) -> int:
    """Where the cursor on the disk is."""
    found = json.loads((folder / "devices" / "siem.json").read_bytes())
    return int(found["logs"][LOG]["seq"])


def test_batches_come_in_order_and_the_cursor_is_stored(tmp_path: Path) -> None:
    written(tmp_path, 23)
    receiver = Scripted()
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.caught_up)
        assert device.progress.accepted == 23
    assert receiver.got == [(0, 9), (10, 19), (20, 22)]
    assert stored(tmp_path) == 23


def test_another_process_goes_on_where_the_first_one_was(tmp_path: Path) -> None:
    log = written(tmp_path, 23)
    with running(tmp_path, Scripted()) as device:
        until(device, lambda: device.progress.caught_up)
    receiver = Scripted()
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.caught_up)
        assert receiver.got == []
        written(tmp_path, 30)
        device.wake()
        until(device, lambda: device.progress.accepted == 7)
    assert receiver.got == [(23, 29)]
    assert log.log == LOG


def test_a_request_that_failed_is_repeated_as_it_was(tmp_path: Path) -> None:
    written(tmp_path, 4)
    receiver = Scripted(SendFailure("no"), SendFailure("no"))
    with running(tmp_path, receiver) as device:
        until(device, lambda: len(receiver.tried) > 0)
        written(tmp_path, 8)
        until(device, lambda: device.progress.accepted == 8)
        assert device.progress.failures == 2
        assert device.progress.failing_since is None
    assert receiver.tried == [(0, 3), (0, 3), (0, 3), (4, 7)]


def test_after_some_failures_less_is_sent_and_more_again_when_it_is_taken(tmp_path: Path) -> None:
    written(tmp_path, 30)
    receiver = Scripted(*[SendFailure("no")] * 5)
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.accepted == 30)
    assert receiver.tried[:4] == [(0, 9)] * 4
    assert receiver.tried[4:6] == [(0, 4), (0, 1)]
    assert receiver.got[0] == (0, 1)
    assert max(last - first for first, last in receiver.got) > 5


def test_a_batch_that_is_too_large_is_halved_at_once(tmp_path: Path) -> None:
    written(tmp_path, 10)
    receiver = Scripted(BatchTooLarge("no"), BatchTooLarge("no"))
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.accepted == 10)
        assert device.progress.failures == 0
    assert receiver.tried[:3] == [(0, 9), (0, 4), (0, 1)]


def test_what_was_sent_counts_when_the_connection_has_stood_for_a_while(tmp_path: Path) -> None:
    written(tmp_path, 20)
    receiver = Scripted(settles=0.3)
    with running(tmp_path, receiver) as device:
        until(device, lambda: len(receiver.got) == 2)
        assert device.progress.accepted == 0
        until(device, lambda: device.progress.accepted == 20)
        assert device.progress.repeated == 0


def test_what_was_sent_last_by_a_connection_that_is_lost_comes_again(tmp_path: Path) -> None:
    written(tmp_path, 20)
    receiver = Scripted(settles=0.2)
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.accepted == 20)
        written(tmp_path, 30)
        until(device, lambda: len(receiver.got) == 3)
        receiver.lost = True
        until(device, lambda: device.progress.accepted == 30)
        assert device.progress.repeated == 10
        assert device.progress.failures == 0
    assert receiver.got == [(0, 9), (10, 19), (20, 29), (20, 29)]


def test_a_receiver_that_ends_every_connection_at_once_fails(tmp_path: Path) -> None:
    written(tmp_path, 5)
    receiver = Scripted(*[ConnectionLost("the receiver ended the connection")] * 3)
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.accepted == 5)
        assert device.progress.failures == 3
        assert device.progress.error == "the receiver ended the connection"


@pytest.mark.parametrize(("finishes", "where"), [(True, 20), (False, 0)])
def test_at_the_end_what_the_receiver_has_read_counts(tmp_path: Path, finishes: bool, where: int) -> None:
    written(tmp_path, 20)
    receiver = Scripted(settles=60.0)
    receiver.finishes = finishes
    with running(tmp_path, receiver) as device:
        until(device, lambda: len(receiver.got) == 2)
    path = tmp_path / "devices" / "siem.json"
    assert (stored(tmp_path) if path.exists() and finishes else 0) == where


def test_what_is_there_at_the_end_is_sent(tmp_path: Path) -> None:
    written(tmp_path, 5)
    receiver = Scripted()
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.caught_up)
        written(tmp_path, 25)
    assert receiver.got[-1][1] == 24


def test_a_defect_ends_no_device(tmp_path: Path) -> None:
    written(tmp_path, 5)
    receiver = Scripted(ZeroDivisionError())
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.failures == 1)
        assert device.progress.lasting
        assert device.progress.error == "a defect: ZeroDivisionError"
    assert receiver.tried == [(0, 4)]


def test_a_cursor_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    written(tmp_path, 5)
    (tmp_path / "devices").write_text("no folder")
    receiver = Scripted()
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.accepted == 5 and device.progress.unstored)
        (tmp_path / "devices").unlink()
        until(device, lambda: not device.progress.unstored)
    assert stored(tmp_path) == 5


def test_a_cursor_that_cannot_be_read_has_everything_sent_again(tmp_path: Path) -> None:
    written(tmp_path, 5)
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "siem.json").write_bytes(b'{"logs":{"01')
    receiver = Scripted()
    with running(tmp_path, receiver) as device:
        until(device, lambda: device.progress.caught_up)
        assert "cursor" in device.progress.error
    assert receiver.got == [(0, 4)]
