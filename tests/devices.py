# SPDX-License-Identifier: EUPL-1.2
"""Keys as devices have them, held in memory: what `vault.framework.keys.external` says of them."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class SoftAes:
    """An AES key; see `vault.framework.keys.external.SecretKey`."""

    def __init__(self, key: bytes | None = None) -> None:
        self.value = key or os.urandom(32)
        self.bits = 8 * len(self.value)
        self.fingerprint = hashlib.sha256(self.value).hexdigest()[:32]

    def encrypt(self, data: bytes, associated_data: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(self.value).encrypt(nonce, data, associated_data)

    def decrypt(self, data: bytes, associated_data: bytes) -> bytes:
        try:
            return AESGCM(self.value).decrypt(data[:12], data[12:], associated_data)
        except ValueError:
            raise InvalidTag from None
