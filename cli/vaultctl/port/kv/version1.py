# SPDX-License-Identifier: EUPL-1.2
"""Secrets of version 1: one value each, without anything about it, so that only reading it tells what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.mount import Mount, Refused, walk

KIND = "kv1"
OTHER = "the destination has another value there; -replace overwrites it"


def items(server: Server, mount: Mount, refused: Refused) -> Iterator[Item]:
    """Every secret of a mount, but in folders that are refused."""
    for key, _ in walk(server, mount, "", refused=refused):
        name = Name(KIND, mount.namespace, mount.path + key)
        yield Item(name, "", partial(_load, server, mount, key, name))


def _load(server: Server, mount: Mount, key: str, name: Name) -> Entry | None:
    value = server.read(mount.base + key)
    return None if value is None else Entry(name, {"mount": mount.path, "value": canonical.exact(value)})


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides."""
    return canonical.value_of(data["value"])


def put(server: Server, mount: Mount, entry: Entry, *, ours: bool) -> Outcome:
    """Write a secret, unless it is there as it is; `ours` says that what is there may be overwritten."""
    path = mount.base + mount.key(entry.name.path)
    value = canonical.value_of(entry.data["value"])
    present = server.read(path)
    if present is not None and canonical.encode(present) == canonical.encode(value):
        return UNCHANGED
    if present is not None and not ours:
        return Outcome("left", OTHER)
    server.write(path, value)
    return WRITTEN


def remove(server: Server, mount: Mount, key: str) -> None:
    """Delete a secret that is no longer at the source."""
    server.delete(mount.base + key)
