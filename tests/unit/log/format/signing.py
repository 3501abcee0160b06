# SPDX-License-Identifier: EUPL-1.2
"""Keys that sign in tests, each made of a number."""

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.log.format.note import Signature, Signer
from vault.log.format.note_key import KeyKind, Verifier, cosign


def ed25519(name: str, number: int = 1) -> Signer:
    """An Ed25519 key of this name."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return Signer(Verifier(name, KeyKind.ED25519, key.public_key().public_bytes_raw()), key.sign)


def p256(name: str, number: int = 1) -> Signer:
    """A key on P-256 of this name."""
    key = derive_private_key(number, SECP256R1())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Signer(Verifier(name, KeyKind.ECDSA, spki), lambda text: key.sign(text, ECDSA(SHA256())))


def witness(name: str, number: int = 1) -> tuple[Verifier, Ed25519PrivateKey]:
    """The key of a witness of this name."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return Verifier(name, KeyKind.COSIGNATURE, key.public_key().public_bytes_raw()), key


def cosignature(text: str, name: str, number: int = 1, *, time: int = 1_790_000_000) -> Signature:
    """The signature of a witness that saw a checkpoint of this text."""
    verifier, key = witness(name, number)
    return Signature(name, verifier.key_id, cosign(text.encode(), time, key.sign))
