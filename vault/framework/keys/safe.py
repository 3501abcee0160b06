# SPDX-License-Identifier: EUPL-1.2
"""The safe: it holds long-lived signing keys. Storage and the root key together do not open it.

A safe key (`key_versions.py`) is wrapped for the slots; every signing key is encrypted under it. So making or using
a signing key asks no device, not even within a transaction, and rotating a slot's key rewraps one value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, TypeVar

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.envelope import unwrap, wrap
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.barrier.view import ReadView, View
from vault.framework.errors import Failed, Unavailable
from vault.framework.keys.key_versions import NumberedKeys
from vault.seal.records.sealwrap import SealWrap
from vault.values.ids import NamespaceId

K = TypeVar("K")
_NUMBER: Final = 4
"""Bytes of a safe key's number. Every value in the safe begins with the number of its key."""

_SHUT: Final = "no slot opens the safe that signing keys are kept in"

Write = Callable[[], AbstractAsyncContextManager[View]]


class Safe:
    """Encrypts and decrypts under `keys`."""

    def __init__(self, wraps: SealWrap, barrier: Barrier, random: Random) -> None:
        """`random` returns so many random bytes."""
        self._random = random
        self._barrier = barrier
        self.keys: Final = NumberedKeys(wraps, barrier, Key, lambda: random(KEY_BYTES), folder="safe")

    def close(self, about: tuple[str, ...], value: bytes) -> bytes:
        """Encrypt `value`; `about` is authenticated with it. Raises `Unavailable`, and `BarrierSealed` while sealed."""
        known = self.keys.known
        if self._barrier.sealed:
            raise BarrierSealed
        if not known:
            raise Unavailable(_SHUT)
        number = max(known)
        return number.to_bytes(_NUMBER, "big") + wrap(known[number], about, value, self._random)

    async def open(self, about: tuple[str, ...], closed: bytes) -> bytes:
        """Decrypt a value from `close`, of this server or another; a key that is new here costs one slot operation.

        Raises `Unavailable`, and `Failed` for a value that was altered or belongs to another `about`.
        """
        key = await self.keys.find(int.from_bytes(closed[:_NUMBER], "big"))
        if key is None:
            raise Unavailable(_SHUT)
        try:
            return unwrap(key, about, closed[_NUMBER:])
        except BarrierFailure:
            raise Failed("a signing key fails its integrity check", chained=False) from None


class BareKeys(msgspec.Struct, Generic[K], frozen=True):
    """Signing keys that an earlier version, which had no safe, kept at one place behind the barrier alone."""

    namespace_id: NamespaceId
    prefix: str
    """Where they lie, below the namespace's own data."""
    names: Callable[[ReadView], Awaitable[Sequence[str]]]
    read: Callable[[ReadView, str], Awaitable[K | None]]
    is_bare: Callable[[K], bool]
    put: Callable[[View, K], Awaitable[None]]
    """Store a key whose secret part is now in the safe. Raises `Unavailable`."""

    async def gather(self, core: ReadView, write: Write) -> int:
        """Move bare keys into the safe; return how many. Raises `Unavailable`.

        `core` and `write` work on the root namespace's own data.
        """
        done = 0
        view = core.space(self.namespace_id).sub(self.prefix)
        for name in await self.names(view):
            if not self._bare(await self.read(view, name)):
                continue
            async with write() as tx:
                inner = tx.space(self.namespace_id).sub(self.prefix)
                key = await self.read(inner, name)
                if key is not None and self.is_bare(key):
                    await self.put(inner, key)
                    done += 1
        return done

    def _bare(self, key: K | None) -> bool:
        return key is not None and self.is_bare(key)
