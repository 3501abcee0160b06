# SPDX-License-Identifier: EUPL-1.2
"""A 256-bit key that does not show itself."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
"""Length of every key of the barrier and of the seals, in bytes (AES-256)."""

Random = Callable[[int], bytes]
"""Entropy: returns that many unpredictable bytes."""


class Key:
    """An AES-256-GCM key: printed redacted, never pickled, compared only in constant time.

    The cipher is built once, because building it costs more than using it. Forgetting a key means dropping
    every reference to it: what lies free in memory is written over soon after.
    """

    __slots__ = ("_bytes", "aead")

    def __init__(self, value: bytes) -> None:
        """Hold the 32 bytes of `value`; raises `ValueError` (without them) for another length."""
        if len(value) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self._bytes = bytes(value)
        self.aead = AESGCM(self._bytes)

    def reveal(self) -> bytes:
        """Return the key's bytes; for wrapping and splitting only."""
        return self._bytes

    def same(self, other: Key) -> bool:
        """Return whether both hold the same bytes, in constant time (SL-23)."""
        return hmac.compare_digest(self._bytes, other._bytes)

    def __repr__(self) -> str:
        return "Key(redacted)"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare keys with Key.same")

    __hash__ = None  # type: ignore[assignment]  # the way to say "unhashable"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not serialised")
