# SPDX-License-Identifier: EUPL-1.2
"""Namespaces: tenants with everything of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

from vaultctl.errors import ApiError
from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Entry, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.text.json import as_map

KIND = "namespace"


def below(server: Server, namespace: str) -> Iterator[Entry]:
    """The namespaces of one, in order; none where the server has no such thing."""
    try:
        found = list(server.listing(f"{namespace}sys/namespaces"))
    except ApiError as error:
        if error.status in (400, 404, 405):
            return
        raise
    for path, about in found:
        data = as_map(about) or server.read(f"{namespace}sys/namespaces/{path.rstrip('/')}") or {}
        custom = as_map(data.get("custom_metadata"))
        yield Entry(Name(KIND, namespace, path), {"custom_metadata": custom})


def exists(server: Server, namespace: str) -> bool:
    """Whether there is a namespace: each has its own `sys/`."""
    about = as_map((server.read(f"{namespace}sys/mounts") or {}).get("sys/"))
    return about.get("type") in ("system", "ns_system")


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides."""
    return {"custom_metadata": data["custom_metadata"]}


def put(server: Server, entry: Entry, *, ours: bool, making: AbstractContextManager[None]) -> Outcome:
    """Make a namespace within `making`, or give it the metadata that it had."""
    name = entry.name
    path = f"{name.namespace}sys/namespaces/{name.path.rstrip('/')}"
    present = server.read(path)
    custom = as_map(entry.data["custom_metadata"])
    if present is not None:
        if as_map(present.get("custom_metadata")) == custom:
            return UNCHANGED
        if not ours:
            return Outcome("unchanged", notes=("it has other metadata there; -replace takes the source's",))
    with making if present is None else nullcontext():
        server.write(path, {"custom_metadata": custom})
    return WRITTEN
