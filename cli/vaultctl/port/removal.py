# SPDX-License-Identifier: EUPL-1.2
"""What the source has no longer leaves the destination too, where this move brought it there; what others made stays.

A mount or a namespace goes once nothing is left in it, and if this move made it. What has to stay is told with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from vaultctl.errors import ApiError
from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Entry, Name, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server, reason
from vaultctl.port.kv import version1, version2, version2_writer
from vaultctl.port.kv.mount import Mount, walk
from vaultctl.port.settings import catalog, identity, mounts, namespaces, policies, transit
from vaultctl.port.settings.plain import Collection
from vaultctl.text.json import as_list, as_map

_TABLES = (mounts.ENGINE, mounts.METHOD)
_SHOWN = 10
_PATIENCE = 60.0
_PAUSE = 0.05
_OTHERS = "it holds what this move did not bring"
_LISTS = {
    identity.ENTITY: "identity/entity/name/",
    identity.GROUP: "identity/group/name/",
    policies.KIND: policies.PREFIX,
}


class Removal:
    """Removes what is gone from one server."""

    def __init__(self, server: Server, journal: Journal) -> None:
        self._server, self._journal = server, journal
        self._stays: list[str] = []
        self._removed = 0

    def of_names(self, entry: Entry) -> Outcome | None:
        """Remove what a list of names has no longer. None where it is no list of a kind that is removed."""
        kind, base = str(entry.data["kind"]), str(entry.data["base"])
        namespace, known = entry.name.namespace, set(map(str, as_list(entry.data["names"])))
        if kind in _TABLES:
            self._table(kind, namespace, known)
        elif kind == namespaces.KIND:
            self._namespaces(namespace, known)
        elif kind in _LISTS or kind == transit.KIND or kind in catalog.LISTED:
            self._list(kind, namespace, base, known)
        else:
            return None
        return self._outcome()

    def of_secrets(self, entry: Entry) -> Outcome:
        """Remove the secrets of a mount that its list of names has no longer."""
        known = set(map(str, as_list(entry.data["names"])))
        self._secrets(Mount(entry.name.namespace, entry.name.path), str(entry.data["version"]), known)
        return self._outcome()

    def _outcome(self) -> Outcome:
        stays, removed = self._stays, self._removed
        self._stays, self._removed = [], 0
        if stays:
            more = f" and {len(stays) - _SHOWN} more" * (len(stays) > _SHOWN)
            return Outcome("left", f"gone at the source, and still here: {', '.join(stays[:_SHOWN])}{more}")
        return WRITTEN if removed else UNCHANGED

    def _list(self, kind: str, namespace: str, base: str, known: set[str]) -> None:
        for found in list(self._server.names(namespace + base)):
            name = Name(kind, namespace, base + found)
            if found in known or (kind == policies.KIND and found == "default"):  # which no server deletes
                continue
            if self._journal.holds(name):
                self._remove(name, name.text)

    def _remove(self, name: Name, path: str) -> bool:
        """Remove one, and say that it stays where the server refuses; whether it is removed."""
        try:
            self._server.delete(path)
        except ApiError as error:
            if error.status >= 500 and error.status != 501:
                raise
            self._stays.append(f"{name.path} ({reason(error)})")
            return False
        self._removed += 1
        self._journal.forget(name)
        if name.kind == "approle":  # which brought its id with it
            self._journal.forget(Name(catalog.ROLE_ID, name.namespace, f"{name.path}/role-id"))
        return True

    def _secrets(self, mount: Mount, version: str, known: set[str]) -> None:
        kind, branch, remove = (
            (version1.KIND, "", version1.remove)
            if version == "1"
            else (version2.KIND, "metadata/", version2_writer.remove)
        )
        for key in [key for key, _ in walk(self._server, mount, branch)]:
            secret = Name(kind, mount.namespace, mount.path + key)
            if key not in known and self._journal.holds(secret):
                remove(self._server, mount, key)
                self._removed += 1
                self._journal.forget(secret)

    def _table(self, kind: str, namespace: str, known: set[str]) -> None:
        for path, about in mounts.table(self._server, namespace, kind).items():
            name = Name(kind, namespace, path)
            if path in known or not self._journal.knows(name):
                continue
            empty = self._emptied(kind, namespace, path, about)
            if not self._journal.holds(name):
                self._journal.forget(name)  # the destination had it before
            elif empty:
                self._remove(name, f"{namespace}{mounts.TABLES[kind]}/{path.rstrip('/')}")
            else:
                self._stays.append(f"{path} ({_OTHERS})")

    def _emptied(self, kind: str, namespace: str, path: str, about: Mapping[str, object]) -> bool:
        """Remove what this move brought into a mount; whether nothing is left that is known to be there."""
        of = str(about.get("type"))
        if kind == mounts.ENGINE and of in ("kv", "generic"):
            mount, version = Mount(namespace, path), version_of(about)
            self._secrets(mount, version, set())
            return not any(True for _ in walk(self._server, mount, "" if version == "1" else "metadata/"))
        found = catalog.of_auth_method(of, path) if kind == mounts.METHOD else catalog.of_engine(of, path)
        if not found and of not in catalog.KNOWN_ENGINES:
            return False
        if of == "transit":
            found = (*found, Collection(transit.KIND, f"{path}keys/"))
        return self._swept(namespace, ((one.kind, one.base) for one in found if one.base.endswith("/")))

    def _swept(self, namespace: str, lists: Iterable[tuple[str, str]]) -> bool:
        """Remove what this move brought below some paths; whether nothing is left there."""
        left = False
        for kind, base in lists:
            self._list(kind, namespace, base, set())
            left |= any(name not in ("root", "default") for name in self._server.names(namespace + base))
        return not left

    def _namespaces(self, namespace: str, known: set[str]) -> None:
        for entry in list(namespaces.below(self._server, namespace)):
            name = entry.name
            if name.path in known or not self._journal.knows(name):
                continue
            empty = self._emptied_namespace(namespace + name.path)
            if not self._journal.holds(name):
                self._journal.forget(name)
            elif empty:
                path = f"{namespace}sys/namespaces/{name.path.rstrip('/')}"
                if self._remove(name, path):
                    self._wait_until_gone(path)
            else:
                self._stays.append(f"{name.path} ({_OTHERS})")

    def _wait_until_gone(self, path: str) -> None:
        """A server may take its time to delete a namespace: until then there is one of that name."""
        until = time.monotonic() + _PATIENCE
        while self._server.read(path) is not None and time.monotonic() < until:
            time.sleep(_PAUSE)

    def _emptied_namespace(self, namespace: str) -> bool:
        self._namespaces(namespace, set())
        for kind in _TABLES:
            self._table(kind, namespace, {"token/"})
        lists = ((one.kind, one.base) for one in catalog.IN_NAMESPACE)
        swept = self._swept(namespace, (*_LISTS.items(), *lists))
        return swept and not any(self._what_is_left(namespace))

    def _what_is_left(self, namespace: str) -> Iterator[str]:
        for entry in namespaces.below(self._server, namespace):
            yield entry.name.path
        for kind in _TABLES:
            yield from (path for path in mounts.table(self._server, namespace, kind) if path != "token/")


def version_of(about: Mapping[str, object]) -> str:
    """The version of a mount of secrets, as a table of mounts says it."""
    return str(as_map(about.get("options")).get("version") or "1")
