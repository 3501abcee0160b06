# SPDX-License-Identifier: EUPL-1.2
"""What each stanza must have beyond readable keys: which kinds exist, and which keys need each other."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from vault.framework.hcl.syntax_tree import Block
from vault.server.config.reader import Entry, Findings, body, names, read, unknown
from vault.server.config.settings import (
    AuditDevice,
    Listener,
    ListenerTelemetry,
    StorageSettings,
    UserLockout,
)
from vault.server.config.values import Unreadable, boolean, mode
from vault.storage.postgres.url import UnfitUrl, parse

AUDIT_OPTIONS: Final = {
    "file_path": "The file or named pipe; required. `stdout`, `stderr` and `discard` are understood.",
    "mode": 'Permissions of the file in octal; "0600" unless set.',
    "format": "`json`, the only one.",
    "prefix": "Text before every line; only with `allow_audit_log_prefixing`.",
    "log_raw": "Write values in the clear instead of their HMAC: secrets end in the file. Default false.",
    "hmac_accessor": "Write token accessors as HMAC. Default true.",
    "hmac_names_and_numbers": "Write numbers and the names of a secret's members as HMAC too; false for OpenBao's way, strings "
    "alone. Default true.",
    "elide_list_responses": "Write only the length of lists in answers. Default false.",
}
"""Options of the `file` audit device and what they mean."""

_LOCKOUT_KINDS: Final = ("all", "userpass", "approle", "ldap")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS: Final = re.compile(r"default|[1-5][0-9]{2}|[1-5]xx")
_ONLY_TLS: Final = tuple(
    name for name in Listener.__struct_fields__ if name.startswith("tls_") and name != "tls_disable"
)


def storage(entry: Entry, content: Collection[Entry], findings: Findings) -> StorageSettings:
    """Read `storage "sqlite" { path }`, `storage "postgresql" { connection_url … }` or `storage "inmem" {}`."""
    kind = entry.item.labels[0]
    if kind not in _STORAGES:
        hint = "; instead of raft's own cluster, nodes share PostgreSQL" if kind == "raft" else ""
        findings.refuse(
            entry, f'this storage does not exist here; choose "sqlite", "postgresql" or "inmem"{hint}'
        )
        return StorageSettings(kind=kind)
    values = read(StorageSettings, f'storage "{kind}"', content, findings)
    names, check = _STORAGES[kind]
    surplus = [name for name in values if name not in names]
    if surplus:
        findings.refuse(entry, f'storage "{kind}" has no {" and no ".join(surplus)}; remove it')
    made = StorageSettings(kind=kind, **values)
    check(entry, made, findings)
    return made


def _check_memory(entry: Entry, made: StorageSettings, findings: Findings) -> None:
    del made
    findings.warn(entry, 'storage "inmem" forgets everything when the server stops; not for production')


def _check_sqlite(entry: Entry, made: StorageSettings, findings: Findings) -> None:
    if not made.path:
        findings.refuse(entry, 'storage "sqlite" needs path, the name of its database file')


def _check_postgresql(entry: Entry, made: StorageSettings, findings: Findings) -> None:
    if not made.connection_url:
        findings.refuse(
            entry, 'storage "postgresql" needs connection_url, as postgresql://USER@HOST:PORT/DATABASE'
        )
        return
    try:
        target = parse(made.connection_url)
    except UnfitUrl as unfit:
        findings.refuse(entry, f"connection_url {unfit}")
        return
    if bool(made.tls_cert_file) != bool(made.tls_key_file):
        findings.refuse(entry, 'storage "postgresql" needs both tls_cert_file and tls_key_file, or neither')
    given = [name for name in ("tls_ca_file", "tls_cert_file") if getattr(made, name)]
    if made.tls_disable and given:
        findings.warn(entry, f"{', '.join(given)}: no effect with tls_disable")
    if made.tls_disable and not target.is_socket and not is_loopback(target.host):
        findings.warn(
            entry,
            "tls_disable leaves the way to the database unprotected: whoever is on it is believed, and sees paths",
        )


_STORAGES: Final = {
    "sqlite": (("path",), _check_sqlite),
    "postgresql": (
        ("connection_url", "password_file", "tls_disable", "tls_ca_file", "tls_cert_file", "tls_key_file"),
        _check_postgresql,
    ),
    "inmem": ((), _check_memory),
}
"""Kinds of storage: which settings each has, and what is wrong with them."""


def user_lockouts(
    found: Sequence[tuple[Entry, Collection[Entry]]], findings: Findings
) -> tuple[UserLockout, ...]:
    """Read every `user_lockout "KIND" { … }`; what one does not set is as in that of `all`."""
    given: dict[str, dict[str, Any]] = {}
    for entry, content in found:
        kind = entry.item.labels[0]
        if kind not in _LOCKOUT_KINDS:
            findings.refuse(entry, f"user_lockout is for one of {', '.join(_LOCKOUT_KINDS)}")
        if kind == "ldap":
            findings.warn(entry, 'user_lockout "ldap" has no effect: there is no such auth method here')
        given.setdefault(kind, {}).update(read(UserLockout, "user_lockout", content, findings))
    return tuple(UserLockout(kind=kind, **given.get("all", {}) | own) for kind, own in given.items())


def audit_devices(
    found: Sequence[tuple[Entry, Collection[Entry]]], findings: Findings
) -> tuple[AuditDevice, ...]:
    """Read every `audit "file" "NAME" { … }`; two of one name are refused."""
    devices: dict[str, AuditDevice] = {}
    for entry, content in found:
        device = _audit_device(entry, content, findings)
        if device.path in devices:
            findings.refuse(entry, "another audit device has this name; give each its own")
        devices[device.path] = device
    return tuple(devices.values())


def _audit_device(entry: Entry, content: Collection[Entry], findings: Findings) -> AuditDevice:
    kind, name = entry.item.labels[:2]
    if kind != "file":
        findings.refuse(entry, 'this audit device does not exist here yet; choose "file"')
    options: Mapping[str, str] = {}
    for inner in content:
        if inner.item.key == "options":
            options = names(inner, findings)
            _check_options(inner, options, findings)
    if not options.get("file_path"):
        findings.refuse(entry, f'audit "{kind}" needs options {{ file_path = "FILE" }}')
    values = read(AuditDevice, "audit", content, findings, also=("options",))
    return AuditDevice(kind=kind, path=name.strip("/") + "/", options=options, **values)


def _check_options(entry: Entry, options: Mapping[str, str], findings: Findings) -> None:
    for item in entry.item.value.items if isinstance(entry.item.value, Block) else ():
        if item.key not in AUDIT_OPTIONS:
            unknown("options", Entry(entry.file, item), AUDIT_OPTIONS, findings)
    checks = {
        "mode": mode,
        "log_raw": boolean,
        "hmac_accessor": boolean,
        "hmac_names_and_numbers": boolean,
        "elide_list_responses": boolean,
    }
    for name, check in checks.items():
        if name in options:
            try:
                check(options[name])
            except Unreadable as expected:
                findings.refuse(entry, f"options {name} must be {expected}")
    if options.get("format", "json") != "json":
        findings.refuse(entry, "options format must be json")
    if options.get("log_raw", "false").lower() in {"true", "t", "1"}:
        findings.warn(entry, "log_raw writes secrets in the clear to the audit log")


def listener(entry: Entry, content: Collection[Entry], findings: Findings) -> Listener:
    """Read one `listener "tcp" { … }` or `listener "unix" { … }`."""
    kind = entry.item.labels[0]
    if kind not in {"tcp", "unix"}:
        findings.refuse(entry, 'this listener does not exist; choose "tcp" or "unix"')
    also = ("telemetry", "custom_response_headers")
    values = read(Listener, "listener", content, findings, also=also)
    headers: dict[str, Mapping[str, str]] = {}
    telemetry: dict[str, Any] = {}
    for inner in content:
        if inner.item.key == "telemetry":
            telemetry |= read(ListenerTelemetry, "telemetry", body(inner, 0, findings) or (), findings)
        elif inner.item.key == "custom_response_headers":
            headers |= _response_headers(inner, findings)
    made = Listener(
        kind=kind, custom_response_headers=headers, telemetry=ListenerTelemetry(**telemetry), **values
    )
    _check_address(entry, made, findings)
    _check_tls(entry, made, values, findings)
    _check_forwarded(entry, made, findings)
    return made


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    return host in {"localhost", "::1"} or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host, re.ASCII))


def host_and_port(address: str) -> tuple[str, int] | None:
    """Split `HOST:PORT` or `[IPV6]:PORT`; None when it is neither. An empty host is every address."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*)):(\d{1,5})", address, re.ASCII)
    if found is None or int(found[3]) > 65535:
        return None
    return found[1] or found[2] or "", int(found[3])


def _check_address(entry: Entry, made: Listener, findings: Findings) -> None:
    if made.kind == "unix":
        if not os.path.isabs(made.address):
            findings.refuse(entry, "listener address must be the absolute path of the socket")
        return
    split = host_and_port(made.address)
    if split is None:
        findings.refuse(entry, "listener address must be HOST:PORT, an IPv6 address in brackets")
    elif made.tls_disable and not is_loopback(split[0]):
        findings.warn(entry, "tls_disable sends tokens and secrets over the network in the clear")


def _check_forwarded(entry: Entry, made: Listener, findings: Findings) -> None:
    if made.x_forwarded_for_client_cert_header and not made.x_forwarded_for_authorized_addrs:
        findings.refuse(
            entry, "x_forwarded_for_client_cert_header needs x_forwarded_for_authorized_addrs: who may say it"
        )
    if not set(made.x_forwarded_for_client_cert_decoders) <= {"URL", "PEM", "RFC9440"}:
        findings.refuse(entry, "x_forwarded_for_client_cert_decoders are URL, PEM and RFC9440")


def _check_tls(entry: Entry, made: Listener, values: Mapping[str, Any], findings: Findings) -> None:
    if made.tls_disable or made.kind == "unix":
        given = [name for name in _ONLY_TLS if name in values]
        if made.tls_require_and_verify_client_cert:
            findings.refuse(entry, "tls_require_and_verify_client_cert needs TLS; remove one of the two")
        elif given and made.tls_disable:
            findings.warn(entry, f"{', '.join(given)}: no effect with tls_disable")
        return
    missing = [name for name in ("tls_cert_file", "tls_key_file") if not getattr(made, name)]
    if missing:
        findings.refuse(entry, f"listener needs {' and '.join(missing)} (or tls_disable = true on loopback)")
    if made.tls_min_version > made.tls_max_version:
        findings.refuse(entry, "tls_min_version is newer than tls_max_version")
    if made.tls_require_and_verify_client_cert and made.tls_disable_client_certs:
        findings.refuse(
            entry, "tls_require_and_verify_client_cert and tls_disable_client_certs exclude each other"
        )
    if made.tls_require_and_verify_client_cert and not made.tls_client_ca_file:
        findings.refuse(entry, "tls_require_and_verify_client_cert needs tls_client_ca_file")


def _response_headers(entry: Entry, findings: Findings) -> dict[str, Mapping[str, str]]:
    """Read `"STATUS" { "Header" = ["value"] }`; several values are joined with `; ` as OpenBao does."""
    found: dict[str, Mapping[str, str]] = {}
    for status in body(entry, 0, findings) or ():
        if not _STATUS.fullmatch(status.item.key):
            findings.refuse(status, "custom_response_headers: a status is `default`, 200 or 2xx")
        headers: dict[str, str] = {}
        for header in body(status, 0, findings) or ():
            name, value = header.item.key, header.item.value
            values = value if isinstance(value, tuple) else (value,)
            text = "; ".join(str(part) for part in values)
            if not _HEADER.fullmatch(name) or name.lower().startswith("x-vault-"):
                findings.refuse(
                    header, "custom_response_headers: not a header name, or one that starts with X-Vault-"
                )
            if not all(isinstance(part, str) for part in values) or not text.isprintable():
                findings.refuse(header, "custom_response_headers: a value must be a printable string")
            if values:
                headers[name] = text
        found[status.item.key] = headers
    return found
