# SPDX-License-Identifier: EUPL-1.2
"""Settings that name one file or one address: each would destroy or hide what the other is for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from vault.server.config_stanzas import host_and_port
from vault.server.settings import AuditDevice, Listener, StorageSettings

_BESIDE: Final = ("", "-wal", "-shm", "-turn")
"""Ends of the names of a database's files."""


class _Named(NamedTuple):
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
    for one, other in combinations(named, 2):
        apart = not one.shared or one.shared != other.shared
        if apart and real[one.path] == real[other.path]:
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
) -> Iterator[_Named]:
    if storage is not None and storage.path:
        yield from (_Named("path of storage", storage.path + end, "storage") for end in _BESIDE)
    yield from (_Named(f'file_path of audit "{device.path}"', device.file, "audit") for device in audit)
    yield _Named("log_file", values.get("log_file", ""), "")
    yield _Named("pid_file", values.get("pid_file", ""), "")
    for listener in listeners:
        yield _Named("tls_cert_file", listener.tls_cert_file, "tls")
        yield _Named("tls_key_file", listener.tls_key_file, "tls")
        yield _Named("tls_client_ca_file", listener.tls_client_ca_file, "tls")
        if listener.kind == "unix":
            yield _Named("address of a listener", listener.address, "")
