# SPDX-License-Identifier: EUPL-1.2
"""The private keys of issuers and approvers that are kept here: in the safe, each bound to its public half."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nhi.biscuit import store
from nhi.biscuit.chain import Key
from nhi.biscuit.keys import RootKey
from nhi.biscuit.model import Approver, IssuerKey, KeyState, Place
from nhi.biscuit.wire import Algorithm
from vault.barrier.view import ReadView
from vault.cache.follow import Bounded, Follower
from vault.framework.errors import Malformed
from vault.framework.safe import Safe, Write

_SIGNERS: Final = 256


def closed(safe: Safe, public: Key, private: bytes) -> bytes:
    """Return a private key as it is kept. Raises `Unavailable`."""
    return safe.close(_about(public), private)


def opened(safe: Safe, key: IssuerKey | Approver) -> RootKey:
    """Return the private key that signs. Raises `Unavailable`, and `Failed` for one that was altered."""
    private = safe.open(_about(key.key), key.held) if key.held else key.private
    if key.algorithm == Algorithm.ED25519:
        return Ed25519PrivateKey.from_private_bytes(private)
    return ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())


class Signers:
    """The newest active key of each mount, opened; remembered until any fact changes, or the vault is sealed."""

    def __init__(self, follower: Follower, safe: Safe) -> None:
        self._follower = follower
        self._safe = safe
        self._era: object = None
        self._known: Bounded[Place, tuple[IssuerKey, RootKey | None]] = Bounded(_SIGNERS)

    async def of(self, view: ReadView, owner: Place) -> tuple[IssuerKey, RootKey | None]:
        """Return the key that signs tokens of a mount, whose data `view` shows, and its private half if it is here.

        Raises `Malformed` without an active one, and as `opened`.
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
            found = newest, None if newest.external else opened(self._safe, newest)
            if self._follower.era is self._era is era and view.epoch == self._follower.epoch > 0:
                self._known.put(owner, found)
        return found

    def forget(self) -> None:
        """Drop every key from memory."""
        self._known.drop(None)


async def gather(core: ReadView, write: Write, mounts: Iterable[tuple[str, str]], safe: Safe) -> int:
    """Put keys that were kept without the safe into it; return how many. Raises `Unavailable`.

    `mounts` are ids of namespaces, each with the uuid of a mount; `core` and `write` are of the root namespace's data.
    """
    done = 0
    for namespace_id, uuid in mounts:
        prefix = f"mnt/{uuid}/"
        view = core.space(namespace_id).sub(prefix)
        numbers = [key.kid for key in await store.keys(view) if key.private]
        names = [name for name in await view.list(store.APPROVERS) if _bare(await store.approver(view, name))]
        if not numbers and not names:
            continue
        async with write() as tx:
            inner = tx.space(namespace_id).sub(prefix)
            for number in numbers:
                key = await store.key(inner, number)
                if key is not None and key.private:
                    held = closed(safe, key.key, key.private)
                    await store.put_key(inner, msgspec.structs.replace(key, private=b"", held=held))
                    done += 1
            for name in names:
                approver = await store.approver(inner, name)
                if approver is not None and approver.private:
                    held = closed(safe, approver.key, approver.private)
                    await store.put_approver(inner, msgspec.structs.replace(approver, private=b"", held=held))
                    done += 1
    return done


def _bare(approver: Approver | None) -> bool:
    return approver is not None and bool(approver.private)


def _about(public: Key) -> tuple[str, ...]:
    return ("nhi", str(int(public.algorithm)), public.data.hex())
