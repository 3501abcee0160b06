# SPDX-License-Identifier: EUPL-1.2
"""Signatures and MACs: how a key makes and checks them, in the forms of OpenBao."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import constant_time, hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from vault.engines.transit.keys.derivation import NO_CONTEXT, derived_pair
from vault.engines.transit.keys.key_ring import OpenKey, OpenVersion
from vault.engines.transit.keys.key_types import Signer
from vault.engines.transit.keys.model import TransitKey
from vault.engines.transit.params import USUAL_HASH
from vault.framework.errors import Malformed
from vault.values.encoding import NotBase64, from_base64

HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - OpenBao's clients may ask for it
    "sha2-224": hashes.SHA224(),
    "sha2-256": hashes.SHA256(),
    "sha2-384": hashes.SHA384(),
    "sha2-512": hashes.SHA512(),
    "sha3-224": hashes.SHA3_224(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}
NONE: Final = "none"
"""The choice of no hash: the input is signed as it is."""
_NAMES: Final[Mapping[str, str]] = {name: one.name.replace("-", "_") for name, one in HASHES.items()}
"""What `hashlib` calls each."""
_HASHES_OF_DEVICES: Final = ("sha2-256", "sha2-384", "sha2-512")
_ASN1: Final = "asn1"
_JWS: Final = "jws"
_PSS: Final = "pss"
_PKCS1V15: Final = "pkcs1v15"
_SALT: Final = re.compile(r"[+-]?[0-9]{1,9}")
_OF_DIGEST: Final[Mapping[int, hashes.HashAlgorithm]] = {
    32: hashes.SHA256(),
    48: hashes.SHA384(),
    64: hashes.SHA512(),
}
"""Some hash with a digest of so many bytes: what the library takes the length of a prehashed input from."""
_NO_DERIVED_CONTEXT: Final = f"error deriving key: {NO_CONTEXT}"
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*+")
_BAD_BASE64: Final = "invalid base64 signature value"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How is signed. `salt` is in bytes, of PSS: 0 for as many as fit, -1 for as many as the hash has."""

    hash_name: str = USUAL_HASH
    prehashed: bool = False
    scheme: str = ""
    jws: bool = False
    salt: int = 0


def choose(*, hash_name: str, prehashed: bool, scheme: str, marshaling: str, salt: str) -> Choice:
    """Return how is signed. Raises `Malformed` in OpenBao's order."""
    if marshaling not in {_ASN1, _JWS}:
        raise Malformed("invalid marshaling type; must be asn1 or jws")
    known_hash(hash_name)
    if hash_name == NONE and not (prehashed and scheme == _PKCS1V15):
        raise Malformed("hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15")
    return Choice(
        hash_name=hash_name,
        prehashed=prehashed,
        scheme=scheme,
        jws=marshaling == _JWS,
        salt=_salt(salt),
    )


def known_hash(name: str) -> str:
    """Return the name of a hash, or of none. Raises `Malformed`."""
    if name != NONE and name not in HASHES:
        raise Malformed(
            "invalid hash algorithm; must be one of sha1, sha2-* and sha3-* with 224 to 512, and none"
        )
    return name


def _salt(text: str) -> int:
    lower = text.lower()
    if lower in {"auto", "hash"}:
        return 0 if lower == "auto" else -1
    if not _SALT.fullmatch(text):
        raise Malformed("salt length neither 'auto', 'hash', nor an int")
    if int(text) < -1:
        raise Malformed("salt length is invalid")
    return int(text)


def version_to_mac(key: TransitKey, wanted: int) -> int:
    """Return which version makes a MAC. Raises `Malformed`."""
    if wanted in {0, key.latest}:
        return key.latest
    if wanted > key.latest:
        raise Malformed(f"key version does not exist; latest key version is {key.latest}")
    if wanted < max(1, key.min_encryption, key.min_decryption):
        raise Malformed("cannot generate HMAC: version is too old (disallowed by policy)")
    return wanted


class Signature(msgspec.Struct, frozen=True):
    """A signature, and of a derived pair its public half in base64."""

    text: str
    pair: ed25519.Ed25519PrivateKey | None = None


def sign(
    key: OpenKey,
    version: OpenVersion,
    data: bytes,
    context: bytes,
    choice: Choice,
    *,
    signer: Signer | None = None,
) -> Signature:
    """Return a signature as clients get it. With RSA it takes a millisecond and more. Raises `Malformed`."""
    derived = None
    if key.settings.derived:
        derived = _derived(version, context)
        made = derived.sign(data)
    else:
        private = signer or version.signer
        made = _sign(private, data, _in_device(private, choice) if version.stored.external else choice)
    encoded = base64.urlsafe_b64encode(made).rstrip(b"=") if choice.jws else base64.b64encode(made)
    return Signature(version.prefix + encoded.decode(), derived)


def verify(
    key: OpenKey, version: OpenVersion, data: bytes, signature: str, context: bytes, choice: Choice
) -> bool:
    """Tell whether a signature, without its prefix, is good. Raises `Malformed`."""
    given = _decoded(signature, jws=choice.jws)
    try:
        if key.settings.derived:
            _derived(version, context).public_key().verify(given, data)
        else:
            _verify(version, data, given, choice)
    except InvalidSignature:
        return False
    return True


def mac(version: OpenVersion, data: bytes, hash_name: str) -> str:
    """Return a MAC as clients get it."""
    made = hmac.digest(version.mac, data, _NAMES[hash_name])
    return version.prefix + base64.b64encode(made).decode()


def mac_holds(version: OpenVersion, data: bytes, given: bytes, hash_name: str) -> bool:
    """Tell whether a MAC is good."""
    return constant_time.bytes_eq(hmac.digest(version.mac, data, _NAMES[hash_name]), given)


def _derived(version: OpenVersion, context: bytes) -> ed25519.Ed25519PrivateKey:
    if not context:
        raise Malformed(_NO_DERIVED_CONTEXT)
    return derived_pair(version, context)


def _decoded(text: str, *, jws: bool) -> bytes:
    try:
        if not jws:
            return from_base64(text)
        if not _BASE64URL.fullmatch(text):
            raise Malformed(_BAD_BASE64)
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, binascii.Error):
        raise Malformed(_BAD_BASE64) from None


def _in_device(signer: Signer, choice: Choice) -> Choice:
    """Return a choice that devices know. Raises `Malformed` for one that they do not."""
    if not isinstance(signer, rsa.RSAPrivateKey):
        return choice
    if choice.hash_name not in _HASHES_OF_DEVICES:
        raise Malformed(f"an external key of RSA signs with {', '.join(_HASHES_OF_DEVICES)}")
    if choice.scheme == _PKCS1V15:
        return choice
    if choice.salt not in {0, -1, HASHES[choice.hash_name].digest_size}:
        raise Malformed("an external key's salt is as long as the hash")
    return msgspec.structs.replace(choice, salt=-1)


def _sign(signer: Signer, data: bytes, choice: Choice) -> bytes:
    if isinstance(signer, rsa.RSAPrivateKey):
        digest, algorithm = _rsa_digest(data, choice)
        try:
            return signer.sign(digest, _padding(choice, signer.key_size), algorithm)
        except ValueError:
            raise Malformed(_wrong_length(choice)) from None
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        digest = _fitted(_digest(data, choice), signer.curve)
        made = signer.sign(digest, ec.ECDSA(Prehashed(_OF_DIGEST[len(digest)])))
        return _to_jws(made, signer.curve) if choice.jws else made
    return signer.sign(data)


def _verify(version: OpenVersion, data: bytes, given: bytes, choice: Choice) -> None:
    """Raises `InvalidSignature` for one that is not good, `Malformed` for what is none."""
    public = version.verifier
    if isinstance(public, rsa.RSAPublicKey):
        _verify_rsa(public, data, given, choice)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        digest = _fitted(_digest(data, choice), public.curve)
        made = _from_jws(given, public.curve) if choice.jws else _strict(given)
        public.verify(made, digest, ec.ECDSA(Prehashed(_OF_DIGEST[len(digest)])))
    else:
        public.verify(given, data)


def _verify_rsa(public: rsa.RSAPublicKey, data: bytes, given: bytes, choice: Choice) -> None:
    digest, algorithm = _rsa_digest(data, choice)
    padding = _padding(choice, public.key_size, verifies=True)
    try:
        if isinstance(algorithm, Prehashed):
            public.verify(given, digest, padding, algorithm)
        elif public.recover_data_from_signature(given, PKCS1v15(), None) != data:
            raise InvalidSignature
    except ValueError:
        raise InvalidSignature from None


def _digest(data: bytes, choice: Choice) -> bytes:
    if choice.prehashed or choice.hash_name == NONE:
        return data
    return hashlib.new(_NAMES[choice.hash_name], data, usedforsecurity=False).digest()


def _fitted(digest: bytes, curve: ec.EllipticCurve) -> bytes:
    """Return a digest in a length that the library takes, and that means the same number. Raises `Malformed`."""
    if not digest:
        raise Malformed("ecdsa: hash cannot be empty")
    size = min((curve.key_size + 7) // 8, 64)
    if curve.key_size > 8 * size and len(digest) > size:
        raise Malformed("a prehashed input for P-521 may have at most 64 bytes")
    return digest[:size].rjust(size, b"\0")


def _rsa_digest(data: bytes, choice: Choice) -> tuple[bytes, Prehashed | NoDigestInfo]:
    if choice.scheme not in {"", _PSS, _PKCS1V15}:
        raise Malformed("unsupported rsa signature algorithm")
    if choice.hash_name == NONE:
        return data, NoDigestInfo()
    return _digest(data, choice), Prehashed(HASHES[choice.hash_name])


def _padding(choice: Choice, bits: int, *, verifies: bool = False) -> PSS | PKCS1v15:
    if choice.scheme == _PKCS1V15:
        return PKCS1v15()
    algorithm = HASHES[choice.hash_name]
    longest = (bits - 1 + 7) // 8 - algorithm.digest_size - 2
    if choice.salt > longest:
        wrong = "requested salt length is invalid"
        raise Malformed(wrong)
    if choice.salt == -1:
        salt: object = PSS.DIGEST_LENGTH
    elif choice.salt:
        salt = choice.salt
    else:
        salt = PSS.AUTO if verifies else PSS.MAX_LENGTH
    return PSS(MGF1(algorithm), salt)  # type: ignore[arg-type]  # the library's markers have no common type


def _wrong_length(choice: Choice) -> str:
    what = (
        "input must be hashed message"
        if choice.scheme == _PKCS1V15
        else "input must be hashed with given hash"
    )
    return f"crypto/rsa: {what}"


def _to_jws(made: bytes, curve: ec.EllipticCurve) -> bytes:
    """Return a signature as RFC 7518 section 3.4 writes it: both numbers, each as long as the curve's."""
    size = (curve.key_size + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(made))


def _from_jws(given: bytes, curve: ec.EllipticCurve) -> bytes:
    size = (curve.key_size + 7) // 8
    if len(given) != 2 * size:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(given[:size], "big"), int.from_bytes(given[size:], "big"))


def _strict(given: bytes) -> bytes:
    """Return a signature that is one in DER. Raises `Malformed`."""
    try:
        decode_dss_signature(given)
    except ValueError:
        raise Malformed("supplied signature is invalid") from None
    return given
