# SPDX-License-Identifier: EUPL-1.2
"""From a path to the namespace, the mount and the route that answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from vault.barrier.barrier import Barrier
from vault.framework.call import ROOT, BoundRoute, Call, Destination, Namespace
from vault.framework.errors import Locked, NotFound, Unavailable, VaultError
from vault.framework.quote import quote
from vault.framework.request.operation import Operation
from vault.framework.telemetry.log import Log
from vault.mount.table import Catalog, Mount, MountTable
from vault.namespace.book import Namespaces
from vault.namespace.entry import NamespaceEntry
from vault.values.ids import NamespaceId

_FOUND: Final = 8192
_LONGEST: Final = 512
"""Characters of the longest path whose route is remembered: anybody may ask, and strangers are not to fill the memory (SL-71)."""
_AT_ONCE: Final = 32
"""Tables that are read side by side."""
UNLOCK: Final = "sys/namespaces/api-lock/unlock"
"""The one path that answers in a namespace that is locked itself."""


_MISSING: Final = "namespace not found"
SEALED: Final = "namespace is sealed"
"""What everybody is told who asks for anything in a namespace that is sealed by itself."""
DAMAGED: Final = "the mount table of this namespace is damaged: restore it from a backup; the server's log says which record"
_DAMAGED: Final = "a mount's record is damaged: its namespace answers nothing until it is restored from a backup; nothing of it is removed"


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
        self,
        barrier: Barrier,
        namespaces: Namespaces,
        catalog: Catalog,
        log: Log | None = None,
        *,
        most_found: int = _FOUND,
    ) -> None:
        """The routes of `most_found` paths are remembered; `log`, if given, is told of damaged tables."""
        self._log = log
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
        """Return a namespace's table. Raises `NotFound` where the namespace is gone, `Unavailable` where the table is damaged."""
        table = self._sound(namespace)
        if table is None:
            raise NotFound(_MISSING)
        return table

    def _sound(self, namespace: Namespace) -> MountTable | None:
        """Return a namespace's table, None where the namespace is gone. Raises `Unavailable` for a damaged one."""
        table = self._tables.get(namespace.id)
        if table is not None and table.damage is not None:
            raise Unavailable(DAMAGED)
        return table

    def has(self, namespace: Namespace, uuid: str) -> bool:
        """Whether a namespace is served, and has the mount with this uuid. Raises `Unavailable` where nobody can tell."""
        table = self._sound(namespace)
        return table is not None and table.has(uuid)

    def has_login(self, namespace: Namespace, logins: str) -> bool:
        """Whether a namespace is served, and has the auth mount whose logins have this id. As `has`."""
        table = self._sound(namespace)
        return table is not None and table.has_login(logins)

    def known(self, namespace: Namespace) -> bool:
        """Whether it is known which mounts a namespace has: not while it is sealed, nor while its table is damaged."""
        table = self._tables.get(namespace.id)
        return table is None or table.known

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
        if table.damage is not None:
            raise Barred(Unavailable(DAMAGED))
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
        places = list(self._tables) if key is None else [NamespaceId(key)]
        await self._load([self._tables[place] for place in places if place in self._tables])

    async def drop_below(self, key: str | None) -> None:
        """Read the tables of a namespace and of all below it again: its keys came or went. All of them where it is gone."""
        entry = None if key is None else self._namespaces.by_id(NamespaceId(key))
        below = ROOT if entry is None else entry.as_namespace()
        await self._load(list(self.within(below)))

    async def read_damaged(self) -> None:
        """Read again what was damaged: the keys changed, and it may be sound by those that there are now."""
        await self._load([table for table in self._tables.values() if table.damage is not None])

    async def _load(self, tables: Sequence[MountTable]) -> None:
        """Read tables again, some of them side by side. Raises what one of them raises, once none is being read."""
        left = iter(tables)
        lanes = (self._load_all(left) for _ in range(min(_AT_ONCE, len(tables))))
        failures = [end for end in await asyncio.gather(*lanes, return_exceptions=True) if end is not None]
        self._found.clear()
        if failures:
            raise failures[0]

    async def _load_all(self, left: Iterator[MountTable]) -> None:
        for table in left:
            await table.load()
            if table.damage is not None and self._log is not None:
                self._log.failure(
                    "core",
                    _DAMAGED,
                    namespace_id=table.namespace.id,
                    mount=table.damage.uuid,
                    reason=str(table.damage.failure),
                )

    async def drop_namespace(self, key: str | None) -> None:
        """Read a namespace again, or all of them: it changed. A table comes and goes with its namespace.

        Where everything is read anew, `drop` follows and reads the tables. A damaged one is read whenever its namespace changes.
        """
        await self._namespaces.load(NamespaceId(key) if key is not None else None)
        for entry in list(self._namespaces):
            table = self._tables.get(entry.id)
            if table is None and not entry.tainted:
                table = self.fresh(entry.as_namespace())
                await self._load([table] if key is not None else ())
                self._tables[entry.id] = table
            elif table is not None and table.damage is not None and entry.id == key:
                await self._load([table])
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
