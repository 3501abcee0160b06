# SPDX-License-Identifier: EUPL-1.2
"""What is told of a device: its state by what its thread says, and how far it is behind by the logs themselves."""

from pathlib import Path

import pytest

from tests.clocks import SECOND, MovedClock
from tests.log.written import LOG, WrittenLog, written
from tests.unit.log.forward.test_device import Scripted
from vault.framework.clock import Entropy, parse_rfc3339_whole
from vault.log.format.segment import SEGMENT, Segment
from vault.log.forward.batch import Place
from vault.log.forward.device import Device, Progress
from vault.log.forward.overview import Overview
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.status import DeviceStatus

SETTINGS = DeviceSettings(kind="syslog", name="siem", address="tls://siem.example")
OTHER = "0123abcd-1-1"
NEWEST = parse_rfc3339_whole("2026-11-28T09:00:22.000000000Z")
"""The time of record 22."""


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """23 records, a second apart."""
    return written(tmp_path, 23, starts=(0, 10, 17))


def status(folder: Path, progress: Progress, *, after: float = 0.0) -> DeviceStatus:
    """The status of a device, so many seconds after the last record."""
    clock = MovedClock(NEWEST + int(after * SECOND))
    device = Device(SETTINGS, folder, Scripted(), clock=clock, entropy=Entropy())
    device.progress = progress
    overview = Overview(folder, clock)
    overview.look()
    return overview.status(device)


def at(seq: int, **more: object) -> Progress:
    """Progress up to a record, stored as in a cursor."""
    progress = Progress(places={LOG: Place(0, 0, seq, "")}, caught_up=True)
    for name, value in more.items():
        setattr(progress, name, value)
    return progress


def test_one_that_has_everything_is_healthy(log: WrittenLog, tmp_path: Path) -> None:
    found = status(tmp_path, at(23, accepted=23), after=1000)
    assert (found.state, found.lag_records, found.lag_seconds, found.idle_seconds) == ("healthy", 0, 0.0, 0.0)
    assert (found.logs, found.accepted) == ({LOG: 23}, 23)


@pytest.mark.parametrize(("seq", "seconds"), [(22, 1), (17, 6), (12, 11), (3, 20), (0, 23)])
def test_the_lag_is_the_age_of_the_oldest_record(
    log: WrittenLog, tmp_path: Path, seq: int, seconds: int
) -> None:
    found = status(tmp_path, at(seq), after=1)
    assert (found.lag_records, round(found.lag_seconds)) == (23 - seq, seconds)
    assert found.state == ("healthy" if seconds < 5 else "behind")


def test_the_oldest_record_of_all_logs_counts(log: WrittenLog, tmp_path: Path) -> None:
    written(tmp_path, 3, log=OTHER)
    found = status(tmp_path, at(23), after=0)
    assert (found.lag_records, round(found.lag_seconds)) == (3, 22)


@pytest.mark.parametrize(
    ("said", "state", "error"),
    [
        ({"failing_since": -10.0, "error": "no"}, "retrying", "no"),
        ({"failing_since": -61.0, "error": "no"}, "stuck", "no"),
        ({"failing_since": -1.0, "error": "no", "lasting": True}, "stuck", "no"),
        ({"attempt_since": -4.0}, "healthy", ""),
        ({"attempt_since": -6.0}, "retrying", "the receiver does not take records in time"),
        ({"damaged": True}, "stuck", "a segment of the log cannot be read"),
        ({"unstored": True}, "stuck", "the cursor cannot be written"),
        ({"error": "long ago"}, "healthy", "long ago"),
    ],
)
def test_the_state_is_what_the_thread_says(
    log: WrittenLog, tmp_path: Path, said: dict[str, object], state: str, error: str
) -> None:
    now = NEWEST / SECOND
    said = {name: now + value if isinstance(value, float) else value for name, value in said.items()}
    found = status(tmp_path, at(23, **said))
    assert (found.state, found.error) == (state, error)


def test_one_that_takes_nothing_is_idle_only_while_there_is_something(
    log: WrittenLog, tmp_path: Path
) -> None:
    assert status(tmp_path, at(22, accepted_at=NEWEST / SECOND - 7)).idle_seconds == pytest.approx(7, abs=0.1)
    assert status(tmp_path, at(23, accepted_at=NEWEST / SECOND - 7)).idle_seconds == 0


def test_a_log_that_cannot_be_read_is_no_defect(log: WrittenLog, tmp_path: Path) -> None:
    Segment(log.folder, 17).path(SEGMENT).write_bytes(b"no record\n")
    assert status(tmp_path, at(17)).lag_records == 0
    assert status(tmp_path / "none", at(17)).state == "healthy"
