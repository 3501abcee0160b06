# SPDX-License-Identifier: EUPL-1.2
"""Key pairs and signatures (RFC 7515, 7517, 7519), by joserfc over cryptography."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from vault.framework.keys.inventory import kind_of
from vault.framework.keys.safe import Safe

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA")
"""What keys can be made for (RFC 7518, RFC 8037); `none` and symmetric ones are not among them."""
_RSA_BITS: Final = 2048
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
_Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class SigningKey(msgspec.Struct, frozen=True):
    """A key pair. `private` is PKCS #8, or `held` the same in the safe; `public` is the JWK that verifiers get."""

    kid: str
    algorithm: str
    private: bytes
    public: Mapping[str, str]
    held: bytes = b""

    def __repr__(self) -> str:
        """Name the key without any of it."""
        return f"<SigningKey {self.kid}>"


class BadSignature(Exception):
    """A token that none of these keys signed, or that is none."""


def generate(algorithm: str, kid: str) -> SigningKey:
    """Make a key pair. An RSA one takes a while: not within a transaction."""
    key: _Private
    if algorithm in _CURVES:
        key = ec.generate_private_key(_CURVES[algorithm])
    elif algorithm == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = {str(name): str(value) for name, value in _jose(key).as_dict(private=False).items()}
    return SigningKey(kid, algorithm, private, {**public, "use": "sig", "kid": kid, "alg": algorithm})


def sign(key: SigningKey, claims: Mapping[str, Any]) -> str:
    """Return a JWT (RFC 7519) of these claims."""
    pair = load_der_private_key(key.private, None, unsafe_skip_rsa_key_validation=True)
    header = {"alg": key.algorithm, "kid": key.kid}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # EdDSA is the name that our clients know
        return jwt.encode(header, dict(claims), _jose(pair), algorithms=[key.algorithm], default_type=None)


def closed(safe: Safe, key: SigningKey) -> SigningKey:
    """Return a key pair as it is kept, its private half in the safe. Raises `Unavailable`."""
    return msgspec.structs.replace(key, private=b"", held=safe.close(_about(key), key.private))


async def opened(safe: Safe, key: SigningKey) -> SigningKey:
    """Return a key pair that signs. Raises `Unavailable`, and `Failed` for one that was altered."""
    if not key.held:
        return key  # kept before there was a safe
    return msgspec.structs.replace(key, private=await safe.open(_about(key), key.held), held=b"")


def _about(key: SigningKey) -> tuple[str, ...]:
    return ("oidc", *(text for name in sorted(key.public) for text in (name, key.public[name])))


def strength(key: SigningKey) -> tuple[str, int]:
    """Return the algorithm of a key pair, as the registry of crypto suites calls it, and its size in bits."""
    (public,) = KeySet.import_key_set({"keys": [dict(key.public)]}).keys
    return kind_of(public.public_key)


def verify(token: str, keys: Sequence[Mapping[str, str]]) -> Mapping[str, Any]:
    """Return the claims of a token that one of these JWKs signed. Raises `BadSignature`.

    The algorithm is the key's own, whatever the token says of itself (RFC 8725 section 3.1).
    """
    for key in keys:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            try:
                found = KeySet.import_key_set({"keys": [dict(key)]})
                return dict(jwt.decode(token, found, algorithms=[key["alg"]]).claims)
            except (JoseError, ValueError):
                continue
    raise BadSignature


def _jose(key: object) -> RSAKey | ECKey | OKPKey:
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAKey.import_key(key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ECKey.import_key(key)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return OKPKey.import_key(key)
    raise AssertionError("no other pairs are made")
