# SPDX-License-Identifier: EUPL-1.2
"""The private keys of issuers and approvers, in the safe: each is bound to its public key, so none can be exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.chain import Key
from nhi.biscuit.offline.keys import RootKey
from nhi.biscuit.records import store
from nhi.biscuit.records.model import Approver, IssuerKey, KeyState, MountRef
from vault.barrier.view import ReadView, View, mount_prefix
from vault.cache.follow import BoundedCache, Follower
from vault.framework.call import Call
from vault.framework.errors import Malformed
from vault.framework.keys.safe import BareKeys, Safe
from vault.values.ids import MountId, NamespaceId

K = TypeVar("K", IssuerKey, Approver)
_SIGNERS: Final = 256


def into_safe(safe: Safe, public: Key, private: bytes) -> bytes:
    """Return a private key as it is kept. Raises `Unavailable`."""
    return safe.close(_about(public), private)


async def from_safe(safe: Safe, key: IssuerKey | Approver) -> RootKey:
    """Return the private key that signs. Raises `Unavailable`, and `Failed` for one that was altered."""
    private = await safe.open(_about(key.key), key.held) if key.held else key.private
    if key.algorithm == Algorithm.ED25519:
        return Ed25519PrivateKey.from_private_bytes(private)
    return ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())


class SigningKeys:
    """The newest active key of each mount, opened; remembered until any fact changes, or the vault is sealed."""

    def __init__(self, follower: Follower, safe: Safe) -> None:
        self._follower = follower
        self._safe = safe
        self._era: object = None
        self._known: BoundedCache[MountRef, tuple[IssuerKey, RootKey | None]] = BoundedCache(_SIGNERS)

    async def of(self, call: Call, view: ReadView, owner: MountRef) -> tuple[IssuerKey, RootKey | None]:
        """Return the key that signs tokens of a mount, whose data `view` shows, and its private half if it is here.

        What a transaction sees may be a guess, or its own: it is remembered once that has committed, and `call` is answered.
        Raises `Malformed` without an active one, and as `from_safe`.
        """
        if self._era is not self._follower.era:
            self.forget()
            self._era = self._follower.era
        found = self._known.get(owner) if view.epoch == self._follower.epoch > 0 else None
        if found is None:
            era = self._era
            active = [key for key in await store.keys(view) if key.state is KeyState.ACTIVE]
            if not active:
                raise Malformed("there is no active issuer key: make one, or activate a staged one")
            newest = active[-1]
            found = newest, None if newest.external else await from_safe(self._safe, newest)
            if not isinstance(view, View):
                if view.epoch == self._follower.epoch > 0:
                    await self._remember(era, owner, found)
            elif call.after is None:
                call.after = partial(self._remember, era, owner, found)
        return found

    async def _remember(self, era: object, owner: MountRef, found: tuple[IssuerKey, RootKey | None]) -> None:
        """Keep a key, unless any fact has changed since it was looked for."""
        if self._follower.era is self._era is era:
            self._known.put(owner, found)

    def forget(self) -> None:
        """Drop every key from memory."""
        self._known.drop(None)


def bare_keys(
    namespace_id: NamespaceId, mount: MountId, safe: Safe
) -> tuple[BareKeys[IssuerKey], BareKeys[Approver]]:
    """Return what a mount may have kept without the safe; it is named by its uuid."""
    prefix = mount_prefix(mount)

    async def issuers(view: ReadView) -> Sequence[str]:
        return [str(key.kid) for key in await store.keys(view)]

    async def issuer(view: ReadView, kid: str) -> IssuerKey | None:
        return await store.key(view, int(kid))

    async def approvers(view: ReadView) -> Sequence[str]:
        return await view.list(store.APPROVERS)

    async def put_issuer(view: View, key: IssuerKey) -> None:
        await store.put_key(view, _kept(safe, key))

    async def put_approver(view: View, approver: Approver) -> None:
        await store.put_approver(view, _kept(safe, approver))

    return (
        BareKeys(namespace_id, prefix, issuers, issuer, _is_bare, put_issuer),
        BareKeys(namespace_id, prefix, approvers, store.approver, _is_bare, put_approver),
    )


def _is_bare(key: IssuerKey | Approver) -> bool:
    return bool(key.private)


def _kept(safe: Safe, key: K) -> K:
    """Return a key with its private half in the safe. Raises `Unavailable`."""
    return msgspec.structs.replace(key, private=b"", held=into_safe(safe, key.key, key.private))


def _about(public: Key) -> tuple[str, ...]:
    return ("nhi", str(int(public.algorithm)), public.data.hex())
