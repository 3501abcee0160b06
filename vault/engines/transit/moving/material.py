# SPDX-License-Identifier: EUPL-1.2
"""What a version is made of, where it was not made here: it must be a sound key of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_public_key,
)

from vault.engines.transit.keys.key_types import HMAC, MAC_KEY, KeyType, Material, Signer, Verifier
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

UNREADABLE: Final = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, InternalError)
"""What the library raises for what is no key."""
HMAC_SIZES: Final = range(32, 513)
"""Bytes that a key of kind `hmac` may have."""
LONGEST_PEM: Final = 16_384
"""Characters of a public key in PEM: one of ML-DSA-87 has 3,600."""
_CURVES: Final[Mapping[str, str]] = {
    "secp256r1": "ecdsa-p256",
    "secp384r1": "ecdsa-p384",
    "secp521r1": "ecdsa-p521",
}
_OTHERS: Final[Mapping[type, str]] = {
    ed25519.Ed25519PublicKey: "ed25519",
    mldsa.MLDSA44PublicKey: "mldsa-44",
    mldsa.MLDSA65PublicKey: "mldsa-65",
    mldsa.MLDSA87PublicKey: "mldsa-87",
}
_LARGEST_EXPONENT: Final = 1 << 31
"""Exponents from here on are not known everywhere: a key could not go on to OpenBao."""
_UNLIKE: Final = "the parts of the RSA key do not belong together"


def imported(kind: KeyType, secret: bytes, entropy: Entropy) -> Material:
    """Return a version made of an imported key: bare, or of a pair in PKCS #8. Raises `Malformed`.

    With RSA it takes some milliseconds.
    """
    if not kind.pair:
        return bare(kind, secret, entropy.bytes(MAC_KEY))
    try:
        private = load_der_private_key(secret, None, unsafe_skip_rsa_key_validation=True)
        if _older(private, secret):
            raise Malformed("error parsing asymmetric key: it is not in PKCS #8")
    except UNREADABLE:
        raise Malformed(
            "error parsing asymmetric key: it is not in PKCS #8, or of no kind that is known"
        ) from None
    return of_private(kind, private, entropy.bytes(MAC_KEY))


def imported_public(kind: KeyType, pem: str, entropy: Entropy) -> Material:
    """Return a version that only verifies or encrypts, made of a public key in PEM. Raises `Malformed`."""
    if len(pem) > LONGEST_PEM:
        raise Malformed("the public key is too long")
    try:
        public = load_pem_public_key(pem.encode())
    except UNREADABLE:
        raise Malformed("error parsing public key: it is not in PEM, or of no kind that is known") from None
    return of_public(kind, public, entropy.bytes(MAC_KEY))


def bare(kind: KeyType, secret: bytes, mac: bytes) -> Material:
    """Return a version made of a symmetric key. Raises `Malformed`."""
    sizes = HMAC_SIZES if kind.name == HMAC else (kind.size,)
    if len(secret) not in sizes:
        raise Malformed(f"invalid key size {len(secret)} bytes for key type {kind.name}")
    return Material(secret, secret if kind.name == HMAC else mac)


def of_private(kind: KeyType, private: object, mac: bytes) -> Material:
    """Return a version made of a pair. Raises `Malformed` where it is of another kind, or does not fit together."""
    if not isinstance(private, Signer):
        raise Malformed(f"invalid key type: expected {kind.name}")
    public = encoded(kind, private.public_key())
    if isinstance(private, rsa.RSAPrivateKey):
        _require_sound(private)
    elif isinstance(private, ec.EllipticCurvePrivateKey):  # its public half as it is, whatever came with it
        private = ec.derive_private_key(private.private_numbers().private_value, private.curve)
        public = encoded(kind, private.public_key())
    secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Material(secret, mac, public)


def of_public(kind: KeyType, public: object, mac: bytes) -> Material:
    """Return a version made of a public half alone. Raises `Malformed` where it is of another kind."""
    return Material(b"", mac, encoded(kind, public))


def encoded(kind: KeyType, public: object) -> bytes:
    """Return a public half as SubjectPublicKeyInfo. Raises `Malformed` where it is of another kind.

    With a long exponent RSA verifies and encrypts as slowly as it signs, and that is done on the event loop.
    """
    if not isinstance(public, Verifier) or _name(public) != kind.name:
        raise Malformed(f"invalid key type: expected {kind.name}")
    if isinstance(public, rsa.RSAPublicKey) and public.public_numbers().e >= _LARGEST_EXPONENT:
        raise Malformed("the exponent of the RSA key is too large")
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _older(private: object, secret: bytes) -> bool:
    """Whether a key came as PKCS #1 or SEC 1, which say less than PKCS #8 does: the library reads them too."""
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return False
    return private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()) == secret


def _name(public: Verifier) -> str:
    """Return of which kind a public half is; nothing for none that there is."""
    if isinstance(public, rsa.RSAPublicKey):
        return f"rsa-{public.key_size}"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _CURVES.get(public.curve.name, "")
    return next((name for kind, name in _OTHERS.items() if isinstance(public, kind)), "")


def _require_sound(private: rsa.RSAPrivateKey) -> None:
    """Refuse a pair of RSA whose parts do not belong together. Raises `Malformed`.

    The library's own check holds the interpreter for up to half a second. This one takes milliseconds, most of them a
    signature without it: with factors that are not prime, or an exponent of another key, that does not verify.
    """
    numbers = private.private_numbers()
    p, q, n, e = numbers.p, numbers.q, numbers.public_numbers.n, numbers.public_numbers.e
    sound = (
        1 < p != q > 1
        and p * q == n
        and e > 2
        and numbers.d % (p - 1) == numbers.dmp1
        and numbers.d % (q - 1) == numbers.dmq1
        and e * numbers.d % (p - 1) == 1
        and e * numbers.d % (q - 1) == 1
        and numbers.iqmp * q % p == 1
    )
    if not sound:
        raise Malformed(_UNLIKE)
    try:
        signature = private.sign(b"sound", PKCS1v15(), SHA256())
        private.public_key().verify(signature, b"sound", PKCS1v15(), SHA256())
    except (InvalidSignature, *UNREADABLE):
        raise Malformed(_UNLIKE) from None
