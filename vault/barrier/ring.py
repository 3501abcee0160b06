# SPDX-License-Identifier: EUPL-1.2
"""The keys of a namespace that is sealed by itself: a keyring of its own, under a root key of its own.

The stored keyring is the truth, as the vault's own is. Without the root key of such a namespace nothing in it can be
read, whoever has the vault's keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vault.barrier.failure import BarrierFailure, KeyringMissing, NamespaceSealed
from vault.barrier.key import Key, Random
from vault.barrier.keyring import Keyring, RotationConfig
from vault.barrier.view import View, core_prefix
from vault.storage.protocol import ReadTx, Storage, Tx
from vault.values.ids import NamespaceId
from vault.values.times import Millis

KEYRING_KIND = "keyring"
"""Kind of the invalidation that says: call `Barrier.refresh`; the key is the namespace's id, empty for the vault."""


class Ring:
    """Open from the moment it is made until `drop`. `serving`: whether requests may use it already."""

    def __init__(
        self,
        storage: Storage,
        namespace_id: NamespaceId,
        root_key: Key,
        keyring: Keyring,
        *,
        now: Callable[[], Millis],
        random: Random,
    ) -> None:
        """`keyring` is what `stored` gave, or a new one; `now` gives milliseconds, `random` entropy."""
        self.namespace_id = namespace_id
        self.keyring = keyring
        self.keyring.gone = NamespaceSealed(namespace_id)
        self.serving = False
        self.moves = 1
        """How often its root key came or went."""
        self._storage = storage
        self._path = keyring_path(namespace_id)
        self.root_key = root_key
        self._next_root_key: Key | None = None
        self._now = now
        self._random = random
        self._reloading = asyncio.Lock()

    def __repr__(self) -> str:
        """Name the namespace without its keys."""
        return f"<Ring {self.namespace_id}>"

    def view(self, tx: Tx, namespace_id: NamespaceId) -> View:
        """Return a view of the own data of a namespace that this keyring encrypts."""
        return View(tx, self.keyring, namespace_id, core_prefix(namespace_id), random=self._random)

    async def store(self, tx: Tx, keyring: Keyring) -> Keyring:
        """Store a new `keyring` within `tx`."""
        return await self._store(tx, keyring, self.root_key)

    async def replace_root_in(self, tx: Tx, root_key: Key) -> Key:
        """As `Barrier.replace_root_in`."""
        stored, old = await self._stored(tx)
        self._next_root_key = root_key
        await self._store(tx, stored, root_key)
        return old

    def adopt_root(self, root_key: Key) -> None:
        """As `Barrier.adopt_root`."""
        self.root_key, self._next_root_key = root_key, None
        self.moves += 1

    def keep_root(self) -> None:
        """As `Barrier.keep_root`."""
        self._next_root_key = None

    async def rotate_in(self, tx: Tx) -> Keyring:
        """As `Barrier.rotate_in`."""
        stored, root_key = await self._stored(tx)
        return await self._store(tx, stored.rotate(self._now(), self._random), root_key)

    async def configure_in(self, tx: Tx, rotation: RotationConfig) -> Keyring:
        """As `Barrier.configure_in`; raises `InvalidRotation`."""
        stored, root_key = await self._stored(tx)
        return await self._store(tx, stored.configure(rotation), root_key)

    async def tend(self) -> None:
        """Save how often keys were used, and replace the active one if it is time."""
        taken = [(term, term.unsaved) for term in self.keyring.terms.values() if term.unsaved]
        due = self.keyring.due(self._now())
        if not taken and not due:
            return
        async with self._storage.write() as tx:
            stored, root_key = await self._stored(tx)
            stored.count(taken)
            if stored.due(self._now()):
                stored = stored.rotate(self._now(), self._random)
            await self._store(tx, stored, root_key)
        for term, count in taken:
            term.save(count, stored.terms[term.number].saved)
        await self.refresh()

    async def refresh(self) -> None:
        """As `Barrier.refresh`."""
        async with self._reloading:
            try:
                found, _ = await self._stored(self._storage.reader())
            except KeyringMissing:
                return  # the namespace is gone, and so is what it could be asked for
            if self.keyring.terms:
                self.keyring.adopt(found)

    def drop(self) -> None:
        """Forget the keys: views that are still held raise `NamespaceSealed` from now on."""
        self.serving = False
        self.keyring.drop()

    async def _stored(self, tx: ReadTx) -> tuple[Keyring, Key]:
        """Return the stored keyring, and the root key that it is under: the newest may be a step ahead of us."""
        tried = self.root_key
        try:
            return await stored(tx, self.namespace_id, tried), tried
        except KeyringMissing:
            raise
        except BarrierFailure:
            newer = self._next_root_key or self.root_key
            if newer is tried:
                raise
        return await stored(tx, self.namespace_id, newer), newer

    async def _store(self, tx: Tx, keyring: Keyring, root_key: Key) -> Keyring:
        """Store `keyring` within `tx`; call `refresh` after the commit."""
        await tx.put(self._path, keyring.wrap(root_key, self._random, self._path))
        await tx.invalidate(KEYRING_KIND, self.namespace_id)
        return keyring


def keyring_path(namespace_id: NamespaceId) -> str:
    """Return where the keyring of a namespace is stored: among its data, so that it goes with them."""
    return f"{core_prefix(namespace_id)}core/keyring"


async def stored(tx: ReadTx, namespace_id: NamespaceId, root_key: Key) -> Keyring:
    """Return the stored keyring of a namespace; raises `BarrierFailure` for another root key."""
    path = keyring_path(namespace_id)
    data = await tx.get(path)
    if data is None:
        raise KeyringMissing("storage holds no keyring of this namespace")
    return Keyring.unwrap(root_key, data, path)
