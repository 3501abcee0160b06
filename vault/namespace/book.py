# SPDX-License-Identifier: EUPL-1.2
"""All namespaces but the root one, in memory while unsealed; storage holds the truth, in the root namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import NewerFormat
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.call import ROOT, Namespace
from vault.namespace.entry import NAMESPACE, NAMESPACE_KIND, NamespaceEntry
from vault.namespace.parked import place_of
from vault.namespace.removal import remove_below
from vault.values.ids import VAULT, NamespaceId
from vault.values.times import Millis

_PREFIX: Final = "namespace/"


class Tenant:
    """A namespace that is known here: its entry changes, the object that calls carry stays the same."""

    __slots__ = ("entry", "namespace")

    def __init__(self, entry: NamespaceEntry) -> None:
        self.entry = entry
        self.namespace = entry.as_namespace()


class Namespaces:
    """Finds namespaces by path and by id."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self._by_id: dict[NamespaceId, Tenant] = {}
        self._by_path: dict[str, Tenant] = {}

    def __iter__(self) -> Iterator[NamespaceEntry]:
        """Iterate over all of them, a parent before its children."""
        return (self._by_path[path].entry for path in sorted(self._by_path))

    def at(self, path: str) -> NamespaceEntry | None:
        """Return the namespace at exactly `path`, which ends in `/`."""
        tenant = self._by_path.get(path)
        return tenant.entry if tenant is not None else None

    def by_id(self, namespace_id: NamespaceId) -> NamespaceEntry | None:
        """Return the namespace with this id."""
        tenant = self._by_id.get(namespace_id)
        return tenant.entry if tenant is not None else None

    def live(self, namespace_id: NamespaceId) -> Namespace | None:
        """Return the namespace with this id, unless there is none or it is being removed."""
        if namespace_id == ROOT.id:
            return ROOT
        tenant = self._by_id.get(namespace_id)
        return tenant.namespace if tenant is not None and not tenant.entry.tainted else None

    def knows(self, namespace_id: NamespaceId) -> bool:
        """Whether this id is taken."""
        return namespace_id == ROOT.id or namespace_id in self._by_id

    def below(self, path: str, *, deep: bool = False) -> list[NamespaceEntry]:
        """Return the namespaces directly in `path`, or all below it, in order of their paths."""
        found = [entry for entry in self if entry.path.startswith(path) and entry.path != path]
        return found if deep else [entry for entry in found if entry.parent == path]

    def deepest(self, path: str) -> Namespace:
        """Return the innermost namespace that `path` leads into."""
        found = ROOT
        end = path.find("/")
        while end >= 0:
            tenant = self._by_path.get(path[: end + 1])
            if tenant is None:
                break
            found = tenant.namespace
            end = path.find("/", end + 1)
        return found

    def owner(self, namespace: Namespace) -> NamespaceId:
        """Return whose keys encrypt a namespace, and those that are made in it; empty for the vault's."""
        tenant = self._by_id.get(namespace.id)
        return tenant.entry.owner if tenant is not None else VAULT

    def sealed(self, entry: NamespaceEntry) -> bool:
        """Whether the namespace has keys of its own, and these are not in memory."""
        return entry.seal is not None and not self._barrier.serves(entry.id)

    def shut(self, namespace: Namespace) -> bool:
        """Whether nothing of `namespace` can be read: it is sealed, or is in a namespace that is."""
        return any(
            self.sealed(entry)
            for entry in self
            if namespace.path.startswith(entry.path) and entry.seal is not None
        )

    def chain(self, namespace: Namespace) -> list[Namespace]:
        """Return a namespace and all above it, the root one first."""
        above = [tenant.namespace for tenant in self._by_path.values() if tenant.namespace.holds(namespace)]
        return [ROOT, *sorted(above, key=lambda one: one.path)]

    def closed(self, namespace: Namespace) -> NamespaceEntry | None:
        """Return the outermost namespace on the way to `namespace` that is sealed, locked or being removed."""
        path = namespace.path
        end = path.find("/")
        while end >= 0:
            entry = self._by_path[path[: end + 1]].entry
            if entry.lock or entry.tainted or (entry.seal is not None and self.sealed(entry)):
                return entry
            end = path.find("/", end + 1)
        return None

    async def load(self, namespace_id: NamespaceId | None = None) -> None:
        """Read one namespace again, or all."""
        core = self._barrier.reader(ROOT.id, core_prefix(ROOT.id))
        names = [namespace_id] if namespace_id else [NamespaceId(name) for name in await core.list(_PREFIX)]
        entries = {name: await self._stored(core, name) for name in names}
        if not namespace_id:
            for gone in set(self._by_id) - set(names):
                self._forget(gone)
        for name, entry in entries.items():
            if entry is None:
                self._forget(name)
            else:
                self._keep(entry)

    @staticmethod
    async def _stored(core: ReadView, name: NamespaceId) -> NamespaceEntry | None:
        """Return a namespace as it is stored. Raises `BarrierFailure`, which says which record is damaged."""
        try:
            value = await core.get(_PREFIX + name)
            return None if value is None else NAMESPACE.decode(value)
        except NewerFormat:
            raise
        except BarrierFailure as failure:
            raise BarrierFailure(f"namespace {name}: {failure}") from failure

    def _keep(self, entry: NamespaceEntry) -> None:
        self._barrier.own(entry.id, entry.owner)
        tenant = self._by_id.get(entry.id)
        if tenant is None:
            self._by_id[entry.id] = self._by_path[entry.path] = Tenant(entry)
        else:
            tenant.entry = entry

    def _forget(self, namespace_id: NamespaceId) -> None:
        self._barrier.close(namespace_id)
        self._barrier.own(namespace_id, VAULT)
        tenant = self._by_id.pop(namespace_id, None)
        if tenant is not None and self._by_path.get(tenant.entry.path) is tenant:
            del self._by_path[tenant.entry.path]

    def forget(self) -> None:
        """Drop everything at seal."""
        self._by_id.clear()
        self._by_path.clear()

    async def put(self, core: View, entry: NamespaceEntry) -> None:
        """Store a namespace, new or changed; `core` is a view of any namespace's own data."""
        self._barrier.own(entry.id, entry.owner)
        await core.space(ROOT.id).put(_PREFIX + entry.id, NAMESPACE.encode(entry))
        await core.invalidate(NAMESPACE_KIND, entry.id)

    async def stored(self, core: ReadView, namespace_id: NamespaceId) -> NamespaceEntry | None:
        """Return what is stored of a namespace; `core` is a view of any namespace's own data."""
        value = await core.space(ROOT.id).get(_PREFIX + namespace_id)
        return None if value is None else NAMESPACE.decode(value)

    async def contains_others(self, core: ReadView, entry: NamespaceEntry) -> bool:
        """Whether there are namespaces below one still: they go before it, or a new one of its path would have them."""
        for inner in self.below(entry.path, deep=True):
            if await self.stored(core, inner.id) is not None:
                return True
        return False

    async def sweep(
        self, core: View, namespace_id: NamespaceId, now: Millis = Millis(1), after: str = ""
    ) -> str | None:
        """Remove a round of what a namespace holds, which is marked, or the namespace itself where that was all.

        Until then its id is taken, so that no other one gets what is left. See `remove_below`.
        """
        place, waiting = core_prefix(namespace_id), place_of(namespace_id)
        last = await remove_below(core, place, waiting, now=now, after=after)
        if last is not None:
            return last
        await core.space(ROOT.id).delete(_PREFIX + namespace_id)
        await core.invalidate(NAMESPACE_KIND, namespace_id)
        return None
