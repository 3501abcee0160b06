# SPDX-License-Identifier: EUPL-1.2
"""The kinds of keys there are: what each can do, and how one is made and loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from cryptography.x509 import load_der_x509_certificate

from vault.engines.transit.keys.hybrid import SECRET, HybridCipher
from vault.engines.transit.keys.model import InDevice
from vault.engines.transit.keys.xchacha import XChaCha20Poly1305
from vault.framework.clock import Entropy

Signer = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
"""The private half of a pair."""
Verifier = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
"""The public half of a pair."""
Aead = AESGCM | ChaCha20Poly1305 | XChaCha20Poly1305 | HybridCipher
MAC_KEY: Final = 32
"""Bytes of the key that a version of any kind but `hmac` has for MACs."""
_NONCE: Final = 12
_LONG_NONCE: Final = 24
_EXPONENT: Final = 65537


class KeyType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of key. `size` is in bytes of a symmetric key; 0 for pairs, and where whoever makes one chooses it."""

    name: str
    size: int = 0
    encrypts: bool = False
    signs: bool = False
    rsa: bool = False
    derives: bool = False
    aead: Callable[[bytes], Aead] | None = None
    """Makes the cipher of a symmetric key."""
    nonce: int = _NONCE
    """Bytes of the nonce of its cipher."""
    failure: str = ""
    """What OpenBao says of a ciphertext that is not authentic."""
    generate: Callable[[], Signer] | None = None
    """Makes a pair; one of RSA takes up to seconds."""
    shown: str = ""
    """What a listing of its versions calls it."""
    suite: str = ""
    """Its name in `api-spec/registry/crypto-suites.yaml`."""
    bits: int = 0
    """What the crypto inventory says of its size."""

    @property
    def pair(self) -> bool:
        """Whether it has a public half."""
        return self.generate is not None


def _rsa(bits: int) -> KeyType:
    name = f"rsa-{bits}"
    make = rsa.generate_private_key
    return KeyType(
        name=name,
        encrypts=True,
        signs=True,
        rsa=True,
        generate=lambda: make(public_exponent=_EXPONENT, key_size=bits),
        shown=name,
        suite=name,
        bits=bits,
    )


def _ecdsa(name: str, shown: str, suite: str, curve: ec.EllipticCurve) -> KeyType:
    return KeyType(
        name=name,
        signs=True,
        generate=lambda: ec.generate_private_key(curve),
        shown=shown,
        suite=suite,
        bits=curve.key_size,
    )


def _mldsa(level: int, generate: Callable[[], Signer]) -> KeyType:
    name = f"mldsa-{level}"
    return KeyType(name=name, signs=True, generate=generate, shown=name, suite=f"ml-dsa-{level}")


def _cipher(
    name: str, size: int, aead: Callable[[bytes], Aead], suite: str, failure: str, nonce: int = _NONCE
) -> KeyType:
    return KeyType(
        name=name,
        size=size,
        nonce=nonce,
        encrypts=True,
        derives=True,
        aead=aead,
        suite=suite,
        bits=8 * size,
        failure=failure,
    )


_AES_FAILURE: Final = "cipher: message authentication failed"
_CHACHA_FAILURE: Final = "chacha20poly1305: message authentication failed"
KEY_TYPES: Final[Mapping[str, KeyType]] = {
    one.name: one
    for one in (
        _cipher("aes128-gcm96", 16, AESGCM, "aes-128-gcm", _AES_FAILURE),
        _cipher("aes256-gcm96", 32, AESGCM, "aes-256-gcm", _AES_FAILURE),
        _cipher("chacha20-poly1305", 32, ChaCha20Poly1305, "chacha20-poly1305", _CHACHA_FAILURE),
        _cipher(
            "xchacha20-poly1305", 32, XChaCha20Poly1305, "xchacha20-poly1305", _CHACHA_FAILURE, _LONG_NONCE
        ),
        KeyType(
            name="ed25519",
            signs=True,
            derives=True,
            generate=ed25519.Ed25519PrivateKey.generate,
            shown="ed25519",
            suite="ed25519",
            bits=256,
        ),
        _ecdsa("ecdsa-p256", "P-256", "ecdsa-p256-sha256", ec.SECP256R1()),
        _ecdsa("ecdsa-p384", "P-384", "ecdsa-p384-sha384", ec.SECP384R1()),
        _ecdsa("ecdsa-p521", "P-521", "ecdsa-p521-sha512", ec.SECP521R1()),
        _rsa(2048),
        _rsa(3072),
        _rsa(4096),
        _mldsa(44, mldsa.MLDSA44PrivateKey.generate),
        _mldsa(65, mldsa.MLDSA65PrivateKey.generate),
        _mldsa(87, mldsa.MLDSA87PrivateKey.generate),
        KeyType(name="hmac", suite="hmac-sha-256"),
        KeyType(name="external-key", encrypts=True, signs=True),
        KeyType(
            name="mlkem768-x25519",
            size=SECRET,
            nonce=0,
            encrypts=True,
            aead=HybridCipher,
            suite="hpke-mlkem768-x25519",
            failure="hpke: message authentication failed",
        ),
    )
}
HMAC: Final = "hmac"
HYBRID: Final = "mlkem768-x25519"
"""The kind of a pair for hybrid encryption; OpenBao has none."""
EXTERNAL: Final = "external-key"
"""The kind of a pair or an AES key in a device: what it does is each version's own."""
SHORT_NONCE: Final = frozenset(
    one.name for one in KEY_TYPES.values() if one.aead is not None and one.nonce == _NONCE
)
"""Kinds of which one version is for 2^32 encryptions at most: their nonces are chosen by chance."""
UNKNOWN_TYPE: Final = f"unknown key type; must be one of {', '.join(KEY_TYPES)}"


class Material(msgspec.Struct, frozen=True):
    """What a version of a key is made of. `secret` is a symmetric key, or PKCS #8; `mac` is its key for MACs.

    There is no `secret` where the public half of a pair is all that is known.
    """

    secret: bytes
    mac: bytes
    public: bytes = b""
    """SubjectPublicKeyInfo of a pair."""
    external: str = ""
    """Where the secret is, if it is in a device: the reference of an external key."""
    device: InDevice = InDevice()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Material(…)"


def make(kind: KeyType, size: int, entropy: Entropy) -> Material:
    """Make a version. `size` is in bytes, for keys of kind `hmac`. One of RSA takes up to seconds."""
    if kind.generate is not None:
        pair = kind.generate()
        secret = pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        public = pair.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Material(secret, entropy.bytes(MAC_KEY), public)
    if kind.name == HMAC:
        secret = entropy.bytes(size)
        return Material(secret, secret)
    return Material(entropy.bytes(kind.size), entropy.bytes(MAC_KEY))


def load_signer(secret: bytes) -> Signer:
    """Return the private half in PKCS #8 that `make` made. An RSA key was checked when it was made or taken in."""
    key = load_der_private_key(secret, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, Signer)
    return key


def load_verifier(public: bytes) -> Verifier:
    """Return the public half."""
    key = load_der_public_key(public)
    assert isinstance(key, Verifier)
    return key


def raw_public(public: bytes) -> bytes | None:
    """Return the bare public key of an Ed25519 or ML-DSA pair; None for others, which are shown in PEM."""
    key = load_verifier(public)
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return None
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def pem_public(public: bytes) -> str:
    """Return a public half in PEM."""
    return load_verifier(public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def pem_chain(chain: Sequence[bytes]) -> str:
    """Return certificates, which are in DER, in PEM."""
    return "".join(load_der_x509_certificate(one).public_bytes(Encoding.PEM).decode() for one in chain)
