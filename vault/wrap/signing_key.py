# SPDX-License-Identifier: EUPL-1.2
"""The key that signs wrapping tokens: wrapped for the seal's key slots where there are any, in memory while open."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT
from vault.framework.clock import Entropy
from vault.framework.errors import Unavailable
from vault.seal.failure import SealFailure
from vault.seal.sealwrap import SealWrap

_PATH: Final = "wrapping/key"
"""Where it lies, wrapped; and where it lay in the root namespace's own data before."""
_ORDER: Final = int(
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
    "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    16,
)
"""The order of the curve P-521 (FIPS 186-5)."""
_BYTES: Final = 66
"""Bytes of a scalar of P-521."""


class SigningKey:
    """`prepare` it when the vault was opened, `forget` it when it is sealed."""

    def __init__(self, wraps: SealWrap, entropy: Entropy) -> None:
        self._wraps = wraps
        self._entropy = entropy
        self._key: ec.EllipticCurvePrivateKey | None = None

    async def prepare(self, core: ReadView, write: Callable[[], AbstractAsyncContextManager[View]]) -> None:
        """Read the key, or make it; `core` and `write` are of the root namespace's own data.

        Raises `SealFailure` when no slot answers; then the next use tries again to read it.
        """
        if await self._read(core):
            return
        scalar = await core.get(_PATH) or self._scalar()
        wrapped = await self._wraps.wrap(ROOT.id, _PATH, scalar)
        async with write() as tx:
            if await self._wraps.stored(tx, _PATH) is None:
                await self._wraps.put(tx, _PATH, wrapped)
            await tx.delete(_PATH)
        await self._read(core)

    async def get(self, core: ReadView) -> ec.EllipticCurvePrivateKey:
        """Return the key; `core` is of any namespace. Raises `Unavailable` while no slot opens it."""
        if self._key is None:
            try:
                await self._read(core.space(ROOT.id))
            except SealFailure as failure:
                raise Unavailable(detail=str(failure)) from failure
        if self._key is None:
            raise Unavailable(detail="the key that signs wrapping tokens was not made yet; unseal again")
        return self._key

    def forget(self) -> None:
        """Drop the key from memory."""
        self._key = None

    async def _read(self, core: ReadView) -> bool:
        stored = await self._wraps.get(core, ROOT.id, _PATH)
        if stored is not None:
            self._key = ec.derive_private_key(int.from_bytes(stored, "big"), ec.SECP521R1())
        return stored is not None

    def _scalar(self) -> bytes:
        """Return a private scalar; 64 bits more than the order are drawn, so that the rest has no bias."""
        number = int.from_bytes(self._entropy.bytes(_BYTES + 8), "big") % (_ORDER - 1) + 1
        return number.to_bytes(_BYTES, "big")
