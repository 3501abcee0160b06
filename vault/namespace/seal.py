# SPDX-License-Identifier: EUPL-1.2
"""Namespaces that are sealed by themselves: made, opened by people's shares, and sealed again, one by one.

Their root keys and shares are replaced in one transaction each.

Sealing forgets the keys first and tells everybody then; opening does what waited before anybody is let in. Both are
this process's own: another one that serves the same storage is sealed and opened by itself, as with the vault.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from vault.barrier import envelope
from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.barrier.keyring import Keyring
from vault.barrier.ring import Ring, stored
from vault.barrier.view import View, core_prefix
from vault.framework.call import ROOT
from vault.namespace.book import Namespaces
from vault.namespace.entry import NamespaceEntry, ShareSeal
from vault.namespace.parked import done, waiting
from vault.seal.failure import SealRefusal
from vault.seal.init import ShownShares, check_shares, recipients, split
from vault.seal.shares.progress import WRONG_KEY, Progress, check_length, parse_share
from vault.seal.shield import Shield
from vault.storage.protocol import Storage, StorageFailure
from vault.values.encoding import NotBase64, from_base64
from vault.values.ids import NamespaceId
from vault.values.times import Millis

KEYS_KIND: Final = "namespace-keys"
"""Kind of the invalidation that says that a namespace was opened or sealed; the key is its id.

Everything is dropped, but what lies in the root namespace alone, and mount tables of others.
"""
INVALID: Final = "invalid seal config: "
NOT_SEALABLE: Final = "namespace is not sealable"
_PURPOSE: Final = "coffre.namespace"
_AT_ONCE: Final = 32

Resume = Callable[[View, str, str], Awaitable[None]]
"""Does what waited, of a kind and a key, within a transaction on the root namespace's data."""


@dataclass(frozen=True, slots=True)
class NewKeys:
    """The keys of a namespace that is being made: show the shares to nobody before the transaction committed."""

    seal: ShareSeal
    ring: Ring
    shares: ShownShares = field(repr=False)


class SealState(msgspec.Struct, frozen=True):
    """What `seal-status` shows of a namespace."""

    sealed: bool
    shares: int
    threshold: int
    progress: int
    nonce: str


class NamespaceSealing:
    """Owns the way of every sealable namespace from sealed to open and back."""

    def __init__(
        self,
        storage: Storage,
        barrier: Barrier,
        namespaces: Namespaces,
        follow: Callable[[], Awaitable[None]],
        *,
        now: Callable[[], Millis],
        random: Random,
    ) -> None:
        """`follow` makes what was committed known here; `now` gives milliseconds, `random` entropy."""
        self._storage = storage
        self._barrier = barrier
        self._namespaces = namespaces
        self._follow = follow
        self._now = now
        self._random = random
        self._progress: dict[NamespaceId, Progress] = {}
        self._untold: set[NamespaceId] = set()
        """What was sealed, and storage could not be told yet."""
        self._forgetters: dict[NamespaceId, list[Callable[[], None]]] = {}
        self._turn = asyncio.Lock()
        self._shield = Shield()
        self._resume: Resume | None = None
        self._changed: Callable[[], Awaitable[None]] | None = None
        self._ask_others: Callable[[NamespaceId, Key], Awaitable[Key | None]] | None = None

    def on_opening(self, resume: Resume) -> None:
        """Register what does the things that waited."""
        self._resume = resume

    def on_change(
        self,
        tell: Callable[[], Awaitable[None]],
        ask: Callable[[NamespaceId, Key], Awaitable[Key | None]],
    ) -> None:
        """Call `tell` once a namespace was opened or sealed here, or has another root key: other processes have it too.

        `ask` is called for a root key that another process has put in the place of the given one.
        """
        self._changed, self._ask_others = tell, ask

    def held(self) -> dict[NamespaceId, bytes]:
        """Return the root keys of all namespaces that are open, for `take_over` in another process."""
        return {ring.namespace_id: ring.root_key.reveal() for ring in self._barrier.rings() if ring.serving}

    async def take_over(self, held: Mapping[NamespaceId, bytes]) -> bool:
        """Have open, of all namespaces with keys of their own, those that another process has; return whether any moved."""
        async with self._turn:
            before = self._barrier.moves
            for ring in self._barrier.rings():
                if ring.namespace_id not in held:
                    self._forget(ring.namespace_id)
                    await self._shut(ring.namespace_id)
            known = {ring.namespace_id: ring for ring in self._barrier.rings()}
            for namespace_id, value in held.items():
                root_key, open_ring = Key(value), known.get(namespace_id)
                if open_ring is not None and open_ring.root_key.same(root_key):
                    continue
                keyring = await stored(self._storage.reader(), namespace_id, root_key)
                if open_ring is not None:
                    open_ring.adopt_root(root_key)
                    continue
                ring = self._ring(namespace_id, root_key, keyring)
                self._barrier.admit(ring)
                ring.serving = True
            return self._barrier.moves != before

    async def _tell(self) -> None:
        if self._changed is not None:
            await self._changed()

    def make(
        self, namespace_id: NamespaceId, shares: int, threshold: int, pgp_keys: Sequence[str]
    ) -> NewKeys:
        """Make keys for a new namespace, in memory. Raises `SealRefusal` with OpenBao's words."""
        check_shares(shares, threshold, INVALID)
        to = recipients(pgp_keys, shares, self._now(), INVALID)
        root_key, key = Key(self._random(KEY_BYTES)), Key(self._random(KEY_BYTES))
        keyring = Keyring.create(self._now(), self._random)
        return NewKeys(
            self._wrapped(namespace_id, shares, threshold, key, root_key),
            self._ring(namespace_id, root_key, keyring),
            split(key, shares, threshold, to, self._random),
        )

    def status(self, entry: NamespaceEntry) -> SealState:
        """Return what there is to say of a sealable namespace."""
        seal = _seal(entry)
        progress = self._progress.get(entry.id, Progress())
        sealed = self._namespaces.sealed(entry)
        return SealState(sealed, seal.shares, seal.threshold, len(progress.shares), progress.nonce)

    async def unseal(self, entry: NamespaceEntry, share: str, *, reset: bool = False) -> None:
        """Take a share; with enough of them, open the namespace. Raises `SealRefusal`; then none is kept."""
        async with self._turn:
            if reset:
                self._progress.pop(entry.id, None)
            elif self._namespaces.sealed(entry):
                await self._submit(entry, share)
        if self._barrier.serves(entry.id):
            await self._tell()

    async def seal(self, entry: NamespaceEntry) -> None:
        """Forget the keys of a namespace and of all in it that have some, and whatever was read by them."""
        async with self._turn:
            for each in (entry, *self._namespaces.below(entry.path, deep=True)):
                self._forget(each.id)
                if self._barrier.serves(each.id):
                    self._untold.add(each.id)
                    await self._shut(each.id)
            for untold in list(self._untold):
                await self._announce(untold)
                self._untold.discard(untold)
        await self._tell()

    async def follow(self, ring: Ring) -> bool:
        """Make the keys of an open namespace follow storage, by the links from its root key to another process's too.

        Where none leads there, as after another process made other shares, it is sealed here: return whether it is open.
        """
        core = self._barrier.reader(ROOT.id, core_prefix(ROOT.id))
        while True:
            known = ring.root_key
            with contextlib.suppress(BarrierFailure):
                await ring.refresh()
                return True
            entry = await self._namespaces.stored(core, ring.namespace_id)
            newer = _newer(known, entry.seal.links if entry is not None and entry.seal is not None else ())
            if newer is known and self._ask_others is not None and ring.root_key is known:
                newer = await self._ask_others(ring.namespace_id, known) or known
            if ring.root_key is known:  # else somebody else here followed meanwhile
                if newer is known:
                    break
                ring.adopt_root(newer)
        self._forget(ring.namespace_id)
        self._barrier.close(ring.namespace_id)
        return False

    async def rest(self) -> None:
        """Save how often keys were used, before the vault is sealed and all are forgotten."""
        for ring in self._barrier.rings():
            await ring.tend()

    def forget(self) -> None:
        """Drop the shares that were given, when the vault is sealed."""
        for namespace_id in {*self._progress, *self._forgetters}:
            self._forget(namespace_id)

    def on_seal(self, namespace_id: NamespaceId, forget: Callable[[], None]) -> None:
        """Have `forget` called when that namespace, or the vault, is sealed."""
        for gone in [known for known in self._forgetters if not self._namespaces.knows(known)]:
            del self._forgetters[gone]
        self._forgetters.setdefault(namespace_id, []).append(forget)

    def threshold(self, namespace_id: NamespaceId) -> int:
        """Return how many shares it takes. Raises `SealRefusal` where nobody can hold any."""
        return self._seal_of(namespace_id).threshold

    def accepts_key(self, namespace_id: NamespaceId, key: bytes) -> bool:
        """Whether shares that combine to `key` are the ones in people's hands."""
        try:
            _keys(namespace_id, self._seal_of(namespace_id), key)
        except SealRefusal:
            return False
        return True

    def _seal_of(self, namespace_id: NamespaceId) -> ShareSeal:
        return _seal(_there(self._namespaces.by_id(namespace_id)))

    async def renew_root(self, namespace_id: NamespaceId) -> None:
        """Replace the root key of an open namespace: its shares lead to the new one. Raises `SealRefusal`."""
        await self._shield(self._replace_root(namespace_id, self._linked))
        await self._tell()

    async def rekey(self, namespace_id: NamespaceId, key: Key, shares: int, threshold: int) -> None:
        """Replace the root key of an open namespace and, by `key`, what its shares combine to. Raises `SealRefusal`."""

        def split(old: ShareSeal, before: Key, now: Key) -> ShareSeal:
            del old, before
            return self._wrapped(namespace_id, shares, threshold, key, now)

        await self._shield(self._replace_root(namespace_id, split))
        await self._tell()

    async def _replace_root(
        self, namespace_id: NamespaceId, seal_of: Callable[[ShareSeal, Key, Key], ShareSeal]
    ) -> None:
        async with self._turn:
            ring = self._barrier.ring(namespace_id)
            if ring is None or ring.namespace_id != namespace_id:
                raise SealRefusal(NOT_SEALABLE)
            now = Key(self._random(KEY_BYTES))
            try:
                async with self._barrier.write(ROOT.id, core_prefix(ROOT.id)) as core:
                    entry = _there(await self._namespaces.stored(core, namespace_id))
                    before = await ring.replace_root_in(core.transaction, now)
                    seal = seal_of(_seal(entry), before, now)
                    await self._namespaces.put(core, msgspec.structs.replace(entry, seal=seal))
            except BaseException:
                ring.keep_root()
                raise
            ring.adopt_root(now)
            with contextlib.suppress(StorageFailure):  # it counts; the next request follows
                await self._follow()

    def _linked(self, old: ShareSeal, before: Key, now: Key) -> ShareSeal:
        step = envelope.wrap(before, _link_place(len(old.links)), now.reveal(), self._random)
        return msgspec.structs.replace(old, links=(*old.links, step))

    def _wrapped(
        self, namespace_id: NamespaceId, shares: int, threshold: int, key: Key, root_key: Key
    ) -> ShareSeal:
        place = _place(namespace_id, shares, threshold)
        wrapped = envelope.wrap(key, place, root_key.reveal(), self._random)
        return ShareSeal(shares=shares, threshold=threshold, wrapped=wrapped)

    def _forget(self, namespace_id: NamespaceId) -> None:
        self._progress.pop(namespace_id, None)
        for forget in self._forgetters.get(namespace_id, ()):
            forget()

    async def _shut(self, namespace_id: NamespaceId) -> None:
        try:
            ring = self._barrier.ring(namespace_id)
            if ring is not None:
                await ring.tend()
        finally:
            self._barrier.close(namespace_id)

    async def _submit(self, entry: NamespaceEntry, text: str) -> None:
        share = _share(text)
        progress = self._progress.get(entry.id, Progress()).add(share, entry.uuid, self._random)
        self._progress[entry.id] = progress
        seal = _seal(entry)
        if len(progress.shares) < seal.threshold:
            return
        del self._progress[entry.id]
        key, root_key = _keys(entry.id, seal, progress.combined())
        try:
            keyring = await stored(self._storage.reader(), entry.id, root_key)
        except BarrierFailure:
            raise SealRefusal(WRONG_KEY) from None
        if seal.links:
            await self._shorten(entry.id, seal, key, root_key)
        await self._open(self._ring(entry.id, root_key, keyring))

    async def _shorten(self, namespace_id: NamespaceId, seal: ShareSeal, key: Key, root_key: Key) -> None:
        """Put the root key that counts directly under the key that has just come back."""
        async with self._barrier.write(ROOT.id, core_prefix(ROOT.id)) as core:
            entry = await self._namespaces.stored(core, namespace_id)
            if entry is not None and entry.seal == seal:
                direct = self._wrapped(namespace_id, seal.shares, seal.threshold, key, root_key)
                await self._namespaces.put(core, msgspec.structs.replace(entry, seal=direct))
        await self._follow()

    async def _open(self, ring: Ring) -> None:
        """Do what waited, make everybody read anew, and let requests in; on any failure it is sealed again."""
        self._barrier.admit(ring)
        try:
            await self._catch_up(ring.namespace_id)
            await self._announce(ring.namespace_id)
        except BaseException:
            self._barrier.close(ring.namespace_id)
            raise
        ring.serving = True

    async def _catch_up(self, owner: NamespaceId) -> None:
        reader = self._barrier.reader(ROOT.id, core_prefix(ROOT.id))
        async for page in waiting(reader, owner):
            for at in range(0, len(page), _AT_ONCE):
                async with self._barrier.write(ROOT.id, core_prefix(ROOT.id)) as core:
                    for kind, key in page[at : at + _AT_ONCE]:
                        if self._resume is not None:
                            await self._resume(core, kind, key)
                        await done(core, owner, kind, key)
                await self._follow()

    async def _announce(self, namespace_id: NamespaceId) -> None:
        async with self._barrier.write(ROOT.id, core_prefix(ROOT.id)) as core:
            await core.invalidate(KEYS_KIND, namespace_id)
        await self._follow()

    def _ring(self, namespace_id: NamespaceId, root_key: Key, keyring: Keyring) -> Ring:
        return Ring(self._storage, namespace_id, root_key, keyring, now=self._now, random=self._random)


def _share(text: str) -> bytes:
    """Decode a share. Raises `SealRefusal` with OpenBao's words."""
    try:
        share = parse_share(text)
    except SealRefusal:
        try:
            share = from_base64(text)
        except NotBase64 as wrong:
            raise SealRefusal(str(wrong)) from None
    check_length(share)
    return share


def _there(entry: NamespaceEntry | None) -> NamespaceEntry:
    if entry is None:
        raise SealRefusal(NOT_SEALABLE)
    return entry


def _seal(entry: NamespaceEntry) -> ShareSeal:
    if entry.seal is None:
        raise SealRefusal(NOT_SEALABLE)
    return entry.seal


def _keys(namespace_id: NamespaceId, seal: ShareSeal, combined: bytes) -> tuple[Key, Key]:
    """Return the key that shares combine to, and the root key that it leads to. Raises `SealRefusal`."""
    if len(combined) != KEY_BYTES:
        raise SealRefusal(WRONG_KEY)
    key = Key(combined)
    try:
        root_key = Key(envelope.unwrap(key, _place(namespace_id, seal.shares, seal.threshold), seal.wrapped))
    except BarrierFailure:
        raise SealRefusal(WRONG_KEY) from None
    return key, _newer(root_key, seal.links)


def _newer(root_key: Key, links: Sequence[bytes]) -> Key:
    """Return the root key that `links` lead to from any of theirs, `root_key` itself where none does."""
    for number, step in enumerate(links):
        with contextlib.suppress(BarrierFailure):  # it leads from an older one
            root_key = Key(envelope.unwrap(root_key, _link_place(number), step))
    return root_key


def _place(namespace_id: NamespaceId, shares: int, threshold: int) -> tuple[str, ...]:
    return (_PURPOSE, namespace_id, str(shares), str(threshold))


def _link_place(number: int) -> tuple[str, ...]:
    return (_PURPOSE, "link", str(number))
