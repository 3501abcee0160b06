# SPDX-License-Identifier: EUPL-1.2
"""Signing with a token's key pairs, and their public halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass

from hsm.agent.keys.mechanisms import Entropy, able, rsa_public
from hsm.agent.keys.objects import find, handles, search
from hsm.agent.session.pool import TokenSession
from hsm.errors import BadConfig, IntegrityError, KeyMissing
from hsm.operations import PublicHalf
from hsm.versions import name

_PSS_HASHES: Final = {
    32: (Mechanism.SHA256, MGF.SHA256),
    48: (Mechanism.SHA384, MGF.SHA384),
    64: (Mechanism.SHA512, MGF.SHA512),
}
_PSS: Final = {
    "SHA256_RSA_PKCS_PSS": 32,
    "SHA384_RSA_PKCS_PSS": 48,
    "SHA512_RSA_PKCS_PSS": 64,
}
SIGNATURES: Final = (
    "ECDSA",
    "EDDSA",
    "RSA_PKCS",
    "SHA256_RSA_PKCS",
    "SHA384_RSA_PKCS",
    "SHA512_RSA_PKCS",
    "RSA_PKCS_PSS",
    *_PSS,
)
"""Names of PKCS#11, without `CKM_`. `ECDSA` and `RSA_PKCS_PSS` take a digest, `RSA_PKCS` a DigestInfo."""

CURVES: Final = {
    "ed25519": b"\x13\x0cedwards25519",
    "p256": bytes.fromhex("06082a8648ce3d030107"),
    "p384": bytes.fromhex("06052b81040022"),
    "p521": bytes.fromhex("06052b81040023"),
}
"""`CKA_EC_PARAMS` of the curves that we use: a name for Ed25519, object identifiers in DER for the others."""
_SEC1: Final = {
    CURVES["p256"]: (ec.SECP256R1(), 65),
    CURVES["p384"]: (ec.SECP384R1(), 97),
    CURVES["p521"]: (ec.SECP521R1(), 133),
}
_ED25519_BYTES: Final = 32
_CHALLENGE_BYTES: Final = 32
"""As long as a SHA-256 digest, which ECDSA takes it for."""
_PKCS1_OVERHEAD: Final = 11
"""Bytes that PKCS#1 v1.5 adds at least (RFC 8017 §9.2)."""


def sign(session: TokenSession, label: str, key_id: bytes | None, mechanism: str, data: bytes) -> bytes:
    """Return the token's signature over `data`; for `ECDSA` r and s in equal halves, PSS with a salt as long
    as the hash (RFC 8017 §9.1). Raises `BadConfig`, `KeyMissing`, python-pkcs11's exceptions.
    """
    if mechanism not in SIGNATURES:
        raise BadConfig(f"mechanism {mechanism}: must be one of {', '.join(SIGNATURES)}")
    key = able(find(session, ObjectClass.PRIVATE_KEY, label, key_id), "sign", label, key_id)
    _fits(key, mechanism, data, name(label, key_id))
    parameters = None
    if mechanism.endswith("_PSS"):
        size = _PSS.get(mechanism, len(data))
        parameters = (*_PSS_HASHES[size], size)
    return bytes(key.sign(data, mechanism=Mechanism[mechanism], mechanism_param=parameters))


def _fits(key: Any, mechanism: str, data: bytes, what: str) -> None:  # noqa: ANN401 - see keys.find
    """Refuse what the token could not sign: some answer with a general error, as if they were broken.

    Raises `BadConfig`.
    """
    key_type = key[Attribute.KEY_TYPE]
    wanted = {"ECDSA": KeyType.EC, "EDDSA": KeyType.EC_EDWARDS}.get(mechanism, KeyType.RSA)
    if key_type is not wanted:
        raise BadConfig(f"{what}: {mechanism} needs a key of type {wanted.name}")
    if mechanism in {"ECDSA", "RSA_PKCS_PSS"} and len(data) not in _PSS_HASHES:
        raise BadConfig(f"{what}: {mechanism} takes a SHA-256, SHA-384 or SHA-512 digest")
    if mechanism == "RSA_PKCS" and len(data) > len(key[Attribute.MODULUS]) - _PKCS1_OVERHEAD:
        raise BadConfig(f"{what}: {mechanism} takes a DigestInfo, and this is longer than the key can sign")


def public_key(session: TokenSession, label: str, key_id: bytes | None, entropy: Entropy) -> PublicHalf:
    """Return a pair's public half (RFC 5280 §4.1), with the label and the id that were found.

    Raises `BadConfig` for a type of key that we cannot use, `IntegrityError` where the public object is another key's,
    `KeyMissing`, python-pkcs11's exceptions.
    """
    private = find(session, ObjectClass.PRIVATE_KEY, label, key_id)
    key_type = private[Attribute.KEY_TYPE]
    if key_type is KeyType.RSA:
        public: Any = rsa_public(session, label, key_id)
    else:
        public = _curve_key(session, label, key_id, key_type, entropy)
    encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicHalf(
        label=str(told(private, Attribute.LABEL) or ""),
        key_id=bytes(told(private, Attribute.ID) or b""),
        public=encoded,
    )


def told(key: Any, attribute: Attribute) -> Any:  # noqa: ANN401 - see keys.find
    """Return an attribute that a token may have nothing for, or nothing that can be read."""
    try:
        return key[attribute]
    except (pkcs11.AttributeTypeInvalid, pkcs11.AttributeSensitive, UnicodeDecodeError):
        return None


def _curve_key(
    session: TokenSession, label: str, key_id: bytes | None, key_type: KeyType, entropy: Entropy
) -> Any:  # noqa: ANN401 - two types
    """Return the public half that the private key proves to be its own by a signature.

    The object that holds it is public: a process that reaches the token without its PIN can plant one of the same
    name, or exchange it.
    """
    what = name(label, key_id)
    stored = search(session, ObjectClass.PUBLIC_KEY, label, key_id, None)
    if not stored:
        raise KeyMissing(f"{what}: the token has no such public key", ckr="NoSuchKey")
    halves: list[Any] = []
    reason = BadConfig(f"{what}: must be RSA, Ed25519, P-256, P-384 or P-521")
    for one in stored:
        try:
            halves.append(_half(one, key_type))
        except ValueError as error:
            reason = BadConfig(f"{what}: its public half cannot be read: {error}")
        except (LookupError, pkcs11.PKCS11Error):
            continue  # of another type, or on another curve: not this key's
    if not halves:
        raise reason
    proof = _proof(session, label, key_id, key_type, entropy(_CHALLENGE_BYTES))
    for half in halves:
        if proof(half):
            return half
    raise IntegrityError(
        f"{what}: no public key of this name belongs to the private key ({handles(stored)}): it was exchanged; "
        "restore it from a backup of the token, or make another pair"
    )


def _half(stored: Any, key_type: KeyType) -> Any:  # noqa: ANN401 - see keys.find
    """Return what a public object holds. Raises `ValueError`, `LookupError`, python-pkcs11's exceptions."""
    if key_type is KeyType.EC_EDWARDS:
        return ed25519.Ed25519PublicKey.from_public_bytes(_point(stored, _ED25519_BYTES))
    curve, size = _SEC1[bytes(stored[Attribute.EC_PARAMS])]
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, _point(stored, size))


def _proof(
    session: TokenSession, label: str, key_id: bytes | None, key_type: KeyType, challenge: bytes
) -> Callable[[Any], bool]:
    """Sign `challenge`, which is fresh; return what tells whether a public half verifies it."""
    if key_type is KeyType.EC_EDWARDS:
        signature = sign(session, label, key_id, "EDDSA", challenge)
        return lambda half: _verifies(lambda: half.verify(signature, challenge))
    raw = sign(session, label, key_id, "ECDSA", challenge)
    middle = len(raw) // 2
    encoded = encode_dss_signature(int.from_bytes(raw[:middle]), int.from_bytes(raw[middle:]))
    scheme = ec.ECDSA(Prehashed(SHA256()))
    return lambda half: _verifies(lambda: half.verify(encoded, challenge, scheme))


def _verifies(check: Callable[[], None]) -> bool:
    try:
        check()
    except InvalidSignature:
        return False
    return True


def _point(stored: Any, size: int) -> bytes:  # noqa: ANN401 - see keys.find
    """Return the bare point: the standard has it in an OCTET STRING, some tokens do not."""
    return bytes(stored[Attribute.EC_POINT])[-size:]


def random(session: pkcs11.Session, size: int) -> bytes:
    """Return `size` bytes of `C_GenerateRandom`; python-pkcs11 counts in bits."""
    return session.generate_random(size * 8)
