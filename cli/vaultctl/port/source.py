# SPDX-License-Identifier: EUPL-1.2
"""Everything of a server, in the order in which another can take it.

In each namespace: mounts and auth methods, policies, roles (which name these), entities, groups, policies whose templates
name any of these, secrets, and what would hinder those who move last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from vaultctl.errors import ApiError
from vaultctl.port.ground.entry import Entry, Item, Name
from vaultctl.port.ground.report import Report
from vaultctl.port.ground.server import Server, reason
from vaultctl.port.ground.sight import why_not_whole
from vaultctl.port.kv import version1, version2
from vaultctl.port.kv.mount import Mount, Refused
from vaultctl.port.kv.undeletion import Undeletion
from vaultctl.port.settings import catalog, identity, mounts, names, namespaces, policies, transit
from vaultctl.port.settings.plain import Collection
from vaultctl.port.settings.references import References
from vaultctl.text.json import as_map

NAMES = "kv-names"
"""The kind of the entry that ends a mount: the names of all its secrets, so that what is gone is removed."""
LISTS = (NAMES, names.KIND)
"""Kinds that say what there is, and so what is gone."""
SETTINGS = "kv-config"
_AT = "at"
"""Where a mount was found, beside what its server says of it."""
_ABSENT = (400, 404, 405, 501)
"""What a server answers that has no such thing."""


class ServerSource:
    """Reads a server. What it cannot read is told to `report`."""

    def __init__(
        self,
        server: Server,
        report: Report,
        *,
        undelete: Undeletion | None = None,
        known: Callable[[Name], str] = lambda _: "",
        aside: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        """`known` tells which versions are at the destination; `aside` where mounts are while they are set aside."""
        self._server, self._report, self._undelete, self._known = server, report, undelete, known
        self._aside = dict(aside or {})

    def items(self) -> Iterator[Item]:
        """Every entry."""
        why, certain = why_not_whole(self._server)
        if why:
            (self._report.leave if certain else self._report.note)(Name("server", "", "lists"), why)
        for item in self._all():
            if not why or item.name.kind not in LISTS:
                yield item

    def _all(self) -> Iterator[Item]:
        yield from self._namespace("")
        for path, why in catalog.EVERYWHERE:
            self._report.note(Name("server", "", path), why)
        for collection in () if self._server.namespace else catalog.IN_ROOT:
            yield from self._collection(collection, "")

    def secrets(self) -> Iterator[Item]:
        """The secrets alone, of all namespaces: what changes while a move goes on."""
        why, _ = why_not_whole(self._server)
        for mount, version, about in self._kv_mounts():
            items = self._kv(mount, version, about)
            yield from (item for item in items if not why or item.name.kind not in LISTS)

    def mounts(self) -> Iterator[Mount]:
        """The mounts of secrets of all namespaces, under the paths that they had."""
        return (mount for mount, _, _ in self._kv_mounts())

    def versioned(self) -> Iterator[Mount]:
        """Those of version 2."""
        return (mount for mount, version, _ in self._kv_mounts() if version == "2")

    def _kv_mounts(self) -> Iterator[tuple[Mount, str, Mapping[str, object]]]:
        for namespace in self._namespaces(""):
            for path, about in self._engines(namespace).items():
                if about.get("type") in ("kv", "generic"):
                    yield self._mount(namespace, path, about), _version(about), about

    def _namespaces(self, namespace: str) -> Iterator[str]:
        yield namespace
        for entry in self._below(namespace) or ():
            try:
                yield from self._namespaces(namespace + entry.name.path)
            except ApiError as error:
                self._leave(entry.name, error)

    def _below(self, namespace: str) -> list[Entry] | None:
        """The namespaces of one; None where they are not told."""
        try:
            return list(namespaces.below(self._server, namespace))
        except ApiError as error:
            self._leave(Name(namespaces.KIND, namespace, "sys/namespaces"), error)
            return None

    def _namespace(self, namespace: str) -> Iterator[Item]:
        engines = self._engines(namespace)
        methods = mounts.table(self._server, namespace, mounts.METHOD)
        references = References(self._server, namespace)
        yield from mounts.items(namespace, mounts.ENGINE, engines)
        yield from mounts.items(namespace, mounts.METHOD, methods)
        texts, again = policies.Reader(self._server, namespace, references), list[Item]()
        at = Name(policies.KIND, namespace, "sys/policies/acl")
        yield from self._guarded(at, texts.first)
        for collection in catalog.IN_NAMESPACE:
            yield from texts.noticing(self._collection(collection, namespace), again)
        for path, about in methods.items():
            yield from texts.noticing(self._method(namespace, path, str(about.get("type"))), again)
        yield from texts.noticing(self._entities(namespace), again)
        yield from texts.noticing(self._groups(namespace, references), again)
        self._leave_identity(namespace)
        yield from texts.later()
        if again:  # their policies are there by now, and who is a member with them
            yield from [item for item in again if item.name.kind != identity.GROUP]
            yield from (item for item in self._groups(namespace, references) if item.name.kind != names.KIND)
        for path, about in engines.items():
            yield from self._engine(namespace, path, about)
        inner = self._below(namespace)
        if inner is None:
            return
        yield names.item(
            Name(namespaces.KIND, namespace, ""), (entry.name.path for entry in inner), at="sys/namespaces"
        )
        for entry in inner:
            yield Item(entry.name, "", lambda entry=entry: entry)  # type: ignore[misc]  # of this turn
            yield from self._guarded(entry.name, lambda: self._namespace(namespace + entry.name.path))  # noqa: B023  # used at once

    def _entities(self, namespace: str) -> Iterator[Item]:
        name = Name(identity.ENTITY, namespace, "identity/entity")
        return self._guarded(name, lambda: identity.entities(self._server, namespace))

    def _groups(self, namespace: str, references: References) -> Iterator[Item]:
        name = Name(identity.GROUP, namespace, "identity/group")
        return self._guarded(name, lambda: identity.groups(self._server, namespace, references))

    def _engines(self, namespace: str) -> dict[str, dict[str, object]]:
        """The secrets engines by the paths that they had before they were set aside."""
        was = {there: path for (within, path), there in self._aside.items() if within == namespace}
        found = mounts.table(self._server, namespace, mounts.ENGINE)
        return {
            path: {**about, _AT: at}
            for path, at, about in sorted((was.get(at, at), at, about) for at, about in found.items())
        }

    def _mount(self, namespace: str, path: str, about: Mapping[str, object]) -> Mount:
        """A mount, where it was found."""
        return Mount(namespace, path, str(about[_AT]) if about[_AT] != path else "")

    def _method(self, namespace: str, path: str, kind: str) -> Iterator[Item]:
        collections = catalog.of_auth_method(kind, path)
        if not collections and kind not in ("token", "ns_token"):
            self._report.leave(
                Name(mounts.METHOD, namespace, f"auth/{path}"),
                f"what an auth method of type {kind} has is not read",
            )
        for collection in collections:
            for item in self._collection(collection, namespace):
                yield item
                if kind == "approle":
                    yield from self._guarded(item.name, partial(self._approle, item.name))

    def _approle(self, name: Name) -> Iterator[Item]:
        """The id of a role; its secret ids are told by no server."""
        path = f"{name.path}/role-id"
        yield from self._collection(Collection(catalog.ROLE_ID, path), name.namespace)
        accessors = sum(1 for _ in self._server.names(f"{name.namespace}{name.path}/secret-id"))
        if accessors:
            self._report.note(name, f"its {accessors} secret ids are told by no server: issue others")

    def _engine(self, namespace: str, path: str, about: Mapping[str, object]) -> Iterator[Item]:
        kind = str(about.get("type"))
        name = Name(mounts.ENGINE, namespace, path)
        if kind in ("kv", "generic"):
            yield from self._kv(self._mount(namespace, path, about), _version(about), about)
        elif kind not in catalog.KNOWN_ENGINES:
            self._report.leave(name, f"what an engine of type {kind} has is not read")
        if kind == "transit":
            yield from self._guarded(
                Name(transit.KIND, namespace, f"{path}keys"),
                lambda: transit.items(self._server, namespace, path, self._report.note),
            )
        for collection in catalog.of_engine(kind, path):
            yield from self._collection(collection, namespace)
        if kind == "ssh" and self._has(name, f"{namespace}{path}config/ca"):
            self._report.note(name, "its private key is told by no server: make or import an issuer there")

    def _has(self, name: Name, path: str) -> bool:
        try:
            return self._server.read(path) is not None
        except ApiError as error:
            if error.status not in _ABSENT:
                self._leave(name, error)
            return False

    def _kv(self, mount: Mount, version: str, about: Mapping[str, object]) -> Iterator[Item]:
        found: list[str] = []
        begin = Name(NAMES, mount.namespace, mount.path)
        whole = True

        def refused(folder: str, error: ApiError) -> None:
            nonlocal whole
            whole = False
            self._report.leave(Name(f"kv{version}", mount.namespace, mount.path + folder), reason(error))

        for item in self._secrets(mount, version, refused):
            found.append(mount.key(item.name.path))
            yield item
        if whole and not self._stays(mount, about):
            self._report.leave(begin, "it was moved or unmounted while it was read")
        elif whole:
            entry = Entry(begin, {"mount": mount.path, "version": version, "names": found})
            yield Item(begin, "", lambda: entry)
        if version == "2":
            for item in self._collection(
                Collection(SETTINGS, f"{mount.at or mount.path}config"), mount.namespace
            ):
                name = Name(SETTINGS, mount.namespace, f"{mount.path}config")
                yield replace(item, name=name, load=partial(_named, name, item.load))

    def _stays(self, mount: Mount, about: Mapping[str, object]) -> bool:
        """Whether a mount is still where it was read: one that is no longer there lists nothing, and has lost nothing."""
        there = mounts.table(self._server, mount.namespace, mounts.ENGINE).get(mount.at or mount.path, {})
        return there.get("accessor") == about.get("accessor")

    def _secrets(self, mount: Mount, version: str, refused: Refused) -> Iterator[Item]:
        if version == "1":
            return version1.items(self._server, mount, refused)
        return version2.Reader(
            self._server, mount, self._report.note, undelete=self._undelete, known=self._known
        ).items(refused)

    def _collection(self, collection: Collection, namespace: str) -> Iterator[Item]:
        name = Name(collection.kind, namespace, collection.base)
        yield from self._guarded(name, lambda: collection.items(self._server, namespace, self._report.note))

    def _guarded(self, name: Name, read: Callable[[], Iterator[Item]]) -> Iterator[Item]:
        """What can be read; what cannot is named, with the server's reason."""
        try:
            yield from read()
        except ApiError as error:
            self._leave(name, error)

    def _leave(self, name: Name, error: ApiError) -> None:
        """Say what a server does not tell; where it cannot answer, the move ends, to be gone on with."""
        if error.status >= 500 and error.status != 501:
            raise error
        self._report.leave(name, reason(error))

    def _leave_identity(self, namespace: str) -> None:
        for base, everywhere, why in catalog.LEFT:
            try:
                found = list(self._server.names(namespace + base))
            except ApiError as error:
                if error.status not in _ABSENT:
                    self._leave(Name("identity", namespace, base), error)
                continue
            for one in found:
                if one not in everywhere:
                    self._report.leave(Name("identity", namespace, base + one), why)


def _named(name: Name, load: Callable[[], Entry | None]) -> Entry | None:
    """An entry under the name that it has while its mount is set aside."""
    found = load()
    return found and Entry(name, found.data)


def _version(about: Mapping[str, object]) -> str:
    return str(as_map(about.get("options")).get("version") or "1")
