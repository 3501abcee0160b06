# SPDX-License-Identifier: EUPL-1.2
"""AES keys that stay in their token: it encrypts and decrypts by AES-GCM, and is asked for each."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag

from hsm.client.signers import Mechanism, SigningAgent, ask_twice
from hsm.errors import BadConfig, IntegrityError
from hsm.operations import Decrypt, Encrypt, SecretKey, SecretKeyInfo
from hsm.protocol import LARGEST
from hsm.versions import name

LARGEST_DATA: Final = LARGEST - 4096
"""Bytes of data and associated data together: one frame of an agent."""
_MORE: Final = 12 + 16
"""Bytes of nonce and tag."""


class TokenCipher:
    """An AES key that an agent reaches. Blocking: call it in a thread of its own. Looks for the key when it is made.

    `key_id` None is whatever id the label has. `seconds` is how long each operation may take.
    """

    def __init__(self, agent: SigningAgent, label: str, key_id: bytes | None, *, seconds: float) -> None:
        self._agent = agent
        self._seconds = seconds
        self._found = agent.ask_blocking(SecretKey(label, key_id), SecretKeyInfo, seconds)
        self._label = label or self._found.label
        self._id = self._found.key_id or key_id

    @property
    def label(self) -> str:
        """Label of the key that was found."""
        return self._label

    @property
    def key_id(self) -> bytes:
        """`CKA_ID` of the key that was found, which is its version; empty where it has none."""
        return self._id or b""

    @property
    def bits(self) -> int:
        """Its size; 0 where the token does not tell."""
        return self._found.bits

    @property
    def fingerprint(self) -> str:
        """What it is known by; empty where it only decrypts."""
        return self._found.fingerprint

    def encrypt(self, data: bytes, associated_data: bytes) -> bytes:
        """Return a nonce of 12 bytes, the encrypted data, and the tag of 16 bytes. Raises `hsm.errors`."""
        self._check(len(data) + len(associated_data))
        asked = Encrypt(self._label, self._id, data, associated_data)
        return ask_twice(self._agent, asked, bytes, self._seconds)

    def decrypt(self, data: bytes, associated_data: bytes) -> bytes:
        """Return the data. Raises `InvalidTag` for every wrong ciphertext alike, and `hsm.errors`."""
        self._check(len(data) + len(associated_data) - _MORE)
        asked = Decrypt(self._label, self._id, Mechanism.AES_GCM.value, data, associated_data)
        try:
            return ask_twice(self._agent, asked, bytes, self._seconds)
        except IntegrityError:
            raise InvalidTag from None

    def _check(self, size: int) -> None:
        if size > LARGEST_DATA:
            raise BadConfig(
                f"{name(self._label, self._id)}: takes {LARGEST_DATA} bytes at once, not {size}; encrypt a data key with it"
            )
