# SPDX-License-Identifier: EUPL-1.2
"""Namespaces that are sealed by themselves: made, opened by people's shares, and sealed again, one by one.

Sealing forgets the keys first and tells everybody then; opening does what waited before anybody is let in. Both are
this process's own: another one that serves the same storage is sealed and opened by itself, as with the vault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

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
from vault.namespace.waiting import done, waiting
from vault.seal.encoding import NotBase64, from_base64
from vault.seal.failure import SealRefusal
from vault.seal.init import Shown, check_shares, recipients, split
from vault.seal.state import WRONG_KEY, Progress, check_length, parse_share
from vault.storage.protocol import Storage

KEYS_KIND: Final = "namespace-keys"
"""Kind of the invalidation that says that a namespace was opened or sealed. Nobody owns it: everything is dropped."""
INVALID: Final = "invalid seal config: "
_PURPOSE: Final = "coffre.namespace"
_AT_ONCE: Final = 32

Resume = Callable[[View, str, str], Awaitable[None]]
"""Does what waited, of a kind and a key, within a transaction on the root namespace's data."""


@dataclass(frozen=True, slots=True)
class Made:
    """The keys of a namespace that is being made: show the shares to nobody before the transaction committed."""

    seal: ShareSeal
    ring: Ring
    shares: Shown = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealState:
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
        now: Callable[[], int],
        random: Random,
    ) -> None:
        """`follow` makes what was committed known here; `now` gives milliseconds, `random` entropy."""
        self._storage = storage
        self._barrier = barrier
        self._namespaces = namespaces
        self._follow = follow
        self._now = now
        self._random = random
        self._progress: dict[str, Progress] = {}
        self._untold: set[str] = set()
        """What was sealed, and storage could not be told yet."""
        self._turn = asyncio.Lock()
        self._resume: Resume | None = None

    def on_opening(self, resume: Resume) -> None:
        """Register what does the things that waited."""
        self._resume = resume

    def make(self, namespace_id: str, shares: int, threshold: int, pgp_keys: Sequence[str]) -> Made:
        """Make keys for a new namespace, in memory. Raises `SealRefusal` with the field's words."""
        check_shares(shares, threshold, INVALID)
        to = recipients(pgp_keys, shares, self._now(), INVALID)
        root_key, key = Key(self._random(KEY_BYTES)), Key(self._random(KEY_BYTES))
        keyring = Keyring.create(self._now(), self._random)
        place = _place(namespace_id, shares, threshold)
        wrapped = envelope.wrap(key, place, root_key.reveal(), self._random)
        return Made(
            ShareSeal(shares=shares, threshold=threshold, wrapped=wrapped),
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

    async def seal(self, entry: NamespaceEntry) -> None:
        """Forget the keys of a namespace and of all in it that have some, and whatever was read by them."""
        async with self._turn:
            for each in (entry, *self._namespaces.below(entry.path, deep=True)):
                self._progress.pop(each.id, None)
                if self._barrier.serves(each.id):
                    self._untold.add(each.id)
                    await self._shut(each.id)
            for untold in list(self._untold):
                await self._announce(untold)
                self._untold.discard(untold)

    async def rest(self) -> None:
        """Save how often keys were used, before the vault is sealed and all are forgotten."""
        for ring in self._barrier.rings():
            await ring.tend()

    def forget(self) -> None:
        """Drop the shares that were given, when the vault is sealed."""
        self._progress.clear()

    async def _shut(self, namespace_id: str) -> None:
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
        root_key = _root_key(entry, seal, progress)
        try:
            keyring = await stored(self._storage.reader(), entry.id, root_key)
        except BarrierFailure:
            raise SealRefusal(WRONG_KEY) from None
        await self._open(self._ring(entry.id, root_key, keyring))

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

    async def _catch_up(self, owner: str) -> None:
        reader = self._barrier.reader(ROOT.id, core_prefix(ROOT.id))
        async for page in waiting(reader, owner):
            for at in range(0, len(page), _AT_ONCE):
                async with self._barrier.write(ROOT.id, core_prefix(ROOT.id)) as core:
                    for kind, key in page[at : at + _AT_ONCE]:
                        if self._resume is not None:
                            await self._resume(core, kind, key)
                        await done(core, owner, kind, key)
                await self._follow()

    async def _announce(self, namespace_id: str) -> None:
        async with self._barrier.write(ROOT.id, core_prefix(ROOT.id)) as core:
            await core.invalidate(KEYS_KIND, namespace_id)
        await self._follow()

    def _ring(self, namespace_id: str, root_key: Key, keyring: Keyring) -> Ring:
        return Ring(self._storage, namespace_id, root_key, keyring, now=self._now, random=self._random)


def _share(text: str) -> bytes:
    """Decode a share. Raises `SealRefusal` with the field's words."""
    try:
        share = parse_share(text)
    except SealRefusal:
        try:
            share = from_base64(text)
        except NotBase64 as wrong:
            raise SealRefusal(str(wrong)) from None
    check_length(share)
    return share


def _seal(entry: NamespaceEntry) -> ShareSeal:
    if entry.seal is None:
        raise SealRefusal("namespace is not sealable")
    return entry.seal


def _root_key(entry: NamespaceEntry, seal: ShareSeal, progress: Progress) -> Key:
    """Return the root key that the shares give. Raises `SealRefusal`."""
    value = progress.combined()
    if len(value) != KEY_BYTES:
        raise SealRefusal(WRONG_KEY)
    try:
        return Key(envelope.unwrap(Key(value), _place(entry.id, seal.shares, seal.threshold), seal.wrapped))
    except BarrierFailure:
        raise SealRefusal(WRONG_KEY) from None


def _place(namespace_id: str, shares: int, threshold: int) -> tuple[str, ...]:
    return (_PURPOSE, namespace_id, str(shares), str(threshold))
