# SPDX-License-Identifier: EUPL-1.2
"""The stanza `log { … }`: where the log is kept, which key signs it beside its own, whom it is sent to, and which witnesses see that it grows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from vault.log.format.note_key import BadKey, BadName, KeyKind, Verifier
from vault.outbound.failure import Unreachable
from vault.outbound.url import parse
from vault.server.config.log_devices import log_devices
from vault.server.config.reader import Entry, Findings, body, read
from vault.server.config.settings import LogSettings, WitnessStanza
from vault.server.config.stanzas import is_loopback

DEVICE: Final = "device"
WITNESS: Final = "witness"
_SHORTEST: Final = 1
"""Seconds of the shortest interval: checkpoints are made no more often."""


def log(found: Sequence[tuple[Entry, Collection[Entry]]], findings: Findings) -> LogSettings:
    """Read every `log { … }`, with a `witness "NAME" { … }` for each witness, a `device "KIND" "NAME" { … }` for each device."""
    inside = [inner for _, content in found for inner in content]
    values = read(LogSettings, "log", inside, findings, also=(DEVICE, WITNESS))
    devices, witnesses = ([inner for inner in inside if inner.item.key == key] for key in (DEVICE, WITNESS))
    made = LogSettings(
        devices=log_devices(devices, findings), witnesses=_witnesses(witnesses, findings), **values
    )
    if devices and not made.path:
        findings.refuse(devices[0], "a log device needs the path of the log")
    if found:
        _check(found[-1][0], made, values, findings)
    return made


def _witnesses(found: Sequence[Entry], findings: Findings) -> tuple[WitnessStanza, ...]:
    made: list[WitnessStanza] = []
    for entry in found:
        content = body(entry, 1, findings)
        if content is None:
            continue
        name = entry.item.labels[0]
        one = WitnessStanza(name=name, **read(WitnessStanza, WITNESS, content, findings))
        _check_url(entry, one, findings)
        _check_key(entry, one, findings)
        if any(other.name == name for other in made):
            findings.refuse(entry, f"another witness has the name {name}; give each its own")
        if any(other.key == one.key for other in made):
            findings.refuse(entry, "another witness has this key: two of one key are one")
        made.append(one)
    return tuple(made)


def _check_url(entry: Entry, one: WitnessStanza, findings: Findings) -> None:
    try:
        url = parse(one.url)
    except Unreachable as problem:
        findings.refuse(entry, f"witness {one.name} needs url: {problem}")
        return
    if not url.tls and not is_loopback(url.host):
        findings.warn(
            entry,
            f"witness {one.name} is asked without TLS: whoever is on the way sees how the log grows, and can keep it from "
            "being witnessed",
        )
    if not url.tls and one.tls_ca_file:
        findings.warn(entry, f"witness {one.name}: tls_ca_file has no effect without https")


def _check_key(entry: Entry, one: WitnessStanza, findings: Findings) -> None:
    try:
        kind = Verifier.parse(one.key).kind
    except (BadKey, BadName) as problem:
        findings.refuse(entry, f"witness {one.name} needs key: {problem}")
        return
    if kind is not KeyKind.COSIGNATURE:
        findings.refuse(entry, f"witness {one.name}: key is that of a log, and a witness's is needed")


def _check(entry: Entry, made: LogSettings, values: Mapping[str, Any], findings: Findings) -> None:
    config, _, key = made.signing_key.partition(":")
    if made.signing_key and (not config or not key or ":" in key):
        findings.refuse(entry, "signing_key must be CONFIG:KEY, the names of an external key")
    if made.witness_interval < _SHORTEST:
        findings.refuse(entry, f"witness_interval must be at least {_SHORTEST} s")
    if 0 < made.retention_max < made.retention_min:
        findings.refuse(entry, "retention_max must be at least retention_min")
    if made.witnesses and made.quorum > len(made.witnesses):
        findings.refuse(entry, f"quorum is {made.quorum}, and there are {len(made.witnesses)} witnesses")
    surplus = [name for name in ("quorum", "witness_interval") if name in values]
    if surplus and not made.witnesses:
        findings.warn(entry, f"{' and '.join(surplus)}: no effect without a witness")
    given = [*(name for name in ("signing_key",) if name in values), *([WITNESS] if made.witnesses else [])]
    if given and not made.path:
        findings.warn(entry, f"{' and '.join(given)}: no effect, as no log is kept without path")
