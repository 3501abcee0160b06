# SPDX-License-Identifier: EUPL-1.2
"""Keys on their way: wrapped with a fresh AES key (RFC 5649), and that with RSA-OAEP (RFC 8017 section 7.1).

PKCS #11 calls it CKM_RSA_AES_KEY_WRAP: an HSM can wrap its keys so, and OpenBao does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

USUAL_HASH: Final = "SHA256"
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - of OAEP, where collisions are no matter; HSMs know no other
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_AES: Final = 32
"""Bytes of the fresh key."""
NOT_FOR_IT: Final = "crypto/rsa: decryption error"
"""Why something is refused that was not wrapped for the key, or not with the hash."""
LONGEST: Final = 8192
"""Bytes of a wrapped key: one of RSA-4096 takes some 2,900."""


def known_hash(name: str) -> hashes.HashAlgorithm:
    """Return the hash of OAEP that a name, in any case, stands for. Raises `Malformed`."""
    found = _HASHES.get(name.lower()) if len(name) < 8 else None
    if found is None:
        raise Malformed("unknown hash function; must be one of SHA1, SHA224, SHA256, SHA384, SHA512")
    return found


def unwrap(private: RSAPrivateKey, algorithm: hashes.HashAlgorithm, sealed: bytes) -> bytes:
    """Return what was wrapped for a key. It takes some milliseconds. Raises `Malformed`."""
    block = private.key_size // 8
    try:
        key = private.decrypt(sealed[:block], OAEP(MGF1(algorithm), algorithm, None))
    except ValueError:
        raise Malformed(NOT_FOR_IT) from None
    if len(key) != _AES:
        raise Malformed("expected ephemeral AES key to be 256-bit")
    try:
        return aes_key_unwrap_with_padding(key, sealed[block:])
    except InvalidUnwrap:
        raise Malformed("kwp: unwrap failed integrity check") from None


def wrap(public: RSAPublicKey, algorithm: hashes.HashAlgorithm, secret: bytes, entropy: Entropy) -> bytes:
    """Return a secret that only the holder of a key can unwrap. Raises `Malformed` where that is too small for a hash."""
    key = entropy.bytes(_AES)
    try:
        block = public.encrypt(key, OAEP(MGF1(algorithm), algorithm, None))
    except ValueError:
        raise Malformed("crypto/rsa: message too long for RSA key size") from None
    return block + aes_key_wrap_with_padding(key, secret)


def wrap_for(pem: str, hash_name: str, secret: bytes, entropy: Entropy) -> bytes:
    """Return a secret, wrapped for a public key in PEM that another server gave. Raises `Malformed`."""
    algorithm = known_hash(hash_name)
    try:
        public = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, RSAPublicKey):
        raise Malformed("the server gave no wrapping key")
    return wrap(public, algorithm, secret, entropy)
