# SPDX-License-Identifier: EUPL-1.2
"""Keys as they leave the server: which part, in which form, as OpenBao writes them."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from vault.engines.transit.keys.hybrid import HybridCipher
from vault.engines.transit.keys.key_ring import OpenVersion
from vault.engines.transit.keys.key_types import EXTERNAL, HYBRID, KeyType, pem_chain, raw_public
from vault.engines.transit.keys.model import TransitKey
from vault.framework.errors import Malformed

ENCRYPTION: Final = "encryption-key"
SIGNING: Final = "signing-key"
MAC: Final = "hmac-key"
PUBLIC: Final = "public-key"
CHAIN: Final = "certificate-chain"
PARTS: Final = (ENCRYPTION, SIGNING, MAC, PUBLIC, CHAIN)
FORMS: Final = ("", "raw", "der", "pem")
_BARE: Final = "unknown format for this key; supported values are `` or `raw`"
_LATEST: Final = "latest"


def require_part(key: TransitKey, kind: KeyType, part: str) -> None:
    """Make sure that a key has a part, and may give it out. Raises `Malformed`."""
    if part not in {PUBLIC, CHAIN} and not key.exportable:
        raise Malformed("private key material is not exportable")
    if part in {ENCRYPTION, SIGNING} and kind.name == EXTERNAL:
        raise Malformed("an external key stays in its device")
    if part == ENCRYPTION and not kind.encrypts:
        raise Malformed("encryption not supported for the key")
    if part == SIGNING and not kind.signs:
        raise Malformed("signing not supported for the key")
    if part == CHAIN and not kind.signs:
        raise Malformed("certificate chain not supported for keys that do not support signing")
    if part == PUBLIC and not kind.pair and kind.name not in {EXTERNAL, HYBRID}:
        raise Malformed(f"unknown key type {kind.name} for export type public-key")


def versions_to_export(key: TransitKey, wanted: str) -> range:
    """Return the versions that are asked for: all that may be used, or the one that a path names. Raises `Malformed`."""
    oldest = max(key.first, key.min_decryption)
    if not wanted:
        return range(oldest, key.latest + 1)
    number = key.latest if wanted == _LATEST else _number(wanted.removeprefix("v"))
    if number < key.min_decryption:
        raise Malformed("version for export is below minimum decryption version")
    if number > key.latest:
        raise Malformed("version does not exist or cannot be found")
    return range(number, number + 1)


def exported(version: OpenVersion, part: str, form: str) -> str:
    """Return a part of a version as text. Raises `Malformed` for a form that it does not have."""
    if part == MAC:
        return _bare(version.mac, form)
    if part == CHAIN:
        return _chain(version)
    if part == PUBLIC:
        return _public(version, form)
    if not version.secretive:
        return ""
    if version.kind.pair:
        return _private(version, form)
    return _bare(version.secret, form)


def _number(text: str) -> int:
    bare = text.removeprefix("-")
    if not (bare.isascii() and bare.isdecimal() and len(bare) < 19):
        raise Malformed("invalid key version")
    return int(text)


def _bare(secret: bytes, form: str) -> str:
    if form not in {"", "raw"}:
        raise Malformed(_BARE)
    return base64.b64encode(secret).decode()


def _chain(version: OpenVersion) -> str:
    if not version.stored.chain:
        raise Malformed("selected key version does not have a certificate chain imported")
    return pem_chain(version.stored.chain).rstrip("\n")


def _public(version: OpenVersion, form: str) -> str:
    aead = version.aead if version.kind.name == HYBRID else None
    if isinstance(aead, HybridCipher):
        return _bare(aead.public, form)
    public = version.verifier
    if form == "der":
        return base64.b64encode(version.stored.public).decode()
    raw = raw_public(version.stored.public)
    if form != "pem" and raw is not None:
        return base64.b64encode(raw).decode()
    if form == "raw":
        raise Malformed(_no_raw(version.kind))
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return _ended(pem, version.kind)


def _private(version: OpenVersion, form: str) -> str:
    private = version.signer
    if form == "der":
        return base64.b64encode(version.secret).decode()
    if form == "pem":
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return _ended(pem, version.kind)
    if isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        if form == "raw":
            raise Malformed(_no_raw(version.kind))
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        return _ended(pem, version.kind)
    seed = private.private_bytes_raw()
    if isinstance(private, ed25519.Ed25519PrivateKey):  # with the public key behind it, as Go keeps it
        seed += private.public_key().public_bytes_raw()
    return base64.b64encode(seed).decode()


def _ended(pem: str, kind: KeyType) -> str:
    """Return PEM with a line break at its end where OpenBao writes one: of RSA."""
    return pem if kind.rsa else pem.rstrip("\n")


def _no_raw(kind: KeyType) -> str:
    name = "rsa" if kind.rsa else "ec"
    return f"unknown key format for {name} key; supported values are ``, `der`, or `pem`"
