# SPDX-License-Identifier: EUPL-1.2
"""From a key as the operator writes it to the API path: which mount, which KV version."""

from __future__ import annotations

from vaultctl.errors import NO_NAMESPACE, ApiError, UsageError
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.invocation import Invocation


class Location:
    """A key: its mount path without slashes around it, the key below the mount, the KV version 1 or 2."""

    __slots__ = ("key", "mount", "version")

    def __init__(self, mount: str, key: str, version: int) -> None:
        self.mount = mount
        self.key = key
        self.version = version

    def path(self, kind: str) -> str:
        """The API path; `kind` (data, metadata, delete, undelete, destroy) exists in version 2 only."""
        parts = (self.mount, kind if self.version == 2 else "", self.key)
        return "/".join(part for part in parts if part)


def locate(invocation: Invocation) -> Location:
    """Ask the server for the mount of the key that the arguments name."""
    mount_flag = invocation.text("mount").strip(" /")
    if not invocation.args and not mount_flag:
        raise UsageError("Not enough arguments (expected 1, got 0)")
    return locate_key(invocation, invocation.args[0] if invocation.args else "", mount_flag)


def locate_key(invocation: Invocation, key: str, mount_flag: str) -> Location:
    """Ask the server for the mount of a key; `mount_flag` is where it is said to be, if anywhere.

    A server that does not know the question is an old one: all its mounts are of KV version 1, as `bao` says too.
    """
    key, mount_flag = key.strip(" /"), mount_flag.strip(" /")
    path = mount_flag or key
    if not path:
        return Location("", key, 1)
    try:
        response = invocation.client.send("GET", f"sys/internal/ui/mounts/{path}", preliminary=True)
    except ApiError as error:
        missing = NO_NAMESPACE in error.errors and not invocation.client.only_prints
        if error.status == 404 and not missing:
            return Location(mount_flag, key, 1)
        raise
    data = as_map(response.json().get("data"))
    mount = str(data.get("path") or "").strip("/")
    version = 2 if as_map(data.get("options")).get("version") == "2" else 1
    key_below = key if mount_flag else key.removeprefix(mount).strip("/")
    return Location(mount, key_below, version)
