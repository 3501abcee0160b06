# SPDX-License-Identifier: EUPL-1.2
"""Keys as an export tells them, made what an import takes: of a pair PKCS #8, of others their bytes."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from vault.framework.errors import Malformed

_LONGEST: Final = 16 << 10
"""Letters of a key: one of RSA-4096 takes some 3,300."""


def importable(kind: str, text: str) -> bytes:
    """Return a key of a kind as an import takes it. Raises `Malformed` for what no export tells."""
    if len(text) > _LONGEST:
        raise Malformed("an exported key is too long")
    try:
        if text.startswith("-----BEGIN "):
            return load_pem_private_key(text.encode(), None).private_bytes(
                Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
            )
        raw = base64.b64decode(text, validate=True)
        if kind == "ed25519":  # the seed, and behind it the public key
            pair = Ed25519PrivateKey.from_private_bytes(raw[:32])
            return pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise Malformed("an exported key is in no form that an export has") from None
    return raw
