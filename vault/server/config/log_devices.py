# SPDX-License-Identifier: EUPL-1.2
"""Devices that the log is sent to: `device "KIND" "NAME" { … }` in `log`.

What is written here is all that says whom the server sends its log to: there is no route that makes a device.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Final

import msgspec

from vault.log.forward.kinds.schemes import SCHEMES
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.transport.address import Address, BadAddress, parse_address
from vault.server.config import values as setting
from vault.server.config.reader import Entry, Findings, body, read
from vault.server.config.values import Setting

SHORTEST_DEADLINE: Final = 2.0
"""Seconds: a connection by which nothing comes back has to stand for one until records count as taken."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_WEB: Final = ("http", "otlp")


class LogDevice(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set of one device; see audit-devices.md."""

    address: Annotated[
        str,
        Setting(
            setting.filled,
            "Where the receiver is; required. `syslog`: `tls://HOST:PORT` (port 6514 unless named) or `tcp://HOST:PORT`; "
            "`socket`: these or `unix:///PATH`; `http`, `otlp`: `https://HOST/PATH` or `http://…`, where `otlp` without a "
            "path posts to `/v1/logs`.",
        ),
    ] = ""
    policy: Annotated[
        str,
        Setting(
            setting.one_of("required", "best_effort"),
            "`required`: while the device does not have the newest records, every request is refused with 503. "
            "`best_effort`: it gets them when it can.",
        ),
    ] = "best_effort"
    deadline: Annotated[
        float,
        Setting(
            setting.duration,
            "In this time the device must take a record, 2 s at least; one attempt may take four fifths of it.",
            "5s",
        ),
    ] = 5.0
    tls_ca_file: Annotated[
        str,
        Setting(
            setting.filled,
            "PEM file: the authorities that the receiver's certificate, which has to name its host, is checked against. "
            "This and the next two are read anew for each connection.",
            "the system's",
        ),
    ] = ""
    tls_cert_file: Annotated[
        str, Setting(setting.filled, "PEM file: the certificate that is shown to the receiver.")
    ] = ""
    tls_key_file: Annotated[
        str, Setting(setting.filled, "PEM file: that certificate's private key, not encrypted.")
    ] = ""
    token_file: Annotated[
        str,
        Setting(
            setting.filled,
            "`http` and `otlp`: file with a bearer token, read anew for each request. Not without TLS, but on loopback.",
        ),
    ] = ""


def log_devices(found: Collection[Entry], findings: Findings) -> tuple[DeviceSettings, ...]:
    """Read the devices that stand in `log`; two of one name are refused."""
    devices: dict[str, DeviceSettings] = {}
    for entry in found:
        content = body(entry, 2, findings)
        made = None if content is None else _device(entry, content, findings)
        if made is None:
            continue
        if made.name in devices:
            findings.refuse(entry, "another log device has this name; give each its own")
        devices[made.name] = made
    return tuple(devices.values())


def _device(entry: Entry, content: Collection[Entry], findings: Findings) -> DeviceSettings | None:
    kind, name = entry.item.labels[:2]
    values = read(LogDevice, "device", content, findings)
    if kind not in SCHEMES:
        findings.refuse(entry, f"a log device is one of {', '.join(SCHEMES)}")
        return None
    if not _NAME.fullmatch(name):
        findings.refuse(entry, "the name of a log device has letters, digits, - and _, 64 at most")
        return None
    made = DeviceSettings(kind=kind, name=name, **{"address": "", **values})  # type: ignore[arg-type]  # it was looked up
    address = _address(entry, made, findings)
    if address is not None:
        _check(entry, made, address, findings)
    return made


def _address(entry: Entry, made: DeviceSettings, findings: Findings) -> Address | None:
    schemes = SCHEMES[made.kind]
    try:
        address = parse_address(made.address)
    except BadAddress as problem:
        findings.refuse(entry, f"address {problem}")
        return None
    if address.scheme not in schemes:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        findings.refuse(entry, f'address of a "{made.kind}" device must begin with {allowed}')
        return None
    return address


def _check(entry: Entry, made: DeviceSettings, address: Address, findings: Findings) -> None:
    given = [name for name in ("tls_ca_file", "tls_cert_file", "tls_key_file") if getattr(made, name)]
    if made.tls_key_file and not made.tls_cert_file:
        findings.refuse(entry, "tls_key_file needs tls_cert_file")
    if given and not address.tls:
        findings.warn(entry, f"{', '.join(given)}: no effect with an address without TLS")
    if made.token_file and made.kind not in _WEB:
        findings.refuse(entry, f'a "{made.kind}" device has no token_file; remove it')
    if made.token_file and not address.protected:
        findings.refuse(
            entry, "token_file needs an https:// address: anybody on the way would have the token"
        )
    elif not address.protected:
        findings.warn(
            entry, "an address without TLS shows the log to whoever is on the way, and lets them change it"
        )
    if made.deadline < SHORTEST_DEADLINE:
        findings.refuse(entry, f"deadline must be at least {SHORTEST_DEADLINE:.0f}s")
