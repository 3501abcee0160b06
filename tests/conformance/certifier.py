# SPDX-License-Identifier: EUPL-1.2
"""Certificates for the public keys that servers under test have made, and chains in which something is not as it should be."""

import base64
import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509.oid import NameOID

_ROOT: Final = ec.derive_private_key(3, ec.SECP256R1())
_MIDDLE: Final = ec.derive_private_key(5, ec.SECP256R1())
_OTHER: Final = ec.derive_private_key(7, ec.SECP256R1())
_BEGIN: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_RAW_ED25519: Final = 32

CHAINS: Final = {
    "alone": "leaf",
    "two": "leaf middle",
    "full": "leaf middle root",
    "short": "leaf root",
    "swapped": "leaf root middle",
    "impostor": "leaf impostor",
    "authority": "root",
    "led": "middle leaf",
    "twice": "leaf leaf",
    "leaves": "leaf leaf middle",
    "stranger": "stranger middle",
    "edwards": "edwards middle",
    "bare": "bare middle",
}
"""The certificates of each chain."""


def chain(name: str, public: str) -> str:
    """The chain of that name in PEM; `public` is the leaf's key as transit shows it."""
    return pem([_certificate(one, public) for one in CHAINS[name].split()])


def pem(certificates: Sequence[x509.Certificate]) -> str:
    """Certificates in PEM."""
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


@cache
def _certificate(name: str, public: str) -> x509.Certificate:
    leaf = _key(public)
    if name == "root":
        return _made("root", _ROOT.public_key(), "root", _ROOT, ca=True)
    if name in {"middle", "impostor"}:
        key = _MIDDLE if name == "middle" else _OTHER
        return _made("middle", key.public_key(), "root", _ROOT, ca=True)
    if name == "stranger":
        leaf = _OTHER.public_key()
    if name == "edwards":
        leaf = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    return _made("leaf", leaf, "middle", _MIDDLE, ca=None if name == "bare" else False)


def _key(public: str) -> CertificatePublicKeyTypes:
    if public.startswith("-----BEGIN"):
        key = load_pem_public_key(public.encode())
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        return key
    raw = base64.b64decode(public)
    if len(raw) == _RAW_ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(raw)
    return mldsa.MLDSA44PublicKey.from_public_bytes(raw)


def _made(
    subject: str,
    public: CertificatePublicKeyTypes,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool | None,
) -> x509.Certificate:
    """A certificate; without basic constraints where `ca` is None."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_BEGIN + dt.timedelta(days=3650))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    return builder.sign(key, SHA256(), ecdsa_deterministic=True)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
