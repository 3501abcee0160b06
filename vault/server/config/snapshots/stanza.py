# SPDX-License-Identifier: EUPL-1.2
"""The stanza `snapshot "KIND" "NAME" { … }`: a backup that the server makes by itself now and then."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Final

from vault.outbound.failure import Unreachable
from vault.outbound.url import parse
from vault.server.config.reader import Entry, Findings, read
from vault.server.config.settings import StorageSettings
from vault.server.config.snapshots.settings import KINDS, S3, SnapshotSettings
from vault.server.config.stanzas import is_loopback
from vault.server.config.values import Unreadable, word

_SHORTEST: Final = 1.0
"""Seconds of the shortest interval: names of backups tell seconds."""
_MOST: Final = 16
_OF_S3: Final = ("bucket", "prefix", "endpoint", "region", "path_style", "credentials_file", "tls_ca_file")


def snapshots(
    found: Sequence[tuple[Entry, Collection[Entry]]], storage: StorageSettings | None, findings: Findings
) -> tuple[SnapshotSettings, ...]:
    """Read every `snapshot "KIND" "NAME" { … }`; two of one name are refused."""
    made: dict[str, SnapshotSettings] = {}
    for entry, content in found:
        kind, name = entry.item.labels[:2]
        one = SnapshotSettings(kind=kind, name=name, **read(SnapshotSettings, "snapshot", content, findings))
        _check_labels(entry, one, findings)
        _check(entry, one, findings)
        surplus = [inner.item.key for inner in content if inner.item.key in _OF_S3]
        if kind == S3:
            _check_s3(entry, one, findings)
        elif surplus:
            findings.refuse(entry, f'snapshot "{kind}" has no {" and no ".join(surplus)}; remove it')
        if name in made:
            findings.refuse(entry, f"another snapshot has the name {name}; give each its own")
        made[name] = one
    if found and storage is not None and not storage.lasts:
        findings.refuse(
            found[0][0], f'storage "{storage.kind}" ends with its server; nothing of it is backed up'
        )
    if len(made) > _MOST:
        findings.refuse(found[-1][0], f"there are {len(made)} stanzas snapshot; {_MOST} at most")
    return tuple(made.values())


def _check_labels(entry: Entry, one: SnapshotSettings, findings: Findings) -> None:
    if one.kind not in KINDS:
        findings.refuse(entry, 'this snapshot does not exist; choose "directory" or "s3"')
    try:
        word(one.name)
    except Unreadable as expected:
        findings.refuse(entry, f"the name of a snapshot must be {expected}")


def _check(entry: Entry, one: SnapshotSettings, findings: Findings) -> None:
    if one.interval < _SHORTEST:
        findings.refuse(entry, f"snapshot {one.name}: interval must be at least {_SHORTEST:g} s")
    if not os.path.isabs(one.path):
        findings.refuse(entry, f"snapshot {one.name} needs path, the absolute path of a directory")


def _check_s3(entry: Entry, one: SnapshotSettings, findings: Findings) -> None:
    if not one.bucket:
        findings.refuse(entry, f"snapshot {one.name} needs bucket")
    try:
        url = parse(one.endpoint)
    except Unreachable as problem:
        findings.refuse(entry, f"snapshot {one.name} needs endpoint: {problem}")
        return
    if not url.tls and not is_loopback(url.host):
        findings.refuse(entry, f"snapshot {one.name}: endpoint must be https://, as others are on the way")
    if not one.encrypts:
        findings.warn(
            entry,
            f"snapshot {one.name} is not encrypted as a whole: whoever reads the bucket sees names of paths; set recipients",
        )
