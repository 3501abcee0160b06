# SPDX-License-Identifier: EUPL-1.2
"""The barrier: holds the keys while unsealed, and hands out encrypted views of storage."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final

from vault.barrier.failure import BarrierFailure, BarrierSealed, KeyringMissing, NamespaceSealed
from vault.barrier.key import Key, Random
from vault.barrier.keyring import KEYRING_PATH, Keyring, RotationConfig
from vault.barrier.ring import KEYRING_KIND, Ring
from vault.barrier.view import ReadView, Reload, View
from vault.storage.protocol import ReadTx, Storage, Tx
from vault.values.ids import VAULT, NamespaceId
from vault.values.times import Millis

__all__ = ["KEYRING_KIND", "Barrier"]


class _WriteBlock:
    """The block of one transaction, seen through a view."""

    def __init__(
        self, barrier: Barrier, storage: Storage, namespace_id: NamespaceId, prefix: str, *, optimistic: bool
    ) -> None:
        self._barrier = barrier
        self._storage = storage
        self._optimistic = optimistic
        self._where = namespace_id, prefix

    async def __aenter__(self) -> View:
        if self._barrier.sealed:
            raise BarrierSealed
        self._block = self._storage.write(optimistic=self._optimistic)
        tx = await self._block.__aenter__()
        try:
            return self._barrier.view(tx, *self._where)
        except BaseException:
            await self._block.__aexit__(*sys.exc_info())
            raise

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Coroutine[Any, Any, bool | None]:
        return self._block.__aexit__(kind, error, trace)


class Barrier:
    """Between storage and everything else. Sealed until `load`, and again after `seal`.

    The stored keyring is the truth; what is in memory follows it. A change is made in the caller's
    transaction and becomes visible here through `refresh`: after the commit, or when the epoch says so.
    """

    def __init__(self, storage: Storage, *, now: Callable[[], Millis], random: Random) -> None:
        """`now` gives milliseconds since the epoch, `random` entropy."""
        self._storage = storage
        self.now: Final = now
        """Milliseconds since the epoch."""
        self._random = random
        self._root_key: Key | None = None
        self._next_root_key: Key | None = None
        self._keyring: Keyring | None = None
        self._owners: dict[NamespaceId, NamespaceId] = {}
        self._rings: dict[NamespaceId, Ring] = {}
        self._uncounted: dict[NamespaceId, Counter[int]] = {}
        """Encryptions by term under keys that were forgotten, and that storage could not be told; by their owner."""
        self._reloading = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._moves = 0

    @property
    def sealed(self) -> bool:
        """Whether there are no keys in memory."""
        return self._keyring is None

    @property
    def keyring(self) -> Keyring:
        """The keyring in use; raises `BarrierSealed`. Do not keep it."""
        if self._keyring is None:
            raise BarrierSealed
        return self._keyring

    @property
    def root_key(self) -> Key:
        """The key that wraps the keyring, for adding seal slots; raises `BarrierSealed`. Do not keep it."""
        if self._root_key is None:
            raise BarrierSealed
        return self._root_key

    @property
    def uncounted(self) -> int:
        """How many encryptions storage could not be told before keys were forgotten; they count once those are back."""
        return sum(left.total() for left in self._uncounted.values())

    @property
    def moves(self) -> int:
        """How often root keys came or went."""
        return self._moves + sum(ring.moves for ring in self._rings.values())

    async def create_in(self, tx: Tx, root_key: Key, keyring: Keyring) -> None:
        """Store `keyring` for a new vault, replacing what was there. The barrier stays as it is."""
        await tx.put(KEYRING_PATH, keyring.wrap(root_key, self._random))
        await tx.invalidate(KEYRING_KIND, "")

    async def check(self, root_key: Key, tx: ReadTx | None = None) -> None:
        """Raise `BarrierFailure` when `load` with this key would, or would once `tx` committed; changes nothing."""
        await _stored(tx or self._storage.reader(), root_key)

    async def load(self, root_key: Key) -> None:
        """Read the keyring and unseal; `BarrierFailure` (and still sealed) when that is not its key."""
        self._keyring = self._counted(VAULT, await _stored(self._storage.reader(), root_key))
        self._root_key = root_key
        self._moves += 1

    def seal(self) -> None:
        """Forget all keys. Views still held raise `BarrierSealed`. Save the counts first; what is left is `uncounted`."""
        if self._keyring is not None:
            self._forget(VAULT, self._keyring)
            self._keyring.drop()
        for namespace_id in list(self._rings):
            self.close(namespace_id)
        self._owners.clear()
        self._keyring = None
        self._root_key = None
        self._next_root_key = None
        self._moves += 1

    async def replace_root_in(self, tx: Tx, root_key: Key) -> Key:
        """Store the keyring under another root key within `tx`, and return the one that it was under.

        Call `adopt_root` once that has committed, `keep_root` if it has not. From now on both keys are tried, so that
        whoever writes between the commit and `adopt_root` works.
        """
        stored, old = await self._stored(tx)
        self._next_root_key = root_key
        await self._store(tx, stored, root_key)
        return old

    def adopt_root(self, root_key: Key) -> None:
        """Follow a committed `replace_root_in`; without effect while sealed."""
        if self._root_key is not None:
            self._root_key = root_key
        self._next_root_key = None
        self._moves += 1

    def keep_root(self) -> None:
        """Stay with the root key that there is by now, which another process's may be: ours did not commit."""
        self._next_root_key = None

    def reader(self, namespace_id: NamespaceId, prefix: str) -> ReadView:
        """Return a read-only view of committed data; raises `BarrierSealed`."""
        if namespace_id in self._owners:
            return self.read_view(self._storage.reader(), namespace_id, prefix)
        return ReadView(
            self._storage.reader(), self.keyring, namespace_id, prefix, reload=self.refresh, keys=self.keys
        )

    def read_view(self, tx: ReadTx, namespace_id: NamespaceId, prefix: str) -> ReadView:
        """Return a read-only view through `tx`, whatever else `tx` can do; raises `BarrierSealed`."""
        keyring, reload = self.keys(namespace_id)
        return ReadView(tx, keyring, namespace_id, prefix, reload=reload, keys=self.keys)

    def view(self, tx: Tx, namespace_id: NamespaceId, prefix: str) -> View:
        """Return a view within the caller's transaction; raises `BarrierSealed`."""
        keyring, reload = self.keys(namespace_id)
        return View(tx, keyring, namespace_id, prefix, random=self._random, reload=reload, keys=self.keys)

    def write(
        self, namespace_id: NamespaceId, prefix: str, *, optimistic: bool = False
    ) -> AbstractAsyncContextManager[View]:
        """Open a transaction, as `Storage.write`, and return a view in it; raises `BarrierSealed` on entering."""
        return _WriteBlock(self, self._storage, namespace_id, prefix, optimistic=optimistic)

    def keys(self, namespace_id: NamespaceId) -> tuple[Keyring, Reload]:
        """Return the keyring that encrypts a namespace, and what makes it follow storage.

        Raises `BarrierSealed`, and `NamespaceSealed` where the namespace has keys of its own that are not in memory.
        """
        owner = self._owners.get(namespace_id)
        if owner is None:
            return self.keyring, self.refresh
        ring = self._rings.get(owner)
        if ring is None:
            raise NamespaceSealed(owner)
        return ring.keyring, ring.refresh

    def own(self, namespace_id: NamespaceId, owner: NamespaceId) -> None:
        """Say whose keys encrypt a namespace: its own, those of one above it, or with "" the vault's."""
        if owner:
            self._owners[namespace_id] = owner
        else:
            self._owners.pop(namespace_id, None)
            self._uncounted.pop(namespace_id, None)

    def ring(self, namespace_id: NamespaceId) -> Ring | None:
        """Return the keys that encrypt a namespace, None where these are the vault's; raises `NamespaceSealed`."""
        owner = self._owners.get(namespace_id)
        if owner is not None and owner not in self._rings:
            raise NamespaceSealed(owner)
        return None if owner is None else self._rings[owner]

    def rings(self) -> list[Ring]:
        """Return the keys of all namespaces that are open by themselves."""
        return list(self._rings.values())

    def serves(self, owner: NamespaceId) -> bool:
        """Whether the namespace that owns keys is open to requests."""
        ring = self._rings.get(owner)
        return ring is not None and ring.serving

    def admit(self, ring: Ring) -> None:
        """Keep the keys of a namespace in memory; raises `BarrierSealed`."""
        if self.sealed:
            raise BarrierSealed
        self._counted(ring.namespace_id, ring.keyring)
        self._rings[ring.namespace_id] = ring

    def close(self, owner: NamespaceId) -> None:
        """Forget the keys of a namespace, as `seal` does those of the vault."""
        ring = self._rings.pop(owner, None)
        if ring is not None:
            self._forget(owner, ring.keyring)
            ring.drop()
            self._moves += ring.moves + 1

    def _forget(self, owner: NamespaceId, keyring: Keyring) -> None:
        """Keep in mind what storage does not know of `keyring`, which is about to be dropped."""
        left = self._uncounted.setdefault(owner, Counter())
        left.update(keyring.unsaved())
        if not left:
            del self._uncounted[owner]

    def _counted(self, owner: NamespaceId, keyring: Keyring) -> Keyring:
        """Count in `keyring`, newly read, what was kept in mind of it."""
        for number, count in self._uncounted.pop(owner, {}).items():
            if number in keyring.terms:
                keyring.terms[number].unsaved += count
        return keyring

    def due(self) -> bool:
        """Return whether the active key should be rotated now; false while sealed."""
        return self._keyring is not None and self._keyring.due(self.now())

    async def rotate_in(self, tx: Tx) -> Keyring:
        """Add a key term within `tx`, from the stored keyring, so that concurrent rotations add up.

        Call `refresh` after the commit; until then entries are written under the older term.
        """
        stored, root_key = await self._stored(tx)
        return await self._store(tx, stored.rotate(self.now(), self._random), root_key)

    async def rotate_due_in(self, tx: Tx) -> bool:
        """Add a key term within `tx` if the stored keyring says that it is time; then as `rotate_in`.

        So of several workers that found a rotation due, only the first one rotates. Save the counts first.
        """
        stored, root_key = await self._stored(tx)
        if not stored.due(self.now()):
            return False
        await self._store(tx, stored.rotate(self.now(), self._random), root_key)
        return True

    async def configure_in(self, tx: Tx, rotation: RotationConfig) -> Keyring:
        """Store other rotation settings within `tx`; raises `InvalidRotation`. Then as `rotate_in`."""
        stored, root_key = await self._stored(tx)
        return await self._store(tx, stored.configure(rotation), root_key)

    async def save_counts(self) -> None:
        """Add what was counted here to the stored keyring, in a transaction of its own.

        A crash between commit and return counts twice, never too little.
        """
        async with self._saving:
            taken = [(term, term.unsaved) for term in self.keyring.terms.values() if term.unsaved]
            if not taken:
                return
            async with self._storage.write() as tx:
                stored, root_key = await self._stored(tx)
                stored.count(taken)
                await tx.put(KEYRING_PATH, stored.wrap(root_key, self._random))
            for term, count in taken:
                term.save(count, stored.terms[term.number].saved)

    async def refresh(self) -> None:
        """Make the keyring follow what is committed in storage; without effect while sealed.

        Reads outside any transaction, so that a rotation that is undone is never adopted, and one at
        a time, so that an older answer cannot overtake a newer one.
        """
        async with self._reloading:
            if self._root_key is None:
                return
            stored, _ = await self._stored(self._storage.reader())
            if self._keyring is not None:
                self._keyring.adopt(stored)

    async def _stored(self, tx: ReadTx) -> tuple[Keyring, Key]:
        """Return the stored keyring, and the root key that it is under: the newest may be a step ahead of us."""
        tried = self.root_key
        try:
            return await _stored(tx, tried), tried
        except BarrierFailure:
            newer = self._next_root_key or self.root_key
            if newer is tried:
                raise
        return await _stored(tx, newer), newer

    async def _store(self, tx: Tx, keyring: Keyring, root_key: Key) -> Keyring:
        await tx.put(KEYRING_PATH, keyring.wrap(root_key, self._random))
        await tx.invalidate(KEYRING_KIND, "")
        return keyring


async def _stored(tx: ReadTx, root_key: Key) -> Keyring:
    data = await tx.get(KEYRING_PATH)
    if data is None:
        raise KeyringMissing("storage holds no keyring")
    return Keyring.unwrap(root_key, data)
