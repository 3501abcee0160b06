# SPDX-License-Identifier: EUPL-1.2
"""Keys that verify signed notes: Ed25519, ECDSA on P-256, and cosignatures of witnesses (C2SP tlog-cosignature).

A key is known by its name and four bytes, which follow from the name, the kind and the public key.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

KEY_ID_BYTES: Final = 4
LONGEST_NAME: Final = 1024

_ED25519_BYTES: Final = 32
_LONGEST_SPKI: Final = 256
_TIME_BYTES: Final = 8
_LATEST: Final = (1 << 63) - 1


class KeyKind(IntEnum):
    """What a key signs, and how: the number of each in signed-note."""

    ED25519 = 1
    ECDSA = 2
    COSIGNATURE = 4
    """Ed25519 over a checkpoint and the time at which a witness saw it."""


class BadName(ValueError):
    """A text can't be the name of a key."""


class BadKey(ValueError):
    """A text or some bytes are no public key that verifies notes."""


class BadSignature(ValueError):
    """A known key has not made the signature that bears its name."""


def check_name(name: str) -> None:
    """Make sure that a key may be called so. Raises `BadName`."""
    if (
        not 0 < len(name) <= LONGEST_NAME
        or "+" in name
        or any(letter.isspace() or letter < " " for letter in name)
    ):
        raise BadName("the name of a key has a character at least, no spaces, and no plus")


class Verifier:
    """A public key under a name. It is told from others by its name and `key_id`."""

    __slots__ = ("_check", "key_id", "kind", "name", "public")

    def __init__(self, name: str, kind: KeyKind, public: bytes) -> None:
        """`public` is 32 bytes of Ed25519, or of ECDSA the SPKI in DER. Raises `BadName` and `BadKey`."""
        check_name(name)
        self.name, self.kind, self.public = name, kind, public
        self._check = _ecdsa(public) if kind is KeyKind.ECDSA else _ed25519(public)
        named = public if kind is KeyKind.ECDSA else b"%s\n%c%s" % (name.encode(), kind, public)
        self.key_id = sha256(named).digest()[:KEY_ID_BYTES]

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read a key as people hand it on: `<name>+<key id>+<base64>`. Raises `BadName` and `BadKey`."""
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        check_name(name)
        try:
            material = binascii.a2b_base64(encoded, strict_mode=True)
            verifier = cls(name, KeyKind(material[0]), material[1:])
        except (IndexError, binascii.Error):
            raise BadKey("a verifier key is <name>+<key id>+<base64>") from None
        except ValueError:
            raise BadKey("a verifier key of this kind can't be read") from None
        if verifier.key_id.hex() != key_id:
            raise BadKey("the id of a verifier key is not that of its name and key")
        return verifier

    @property
    def vkey(self) -> str:
        """The key as `parse` reads it."""
        material = binascii.b2a_base64(bytes([self.kind]) + self.public, newline=False).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def under(self, name: str) -> Verifier:
        """Return the same key under another name. Raises `BadName`."""
        return Verifier(name, self.kind, self.public)

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """Make sure that the key has signed the text of a note; of a cosignature, return its time in seconds since 1970.

        Raises `BadSignature`.
        """
        time = None
        if self.kind is KeyKind.COSIGNATURE:
            time = int.from_bytes(signature[:_TIME_BYTES], "big")
            if time > _LATEST:
                raise BadSignature("invalid signature")
            text, signature = cosigned(text, time), signature[_TIME_BYTES:]
        try:
            self._check(signature, text)
        except InvalidSignature:
            raise BadSignature("invalid signature") from None
        return time

    def __repr__(self) -> str:
        """Show what people hand on."""
        return f"<Verifier {self.vkey}>"


def cosigned(text: bytes, time: int) -> bytes:
    """Return what a witness signs that saw the checkpoint of this text at `time`, in seconds since 1970."""
    return b"cosignature/v1\ntime %d\n%s" % (time, text)


def cosign(text: bytes, time: int, sign: Callable[[bytes], bytes]) -> bytes:
    """Return a witness's signature of a checkpoint's text. `sign` is its Ed25519 key."""
    return time.to_bytes(_TIME_BYTES, "big") + sign(cosigned(text, time))


def _ed25519(public: bytes) -> Callable[[bytes, bytes], None]:
    if len(public) != _ED25519_BYTES:
        raise BadKey(f"an Ed25519 key has {_ED25519_BYTES} bytes")
    return Ed25519PublicKey.from_public_bytes(public).verify


def _ecdsa(public: bytes) -> Callable[[bytes, bytes], None]:
    if len(public) > _LONGEST_SPKI:
        raise BadKey("the key is too long for one on P-256")
    try:
        key = load_der_public_key(public)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("an ECDSA key is an SPKI in DER") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise BadKey("the key is none on P-256")
    algorithm = ECDSA(SHA256())

    def check(signature: bytes, text: bytes) -> None:
        key.verify(signature, text, algorithm)

    return check
