# SPDX-License-Identifier: EUPL-1.2
"""A mount of secrets: what it is called, and where it is read at the moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vaultctl.errors import ApiError
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


Refused = Callable[[str, ApiError], None]
"""Told which folder a server does not list, and its refusal."""


def _raise(_: str, error: ApiError) -> None:
    raise error


def walk(
    server: Server, mount: Mount, *branches: str, refused: Refused = _raise
) -> Iterator[tuple[str, object]]:
    """Every secret's path below the mount, in order, with what the server's list says of it.

    `branches` are the beginnings under which it may be listed, best first: the first that answers in a folder counts.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        below: list[str] = []
        try:
            for name, about in _folder(server, mount, folder, branches):
                if name.endswith("/"):
                    below.append(folder + name)
                else:
                    yield folder + name, about
        except ApiError as error:
            if error.status >= 500 and error.status != 501:
                raise
            refused(folder, error)
        folders += reversed(below)


def _folder(
    server: Server, mount: Mount, folder: str, branches: tuple[str, ...]
) -> Iterator[tuple[str, object]]:
    for branch in branches:
        found = False
        try:
            for pair in server.listing(f"{mount.base}{branch}{folder}"):
                found = True
                yield pair
        except ApiError as error:
            if found or branch == branches[-1] or error.status >= 500:
                raise
        if found:
            return
