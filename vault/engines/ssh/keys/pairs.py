# SPDX-License-Identifier: EUPL-1.2
"""Pairs of keys: made here for an authority or for a client, or brought by an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    load_ssh_private_key,
)

from vault.engines.ssh.keys.public_key import Verifier
from vault.framework.errors import Malformed

Signer = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
"""The private half of a pair."""
_EXPONENT: Final = 65537
_USUAL_RSA: Final = 4096
_USUAL_CURVE: Final = 256
_RSA_SIZES: Final = range(2048, 4097)
_CURVES: Final[Mapping[int, type[ec.EllipticCurve]]] = {
    256: ec.SECP256R1,
    384: ec.SECP384R1,
    521: ec.SECP521R1,
}
_NAMED_CURVES: Final = {f"ecdsa-sha2-nistp{bits}": bits for bits in _CURVES}
_RSA: Final = ("rsa", "ssh-rsa")
_KINDS: Final = (*_RSA, "ec", *_NAMED_CURVES, "ed25519")
_LONGEST: Final = 32_768
"""Characters of a private key that is brought."""
_OPENSSH: Final = "-----BEGIN OPENSSH PRIVATE KEY-----"
_BEGIN: Final = "-----BEGIN "
_PROBLEM: Final = "could not parse private_key provided value: "
_TRIAL: Final = b"whether both halves belong together"


class NewPair(msgspec.Struct, frozen=True):
    """A pair that is to be made. One of RSA takes up to seconds (`slow`)."""

    make: Callable[[], Signer]
    slow: bool = False


MakesPairs = Callable[[str, int], NewPair]
"""Says how a pair of a kind and size is made, as `new_pair` does."""


def new_pair(kind: str, bits: int) -> NewPair:
    """Return how a pair of a kind is made; 0 `bits` for the usual size. Raises `Malformed`."""
    if kind in _RSA:
        size = bits or _USUAL_RSA
        if size not in _RSA_SIZES:
            raise Malformed("refusing to generate an RSA key of this size: key_bits must be 2048 to 4096")
        return NewPair(lambda: rsa.generate_private_key(_EXPONENT, size), slow=True)
    if kind == "ec" or kind in _NAMED_CURVES:
        curve = _CURVES.get(_NAMED_CURVES.get(kind) or bits or _USUAL_CURVE)
        if curve is None:
            raise Malformed("unknown ECDSA key pair algorithm and bits: key_bits must be 256, 384 or 521")
        return NewPair(lambda: ec.generate_private_key(curve()))
    if kind == "ed25519":
        return NewPair(ed25519.Ed25519PrivateKey.generate)
    raise Malformed(f"unknown ssh key pair algorithm; must be one of {', '.join(_KINDS)}")


def private_text(pair: Signer) -> str:
    """Return a private key as `ssh` reads it: PEM of its kind, or OpenSSH's own form for Ed25519."""
    openssh = isinstance(pair, ed25519.Ed25519PrivateKey)
    form = PrivateFormat.OpenSSH if openssh else PrivateFormat.TraditionalOpenSSL
    return pair.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def read_private_key(text: str) -> Signer:
    """Read a private key that is not encrypted, in PEM or OpenSSH's form. Raises `Malformed`.

    A key of RSA is not checked for being prime, which would hold everybody up; `matches` is what it must stand.
    """
    if len(text) > _LONGEST:
        raise Malformed(f"{_PROBLEM}the key may have at most {_LONGEST} characters")
    begin = text.find(_BEGIN)
    if begin < 0:
        raise Malformed(f"{_PROBLEM}ssh: no key found")
    inner = text[begin:].encode()
    load = load_ssh_private_key if text.startswith(_OPENSSH, begin) else load_pem_private_key
    try:
        key = load(inner, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise Malformed(f"{_PROBLEM}ssh: this private key is passphrase protected") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed(f"{_PROBLEM}ssh: no key found") from None
    if not isinstance(key, Signer) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size not in _CURVES
    ):
        raise Malformed(f"{_PROBLEM}it must be a key of RSA, ECDSA or Ed25519")
    return key


def matches(private: Signer, public: Verifier) -> bool:
    """Whether both are halves of one pair: what one signs, the other verifies."""
    try:
        if isinstance(private, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey):
            scheme = padding.PKCS1v15()
            public.verify(private.sign(_TRIAL, scheme, hashes.SHA256()), _TRIAL, scheme, hashes.SHA256())
        elif isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(
            public, ec.EllipticCurvePublicKey
        ):
            method = ec.ECDSA(hashes.SHA256())
            public.verify(private.sign(_TRIAL, method), _TRIAL, method)
        elif isinstance(private, ed25519.Ed25519PrivateKey) and isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(private.sign(_TRIAL), _TRIAL)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def to_pkcs8(private: Signer) -> bytes:
    """Return a private key in PKCS #8, as it is kept in the safe."""
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def from_pkcs8(kept: bytes) -> Signer:
    """Return the private key that `to_pkcs8` wrote. An RSA key was tried when it was made or taken in."""
    key = load_der_private_key(kept, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, Signer)
    return key
