# SPDX-License-Identifier: EUPL-1.2
"""Signs JSON Web Tokens for tests, good ones and forged ones, with nothing of the product."""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey

KEY = ec.derive_private_key(0x1234567890ABCDEF << 128, ec.SECP256R1())
"""A key that is the same in every run."""
OTHER = ec.derive_private_key(0xFEDCBA0987654321 << 128, ec.SECP256R1())
EDWARDS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pem(key: PrivateKey) -> str:
    """The public key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(key: PrivateKey, **more: object) -> dict[str, object]:
    """The public key as a JSON Web Key."""
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        x, y = b64(point.x.to_bytes(32, "big")), b64(point.y.to_bytes(32, "big"))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, **more}
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        size = public.key_size // 8
        return {"kty": "RSA", "n": b64(numbers.n.to_bytes(size, "big")), "e": "AQAB", **more}
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw()), **more}


def token(
    claims: Mapping[str, Any] | bytes,
    key: PrivateKey | bytes = KEY,
    algorithm: str = "ES256",
    **header: object,
) -> str:
    """A token; a key of bytes is a shared secret, and `none` needs no key that fits."""
    head = b64(json.dumps({"alg": algorithm, "typ": "JWT", **header}).encode())
    body = b64(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    signed = f"{head}.{body}".encode()
    return f"{head}.{body}.{b64(_sign(signed, key, algorithm))}"


def _sign(data: bytes, key: PrivateKey | bytes, algorithm: str) -> bytes:
    if algorithm == "none":
        return b""
    if isinstance(key, bytes):
        return hmac.digest(key, data, "sha256")
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data)
