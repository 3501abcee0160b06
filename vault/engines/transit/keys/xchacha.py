# SPDX-License-Identifier: EUPL-1.2
"""XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), as libsodium has it: the nonce is long enough to be random for ever."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

_TAG: Final = 16


class XChaCha20Poly1305:
    """The cipher with one key of 32 bytes, used as those of `cryptography` are."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "<XChaCha20Poly1305>"

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the encrypted data with its tag; the nonce has 24 bytes."""
        return crypto_aead_xchacha20poly1305_ietf_encrypt(data, associated_data, nonce, self._key)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the data. Raises `InvalidTag`."""
        if len(data) < _TAG:
            raise InvalidTag
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(data, associated_data, nonce, self._key)
        except CryptoError:
            raise InvalidTag from None
