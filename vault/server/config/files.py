# SPDX-License-Identifier: EUPL-1.2
"""Configuration files in OpenBao's stanzas, HCL or JSON, merged and checked into one frozen `Config`.

Several files and directories may be given; of a directory, every `.hcl` and `.json` file by name. A key
that a later file repeats replaces the earlier one; listeners, audit devices, snapshots and lockouts add up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from vault.framework.hcl import parser as hcl
from vault.framework.hcl.syntax_tree import HclError
from vault.server.config import log_stanza, seal_stanzas, stanzas
from vault.server.config.collisions import clashes
from vault.server.config.discovery_settings import DiscoverySettings
from vault.server.config.initialize import initialize
from vault.server.config.reader import Entry, Findings, body, entries, read, settings_of
from vault.server.config.settings import Config, StorageSettings, Telemetry
from vault.server.config.snapshots.stanza import snapshots
from vault.server.config.telemetry.collector import collector
from vault.server.config.values import Unreadable
from vault.server.failure import StartFailure

_LARGEST_BYTES: Final = 1 << 20
_SHAMIR: Final = "shamir"
_MOST_WORKERS: Final = 64
_STANZAS: Final = (
    "listener",
    "storage",
    "seal",
    "hsm",
    "audit",
    "log",
    "snapshot",
    "discovery",
    "telemetry",
    "user_lockout",
    "initialize",
)
_ENVIRONMENT: Final = {
    "API_ADDR": "api_addr",
    "CLUSTER_ADDR": "cluster_addr",
    "LOG_LEVEL": "log_level",
    "LOG_FORMAT": "log_format",
}
_LABELS: Final = {
    "listener": 1,
    "storage": 1,
    "seal": 1,
    "hsm": 0,
    "audit": 2,
    "log": 0,
    "snapshot": 2,
    "discovery": 0,
    "telemetry": 0,
    "user_lockout": 1,
    "initialize": 1,
}


def load(paths: Sequence[str], environment: Mapping[str, str], base: Config | None = None) -> Config:
    """Read, merge and check the files and directories `paths`.

    `BAO_API_ADDR`, `BAO_LOG_LEVEL` and `BAO_LOG_FORMAT` (or `VAULT_…`) go before the files. `base` is what the files
    add to, in development mode: its listeners come first, and of what else it has, the files' goes before it.
    Raises `StartFailure` with the first problem, its file and its line.
    """
    findings = Findings()
    config = _checked(parsed(paths), environment, findings, base)
    findings.raise_first()
    assert config is not None
    return msgspec.structs.replace(config, files=tuple(map(str, _files(paths))))


class Validation(msgspec.Struct, frozen=True):
    """What a check of the configuration found, each with its file and line."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def validate(paths: Sequence[str]) -> Validation:
    """Check the files without looking at certificates, directories or ports, which only the machine can tell."""
    findings = Findings()
    try:
        _checked(parsed(paths), {}, findings)
    except StartFailure as failure:
        return Validation((str(failure),))
    return Validation(tuple(findings.problems), tuple(findings.warnings))


def setting_from_environment(name: str, environment: Mapping[str, str]) -> str:
    """Return `BAO_<name>`, or else `VAULT_<name>`, or else nothing."""
    return environment.get(f"BAO_{name}") or environment.get(f"VAULT_{name}") or ""


def named(paths: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """Return the files and directories that are given, or else the one that the environment names, or none."""
    fallback = setting_from_environment("CONFIG_PATH", environment)
    return paths or ([fallback] if fallback else [])


def checked(key: str, given: str, *, source: str) -> str:
    """Read a top-level setting that came from elsewhere. Raises `StartFailure` naming `source`."""
    try:
        return str(settings_of(Config)[key].read(given))
    except Unreadable as expected:
        raise StartFailure(f"{source}: must be {expected}") from None


def parsed(paths: Sequence[str]) -> list[Entry]:
    """Return what stands in the files and directories `paths`, unread. Raises `StartFailure`."""
    found: list[Entry] = []
    for file in _files(paths):
        try:
            with file.open("rb") as opened:
                raw = opened.read(_LARGEST_BYTES + 1)
        except OSError as error:
            raise StartFailure(
                f"configuration {file}: cannot be read: {error.strerror}; check -config"
            ) from error
        if len(raw) > _LARGEST_BYTES:
            raise StartFailure(f"configuration {file}: is larger than {_LARGEST_BYTES} bytes; check -config")
        try:
            found += entries(str(file), hcl.parse(raw.decode()))
        except UnicodeDecodeError as error:
            raise StartFailure(f"configuration {file}: is not UTF-8 text; check -config") from error
        except HclError as error:
            raise StartFailure(f"{file}:{error.line}: {error.message}") from None
    return found


def _files(paths: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix in {".hcl", ".json"})
            if not inside:
                raise StartFailure(
                    f"configuration {path}: holds no .hcl or .json file; add one or check -config"
                )
            files += inside
        else:
            files.append(path)
    if not files:
        raise StartFailure(
            "no configuration; name a file with -config=FILE, or start with -dev to try things out"
        )
    return files


def _checked(
    found: Collection[Entry], environment: Mapping[str, str], findings: Findings, base: Config | None = None
) -> Config | None:
    """Build the configuration; None when a required part is missing or wrong, noted in `findings`."""
    values = read(Config, "", found, findings, also=_STANZAS)
    inside: dict[str, list[tuple[Entry, tuple[Entry, ...]]]] = {name: [] for name in _STANZAS}
    for entry in found:
        if entry.item.key in inside:
            content = body(entry, _LABELS[entry.item.key], findings)
            if content is not None:
                inside[entry.item.key].append((entry, content))
    listeners = tuple(stanzas.listener(entry, content, findings) for entry, content in inside["listener"])
    audit = stanzas.audit_devices(inside["audit"], findings)
    lockouts = stanzas.user_lockouts(inside["user_lockout"], findings)
    storage = _last(inside["storage"], findings)
    seals = seal_stanzas.seals(inside["seal"], environment, findings)
    hsm = seal_stanzas.policy(inside["hsm"], seals, findings)
    told = [inner for _, content in inside["telemetry"] for inner in content]
    telemetry = read(Telemetry, "telemetry", told, findings, also=("otlp",))
    otlp = collector(told, findings)
    log = log_stanza.log(inside["log"], findings)
    backups = snapshots(inside["snapshot"], storage or (base.storage if base is not None else None), findings)
    discovery = _discovery(inside["discovery"], findings)
    first = initialize(inside["initialize"], findings)
    if first and not any(seal.kind != _SHAMIR and not seal.disabled for seal in seals):
        findings.refuse(inside["initialize"][0][0], "initialize needs a seal that opens by itself")
    values |= _from_environment(environment)
    if base is None:
        _check_missing(inside, findings)
    else:
        listeners, storage = (*base.listeners, *listeners), storage or base.storage
        values = _added(base, values)
    _check_lifetimes(values, findings)
    _check_workers(values.get("workers", 1), storage, findings, development=base is not None)
    findings.problems += clashes(storage, audit, listeners, values)
    if findings.problems or storage is None:
        return None
    return Config(
        listeners=listeners,
        storage=storage,
        audit=audit,
        snapshots=backups,
        log=log if inside["log"] or base is None else base.log,
        discovery=discovery if inside["discovery"] or base is None else base.discovery,
        user_lockout=lockouts,
        telemetry=Telemetry(otlp=otlp, **telemetry),
        seals=seals,
        hsm=hsm,
        initialize=first,
        warnings=tuple(findings.warnings),
        **values,
    )


def _added(base: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain settings of files with those of `base` that they lack; a switch that is on in it stays on."""
    added = {"outbound_allow": (*base.outbound_allow, *values.get("outbound_allow", ()))}
    return {"api_addr": base.api_addr, **values, **added, "disable_mlock": base.disable_mlock, "ui": base.ui}


def _discovery(found: list[tuple[Entry, tuple[Entry, ...]]], findings: Findings) -> DiscoverySettings:
    """Read every `discovery { … }`; a contact needs the day until which it is right (RFC 9116, section 2.5.5)."""
    inside = [inner for _, content in found for inner in content]
    made = DiscoverySettings(**read(DiscoverySettings, "discovery", inside, findings))
    if bool(made.security_contact) != bool(made.security_expires):
        findings.refuse(found[-1][0], "security_contact and security_expires go together; set both")
    return made


def _last(found: list[tuple[Entry, tuple[Entry, ...]]], findings: Findings) -> StorageSettings | None:
    """Take the storage stanza of the last file that has one."""
    if len(found) > 1 and found[-1][0].file == found[-2][0].file:
        findings.refuse(
            found[-1][0], f"storage is already set on line {found[-2][0].item.line}; keep one of them"
        )
    return stanzas.storage(*found[-1], findings) if found else None


def _check_missing(inside: Mapping[str, Collection[object]], findings: Findings) -> None:
    if not inside["storage"]:
        findings.problems.append('no storage; add `storage "sqlite" { path = "/var/lib/coffre/coffre.db" }`')
    if not inside["listener"]:
        findings.problems.append(
            'no listener; add `listener "tcp" { address = "HOST:8200" tls_cert_file = "…" tls_key_file = "…" }`'
        )


def _check_lifetimes(values: Mapping[str, Any], findings: Findings) -> None:
    longest: float = values.get("max_lease_ttl", 2_764_800)
    if values.get("default_lease_ttl", min(longest, 2_764_800)) > longest:
        findings.problems.append(
            "default_lease_ttl is longer than max_lease_ttl; shorten it or raise max_lease_ttl"
        )


def _check_workers(
    count: int, storage: StorageSettings | None, findings: Findings, *, development: bool
) -> None:
    if count > _MOST_WORKERS:
        findings.problems.append(f"workers must be at most {_MOST_WORKERS}: one for each core is enough")
    elif count > 1 and development:
        findings.problems.append("workers: a development server is one process; leave it out")
    elif count > 1 and storage is not None and not storage.lasts:
        findings.problems.append(
            'workers: storage "inmem" is in the memory of one process; use another storage'
        )


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        key: checked(key, given, source=f"environment BAO_{name} or VAULT_{name}")
        for name, key in _ENVIRONMENT.items()
        if (given := setting_from_environment(name, environment))
    }
