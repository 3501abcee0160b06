# SPDX-License-Identifier: EUPL-1.2
"""What those who hold shares are asked for: of the vault, and of each namespace that is sealed by itself."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vault.barrier.key import Key, Random
from vault.framework.call import ROOT, Namespace
from vault.namespace.book import Namespaces
from vault.namespace.seal import NOT_SEALABLE, NamespaceSealing
from vault.seal.consent.generate_root import RootGeneration
from vault.seal.consent.rekey import Rekey, ShareKind
from vault.seal.consent.share_holders import ShareHolders
from vault.seal.failure import SealRefusal
from vault.values.ids import NamespaceId


class Consents(msgspec.Struct, frozen=True):
    """One of each at a time. `place` is what paths begin with that tell of a namespace by its uuid."""

    shares: dict[ShareKind, Rekey]
    root_token: RootGeneration
    place: str

    @classmethod
    def of(cls, holders: ShareHolders, random: Random, place: str = "") -> Consents:
        """Return what `holders` can be asked for; `random` gives entropy."""
        return cls(
            {"root": Rekey("root", holders, random), "recovery": Rekey("recovery", holders, random)},
            RootGeneration(holders, random),
            place,
        )


class NamespaceHolders:
    """Those who hold shares of one namespace."""

    def __init__(self, sealing: NamespaceSealing, namespace_id: NamespaceId, random: Random) -> None:
        self._sealing = sealing
        self._id = namespace_id
        self._random = random

    def on_seal(self, forget: Callable[[], None]) -> None:
        """As `ShareHolders`."""
        self._sealing.on_seal(self._id, forget)

    async def opens_itself(self) -> bool:
        """As `ShareHolders`: never."""
        return False

    async def required(self) -> int:
        """As `ShareHolders`."""
        return self._sealing.threshold(self._id)

    async def accepts_key(self, key: bytes) -> bool:
        """As `ShareHolders`."""
        return self._sealing.accepts_key(self._id, key)

    async def source(self) -> Random:
        """As `ShareHolders`."""
        return self._random

    async def renew_root(self) -> None:
        """As `ShareHolders`."""
        await self._sealing.renew_root(self._id)

    async def replace(self, key: Key, shares: int, threshold: int, *, root: bool) -> None:
        """As `ShareHolders`; the root key is replaced as well."""
        del root
        await self._sealing.rekey(self._id, key, shares, threshold)


class EveryConsent:
    """Finds whom to ask; made when first asked for, and kept while the namespace is known."""

    def __init__(
        self, vault: Consents, namespaces: Namespaces, sealing: NamespaceSealing, random: Random
    ) -> None:
        """`random` gives entropy."""
        self._vault = vault
        self._namespaces = namespaces
        self._sealing = sealing
        self._random = random
        self._known: dict[NamespaceId, Consents] = {}

    def of(self, namespace: Namespace) -> Consents:
        """Return what the holders of a namespace's shares can be asked for. Raises `SealRefusal`."""
        if namespace.id == ROOT.id:
            return self._vault
        entry = self._namespaces.by_id(namespace.id)
        if entry is None or entry.seal is None:
            raise SealRefusal(NOT_SEALABLE)
        if namespace.id not in self._known:
            for gone in [known for known in self._known if not self._namespaces.knows(known)]:
                del self._known[gone]
            holders = NamespaceHolders(self._sealing, namespace.id, self._random)
            self._known[namespace.id] = Consents.of(holders, self._random, f"namespaces/{entry.uuid}/")
        return self._known[namespace.id]
