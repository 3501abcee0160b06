# SPDX-License-Identifier: EUPL-1.2
"""Who was away gets everything, in order: receivers, and the process that forwards, whatever ends it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.log.devices.receivers import wait_until
from tests.log.devices.site import KINDS, Receiver, Site, check, device, received, receiver_of, running
from vault.log.forward.report import read_report
from vault.log.forward.settings import Kind
from vault.log.reader.launch import PROGRAM

pytestmark = pytest.mark.loopback

_AWAY = 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_that_was_away_for_10000_records_catches_up_in_order(kind: Kind, tmp_path: Path) -> None:
    receiver = receiver_of(kind)
    site = Site(tmp_path, [device(kind, receiver)])
    site.log.writer.close()
    site.log = site.open(segment=1 << 20)
    with running(site):
        site.write(100)
        site.wait_for_all()
        receiver.vanish()
        for _ in range(_AWAY // 100):
            site.write(100)
        wait_until(lambda: site.status().state == "retrying", site.status)
        assert site.status().lag_records == _AWAY
        receiver.listen()
        site.wait_for_all()
        again = check(received(kind, receiver), _AWAY + 100)
        assert again == (0 if kind in {"http", "otlp"} else site.status().repeated)
        assert again <= 500


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_is_killed_leaves_no_gap(kind: Kind, tmp_path: Path) -> None:
    receiver = receiver_of(kind)
    site = Site(tmp_path, [device(kind, receiver)])
    for _ in range(4):
        process = subprocess.Popen([*PROGRAM, str(tmp_path)])
        try:
            enough = _count(kind, receiver) + 300
            for _ in range(10):
                site.write(100)
            _wait_for(kind, receiver, enough)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    with running(site):
        site.wait_for_all()
        check(received(kind, receiver), 4000)


def _wait_for(kind: Kind, receiver: Receiver, count: int) -> None:
    wait_until(lambda: _count(kind, receiver) > count, lambda: _count(kind, receiver))


def _count(kind: Kind, receiver: Receiver) -> int:
    return sum(map(len, received(kind, receiver)))


@pytest.mark.parametrize("content", [b"", b'{"logs":{"0123', b"\0" * 4096])
def test_a_torn_cursor_costs_no_record(content: bytes, tmp_path: Path) -> None:
    receiver = receiver_of("http")
    with running(Site(tmp_path, [device("http", receiver)])) as site:
        site.write(50)
        site.wait_for_all()
        site.forwarders.stop()
        path = tmp_path / "devices" / "siem.json"
        assert json.loads(path.read_bytes())["logs"][site.log.id]["seq"] == 50
        path.write_bytes(content)
        site.restart()
        site.write(10)
        site.wait_for_all()
        assert check(received("http", receiver), 60) == 50


def test_a_process_that_ends_as_it_should_repeats_nothing(tmp_path: Path) -> None:
    receivers = {kind: receiver_of(kind) for kind in KINDS}
    with running(Site(tmp_path, [device(kind, each, name=kind) for kind, each in receivers.items()])) as site:
        site.write(50)
        site.wait_for_all(*KINDS)
        for _ in range(3):
            site.write(50)
            site.restart()
        site.wait_for_all(*KINDS)
        assert [check(received(kind, each), 200) for kind, each in receivers.items()] == [0, 0, 0, 0]


def test_the_log_reader_forwards_and_ends_as_it_should(tmp_path: Path) -> None:
    receiver = receiver_of("syslog")
    site = Site(tmp_path, [device("syslog", receiver)])
    for _ in range(2):
        process = subprocess.Popen([*PROGRAM, str(tmp_path)])
        try:
            site.write(100)
            wait_until(lambda: _count("syslog", receiver) == site.records, lambda: read_report(tmp_path))
        finally:
            process.terminate()
            assert process.wait() == 0
    assert check(received("syslog", receiver), 200) == 0
    stored = json.loads((tmp_path / "devices" / "siem.json").read_bytes())
    assert stored["logs"][site.log.id]["seq"] == 200
    report = read_report(tmp_path)
    assert report is not None
    assert [each.name for each in report.devices] == ["siem"]
    site.log.writer.close()
