# SPDX-License-Identifier: EUPL-1.2
"""Signatures of tokens (RFC 7515). Which key, and which algorithm, is decided by what is configured.

The header of a token chooses among the configured keys and says nothing else: `jku`, `jwk` and `x5u` are not looked
at, `none` and the symmetric algorithms do not exist here, and a key signs only with the algorithms of its own kind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws
from joserfc._rfc7515.model import JWSAlgModel
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from vault.cache.follow import BoundedCache
from vault.framework import schema
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.limits import JsonLimits

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
    "EdDSA",
)
"""Algorithms that a token may be signed with (RFC 7518, RFC 8037)."""
LARGEST: Final = 65_536
"""Bytes that a token may have."""
_SMALLEST_RSA: Final = 2048
_LARGEST_RSA: Final = 8192
_LARGEST_EXPONENT: Final = (1 << 31) - 1
"""A signature costs as much as the exponent is long; Go has the same limit."""
_LONGEST_MEMBER: Final = 1400
"""Characters of a number in a key, which is not decoded otherwise: strangers bring keys too."""
_MOST_KEYS: Final = 100
_MOST_TRIED: Final = 20
"""Keys that a token is tried with: the author of a key set could make each verification costly."""
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a key that are private (RFC 7518)."""
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_CLAIMS: Final = JsonLimits(strings=8192)
_COMPACT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?(?:-----END ([A-Z ]+)-----|\Z)", re.DOTALL)


class Registry(jws.JWSRegistry):
    """The library's rules, with room for headers that carry a chain of certificates."""

    max_header_length = 32_768

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return an algorithm. EdDSA is what tokens say, although RFC 9864 has other names for it, which the library urges."""
        return self.algorithms[name] if name == "EdDSA" else super().get_alg(name)


_REGISTRY: Final = Registry(algorithms=ALGORITHMS, strict_check_header=False)


class _VerifiedHeader(NamedTuple):
    """By which key a token was signed, and what its header says."""

    key: Key
    algorithm: str
    kid: str


_GOOD: Final[BoundedCache[bytes, _VerifiedHeader]] = BoundedCache(4096)
"""Which key has signed the token with a digest. Workloads show a token again and again; that these very bytes are signed
by this very key stays true, and which keys and algorithms count, and what it says, is asked each time."""


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public key, the algorithms that it may sign with, and the name that a key set gives it."""

    key: Key = field(repr=False)
    algorithms: frozenset[str]
    kid: str = ""


class Token:
    """A token whose signature was not verified yet."""

    def __init__(self, encoded: bytes) -> None:
        """Raises what the library does for a header that cannot be read. That of a signed one was read before."""
        self._encoded = encoded
        self._digest = hashlib.sha256(encoded).digest()
        good = _GOOD.get(self._digest)
        if good is not None:
            self.algorithm, self.kid, self._plain = good.algorithm, good.kid, True
            return
        header = self._compact.headers()
        self.algorithm = str(header.get("alg"))
        kid = header.get("kid")
        self.kid = kid if isinstance(kid, str) else ""
        self._plain = "crit" not in header

    @cached_property
    def _compact(self) -> jws.CompactSignature:
        return jws.extract_compact(self._encoded, registry=_REGISTRY)

    def claims(self, keys: Sequence[VerifyKey]) -> Mapping[str, Json] | None:
        """Return what the token says, if one of `keys` has signed it; else None."""
        fitting = (one for one in keys if self._plain and self.algorithm in one.algorithms)
        if any(self._signed_by(one.key) for one in islice(fitting, _MOST_TRIED)):
            return self.unverified()
        return None

    def unverified(self) -> Mapping[str, Json] | None:
        """Return the claims although the signature was not verified: for callers that ask the issuer next."""
        if not self._plain or self.algorithm not in ALGORITHMS:
            return None
        try:
            payload = urlsafe_b64decode(self._encoded.split(b".")[1])
            return schema.decode_object(payload, limits=_CLAIMS)
        except Malformed:
            return None

    def header(self) -> Mapping[str, Json]:
        """Return the header, which was not verified either."""
        return self._compact.headers()

    def _signed_by(self, key: Key) -> bool:
        known = _GOOD.get(self._digest)
        if known is not None and known.key is key:
            return True
        try:
            good = jws.validate_compact(self._compact, key, registry=_REGISTRY)
        except (JoseError, ValueError):
            return False
        if good:
            _GOOD.put(self._digest, _VerifiedHeader(key, self.algorithm, self.kid))
        return good

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "<Token>"


def named(token: Token, keys: Sequence[VerifyKey]) -> Sequence[VerifyKey]:
    """Return the keys that a token may mean: those of its name, and those that have none."""
    return [key for key in keys if not token.kid or not key.kid or key.kid == token.kid]


def read(text: str) -> Token:
    """Take a token apart. Raises `Malformed`; nothing repeats it."""
    encoded = text.strip().encode()
    if len(encoded) > LARGEST:
        raise Malformed(f"the token is larger than {LARGEST} bytes")
    if encoded.count(b".") != 2:
        raise Malformed("go-jose/go-jose: compact JWS format must have three parts")
    if not _COMPACT.fullmatch(encoded):
        raise Malformed("illegal base64 data")
    try:
        return Token(encoded)
    except (JoseError, ValueError, AttributeError, TypeError, RecursionError):
        raise Malformed("the token's header cannot be read") from None


def self_signed(text: str, kind: str) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """Return the public key that a token of type `kind` brings along and is signed with, and what it says.

    It proves that its author has the key, and nothing else. Raises `Malformed`.
    """
    token = read(text)
    header = token.header()
    jwk = header.get("jwk")
    if header.get("typ") != kind or not isinstance(jwk, dict) or jwk.keys() & _PRIVATE:
        raise Malformed("the proof brings no public key, or is of another type")
    key = _from_jwk(jwk)
    claims = token.claims([key]) if key is not None else None
    if claims is None:
        raise Malformed("the proof is not signed with the key that it brings")
    return jwk, claims


def from_pem(texts: Sequence[str]) -> tuple[VerifyKey, ...]:
    """Return public keys, or the keys of certificates, one from each text. Raises `Malformed`."""
    return tuple(_from_pem(text) for text in texts)


@lru_cache(maxsize=1024)
def _from_pem(text: str) -> VerifyKey:
    for block in _PEM.finditer(text) if text.lstrip().startswith("-----BEGIN ") else ():
        if block[1] != block[2]:
            continue
        try:
            if block[1] == "CERTIFICATE":
                return _known(x509.load_pem_x509_certificate(block[0].encode()).public_key())
            return _known(load_pem_public_key(block[0].encode()))
        except (ValueError, UnsupportedAlgorithm):
            continue
    raise Malformed("error parsing public key: data does not contain any valid public keys")


def from_set(keys: object) -> tuple[VerifyKey, ...]:
    """Return the keys of a JSON Web Key Set (RFC 7517) that can be used here; what else is in it is passed over.

    Raises `ValueError` for what is no key set.
    """
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise ValueError
    found = (_from_jwk(key) for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig")
    return tuple(key for key in found if key is not None)


def _from_jwk(jwk: Mapping[str, Json]) -> VerifyKey | None:
    kinds: Mapping[object, Callable[[Json], object]] = {
        "RSA": RSAKey.binding.import_public_key,
        "EC": ECKey.binding.import_public_key,
        "OKP": OKPKey.binding.import_public_key,
    }
    kind = kinds.get(jwk.get("kty"))
    names = ("kty", "n", "e", "crv", "x", "y")
    public = {name: value for name, value in jwk.items() if name in names and isinstance(value, str)}
    if kind is None or any(len(value) > _LONGEST_MEMBER for value in public.values()):
        return None
    try:
        known = _known(kind(public))
    except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    alg = jwk.get("alg")
    algorithms = known.algorithms if alg is None else known.algorithms & {str(alg)}
    return VerifyKey(known.key, algorithms, str(jwk.get("kid") or ""))


def _known(public: object) -> VerifyKey:
    """Return a key of a kind that tokens are signed with. Raises `ValueError`."""
    if isinstance(public, RSAPublicKey) and _affordable(public):
        rsa = frozenset(name for name in ALGORITHMS if name[:2] in {"RS", "PS"})
        return VerifyKey(RSAKey.import_key(public), rsa)
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return VerifyKey(ECKey.import_key(public), frozenset({_CURVES[public.curve.name]}))
    if isinstance(public, Ed25519PublicKey):
        return VerifyKey(OKPKey.import_key(public), frozenset({"EdDSA"}))
    raise ValueError


def _affordable(key: RSAPublicKey) -> bool:
    return _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA and key.public_numbers().e <= _LARGEST_EXPONENT
