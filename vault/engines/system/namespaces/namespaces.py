# SPDX-License-Identifier: EUPL-1.2
"""`sys/namespaces`: tenants, each with its own mounts, policies and tokens."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from vault.barrier.view import View
from vault.engines.system.namespaces.seals import NamespacePath, NamespaceSeals, Removal, seal_stanza
from vault.framework.call import Call, Namespace
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Failed, Malformed, NotFound
from vault.framework.fields import Doc, Json, Map, StringList
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, patch, read, scan, write
from vault.mount.router import Router
from vault.mount.table import MountTable, built_in
from vault.namespace.book import Namespaces
from vault.namespace.entry import NAMESPACE_KIND, NamespaceEntry
from vault.namespace.ids import LENGTH
from vault.namespace.seal import NamespaceSealing
from vault.policy.store import PolicyStore
from vault.seal.failure import SealRefusal
from vault.storage.protocol import Timer
from vault.values.ids import NamespaceId

_KEY_LENGTH: Final = 24
"""Random characters of the key that unlocks a namespace: 142 bits."""
_TAINTED: Final = "namespace with that name exists and is currently tainted"
_ROOT_LOCK: Final = "root namespace cannot be locked/unlocked"


class NamespaceWrite(NamespacePath, frozen=True):
    """A namespace, new or changed."""

    custom_metadata: Annotated[Map | None, Doc("Texts by name, for people and tools.")] = None
    seal: Annotated[
        str | None,
        Doc('At its creation: gives it keys of its own, as `seal "shamir" { shares = 5 threshold = 3 }`.'),
    ] = None
    pgp_keys: Annotated[StringList, Doc("PGP public keys, one per share, to encrypt the shares to.")] = ()


class LockParams(Params, frozen=True):
    """Names a namespace to lock or to unlock."""

    path: Annotated[
        str,
        Doc("Path of the namespace, relative to the caller's; the caller's own when left out.", clear=True),
    ] = ""


class InnerLockParams(Params, frozen=True):
    """Names a namespace to lock."""

    path: Annotated[str, Doc("Path of the namespace, relative to the caller's.")]


class NamespaceUnlockParams(LockParams, frozen=True):
    """The key that came with the lock."""

    unlock_key: Annotated[str, Doc("The key that locking answered; not needed with sudo.")] = ""


class InnerUnlockParams(InnerLockParams, frozen=True):
    """Names a namespace to unlock, and the key that came with the lock."""

    unlock_key: Annotated[str, Doc("The key that locking answered; not needed with sudo.")] = ""


class NamespaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A namespace as the wire has it."""

    custom_metadata: Mapping[str, str]
    id: str
    key_shares: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    key_threshold: int | msgspec.UnsetType = msgspec.UNSET
    locked: bool
    path: str
    tainted: bool
    uuid: str


class NamespaceList(msgspec.Struct, frozen=True):
    """Namespaces by their paths, from the one that is asked."""

    key_info: Mapping[str, NamespaceView]
    keys: Sequence[str]


class UnlockKey(msgspec.Struct, frozen=True):
    """What unlocks the namespace again."""

    unlock_key: str


class NamespaceEngine(NamespaceSeals):
    """Making, showing, changing, locking and removing the namespaces in the one that is asked."""

    def __init__(
        self,
        namespaces: Namespaces,
        sealing: NamespaceSealing,
        router: Router,
        policies: PolicyStore,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        super().__init__(namespaces, sealing)
        self._router = router
        self._policies = policies
        self._clock = clock
        self._entropy = entropy

    @list_("namespaces", event="namespace.list")
    async def list_namespaces(self, call: Call) -> NamespaceList:
        """List the namespaces directly in this one."""
        found = self._listed(call, deep=False)
        if not found.keys:
            raise NotFound
        return found

    @scan("namespaces", event="namespace.list")
    async def scan_namespaces(self, call: Call) -> Reply[NamespaceList | dict[str, str]]:
        """List all namespaces below this one."""
        found = self._listed(call, deep=True)
        return Reply(data=found if found.keys else {})

    @read("namespaces/{path:path}", event="namespace.read")
    async def read_namespace(self, call: Call, params: NamespacePath) -> NamespaceView:
        """Show a namespace."""
        entry = self._find(call, params.path)
        if entry is None:
            raise NotFound
        return _view(entry)

    @write("namespaces/{path:path}", event="namespace.write")
    async def write_namespace(self, call: Call, params: NamespaceWrite) -> NamespaceView:
        """Make a namespace in this one, or replace the metadata of one that is there."""
        metadata = _texts(params.custom_metadata or {})
        entry = self._find(call, params.path)
        if entry is None:
            return await self._make(call, params, metadata)
        if entry.tainted:
            raise Malformed(_TAINTED)
        if params.seal is not None:
            raise Malformed("cannot modify existing namespace seal config")
        if entry.custom_metadata != metadata:
            entry = msgspec.structs.replace(entry, custom_metadata=metadata)
            await self._namespaces.put(call.core, entry)
        return _view(entry)

    @patch("namespaces/{path:path}", event="namespace.write")
    async def patch_namespace(self, call: Call, params: NamespaceWrite) -> NamespaceView:
        """Change the metadata of a namespace: null removes a name, or all of them."""
        entry = self._find(call, params.path)
        if entry is None:
            raise Malformed("namespace not found")
        if entry.tainted:
            raise Malformed(_TAINTED)
        if "custom_metadata" in call.data:
            changes = call.data["custom_metadata"]
            metadata = _merged(entry.custom_metadata, params.custom_metadata) if changes is not None else {}
            entry = msgspec.structs.replace(entry, custom_metadata=metadata)
            await self._namespaces.put(call.core, entry)
        return _view(entry)

    @delete("namespaces/{path:path}", event="namespace.delete")
    async def delete_namespace(self, call: Call, params: NamespacePath) -> Reply[Removal]:
        """Remove a namespace and everything in it. It answers nothing from now on; its data is removed after that.

        Refused while there are namespaces in it.
        """
        entry = self._find(call, params.path)
        if entry is None:
            return Reply(warnings=["requested namespace does not exist"])
        if self._namespaces.below(self._open(entry).path):
            raise Malformed("unable to delete namespace containing child namespaces")
        if not entry.tainted:
            await self._namespaces.put(call.core, msgspec.structs.replace(entry, tainted=True))
            await call.core.at(Timer(NAMESPACE_KIND, entry.id, call.now))
        return Reply(data=Removal("in-progress"))

    @write("namespaces/api-lock/lock", event="namespace.lock")
    async def lock(self, call: Call) -> UnlockKey:
        """Lock the API of this namespace, and of all below it; answer the key that unlocks it."""
        return await self._lock(call, "")

    @write("namespaces/api-lock/lock/{path:path}", event="namespace.lock")
    async def lock_inner(self, call: Call, params: InnerLockParams) -> UnlockKey:
        """Lock the API of a namespace below this one; answer the key that unlocks it."""
        return await self._lock(call, params.path)

    @write("namespaces/api-lock/unlock", event="namespace.unlock")
    async def unlock(self, call: Call, params: NamespaceUnlockParams) -> Reply[None] | None:
        """Unlock the API of this namespace, with the key, or by sudo without it."""
        return await self._unlock(call, "", params.unlock_key)

    @write("namespaces/api-lock/unlock/{path:path}", event="namespace.unlock")
    async def unlock_inner(self, call: Call, params: InnerUnlockParams) -> Reply[None] | None:
        """Unlock the API of a namespace below this one, with the key, or by sudo without it."""
        return await self._unlock(call, params.path, params.unlock_key)

    def _listed(self, call: Call, *, deep: bool) -> NamespaceList:
        outer = len(call.namespace.path)
        found = {
            entry.path[outer:]: _view(entry)
            for entry in self._namespaces.below(call.namespace.path, deep=deep)
        }
        return NamespaceList(found, list(found))

    async def _make(self, call: Call, params: NamespaceWrite, metadata: Mapping[str, str]) -> NamespaceView:
        check_length(path=params.path)
        name = params.path.rstrip("/")
        taken = self._router.of(call.namespace).conflict(f"{name}/")
        if taken:
            raise Malformed(
                f"new namespace conflicts with existing mount: {quote(call.namespace.path)}{quote(taken)}"
            )
        identifier = NamespaceId(self._entropy.base62(LENGTH))
        while self._namespaces.knows(identifier):
            identifier = NamespaceId(self._entropy.base62(LENGTH))
        entry = NamespaceEntry(
            id=identifier,
            uuid=self._entropy.uuid(),
            path=f"{call.namespace.path}{name}/",
            custom_metadata=metadata,
            owner=self._namespaces.owner(call.namespace),
        )
        if params.seal is not None:
            return await self._make_sealed(call, entry, seal_stanza(params.seal), params.pgp_keys)
        await self._namespaces.put(call.core, entry)
        await self._fill(call.core.space(entry.id), entry.as_namespace())
        return _view(entry)

    async def _make_sealed(
        self, call: Call, entry: NamespaceEntry, split: tuple[int, int], pgp_keys: Sequence[str]
    ) -> NamespaceView:
        """Make a namespace with keys of its own: it is sealed from the start, and its shares are shown once."""
        try:
            made = self._sealing.make(entry.id, *split, pgp_keys)
        except SealRefusal as refusal:
            raise Malformed(str(refusal)) from None
        entry = msgspec.structs.replace(entry, owner=entry.id, seal=made.seal)
        tx = call.core.transaction
        await self._namespaces.put(call.core, entry)
        await made.ring.store(tx, made.ring.keyring)
        await self._fill(made.ring.view(tx, entry.id), entry.as_namespace())
        return msgspec.structs.replace(
            _view(entry), key_shares=made.shares.keys, key_threshold=made.seal.threshold
        )

    async def _fill(self, core: View, namespace: Namespace) -> None:
        """Write what every namespace has from the start."""
        await self._policies.prepare(core, self._clock.nanos(), namespace.id)
        table: MountTable = self._router.fresh(namespace)
        for mount in built_in(self._entropy, namespace):
            await table.put(core, mount)

    def _lockable(self, call: Call, inner: str) -> NamespaceEntry:
        """Return the namespace that is to be locked or unlocked. Raises `Malformed`."""
        path = call.namespace.path + (f"{inner.strip('/')}/" if inner else "")
        if not path:
            raise Malformed(_ROOT_LOCK)
        entry = self._namespaces.at(path)
        if entry is None or entry.tainted:
            raise Malformed("requested namespace does not exist")
        return entry

    async def _lock(self, call: Call, inner: str) -> UnlockKey:
        entry = self._lockable(call, inner)
        if entry.lock:
            raise Malformed(f'cannot lock namespace "{quote(entry.path)}": is already locked')
        key = self._entropy.base62(_KEY_LENGTH)
        await self._namespaces.put(call.core, msgspec.structs.replace(entry, lock=_digest(key)))
        return UnlockKey(key)

    async def _unlock(self, call: Call, inner: str, key: str) -> Reply[None] | None:
        entry = self._lockable(call, inner)
        if not entry.lock:
            raise Malformed(f'namespace "{quote(entry.path)}" is not locked')
        sudo = call.decision is not None and (call.decision.sudo or call.decision.root)
        if not key and not sudo:
            raise Failed("provided empty key")
        if key and not hmac.compare_digest(_digest(key), entry.lock):
            raise Malformed("incorrect unlock key")
        await self._namespaces.put(call.core, msgspec.structs.replace(entry, lock=b""))
        return None if key else Reply(warnings=["Namespace unlocked using sudo capabilities"])


def _digest(key: str) -> bytes:
    """Return the stored digest of a key. The key is long and random, so it cannot be found from a plain SHA-256."""
    return hashlib.sha256(key.encode()).digest()


def _view(entry: NamespaceEntry) -> NamespaceView:
    return NamespaceView(
        custom_metadata=entry.custom_metadata,
        id=entry.id,
        locked=bool(entry.lock),
        path=entry.path,
        tainted=entry.tainted,
        uuid=entry.uuid,
    )


def _texts(given: Mapping[str, Json]) -> dict[str, str]:
    """Return metadata, sorted. Raises `Malformed` where a value is no text."""
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    if len(texts) != len(given):
        raise Malformed("custom_metadata values must be strings")
    return dict(sorted(texts.items()))


def _merged(old: Mapping[str, str], changes: Mapping[str, Json] | None) -> dict[str, str]:
    """Return metadata after a merge patch (RFC 7396). Raises `Malformed` where a value is neither text nor null."""
    merged = dict(old)
    for name, value in (changes or {}).items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, str):
            merged[name] = value
        else:
            raise Malformed("metadata patch can only have string or null values")
    return dict(sorted(merged.items()))
