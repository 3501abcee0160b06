# SPDX-License-Identifier: EUPL-1.2
"""The mount table: which engine answers below which path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure, NamespaceSealed
from vault.barrier.stored import NewerFormat
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.call import ROOT, BoundRoute, Call, MountFacts, Namespace
from vault.framework.clock import Entropy
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, UnsupportedOperation, UnsupportedPath
from vault.framework.help.path_help import show
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route import Access
from vault.framework.route_table import RouteTable, special
from vault.mount.entry import MOUNT, MOUNT_KIND, MOUNTS, MountConfig, MountEntry
from vault.namespace.removal import remove_below
from vault.values.ids import NO_MOUNT, MountAccessor, MountId

_TOGETHER: Final = 8
"""Mounts that are asked for at once: more than most namespaces have, and storage may answer them in one round trip."""
_ALIASES: Final = {
    "generic": "kv",
    "ns_cubbyhole": "cubbyhole",
    "ns_identity": "identity",
    "ns_token": "token",
}
"""Other names of kinds of mount, which are kept as they are: older ones, and those of what every namespace has."""
_OWN: Final = "ns_system"
"""The kind of `sys/` below the root namespace, which has fewer routes."""


class Backend(msgspec.Struct, frozen=True):
    """The live engines of one kind of mount, and their routes."""

    engines: Sequence[Engine]
    routes: RouteTable

    def match(self, call: Call) -> tuple[BoundRoute, Mapping[str, str]]:
        """Return the route of a call. Raises `UnsupportedPath` or `UnsupportedOperation`."""
        if call.operation is Operation.HELP:
            found = self.routes.helping(call.local) if call.local else ()
            if not found and call.local:
                raise UnsupportedPath
            return special(partial(show, found or self.routes.all, self._about), Operation.HELP), {}
        try:
            return self.routes.match(call.local, call.operation)
        except UnsupportedOperation:
            found = self.routes.matching(call.local)
            if all(bound.route.access.public for bound in found):
                return special(self._refuse_verb, call.operation, Access(public=True)), {}
            raise
        except UnsupportedPath:
            if f"{call.local}/".startswith(self._guarded):
                return special(_unsupported, call.operation, Access(sudo=True)), {}
            for engine in self.engines:
                if engine.missing is not None:
                    return special(engine.missing, call.operation), {}
            raise

    @property
    def _about(self) -> str:
        """What the engines are for, each in the first line of its own documentation."""
        docs = [(type(engine).__doc__ or "").partition("\n")[0] for engine in self.engines]
        return "\n".join(dict.fromkeys(doc for doc in docs if doc))

    @property
    def _guarded(self) -> tuple[str, ...]:
        return tuple(prefix for engine in self.engines for prefix in engine.guarded)

    async def _refuse_verb(self, call: Call) -> Reply[object]:
        """Refuse a verb on a path that anybody may call, so that nobody needs a token to be told."""
        for engine in self.engines:
            refusal = None if engine.wrong_verb is None else await engine.wrong_verb(call)
            if refusal is not None:
                return refusal
        raise UnsupportedOperation(chained=False)


class InnerBackend(Backend, frozen=True):
    """`sys/` below the root namespace: some of the root's routes. Of the others it says what they are (SL-10).

    `routes` is what it has; `whole` is what the root namespace's has.
    """

    whole: RouteTable

    def match(self, call: Call) -> tuple[BoundRoute, Mapping[str, str]]:
        """Return the route of a call. Raises `UnsupportedPath` or `UnsupportedOperation`."""
        if self.whole.matching(call.local) and not self.routes.matching(call.local):
            return special(_root_only, call.operation, Access(public=True)), {}
        return Backend.match(self, call)


async def _root_only(call: Call) -> None:
    del call
    raise Malformed("operation only available in root namespace")


async def _unsupported(call: Call) -> None:
    del call
    raise UnsupportedPath


class Catalog:
    """Which kinds of mount exist. Nothing is ever loaded from storage (SL-95)."""

    def __init__(self, secrets: Mapping[tuple[str, str], Backend], auth: Mapping[str, Backend]) -> None:
        """`secrets` maps (kind, version option) to a backend; version is empty where a kind has none."""
        self._secrets = secrets
        self._auth = auth

    def find(self, kind: str, options: Mapping[str, str], *, auth: bool) -> Backend | None:
        """Return the backend of a mount, or None for an unknown kind or version."""
        if auth:
            return self._auth.get(_ALIASES.get(kind, kind))
        return self._secrets.get((_ALIASES.get(kind, kind), options.get("version", "")))

    def names(self, *, auth: bool) -> Sequence[str]:
        """Return the names of all kinds, in order."""
        return sorted(self._auth if auth else {kind for kind, _ in self._secrets} - {_OWN})

    def knows(self, kind: str, *, auth: bool) -> bool:
        """Whether there is such a kind at all."""
        if auth:
            return kind in self._auth
        return any(known == _ALIASES.get(kind, kind) for known, _ in self._secrets)


class Mount(msgspec.Struct):
    """A mount that is being served."""

    entry: MountEntry
    mounted: MountFacts
    backend: Backend
    prefix: str
    """Where its data lies in storage."""


class DamagedMount(BarrierFailure):
    """A mount's stored record is not what was written. `uuid` is the mount's."""

    def __init__(self, uuid: str, failure: BarrierFailure) -> None:
        super().__init__(f"mount {uuid}: {failure}")
        self.uuid = uuid
        self.failure = failure


class MountTable:
    """All mounts of a namespace, in memory while unsealed; storage holds the truth."""

    def __init__(self, barrier: Barrier, catalog: Catalog, namespace: Namespace) -> None:
        self._barrier = barrier
        self.catalog = catalog
        self._namespace = namespace
        self.damage: DamagedMount | None = None
        """What is wrong with a stored mount, None where nothing is. Nobody knows then which mounts there are."""
        self.known = True
        """Whether it says which mounts there are: neither of a sealed namespace nor of a damaged table does it."""
        self._serve({})

    def _serve(
        self, mounts: Mapping[str, Mount], asleep: frozenset[str] = frozenset(), *, known: bool = True
    ) -> None:
        """Have these mounts from now on, by path."""
        self.known = known
        self._by_path = mounts
        self._asleep = asleep
        self._deepest = max((path.count("/") for path in mounts), default=1)
        self._uuids = frozenset(mount.entry.uuid for mount in mounts.values())
        self._logins = frozenset(mount.entry.logins for mount in mounts.values())

    @property
    def namespace(self) -> Namespace:
        """The namespace that these mounts belong to."""
        return self._namespace

    def __iter__(self) -> Iterator[Mount]:
        """Iterate over the mounts."""
        return iter(self._by_path.values())

    def get(self, path: str) -> Mount | None:
        """Return the mount at exactly `path` (which ends in `/`)."""
        return self._by_path.get(path)

    def has(self, uuid: str) -> bool:
        """Whether there is the mount with this uuid."""
        return uuid in self._uuids

    def has_login(self, logins: str) -> bool:
        """Whether there is the mount whose logins have this id."""
        return logins in self._logins

    def conflict(self, path: str) -> str:
        """Return the path of a mount at, above or below `path`, or "" when there is room for one.

        Mounts of a kind that this server does not have keep their place too.
        """
        end = path.find("/") + 1
        while end > 0:
            above = path[:end]
            if above in self._by_path or above in self._asleep:
                return above
            end = path.find("/", end) + 1
        below = [taken for taken in self._by_path if taken.startswith(path)]
        below += [taken for taken in self._asleep if taken.startswith(path)]
        return min(below, default="")

    def find(self, path: str) -> Mount | None:
        """Return the mount whose path is the longest prefix of `path`; the mount's own name counts."""
        by_path = self._by_path
        found: Mount | None = None
        end = path.find("/")
        for _ in range(self._deepest):
            if end < 0:
                return by_path.get(path + "/") or found
            found = by_path.get(path[: end + 1]) or found
            end = path.find("/", end + 1)
        return found

    async def load(self) -> None:
        """Read the table; a mount of a kind that this server does not have is left out, and kept in storage.

        Of a namespace that is sealed nothing can be read: it has no mounts here. Nor has one with a damaged record, which
        `damage` tells of: nobody else's table suffers. Raises `BarrierFailure` where it is the root namespace's, or the vault's
        keys cannot be read, and `NewerFormat`.
        """
        damage: DamagedMount | None = None
        try:
            await self._read()
        except NamespaceSealed:
            self._serve({}, known=False)
        except DamagedMount as failure:
            if self._namespace.id == ROOT.id:
                raise
            await self._barrier.refresh()
            self._serve({}, known=False)
            damage = failure
        self.damage = damage

    async def _read(self) -> None:
        core = self._barrier.reader(self._namespace.id, core_prefix(self._namespace.id))
        loaded: dict[str, Mount] = {}
        asleep: set[str] = set()
        uuids, pace = await core.list(MOUNTS), TimeSlice()
        for at in range(0, len(uuids), _TOGETHER):
            found = await asyncio.gather(*(_stored(core, uuid) for uuid in uuids[at : at + _TOGETHER]))
            for entry in found:
                if entry is None:
                    continue
                backend = self.catalog.find(entry.kind, entry.options or {}, auth=entry.is_auth)
                if backend is not None:
                    loaded[entry.path] = self._mount(entry, backend)
                else:
                    asleep.add(entry.path)
            await pace.step()
        self._serve(loaded, frozenset(asleep))

    def _mount(self, entry: MountEntry, backend: Backend) -> Mount:
        prefix = core_prefix(self._namespace.id) + entry.prefix
        return Mount(entry, entry.as_mounted(), backend, prefix)

    def seal(self) -> None:
        """Drop everything but `sys/`, which answers while sealed too."""
        backend = self.catalog.find("system", {}, auth=False)
        entry = MountEntry(uuid=NO_MOUNT, path="sys/", kind="system", accessor=MountAccessor(""))
        self._serve({"sys/": self._mount(entry, backend)} if backend is not None else {})

    async def put(self, core: View, entry: MountEntry) -> None:
        """Store a mount, new or changed."""
        await core.put(MOUNTS + entry.uuid, MOUNT.encode(entry))
        await core.invalidate(MOUNT_KIND, self._namespace.id)

    async def remove(self, core: View, entry: MountEntry) -> None:
        """Remove a mount and its data: of much, the rest by and by. Nothing leads there, as its uuid is not used again."""
        await remove_below(core, core.prefix + entry.prefix)
        await self._forget(core, entry)

    async def hand_over(self, core: View, entry: MountEntry) -> None:
        """Remove a mount that goes to another namespace, with all its data at once: it may come back with the same uuid."""
        await core.delete_prefix(entry.prefix)
        await self._forget(core, entry)

    async def _forget(self, core: View, entry: MountEntry) -> None:
        await core.delete(MOUNTS + entry.uuid)
        await core.invalidate(MOUNT_KIND, self._namespace.id)


async def _stored(core: ReadView, uuid: str) -> MountEntry | None:
    """Return a mount as it is stored. Raises `DamagedMount` and `NewerFormat`."""
    try:
        value = await core.get(MOUNTS + uuid)
        return None if value is None else MOUNT.decode(value)
    except NewerFormat:
        raise
    except BarrierFailure as failure:
        raise DamagedMount(uuid, failure) from failure


async def leave(core: View, home: Namespace, mount: Mount) -> None:
    """Have the engines of a mount end what it has given, before it is moved or removed; `core` is its namespace's data."""
    for engine in mount.backend.engines:
        await engine.unmounting(core, home, mount.mounted)


def accessor(kind: str, entropy: Entropy, *, auth: bool = False) -> MountAccessor:
    """Return a new mount accessor, as `kv_1a2b3c4d`."""
    return MountAccessor(f"{'auth_' if auth else ''}{kind}_{entropy.bytes(4).hex()}")


def built_in(entropy: Entropy, namespace: Namespace = ROOT) -> Sequence[MountEntry]:
    """Return the mounts of a new namespace, which can be neither moved nor removed."""
    return (
        _entry(
            namespace,
            "sys/",
            "system",
            "system endpoints used for control, policy and debugging",
            entropy,
            seal_wrap=True,
            headers=("Accept",),
        ),
        _entry(namespace, "cubbyhole/", "cubbyhole", "per-token private secret storage", entropy, local=True),
        _entry(namespace, "identity/", "identity", "identity store", entropy, headers=("Authorization",)),
        _entry(namespace, "auth/token/", "token", "token based credentials", entropy),
    )


def _entry(
    namespace: Namespace,
    path: str,
    kind: str,
    description: str,
    entropy: Entropy,
    *,
    seal_wrap: bool = False,
    local: bool = False,
    headers: tuple[str, ...] = (),
) -> MountEntry:
    inner = namespace.id != ROOT.id
    token_type = ("default" if inner else "default-service") if kind == "token" else ""
    return MountEntry(
        uuid=MountId(entropy.uuid()),
        path=path,
        kind=f"ns_{kind}" if inner else kind,
        accessor=accessor(kind, entropy, auth=path.startswith("auth/")),
        description=description,
        local=local,
        seal_wrap=seal_wrap,
        config=MountConfig(passthrough_request_headers=headers, token_type=token_type),
    )
