# SPDX-License-Identifier: EUPL-1.2
"""Each kind of device against a receiver: what comes, and in which form."""

import json
from pathlib import Path

import pytest

from tests.log.devices.receivers import HttpReceiver, StreamReceiver, frames, wait_until
from tests.log.devices.rfc5424 import parse
from tests.log.devices.site import HOST, KINDS, Site, check, device, received, receiver_of, running
from vault.log.export.otlp import records_of
from vault.log.format.segment import CLOSED, MANIFEST, SEGMENT, list_segments
from vault.log.forward.report import read_report
from vault.log.forward.settings import DeviceSettings, Kind, write_settings

pytestmark = pytest.mark.loopback


def lines(site: Site) -> list[bytes]:
    """Every line of the site's logs, by log."""
    logs = sorted(path for path in site.folder.iterdir() if (path / "lock").exists())
    return [line[:-1] for log in logs for segment in list_segments(log) for line in segment.lines()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_gets_every_record_once_and_in_order(kind: Kind, tmp_path: Path) -> None:
    receiver = receiver_of(kind)
    with running(Site(tmp_path, [device(kind, receiver)])) as site:
        site.write(1200)
        site.wait_for_all()
        site.write(1)
        site.wait_for_all()
        assert check(received(kind, receiver), 1201) == 0
        assert site.status().accepted == 1201


def test_syslog_has_the_line_as_its_text_and_names_the_record(tmp_path: Path) -> None:
    receiver = StreamReceiver()
    with running(Site(tmp_path, [device("syslog", receiver)])) as site:
        site.write(3)
        site.wait_for_all()
        messages = [parse(each) for each in frames(bytes(receiver.received[0]))]
        assert [each.text for each in messages] == lines(site)
        assert {(each.facility, each.severity, each.host, each.id) for each in messages} == {
            (13, 6, HOST, "esa.kv.read")
        }
        assert [each.data["coffre@32473"] for each in messages] == [
            {"log": site.log.id, "seq": str(seq)} for seq in range(3)
        ]


def test_a_socket_of_the_machine_gets_the_lines(tmp_path: Path) -> None:
    receiver = StreamReceiver(path=tmp_path / "in.sock")
    settings = DeviceSettings(kind="socket", name="siem", address=f"unix://{tmp_path}/in.sock")
    with running(Site(tmp_path / "log", [settings])) as site:
        site.write(700)
        site.wait_for_all()
        assert bytes(receiver.received[0]) == b"".join(line + b"\n" for line in lines(site))


def test_http_posts_batches_that_say_which_records_they_have(tmp_path: Path) -> None:
    receiver = HttpReceiver()
    (tmp_path / "token").write_text("s.device\n")
    settings = DeviceSettings(
        kind="http", name="siem", token_file=str(tmp_path / "token"), address=f"http://127.0.0.1:{receiver.port}/in?a=b"
    )  # fmt: skip
    with running(Site(tmp_path / "log", [settings])) as site:
        site.write(501)
        site.wait_for_all()
        assert b"".join(body for _, _, body in receiver.requests) == b"".join(
            line + b"\n" for line in lines(site)
        )
        for path, headers, body in receiver.requests:
            sent = [json.loads(line)["seq"] for line in body.splitlines()]
            log = site.log.id
            assert path == "/in?a=b"
            assert headers["Log-Records"] == f'log="{log}", first={sent[0]}, last={sent[-1]}'
            assert headers["Idempotency-Key"] == f'"{log}/{sent[0]}-{sent[-1]}"'
            assert headers["Content-Type"] == "application/x-ndjson"
            assert headers["Authorization"] == "Bearer s.device"


def test_requests_follow_each_other_on_one_connection_as_long_as_it_stands(tmp_path: Path) -> None:
    receiver = HttpReceiver()
    with running(Site(tmp_path, [device("http", receiver)])) as site:
        for _ in range(3):
            site.write(5)
            site.wait_for_all()
        assert receiver.connections == 1
        assert len(receiver.requests) >= 3  # on a busy machine records of one time may come in two
        receiver.vanish()
        receiver.listen()
        site.write(5)
        site.wait_for_all()
        assert (len(receiver.requests), site.status().failures) == (4, 0)


def test_otlp_posts_the_records_as_opentelemetry_has_them(tmp_path: Path) -> None:
    receiver = HttpReceiver()
    with running(Site(tmp_path, [device("otlp", receiver)])) as site:
        site.write(30)
        site.wait_for_all()
        assert {path for path, _, _ in receiver.requests} == {"/v1/logs"}
        assert {headers["Content-Type"] for _, headers, _ in receiver.requests} == {"application/json"}
        found = [record for _, _, body in receiver.requests for record in records_of(json.loads(body))]
        assert found == [json.loads(line) for line in lines(site)]


def test_records_that_a_receiver_of_otlp_will_not_have_are_counted_and_passed_over(tmp_path: Path) -> None:
    receiver = HttpReceiver()
    receiver.answer = 200, {}, b'{"partialSuccess":{"rejectedLogRecords":"1"}}'
    with running(Site(tmp_path, [device("otlp", receiver)])) as site:
        site.write(1)
        site.wait_for_all()
        assert site.status().refused == 1


@pytest.mark.parametrize("kind", ["syslog", "http"])
def test_all_logs_of_the_folder_are_followed_those_that_begin_later_too(kind: Kind, tmp_path: Path) -> None:
    receiver = receiver_of(kind)
    with running(Site(tmp_path, [device(kind, receiver)])) as site:
        site.write(5)
        site.wait_for_all()
        other = site.open()
        site.write(7, other)
        site.write(5)
        site.wait_for_all()
        assert site.status().logs == {site.log.id: 10, other.id: 7}
        found = [(each["log"], each["seq"]) for part in received(kind, receiver) for each in part]
        assert sorted(found) == [(site.log.id, n) for n in range(10)] + [(other.id, n) for n in range(7)]
        other.writer.close()


@pytest.mark.parametrize("kind", ["socket", "http"])
def test_a_segment_that_is_full_is_followed_by_the_next(kind: Kind, tmp_path: Path) -> None:
    receiver = receiver_of(kind)
    site = Site(tmp_path, [device(kind, receiver)])
    site.log.writer.close()
    site.log = site.open(segment=5000)
    with running(site):
        for _ in range(40):
            site.write(5)
        site.wait_for_all()
        assert len(list(tmp_path.glob("*/*.jsonl"))) > 5
        assert check(received(kind, receiver), 200) == 0


def test_records_that_were_purged_before_they_were_taken_are_counted(tmp_path: Path) -> None:
    receiver = StreamReceiver()
    receiver.vanish()
    site = Site(tmp_path, [device("socket", receiver)])
    site.log.writer.close()
    site.log = site.open(segment=5000)
    for _ in range(20):
        site.write(5)
    first = list_segments(tmp_path / site.log.id)[2].first
    for segment in list_segments(tmp_path / site.log.id)[:2]:
        for kind in (SEGMENT, CLOSED, MANIFEST):
            segment.path(kind).unlink(missing_ok=True)
    receiver.listen()
    with running(site):
        wait_until(lambda: site.status().logs == {site.log.id: 100}, site.status)
        assert site.status().purged == first
        assert [each["seq"] for each in received("socket", receiver)[0]] == list(range(first, 100))


def test_without_devices_there_is_no_report_and_after_the_last_one_it_tells_of_none(tmp_path: Path) -> None:
    receiver = StreamReceiver()
    with running(Site(tmp_path, [])) as site:
        site.write(1)
        site.forwarders.stop()
        assert not (tmp_path / "devices.state").exists()
        site.restart()
        write_settings(tmp_path, [device("socket", receiver)])
        wait_until(lambda: bool(site.forwarders.status()), site.forwarders.status)
        site.wait_for_all()
        wait_until(lambda: _told(tmp_path) == 1, site.forwarders.status)
        write_settings(tmp_path, [])
        wait_until(lambda: _told(tmp_path) == 0, site.forwarders.status)


def _told(folder: Path) -> int:
    report = read_report(folder)
    return -1 if report is None else len(report.devices)


def test_devices_come_and_go_with_the_settings_and_keep_their_place(tmp_path: Path) -> None:
    first, second = StreamReceiver(), HttpReceiver()
    devices = [device("socket", first, name="first"), device("http", second, name="second")]
    with running(Site(tmp_path, devices[:1])) as site:
        site.write(10)
        site.wait_for_all("first")
        write_settings(tmp_path, devices[1:])
        wait_until(lambda: [each.name for each in site.forwarders.status()] == ["second"], site.status)
        site.write(10)
        site.wait_for_all("second")
        assert (tmp_path / "devices" / "first.json").exists()
        assert check(received("http", second), 20) == 0
        write_settings(tmp_path, devices)
        wait_until(lambda: len(site.forwarders.status()) == 2, site.forwarders.status)
        site.wait_for_all("first")
        assert check(received("socket", first), 20) == 0
        (tmp_path / "devices.json").write_text("{")
        site.write(1)
        site.wait_for_all("first", "second")
        report = read_report(tmp_path)
        assert report is not None
        assert report.problem == "the settings of the devices cannot be read"
