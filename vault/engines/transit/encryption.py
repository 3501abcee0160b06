# SPDX-License-Identifier: EUPL-1.2
"""Ciphertexts: their form, which version of a key makes and opens them, and how keys are derived for a context.

A ciphertext is `vault:v<version>:` and base64 of nonce, encrypted data and tag; with RSA of one OAEP block. The form, and
the order in which a wrong one is refused, are those of OpenBao: ciphertexts travel between the two.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256

from vault.engines.transit.keys.derivation import NO_CONTEXT, derive, derive_counted
from vault.engines.transit.keys.key_ring import PREFIX, OpenKey, OpenVersion
from vault.engines.transit.keys.key_types import Aead
from vault.engines.transit.keys.model import SOFT_DELETED, TransitKey
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed
from vault.framework.keys.hmac import HmacKey
from vault.values.encoding import NotBase64, from_base64, to_base64

TOO_OLD: Final = "ciphertext or signature version is disallowed by policy (too old)"
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_INT64: Final = 1 << 63
_NONCE_KEY: Final = 32
"""Bytes of the key that gives the nonces of a convergent key, derived beside the key itself; of a second one where there is associated data."""


def decode(text: str, problem: str = "") -> bytes:
    """Return bytes sent in base64. Raises `Malformed`, whose words begin with `problem`."""
    if not text:
        return b""
    try:
        return from_base64(text)
    except NotBase64 as error:
        raise Malformed(f"{problem}illegal base64 data at input byte {error.at}") from None


def decode_associated(text: str) -> bytes:
    """Return associated data. Raises `Malformed` in OpenBao's words."""
    return decode(text, "unable to get associated_data/additional_data from factory[0]: ")


def decode_context(text: str) -> bytes:
    """Return the context of a pair. Raises `Malformed` in OpenBao's words, which are others for encryption."""
    try:
        return from_base64(text)
    except NotBase64:
        raise Malformed("failed to base64-decode context") from None


def require_use(key: OpenKey, what: str) -> None:
    """Refuse a key that is not for encryption, or not for use now; `what` is the verb's noun. Raises `Malformed`."""
    if key.settings.soft_deleted:
        raise Malformed(SOFT_DELETED)
    if not key.kind.encrypts:
        raise Malformed(f"message {what} not supported for key type {key.kind.name}")


def version_to_use(key: TransitKey, wanted: int, what: str) -> int:
    """Return which version encrypts or signs; `what` is what it is for. Raises `Malformed`."""
    if wanted == 0:
        return key.latest
    if wanted < 0:
        raise Malformed(f"requested version for {what} is negative")
    if wanted > key.latest:
        raise Malformed(f"requested version for {what} is higher than the latest key version")
    if wanted < key.min_encryption:
        raise Malformed(f"requested version for {what} is less than the minimum encryption key version")
    if wanted < key.min_decryption:
        raise Malformed("no such key version")
    return wanted


def split_ciphertext(key: TransitKey, text: str) -> tuple[int, bytes]:
    """Return the version that made a ciphertext, and its bytes. Raises `Malformed`."""
    number, payload = split_version(key, text, "ciphertext")
    try:
        return number, from_base64(payload)
    except NotBase64:
        raise Malformed("invalid ciphertext: could not decode base64") from None


def split_version(key: TransitKey, text: str, what: str) -> tuple[int, str]:
    """Return the version in a prefix, and what follows. Before version 1 there was 0, of which it takes the place.

    Raises `Malformed`; `what` is what the text should be.
    """
    if not text.startswith(PREFIX):
        raise Malformed(f"invalid {what}: no prefix")
    version, colon, payload = text[len(PREFIX) :].partition(":")
    if not colon:
        raise Malformed(f"invalid {what}: wrong number of fields")
    number = int(version) if _NUMBER.fullmatch(version) else _INT64
    if not -_INT64 <= number < _INT64:
        raise Malformed(f"invalid {what}: version number could not be decoded")
    if number == 0 and what == "ciphertext":
        number = 1
    if number > key.latest:
        raise Malformed(f"invalid {what}: version is too new")
    if number < key.min_decryption:
        raise Malformed(TOO_OLD)
    return number, payload


def encrypt(
    key: OpenKey, version: OpenVersion, plaintext: bytes, entropy: Entropy, *, context: bytes, aad: bytes
) -> str:
    """Return a ciphertext. Raises `Malformed`."""
    kind = key.kind
    if kind.rsa:
        sealed = _encrypt_rsa(version, plaintext)
    else:
        derived = key.settings.derived
        aead, nonce_key = _derived(key, version, context, bound=bool(aad)) if derived else (version.aead, b"")
        size = kind.nonce
        nonce = _converging(nonce_key, plaintext, aad)[:size] if nonce_key else entropy.bytes(size)
        sealed = nonce + aead.encrypt(nonce, plaintext, aad)
    return version.prefix + to_base64(sealed)


def decrypt(key: OpenKey, version: OpenVersion, sealed: bytes, *, context: bytes, aad: bytes) -> bytes:
    """Return a plaintext. Raises `Malformed`.

    With RSA it takes a millisecond and more.
    """
    if key.kind.rsa:
        return _decrypt_rsa(version, sealed)
    aead = _derived(key, version, context)[0] if key.settings.derived else version.aead
    size = key.kind.nonce
    if len(sealed) < size:
        raise Malformed("invalid ciphertext length")
    try:
        return aead.decrypt(sealed[:size], sealed[size:], aad)
    except InvalidTag:
        raise Malformed(key.kind.failure) from None


def _converging(nonce_key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Return what the nonce of a plaintext is the beginning of. It is another one for each associated data, else a key is lost.

    OpenBao leaves the associated data out. Whoever decrypts finds the nonce in the ciphertext, so both read both. With it the
    key is made by a second one: by the first, whoever has the associated data encrypted as a plaintext would see most of it.
    """
    key = HmacKey(HmacKey(nonce_key[_NONCE_KEY:]).digest(aad) if aad else nonce_key)
    return key.digest(plaintext)


def _derived(
    key: OpenKey, version: OpenVersion, context: bytes, *, bound: bool = False
) -> tuple[Aead, bytes]:
    """Return the cipher for a context, and what its nonces are made with; nothing where they are random.

    `bound` says that there is associated data, for which that has a second part.
    """
    if not context:
        raise Malformed(NO_CONTEXT)
    assert key.kind.aead is not None
    size = key.kind.size
    if key.settings.counter_kdf:
        return key.kind.aead(derive_counted(version.secret, context, size)), b""
    length = size + _NONCE_KEY * (1 + bound) if key.settings.convergent else size
    derived = derive(version.secret, context, length)
    return key.kind.aead(derived[:size]), derived[size:]


def _oaep() -> OAEP:
    return OAEP(MGF1(SHA256()), SHA256(), None)


def _encrypt_rsa(version: OpenVersion, plaintext: bytes) -> bytes:
    public = version.verifier
    assert isinstance(public, rsa.RSAPublicKey)
    try:
        return public.encrypt(plaintext, _oaep())
    except ValueError:
        raise Malformed(
            "failed to RSA encrypt the plaintext: crypto/rsa: message too long for RSA key size"
        ) from None


def _decrypt_rsa(version: OpenVersion, sealed: bytes) -> bytes:
    if not version.secretive:
        raise Malformed("cannot decrypt ciphertext, key version does not have a private counterpart")
    private = version.signer
    assert isinstance(private, rsa.RSAPrivateKey)
    try:
        return private.decrypt(sealed, _oaep())
    except ValueError:
        raise Malformed("failed to RSA decrypt the ciphertext: crypto/rsa: decryption error") from None
