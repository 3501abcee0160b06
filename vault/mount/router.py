# SPDX-License-Identifier: EUPL-1.2
"""From a path to the namespace, the mount and the route that answer it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from vault.barrier.barrier import Barrier
from vault.framework.call import ROOT, BoundRoute, Call, Destination, Namespace
from vault.framework.errors import Locked, NotFound, VaultError
from vault.framework.quote import quote
from vault.framework.request.operation import Operation
from vault.mount.table import Catalog, Mount, MountTable
from vault.namespace.book import Namespaces
from vault.namespace.entry import NamespaceEntry
from vault.values.ids import NamespaceId

_FOUND: Final = 8192
_LONGEST: Final = 512
"""Characters of the longest path whose route is remembered: anybody may ask, and strangers are not to fill the memory (SL-71)."""
UNLOCK: Final = "sys/namespaces/api-lock/unlock"
"""The one path that answers in a namespace that is locked itself."""


_MISSING: Final = "namespace not found"
SEALED: Final = "namespace is sealed"
"""What everybody is told who asks for anything in a namespace that is sealed by itself."""


class RouteMatch(msgspec.Struct, frozen=True):
    """Where a path leads, and the route there."""

    destination: Destination
    bound: BoundRoute


class Barred(Exception):
    """A namespace does not answer, whoever asks: `reason` is what everybody is told."""

    def __init__(self, reason: VaultError) -> None:
        super().__init__()
        self.reason = reason


class Router:
    """The mount tables of all namespaces. A path that led somewhere is remembered until a table changes."""

    def __init__(
        self, barrier: Barrier, namespaces: Namespaces, catalog: Catalog, *, most_found: int = _FOUND
    ) -> None:
        """The routes of `most_found` paths are remembered."""
        self._most_found = most_found
        self._barrier = barrier
        self._namespaces = namespaces
        self.root: Final = MountTable(barrier, catalog, ROOT)
        self._tables: dict[NamespaceId, MountTable] = {ROOT.id: self.root}
        self._found: dict[tuple[str, Operation], RouteMatch] = {}

    @property
    def catalog(self) -> Catalog:
        """Which kinds of mount there are."""
        return self.root.catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        for table in self._tables.values():
            table.catalog = catalog

    def of(self, namespace: Namespace) -> MountTable:
        """Return a namespace's table. Raises `NotFound` where the namespace is gone."""
        table = self._tables.get(namespace.id)
        if table is None:
            raise NotFound(_MISSING)
        return table

    def has(self, namespace: Namespace, uuid: str) -> bool:
        """Whether a namespace is served, and has the mount with this uuid."""
        table = self._tables.get(namespace.id)
        return table is not None and table.has(uuid)

    def has_login(self, namespace: Namespace, logins: str) -> bool:
        """Whether a namespace is served, and has the auth mount whose logins have this id."""
        table = self._tables.get(namespace.id)
        return table is not None and table.has_login(logins)

    def fresh(self, namespace: Namespace) -> MountTable:
        """Return the table of a namespace that is being made; it is served once that is committed."""
        return MountTable(self._barrier, self.catalog, namespace)

    def within(self, namespace: Namespace) -> Iterator[MountTable]:
        """Iterate over the tables of a namespace and all below it."""
        return (table for table in list(self._tables.values()) if namespace.holds(table.namespace))

    def find(self, path: str) -> tuple[Mount, MountTable] | None:
        """Return the mount that a whole path leads to, and the table that it is in."""
        namespace = self._namespaces.deepest(path)
        table = self._tables.get(namespace.id)
        mount = None if table is None else table.find(path[len(namespace.path) :])
        return None if mount is None or table is None else (mount, table)

    def overlap(self, namespace: Namespace, path: str) -> str:
        """Return which namespace `path` in `namespace` reaches into, "" for none: no mount can be there."""
        full = namespace.path + path
        inner = self._namespaces.deepest(full).path
        return inner[len(namespace.path) :]

    def lead(self, call: Call) -> RouteMatch | None:
        """Set the call's destination and return it with its route; None without a mount.

        Raises `Barred` for a namespace that does not answer, and `UnsupportedPath` or `UnsupportedOperation`. What is
        known of the destination is set all the same.
        """
        full = call.destination.full
        if call.within and self._namespaces.at(call.within) is None:
            raise Barred(NotFound(_MISSING))
        found = self._found.get((full, call.operation))
        if found is None:
            return self._look(call, full)
        call.destination = found.destination
        return found

    def _look(self, call: Call, full: str) -> RouteMatch | None:
        namespace = self._namespaces.deepest(full)
        path = full[len(namespace.path) :]
        call.destination = Destination(namespace, path)
        closed = self._namespaces.closed(namespace)
        if closed is not None:
            _refuse(call, closed, sealed=self._namespaces.sealed(closed))
        table = self._tables.get(namespace.id)
        if table is None:
            raise Barred(NotFound(_MISSING))
        mount = table.find(path)
        if mount is None:
            return None
        call.destination = Destination(namespace, path, mount.mounted, path[len(mount.mounted.path) :])
        bound, captures = mount.backend.match(call)
        call.destination = replace(call.destination, prefix=mount.prefix, captures=captures)
        found = RouteMatch(call.destination, bound)
        if closed is None and call.operation is not Operation.HELP and len(full) <= _LONGEST:
            if len(self._found) >= self._most_found:
                self._found.clear()
            self._found[full, call.operation] = found
        return found

    async def drop(self, key: str | None) -> None:
        """Read a namespace's table again, or all of them: it changed."""
        for namespace_id in [NamespaceId(key)] if key is not None else list(self._tables):
            if namespace_id in self._tables:
                await self._tables[namespace_id].load()
        self._found.clear()

    async def drop_namespace(self, key: str | None) -> None:
        """Read a namespace again, or all of them: it changed. A table comes and goes with its namespace.

        Where everything is read anew, `drop` follows and reads the tables.
        """
        await self._namespaces.load(NamespaceId(key) if key is not None else None)
        for entry in list(self._namespaces):
            if entry.id not in self._tables and not entry.tainted:
                table = self.fresh(entry.as_namespace())
                if key is not None:
                    await table.load()
                self._tables[entry.id] = table
        for namespace_id in list(self._tables):
            if self._namespaces.live(namespace_id) is None:
                del self._tables[namespace_id]
        self._found.clear()

    def seal(self) -> None:
        """Drop everything but the root namespace's `sys/`, which answers while sealed too."""
        self._found.clear()
        self._namespaces.forget()
        self._tables = {ROOT.id: self.root}
        self.root.seal()


def _refuse(call: Call, closed: NamespaceEntry, *, sealed: bool) -> None:
    """Refuse what is sealed, locked or being removed, but for its own unlocking. Raises `Barred`."""
    if closed.tainted:
        raise Barred(
            NotFound(
                f'no handler for route "{quote(call.path)}" on namespace "{quote(call.namespace.path)}". '
                "route entry or namespace is tainted."
            )
        )
    if sealed:
        raise Barred(Locked(SEALED))
    if closed.id != call.namespace.id or call.path != UNLOCK or call.operation is not Operation.UPDATE:
        raise Barred(
            Locked(
                "API access to this namespace has been locked by an administrator - "
                f'"{quote(closed.path)}" must be unlocked to gain access.'
            )
        )
