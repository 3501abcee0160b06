# SPDX-License-Identifier: EUPL-1.2
"""A keyed hash for many values: the key is set up once."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC


class HmacKey:
    """HMAC-SHA256 under one key (RFC 2104)."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes) -> None:
        self._begun = HMAC(key, SHA256())

    def digest(self, data: bytes) -> bytes:
        """Return the hash of `data`."""
        keyed = self._begun.copy()
        keyed.update(data)
        return keyed.finalize()
