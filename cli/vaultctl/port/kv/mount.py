# SPDX-License-Identifier: EUPL-1.2
"""A mount of secrets: what it is called, and where it is read at the moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vaultctl.port.ground.server import Server


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount: `namespace` is "" or ends in a slash, as `path` does. `at` is its path while it is set aside, else ""."""

    namespace: str
    path: str
    at: str = ""

    @property
    def base(self) -> str:
        """What requests to it begin with."""
        return self.namespace + (self.at or self.path)

    def key(self, path: str) -> str:
        """What of an entry's path lies below the mount."""
        return path.removeprefix(self.path)


def walk(server: Server, mount: Mount, *branches: str) -> Iterator[tuple[str, object]]:
    """Every secret's path below the mount, in order, with what the server's list says of it.

    `branches` are the beginnings under which it may be listed, best first: the first that answers in a folder counts.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        below: list[str] = []
        for name, about in _folder(server, mount, folder, branches):
            if name.endswith("/"):
                below.append(folder + name)
            else:
                yield folder + name, about
        folders += reversed(below)


def _folder(
    server: Server, mount: Mount, folder: str, branches: tuple[str, ...]
) -> Iterator[tuple[str, object]]:
    for branch in branches:
        found = False
        for pair in server.listing(f"{mount.base}{branch}{folder}"):
            found = True
            yield pair
        if found:
            return
