# SPDX-License-Identifier: EUPL-1.2
"""A cache of verified tokens: limited in bytes, and indexed by every fact that they rest on."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

T = TypeVar("T")
MOST_BYTES: Final = 64 * 1024 * 1024
"""Memory that verified tokens take at most, by estimate."""
VERIFIED: Final = 20_000
"""Bytes of memory of a verified token beside its own text (measured for three blocks: 14 KB in the library, 6 KB here)."""
_EACH: Final = 9000
"""The same of anything else that is kept for a token."""
_BY_SIZE: Final = 4
"""How many times its own size a token takes once it is read."""


class BiscuitCache(Generic[T]):
    """Values by digest, each with tags; the one used longest ago leaves first."""

    def __init__(self, most: int = MOST_BYTES, *, each: int = _EACH) -> None:
        """`each` value takes so many bytes beside those of its token, and all of them `most`."""
        self._most = most
        self._each = each
        self._kept: OrderedDict[bytes, tuple[T, tuple[str, ...], int]] = OrderedDict()
        self._by_tag: dict[str, set[bytes]] = {}
        self.bytes = 0
        """Estimate of the memory that is used."""

    def get(self, digest: bytes) -> T | None:
        """Return what is kept."""
        found = self._kept.get(digest)
        if found is None:
            return None
        self._kept.move_to_end(digest)
        return found[0]

    def put(self, digest: bytes, value: T, tags: tuple[str, ...], size: int) -> None:
        """Keep a value; `size` is that of its token in bytes."""
        self._remove(digest)
        cost = self._each + _BY_SIZE * size
        self._kept[digest] = (value, tags, cost)
        self.bytes += cost
        for tag in tags:
            self._by_tag.setdefault(tag, set()).add(digest)
        while self.bytes > self._most and len(self._kept) > 1:
            self._remove(next(iter(self._kept)))

    def drop(self, tag: str | None) -> None:
        """Forget everything with a tag, or everything."""
        if tag is None:
            self._kept.clear()
            self._by_tag.clear()
            self.bytes = 0
            return
        for digest in tuple(self._by_tag.get(tag, ())):
            self._remove(digest)

    def __len__(self) -> int:
        """Return how many tokens are kept."""
        return len(self._kept)

    def _remove(self, digest: bytes) -> None:
        found = self._kept.pop(digest, None)
        if found is None:
            return
        _, tags, cost = found
        self.bytes -= cost
        for tag in tags:
            holders = self._by_tag[tag]
            holders.discard(digest)
            if not holders:
                del self._by_tag[tag]
