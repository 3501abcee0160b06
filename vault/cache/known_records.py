# SPDX-License-Identifier: EUPL-1.2
"""Records that come again: decrypted and decoded once, for as long as what is stored at their places is the same.

Storage is asked each time. So a change is seen by the next look, whoever made it and on whichever node, and nobody has to
tell of it; what is saved is the work after that. Each time that a value is stored it is encrypted under another nonce, and it
is bound to its place: the same bytes at the same place mean the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from vault.barrier.view import ReadView
from vault.cache.follow import BoundedCache

T = TypeVar("T")


class KnownRecords(Generic[T]):
    """Records that were read before. Not for secrets: they stay in memory until the vault is sealed."""

    def __init__(self, decode: Callable[[bytes], T], most: int) -> None:
        """`decode` makes a record of what is stored; nobody may change it. At most so many are known."""
        self._decode = decode
        self._known: BoundedCache[str, tuple[bytes, T]] = BoundedCache(most)

    async def find(self, view: ReadView, path: str) -> T | None:
        """Return the record at a path, None without one. Raises `BarrierFailure`, and what `decode` does."""
        stored = await view.encrypted(path)
        if stored is None:
            return None
        place = view.prefix + path
        known = self._known.get(place)
        if known is not None and known[0] == stored:
            return known[1]
        record = self._decode(await view.decrypted(path, stored))
        self._known.put(place, (stored, record))
        return record

    def forget(self) -> None:
        """Forget all, as the vault is sealed."""
        self._known.drop(None)
