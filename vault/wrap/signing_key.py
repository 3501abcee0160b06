# SPDX-License-Identifier: EUPL-1.2
"""The key that signs wrapping tokens: wrapped for the seal's key slots where there are any, in memory while open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        self._keys: dict[int, ec.EllipticCurvePrivateKey] = {}
        self._failure: SealFailure | None = None

    @property
    def whole(self) -> bool:
        """Whether there is no such key but those in memory, as far as is known."""
        return bool(self._keys) and self._failure is None

    async def prepare(self, core: ReadView, write: Callable[[], AbstractAsyncContextManager[View]]) -> None:
        """Read every key, and make one where the newest does not open; `core` and `write` are of the root namespace.

        Raises `SealFailure` when no slot answers; then the next use tries again to read one.
        """
        newest = await self._read(core)
        if newest in self._keys:
            return
        scalar = await core.get(_PATH) or self._scalar()
        path = _path(newest + 1)
        wrapped = await self._wraps.wrap(ROOT.id, path, scalar)
        async with write() as tx:
            if await self._wraps.stored(tx, path) is None:
                await self._wraps.put(tx, path, wrapped)
            await tx.delete(_PATH)
        await self._read(core)

    async def get(self, core: ReadView) -> ec.EllipticCurvePrivateKey:
        """Return the newest key, which signs; `core` is of any namespace. Raises `Unavailable` while no slot opens one."""
        return (await self.known(core))[0]

    async def known(self, core: ReadView) -> Sequence[ec.EllipticCurvePrivateKey]:
        """Return every key that may have signed, newest first. Raises as `get`."""
        if not self._keys:
            await self._read(core.space(ROOT.id))
        if not self._keys:
            why = self._failure or "the key that signs wrapping tokens was not made yet; unseal again"
            raise Unavailable(detail=str(why))
        return [self._keys[number] for number in sorted(self._keys, reverse=True)]

    def forget(self) -> None:
        """Drop the keys from memory."""
        self._keys.clear()
        self._failure = None

    async def _read(self, core: ReadView) -> int:
        """Read what is not in memory yet; return the newest number, 0 where there is none."""
        newest, failed = 0, None
        while await self._wraps.stored(core, _path(newest + 1)) is not None:
            newest += 1
            if newest in self._keys:
                continue
            try:
                stored = await self._wraps.get(core, ROOT.id, _path(newest))
            except SealFailure as failure:
                failed = failure
                continue
            if stored is not None:
                self._keys[newest] = ec.derive_private_key(int.from_bytes(stored, "big"), ec.SECP521R1())
        self._failure = failed
        return newest

    def _scalar(self) -> bytes:
        """Return a private scalar; 64 bits more than the order are drawn, so that the rest has no bias."""
        number = int.from_bytes(self._entropy.bytes(_BYTES + 8), "big") % (_ORDER - 1) + 1
        return number.to_bytes(_BYTES, "big")


def _path(number: int) -> str:
    return _PATH if number == 1 else f"{_PATH}/{number}"
