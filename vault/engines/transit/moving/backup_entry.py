# SPDX-License-Identifier: EUPL-1.2
"""A version in a backup: what it is made of, in the numbers and bytes that Go keeps."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from vault.engines.transit.keys.key_ring import OpenVersion
from vault.engines.transit.keys.key_types import HMAC, MAC_KEY, KeyType, Material, pem_public, raw_public
from vault.engines.transit.keys.model import TransitKey
from vault.engines.transit.moving.backup_form import (
    CONVERGENT,
    Entry,
    RsaKey,
    RsaPublic,
    RsaShortcuts,
)
from vault.engines.transit.moving.material import HMAC_SIZES, UNREADABLE, bare, of_private, of_public
from vault.framework.clock import Entropy, rfc3339
from vault.framework.errors import Malformed
from vault.values.times import nanos_to_seconds

_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "ecdsa-p256": ec.SECP256R1(),
    "ecdsa-p384": ec.SECP384R1(),
    "ecdsa-p521": ec.SECP521R1(),
}
_SEEDED: Final[Mapping[str, tuple[Callable[[bytes], object], Callable[[bytes], object]]]] = {
    "ed25519": (ed25519.Ed25519PrivateKey.from_private_bytes, ed25519.Ed25519PublicKey.from_public_bytes),
    "mldsa-44": (mldsa.MLDSA44PrivateKey.from_seed_bytes, mldsa.MLDSA44PublicKey.from_public_bytes),
    "mldsa-65": (mldsa.MLDSA65PrivateKey.from_seed_bytes, mldsa.MLDSA65PublicKey.from_public_bytes),
    "mldsa-87": (mldsa.MLDSA87PrivateKey.from_seed_bytes, mldsa.MLDSA87PublicKey.from_public_bytes),
}
"""How the halves of pairs are made of a seed, and of the bare public half."""
_SEED: Final = 32
_MOST_BITS: Final = 4096
_LONGEST_TEXT: Final = 8192
"""Characters of a public half in text: one of ML-DSA-87 has 3,500."""
_UNFIT: Final = "a version in the backup is no key of its type"


def written(key: TransitKey, version: OpenVersion) -> Entry:
    """Return a version as a backup has it."""
    stored = version.stored
    return msgspec.structs.replace(
        _pair(version) if version.kind.pair else Entry(key=version.secret),
        hmac_key=version.mac,
        time=rfc3339(stored.created),
        creation_time=nanos_to_seconds(stored.created),
        convergent_version=CONVERGENT if key.convergent else 0,
        certificate_chain=stored.chain or None,
    )


def material(kind: KeyType, entry: Entry, entropy: Entropy) -> Material:
    """Return what a version is made of. With RSA it takes some milliseconds. Raises `Malformed`.

    A version from before there were keys for MACs gets one.
    """
    mac = entry.hmac_key or entropy.bytes(MAC_KEY)
    if len(mac) not in HMAC_SIZES:
        raise Malformed(_UNFIT)
    if not kind.pair:
        made = bare(kind, entry.key or b"", mac)
        if kind.name == HMAC and made.secret != mac and entry.hmac_key:
            raise Malformed(_UNFIT)
        return made
    try:
        if kind.rsa:
            return _rsa(kind, entry, mac)
        if kind.name in _CURVES:
            return _curve(kind, entry, mac)
        return _seeded(kind, entry, mac)
    except UNREADABLE:
        raise Malformed(_UNFIT) from None


def _pair(version: OpenVersion) -> Entry:
    public = version.verifier
    private = version.signer if version.secretive else None
    if isinstance(public, rsa.RSAPublicKey):
        return _rsa_parts(private, public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        point, text = public.public_numbers(), pem_public(version.stored.public)
        own = None
        if isinstance(private, ec.EllipticCurvePrivateKey):
            own = private.private_numbers().private_value
        return Entry(ec_x=point.x, ec_y=point.y, ec_d=own, public_key=text)
    raw = raw_public(version.stored.public) or b""
    seed = None
    if private is not None:
        assert not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        seed = private.private_bytes_raw()
        if isinstance(private, ed25519.Ed25519PrivateKey):  # with the public key behind it, as Go keeps it
            seed += raw
    return Entry(key=seed, public_key=base64.b64encode(raw).decode())


def _rsa_parts(private: object, public: rsa.RSAPublicKey) -> Entry:
    half = public.public_numbers()
    if not isinstance(private, rsa.RSAPrivateKey):
        return Entry(rsa_public_key=RsaPublic(N=half.n, E=half.e))
    own = private.private_numbers()
    shortcuts = RsaShortcuts(Dp=own.dmp1, Dq=own.dmq1, Qinv=own.iqmp)
    return Entry(rsa_key=RsaKey(N=half.n, E=half.e, D=own.d, Primes=(own.p, own.q), Precomputed=shortcuts))


def _rsa(kind: KeyType, entry: Entry, mac: bytes) -> Material:
    if entry.rsa_key is None:
        public = entry.rsa_public_key
        if public is None or public.N.bit_length() > _MOST_BITS:
            raise Malformed(_UNFIT)
        return of_public(kind, rsa.RSAPublicNumbers(public.E, public.N).public_key(), mac)
    parts = entry.rsa_key
    if len(parts.Primes) != 2 or any(n.bit_length() > _MOST_BITS for n in (parts.N, parts.D, *parts.Primes)):
        raise Malformed(_UNFIT)
    p, q = parts.Primes
    if min(p, q) <= 1 or parts.D <= 0:
        raise Malformed(_UNFIT)
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        parts.D,
        rsa.rsa_crt_dmp1(parts.D, p),
        rsa.rsa_crt_dmq1(parts.D, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(parts.E, parts.N),
    )
    return of_private(kind, numbers.private_key(unsafe_skip_rsa_key_validation=True), mac)


def _curve(kind: KeyType, entry: Entry, mac: bytes) -> Material:
    if entry.ec_x is None or entry.ec_y is None:
        raise Malformed(_UNFIT)
    curve = _CURVES[kind.name]
    public = ec.EllipticCurvePublicNumbers(entry.ec_x, entry.ec_y, curve).public_key()
    if entry.ec_d is None:
        return of_public(kind, public, mac)
    private = ec.derive_private_key(entry.ec_d, curve)
    if private.public_key() != public:
        raise Malformed(_UNFIT)
    return of_private(kind, private, mac)


def _seeded(kind: KeyType, entry: Entry, mac: bytes) -> Material:
    private_of, public_of = _SEEDED[kind.name]
    if len(entry.public_key) > _LONGEST_TEXT:
        raise Malformed(_UNFIT)
    raw = base64.b64decode(entry.public_key, validate=True)
    if entry.key is None:
        return of_public(kind, public_of(raw), mac)
    made = of_private(kind, private_of(entry.key[:_SEED]), mac)
    known = raw_public(made.public)
    behind = entry.key[_SEED:]
    if raw not in {b"", known} or behind != (known if kind.name == "ed25519" else b""):
        raise Malformed(_UNFIT)
    return made
