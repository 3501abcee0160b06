# SPDX-License-Identifier: EUPL-1.2
"""Keys that are derived for a context (RFC 5869), one for each that a caller names."""

from __future__ import annotations

import base64
import hmac
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.engines.transit.keys.key_ring import OpenVersion

NO_CONTEXT: Final = (
    "missing 'context' for key derivation; the key was created using a derived key, which means additional, "
    "per-request information must be included in order to perform operations with the key"
)
_SEED: Final = 32
_FIRST: Final = (0).to_bytes(4, "big")
_BITS: Final = (256).to_bytes(4, "big")


def derive(secret: bytes, context: bytes, length: int) -> bytes:
    """Return so many bytes for a context."""
    return HKDF(SHA256(), length, None, context).derive(secret)


def derive_counted(secret: bytes, context: bytes, length: int) -> bytes:
    """Return so many bytes, 32 at most, for a context of an imported key.

    It is HMAC in counter mode (NIST SP 800-108), which counts from 0 and says that it makes 256 bits, also where fewer
    are taken: so OpenBao does it. What it encrypts so with AES-128 it does not decrypt again; that is done here.
    """
    return hmac.digest(secret, _FIRST + context + _BITS, "sha256")[:length]


def derived_pair(version: OpenVersion, context: bytes) -> Ed25519PrivateKey:
    """Return the pair of a context. What it is derived from are seed and public key together, as OpenBao keeps them."""
    private = version.signer
    assert isinstance(private, Ed25519PrivateKey)
    secret = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    return Ed25519PrivateKey.from_private_bytes(derive(secret, context, _SEED))


def public_text(pair: Ed25519PrivateKey) -> str:
    """Return the public half of a derived pair in base64."""
    return base64.b64encode(pair.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
