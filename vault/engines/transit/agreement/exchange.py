# SPDX-License-Identifier: EUPL-1.2
"""The key that comes of a private half here and a public half of elsewhere: ECDH (NIST SP 800-56A) and HKDF (RFC 5869)."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from vault.engines.transit.keys.key_ring import OpenVersion
from vault.framework.errors import Malformed

_LONGEST: Final = 16_384
"""Characters of a public half: a certificate with much in it, too, has fewer."""
_NO_PEM: Final = "failed to parse supplied peer public key PEM"
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"


def read_peer(pem: str) -> ec.EllipticCurvePublicKey:
    """Return the other side's public half, which stands in PEM by itself or in a certificate. Raises `Malformed`.

    That it is a point of its curve is checked; who sent it is for the caller to know.
    """
    text = pem.strip()
    if len(pem) > _LONGEST or not text.endswith("-----") or text.count("-----BEGIN ") != 1:
        raise Malformed(_NO_PEM)
    try:
        if _CERTIFICATE in text:
            key: object = x509.load_pem_x509_certificate(text.encode()).public_key()
        else:
            key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed(_NO_PEM) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Malformed("supplied peer public key is not an ECDSA key")
    return key


def agreed(own: OpenVersion, peer: ec.EllipticCurvePublicKey, size: int) -> bytes:
    """Return the key of so many bytes that both sides come to. Raises `Malformed` where the curves are not the same."""
    private = own.signer
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    if private.curve.name != peer.curve.name:
        raise Malformed(f"base private key type {own.kind.name} does not match peer public key curve")
    return HKDF(SHA256(), size, None, None).derive(private.exchange(ec.ECDH(), peer))
