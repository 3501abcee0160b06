# SPDX-License-Identifier: EUPL-1.2
"""Settings that name one file or one address: each would destroy or hide what the other is for.

And the files that this server needs, which no audit device may be led to either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import msgspec

from vault.audit.target import Claim, beside
from vault.framework.secret import Secret
from vault.server.config.settings import AuditDevice, Config, Listener, StorageSettings
from vault.server.config.stanzas import host_and_port

_FILE: Final = "file://"


class _Claim(NamedTuple):
    setting: str
    path: str
    shared: str
    """Settings with the same word here may name one file."""


def clashes(
    storage: StorageSettings | None,
    audit: Sequence[AuditDevice],
    listeners: Sequence[Listener],
    values: Mapping[str, str],
) -> Iterator[str]:
    """Tell which settings name one place. `values` are those of the top level."""
    named = [each for each in _named(storage, audit, listeners, values) if each.path]
    real = {each.path: os.path.realpath(each.path) for each in named}
    named = [each for each in named if real[each.path] != os.devnull]
    inodes = {each.path: _inode(each.path) for each in named}
    for one, other in combinations(named, 2):
        apart = not one.shared or one.shared != other.shared
        linked = inodes[one.path] is not None and inodes[one.path] == inodes[other.path]
        if apart and (linked or real[one.path] == real[other.path]):
            yield f"{one.setting} and {other.setting} are one file, {other.path}; give each its own"
    taken: set[object] = set()
    for listener in listeners:
        split = host_and_port(listener.address) if listener.kind == "tcp" else None
        if split is None or split[1] == 0:
            continue
        if split in taken:
            yield f"two listeners have the address {listener.address}; give each its own"
        taken.add(split)


def _named(
    storage: StorageSettings | None,
    audit: Sequence[AuditDevice],
    listeners: Sequence[Listener],
    values: Mapping[str, str],
) -> Iterator[_Claim]:
    if storage is not None and storage.path:
        yield from (_Claim("path of storage", path, "storage") for path in beside(storage.path))
    yield from (_Claim(f'file_path of audit "{device.path}"', device.file, "audit") for device in audit)
    yield _Claim("log_file", values.get("log_file", ""), "")
    yield _Claim("pid_file", values.get("pid_file", ""), "")
    for listener in listeners:
        yield _Claim("tls_cert_file", listener.tls_cert_file, "tls")
        yield _Claim("tls_key_file", listener.tls_key_file, "tls")
        yield _Claim("tls_client_ca_file", listener.tls_client_ca_file, "tls")
        if listener.kind == "unix":
            yield _Claim("address of a listener", listener.address, "")


def claims(config: Config) -> Sequence[Claim]:
    """Return the files that this server needs besides those of audit devices.

    Every setting whose name ends in `_file`, or whose value is an absolute path or a `file://` URL, names one: a new
    setting counts at once.
    """
    found = [Claim("its configuration", path) for path in config.files]
    if config.storage.path:
        found += (Claim("path of storage", path) for path in beside(config.storage.path))
    single = (config, config.storage, config.log)
    several = (*config.log.devices, *config.listeners, *config.seals, *config.snapshots)
    for part in (*single, *several):
        found += _files_of(part)
    return [claim for claim in found if claim.path]


def _files_of(part: msgspec.Struct) -> Iterator[Claim]:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, msgspec.Struct):
            yield from _files_of(value)
            continue
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str):
            text = str(getattr(value, "path", ""))  # a source of a PIN that is a file
        if text.startswith(_FILE):
            yield Claim(name, text.removeprefix(_FILE))
        elif os.path.isabs(text) or name.endswith("_file"):
            yield Claim(name, text)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
