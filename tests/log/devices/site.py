# SPDX-License-Identifier: EUPL-1.2
"""A log that is written, its devices, their receivers, and the gate of the server that has them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.log.devices.receivers import HttpReceiver, StreamReceiver, frames, wait_until
from tests.log.devices.rfc5424 import parse
from tests.unit.log.folders import draft, opened
from vault.framework.clock import Clock, Entropy
from vault.log.forward.forwarders import Forwarders
from vault.log.forward.settings import DeviceSettings, Kind, Policy, write_settings
from vault.log.forward.status import DeviceStatus
from vault.log.recovery import OpenedLog
from vault.log.writer import LogLimits

Receiver = StreamReceiver | HttpReceiver
KINDS: tuple[Kind, ...] = ("syslog", "socket", "http", "otlp")
SETTLES = 0.2
HOST = "vault-1.example"


def receiver_of(kind: Kind) -> Receiver:
    """A receiver for devices of a kind, that takes all."""
    return HttpReceiver() if kind in {"http", "otlp"} else StreamReceiver()


def device(
    kind: Kind,
    receiver: Receiver,
    *,
    name: str = "siem",
    policy: Policy = "best_effort",
    deadline: float = 5.0,
) -> DeviceSettings:
    """The settings of a device whose receiver is on loopback without TLS."""
    scheme = "http" if kind in {"http", "otlp"} else "tcp"
    address = f"{scheme}://127.0.0.1:{receiver.port}"
    return DeviceSettings(kind=kind, name=name, address=address, policy=policy, deadline=deadline)


class Site:
    """One log folder with one writer."""

    def __init__(self, folder: Path, devices: Sequence[DeviceSettings], *, settles: float = SETTLES) -> None:
        self.folder, self.settles = folder, settles
        self.clock = Clock()
        self.log = self.open()
        write_settings(folder, devices)
        self.forwarders = self._made()
        self.records = 0

    def open(self, segment: int = 1 << 20) -> OpenedLog:
        """Open a log of the folder, as a worker does."""
        limits = LogLimits(segment_bytes=segment)
        return opened(self.folder, limits=limits, nanos=self.clock.nanos)

    def _made(self) -> Forwarders:
        return Forwarders(
            self.folder,
            host=HOST,
            clock=self.clock,
            entropy=Entropy(),
            settles=self.settles,
        )

    def write(self, count: int, log: OpenedLog | None = None) -> None:
        """Append records."""
        writer = (log or self.log).writer
        for _ in range(count):
            writer.write(writer.chain.append(draft()), self.clock.monotonic())
        self.records += count

    def restart(self) -> None:
        """End the process that forwards, and start another one."""
        self.forwarders.stop()
        self.forwarders = self._made()
        self.forwarders.start()

    def status(self, name: str = "siem") -> DeviceStatus:
        """One device, as it is now."""
        return next(each for each in self.forwarders.status() if each.name == name)

    def wait_for_all(self, *names: str, patience: float = 30) -> None:
        """Return when devices have everything."""

        def have() -> bool:
            found = [self.status(name) for name in names or ("siem",)]
            return all(
                each.state == "healthy" and not each.lag_records and sum(each.logs.values()) == self.records
                for each in found
            )

        wait_until(have, self.forwarders.status, patience)


@contextmanager
def running(site: Site) -> Iterator[Site]:
    """Forward, and end that."""
    site.forwarders.start()
    try:
        yield site
    finally:
        last = site.forwarders.status()
        site.forwarders.stop(grace=0.2)
        site.log.writer.close()
    assert not any("defect" in each.error for each in last), last


def received(kind: Kind, receiver: Receiver) -> list[list[dict[str, Any]]]:
    """The records that a receiver has, by connection or request, in the order in which they came."""
    if isinstance(receiver, HttpReceiver):
        bodies = [body for _, _, body in receiver.requests]
        return [_of_otlp(body) if kind == "otlp" else _lines(body) for body in bodies]
    if kind == "syslog":
        return [[json.loads(parse(each).text) for each in frames(bytes(data))] for data in receiver.received]
    return [_lines(bytes(data[: data.rfind(b"\n") + 1])) for data in receiver.received]


def _lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def _of_otlp(body: bytes) -> list[dict[str, Any]]:
    logs = json.loads(body)["resourceLogs"][0]
    resource = {each["key"]: each["value"] for each in logs["resource"]["attributes"]}
    found = []
    for record in logs["scopeLogs"][0]["logRecords"]:
        named = {each["key"]: each["value"] for each in record["attributes"]}
        seq = int(named["audit.sequence.number"]["intValue"])
        found.append({"log": resource["service.instance.id"]["stringValue"], "seq": seq})
    return found


def check(parts: list[list[dict[str, Any]]], count: int) -> int:
    """Make sure that all `count` records of one log came, each part in order and without a gap; return how many came again."""
    sequences = [[record["seq"] for record in part] for part in parts if part]
    for sequence in sequences:
        assert sequence == list(range(sequence[0], sequence[-1] + 1))
    reached = 0
    for sequence in sequences:
        assert sequence[0] <= reached, "a gap"
        reached = max(reached, sequence[-1] + 1)
    assert reached == count
    return sum(map(len, sequences)) - count
