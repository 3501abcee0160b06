# SPDX-License-Identifier: EUPL-1.2
"""Cursors: where a search goes on, as a client carries it. Nobody can read or change one, or use it for another search."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.framework.clock import Entropy
from vault.values.times import Nanos

_PREFIX: Final = "c1."
_NONCE: Final = 12
_LONGEST: Final = 512
"""Characters of the longest cursor that is looked at."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Behind which record a search goes on, and the times between which it looks, in nanoseconds since the epoch."""

    time: Nanos
    log: str
    seq: int
    begins: Nanos
    ends: Nanos


class Cursors:
    """Makes cursors and reads them. They are valid on every node, and until the key of the log's first hashes is gone."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        """`key` is a secret key of the log's, from which their own is derived."""
        derived = HKDF(SHA256(), 32, salt=None, info=b"coffre log cursor").derive(key)
        self._cipher, self._entropy = AESGCM(derived), entropy

    def write(self, place: Place, query: bytes) -> str:
        """Return the cursor of a place in a search; `query` is all that makes it another one, the tenant included."""
        nonce = self._entropy.bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, msgspec.msgpack.encode(place), query)
        return _PREFIX + urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def read(self, cursor: str, query: bytes) -> Place | None:
        """Return the place that a cursor stands for; None where it is no cursor of this search."""
        if len(cursor) > _LONGEST or not cursor.startswith(_PREFIX) or not cursor.isascii():
            return None
        text = cursor.removeprefix(_PREFIX)
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], query)
            return msgspec.msgpack.decode(plain, type=Place)
        except (binascii.Error, ValueError, InvalidTag, msgspec.MsgspecError):
            return None
