# SPDX-License-Identifier: EUPL-1.2
"""Hybrid public-key encryption: HPKE (RFC 9180) with ML-KEM-768 and X25519 together (draft-ietf-hpke-pq).

Whoever keeps a ciphertext until there is a quantum computer has to break both. One who has the public half encrypts
without a server; the secret stays here. All of the cryptography is the library's.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

_SEED: Final = 64
"""Bytes of the seed of ML-KEM (FIPS 203, d and z); the key of X25519 follows."""
SECRET: Final = _SEED + 32
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class HybridCipher:
    """One pair, used as a cipher is: there is no nonce, as each encryption agrees on a key of its own."""

    __slots__ = ("_private", "_public", "public")

    def __init__(self, secret: bytes) -> None:
        lattice = MLKEM768PrivateKey.from_seed_bytes(secret[:_SEED])
        curve = X25519PrivateKey.from_private_bytes(secret[_SEED:])
        self._private = MLKEM768X25519PrivateKey(lattice, curve)
        self._public = self._private.public_key()
        self.public: Final = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        """Both public halves, bare: 1,184 bytes of ML-KEM, then 32 of X25519."""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "<HybridCipher>"

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return what was encapsulated, and the encrypted data with its tag. The associated data is HPKE's `info`."""
        del nonce
        return _SUITE.encrypt(data, self._public, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the data. Raises `InvalidTag`."""
        del nonce
        try:
            return _SUITE.decrypt(data, self._private, associated_data)
        except ValueError:
            raise InvalidTag from None
