# SPDX-License-Identifier: EUPL-1.2
"""When requests are refused for the sake of a required device, and which events devices make."""

from typing import Any

import msgspec
import pytest

from vault.log.forward.gate import Gate, refusal, transitions
from vault.log.forward.report import Report
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.status import DeviceStatus

REQUIRED = {"siem": 5.0}
SIEM = DeviceSettings(kind="syslog", name="siem", address="tls://siem.example", policy="required")
LAKE = DeviceSettings(kind="http", name="lake", address="https://lake.example", policy="best_effort")
WELL = DeviceStatus(
    name="siem", kind="syslog", policy="required", deadline=5.0, state="healthy", caught_up=True
)


def status(**changed: Any) -> DeviceStatus:
    return msgspec.structs.replace(WELL, **changed)


def report(*devices: DeviceStatus, at: float = 100.0) -> Report:
    return Report(at=at, devices=devices)


LATE = status(state="retrying", lag_records=3, lag_seconds=6.0, idle_seconds=6.0)


def test_a_device_that_has_everything_refuses_nothing() -> None:
    assert refusal(report(WELL), REQUIRED, 100.5, begun=0) == ""


@pytest.mark.parametrize(
    ("device", "now", "refused"),
    [
        (LATE, 100.0, True),
        (status(lag_records=1, lag_seconds=4.9), 100.0, False),
        (status(lag_records=1, lag_seconds=4.9), 100.2, True),
        # The wall clock was set back: what passed since the device took something counts.
        (status(lag_records=1, lag_seconds=0.0, idle_seconds=5.1), 100.0, True),
        # It is being filled for the first time, and takes records.
        (status(caught_up=False, state="behind", lag_records=9, lag_seconds=9e6, idle_seconds=0.3), 100.0, False),
        (status(caught_up=False, state="retrying", lag_records=9, lag_seconds=9e6, idle_seconds=5.3), 100.0, True),
        # It fails, but owes nothing.
        (status(state="retrying"), 100.0, False),
    ],
)  # fmt: skip
def test_requests_are_refused_as_long_as_a_device_owes_a_record_for_too_long(
    device: DeviceStatus, now: float, refused: bool
) -> None:
    assert bool(refusal(report(device), REQUIRED, now, begun=0)) is refused


def test_the_words_name_the_device_and_what_to_do() -> None:
    said = refusal(report(LATE), REQUIRED, 100, begun=0)
    assert said == "the required log device siem does not have the log's newest records; see sys/log/status"


@pytest.mark.parametrize("told", [None, report(at=100.0)])
def test_a_device_of_which_nothing_is_known_has_its_deadline_from_the_start(told: Report | None) -> None:
    assert refusal(told, REQUIRED, 104.9, begun=100) == ""
    assert "log reader" in refusal(told, REQUIRED, 105.1, begun=100)


def test_a_report_is_not_believed_for_ever() -> None:
    assert refusal(report(WELL), REQUIRED, 104.9, begun=0) == ""
    assert "log reader" in refusal(report(WELL), REQUIRED, 105.1, begun=0)


def test_a_device_that_is_not_required_refuses_nothing() -> None:
    gate = Gate([LAKE], 0.0)
    gate.look(report(status(name="lake", policy="best_effort", lag_records=5, lag_seconds=1e9)), 100)
    assert gate.refusal == ""
    gate.look(None, 1000)
    assert gate.refusal == ""


def test_a_gate_opens_again_when_the_device_has_everything() -> None:
    gate = Gate([SIEM, LAKE], 50.0)
    gate.look(report(LATE), 100)
    assert gate.refusal
    gate.look(report(WELL, at=101), 101)
    assert gate.refusal == ""


@pytest.mark.parametrize("at", [10.0, 2e9])
def test_a_report_of_another_server_or_another_boot_is_none(at: float) -> None:
    gate = Gate([SIEM], 50.0)
    assert gate.look(report(LATE, at=at), 51) == []
    assert gate.refusal == ""
    gate.look(report(WELL, at=at), 56)
    assert "log reader" in gate.refusal


def test_a_failure_and_a_recovery_are_one_event_each() -> None:
    gate = Gate([SIEM], 0.0)
    seen = []
    for at, device in enumerate([WELL, LATE, LATE, status(state="stuck", lag_records=9), WELL, WELL], 1):
        seen += [each.event for each in gate.look(report(device, at=at), at)]
    assert seen == ["esa.log.device.failed", "esa.log.device.recovered"]


def test_a_device_that_fails_from_the_start_is_an_event_and_one_that_does_not_is_none() -> None:
    lake = status(name="lake", state="stuck", error="the receiver is full", lag_records=2)
    found = transitions(None, report(WELL, lake))
    assert [(each.event, each.said) for each in found] == [
        (
            "esa.log.device.failed",
            {
                "device": "lake",
                "kind": "syslog",
                "policy": "required",
                "state": "stuck",
                "lag_records": 2,
                "error": "the receiver is full",
            },
        )
    ]


@pytest.mark.parametrize(
    ("state", "caught_up", "failing"),
    [
        ("healthy", True, False),
        ("behind", False, False),
        ("behind", True, True),
        ("retrying", False, True),
        ("stuck", False, True),
    ],
)
def test_one_that_is_late_fails_unless_it_is_being_filled(state: str, caught_up: bool, failing: bool) -> None:
    assert status(state=state, caught_up=caught_up).failing is failing
