# SPDX-License-Identifier: EUPL-1.2
"""Whether requests are to be refused because a required device does not have the log's newest records (LOG-030).

Pure: reports in, words out. The server reads a report twice a second in the background; a request looks at one attribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from vault.log.forward.report import Report
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.status import DeviceStatus

_LIFE: Final = 2.0
"""Seconds for which a report is believed, where a deadline is not longer."""


class Transition(msgspec.Struct, frozen=True):
    """A device began to fail, or takes records again: an event of the log (LOG-031)."""

    event: Literal["esa.log.device.failed", "esa.log.device.recovered"]
    device: DeviceStatus

    @property
    def said(self) -> Mapping[str, object]:
        """What the event says: names and numbers, and the error in fixed words."""
        device = self.device
        said: dict[str, object] = {
            "device": device.name,
            "kind": device.kind,
            "policy": device.policy,
            "state": device.state,
            "lag_records": device.lag_records,
        }
        return {**said, "error": device.error} if device.error else said


def transitions(before: Report | None, now: Report) -> list[Transition]:
    """Return what changed between two reports. A device that nobody knew is taken to have been well."""
    failing = {device.name: device.failing for device in before.devices} if before is not None else {}
    return [
        Transition("esa.log.device.failed" if device.failing else "esa.log.device.recovered", device)
        for device in now.devices
        if device.failing != failing.get(device.name, False)
    ]


def refusal(report: Report | None, required: Mapping[str, float], now: float, *, begun: float) -> str:
    """Return why requests are refused; empty where they are not.

    `required` are names of devices and their deadlines in seconds; `now` and `begun`, when the server began to look, are
    by the machine's monotonic clock. A device of which nothing is known refuses as soon as its deadline has passed.
    """
    known = {} if report is None else {device.name: device for device in report.devices}
    for name, deadline in required.items():
        device = known.get(name)
        told = begun if report is None or device is None else report.at
        if now - told > max(deadline, _LIFE):
            return f"nothing is known of the required log device {name}; see that the log reader runs"
        if device is not None and _late(device, now - told) > deadline:
            return (
                f"the required log device {name} does not have the log's newest records; see sys/log/status"
            )
    return ""


def _late(device: DeviceStatus, since: float) -> float:
    """Return the seconds for which a device owes records, `since` seconds after its report.

    One that is being filled for the first time owes none as long as it takes some.
    """
    waited = device.idle_seconds if not device.caught_up else max(device.lag_seconds, device.idle_seconds)
    return waited + since


class Gate:
    """What the server keeps of it."""

    def __init__(self, devices: Iterable[DeviceSettings], begun: float) -> None:
        """`begun` is the machine's monotonic clock now."""
        self.refusal = ""
        """Why requests are refused; empty where they are not."""
        self._required = {each.name: each.deadline for each in devices if each.policy == "required"}
        self._begun = begun
        self._report: Report | None = None

    def look(self, report: Report | None, now: float) -> list[Transition]:
        """Take what was read last, and return the events that it makes. Call it twice a second."""
        if report is not None and not self._begun <= report.at <= now:
            report = None  # of a server before this one, perhaps before the machine was started
        self.refusal = refusal(report, self._required, now, begun=self._begun)
        if report is None:
            return []
        changed = transitions(self._report, report)
        self._report = report
        return changed
