# SPDX-License-Identifier: EUPL-1.2
"""Keys that sign tokens, blocks and seals: Ed25519 and P-256, in memory or in a device. A signature of each has one form."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from biscuit_auth import PublicKey
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.chain import Key
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import P256_ORDER
from nhi.biscuit.format.printer import print_key

RootKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
"""A root key: Ed25519, or P-256. It may be in a token, and then it waits at each signature."""

_PARSED: Final = 256
"""Public keys that are kept as the library has them: of issuers and approvers."""


def sign(key: RootKey, message: bytes) -> bytes:
    """Return a signature in the form that its kind has here: P-256 with the smaller s."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    return low_s(key.sign(message, ec.ECDSA(SHA256())))


def verifies(key: Key, signature: bytes, message: bytes) -> bool:
    """Whether a signature over a message is that of a key."""
    try:
        if key.algorithm is Algorithm.ED25519:
            Ed25519PublicKey.from_public_bytes(key.data).verify(signature, message)
        else:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.data)
            point.verify(signature, message, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key(key: RootKey) -> Key:
    """Return the public half of a key."""
    public = key.public_key()
    if isinstance(public, Ed25519PublicKey):
        return Key(Algorithm.ED25519, public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return Key(Algorithm.P256, public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


def low_s(signature: bytes) -> bytes:
    """Return a P-256 signature (DER) in the one of its two forms that has the smaller s, the only one we make."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, P256_ORDER - s))


@lru_cache(_PARSED)
def library_key(key: Key) -> PublicKey:
    """Return a public key as the library has it. Raises `BiscuitError` for a point that is not on the curve."""
    try:
        return PublicKey(print_key(key))
    except ValueError:
        raise BiscuitError("the public key is none") from None
