# SPDX-License-Identifier: EUPL-1.2
"""What a key shows of itself before anything is wrapped under it, and what it is known by ever after.

A token that only copies, or gives the same for the same, keeps nothing secret, and wraps and unwraps without an error.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final

import pkcs11
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag

from hsm.agent.session.pool import TokenSession
from hsm.errors import BadConfig
from hsm.key_slot import DEK_BYTES, WrappedKey

_DOMAIN: Final = b"COFFRE-KEY-1\0"
_KNOWN: Final = hashlib.sha256(_DOMAIN).digest()[:16]
"""What is encrypted to know a key again. Not zeros: those encrypted are a secret of AES-GCM."""
_IV: Final = bytes(16)
_HMAC: Final = b"HMAC\0"
_FINGERPRINT_DIGITS: Final = 32
_BLOCK: Final = 16
_UNABLE: Final = (pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid)
"""How a token or key that knows GCM alone answers."""


def prove(
    wrap: Callable[[bytes], WrappedKey], unwrap: Callable[[WrappedKey], bytes], text: bytes, what: str
) -> None:
    """Wrap `text`, 32 random bytes, twice, and see that it is hidden each time, comes back, and that nothing is the same.

    `what` names the key. Raises `BadConfig`, and what `wrap` and `unwrap` raise.
    """
    assert len(text) == DEK_BYTES
    one, other = wrap(text), wrap(text)
    parts = [_blocks(wrapped.ct) for wrapped in (one, other)]
    if (
        not parts[0].isdisjoint(parts[1])
        or (one.iv and one.iv == other.iv)
        or (one.mac and one.mac == other.mac)
    ):
        raise _fails(what, "what it makes of one text twice has parts in common")
    halves = (text[:_BLOCK], text[_BLOCK:])
    if any(half in wrapped.ct for half in halves for wrapped in (one, other)):
        raise _fails(what, "the text is in what it makes of it")
    if any(unwrap(wrapped) != text for wrapped in (one, other)):
        raise _fails(what, "it gives back something else")


def fingerprint(key: Any) -> str:  # noqa: ANN401 - python-pkcs11 makes the key's class at run time
    """Return what an AES or RSA key is known by, without telling anything of it; nothing where it cannot be found out.

    Raises python-pkcs11's exceptions.
    """
    if key.key_type is KeyType.RSA:
        modulus, exponent = bytes(key[Attribute.MODULUS]), bytes(key[Attribute.PUBLIC_EXPONENT])
        return _shown(modulus.lstrip(b"\0") + exponent.lstrip(b"\0"))
    if not hasattr(key, "encrypt"):
        return ""
    try:
        made = key.encrypt(_KNOWN, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=_IV)
    except _UNABLE:
        return ""
    return _shown(bytes(made))


def fingerprint_of(value: bytes) -> str:
    """Return the fingerprint of the AES key with this value, computed here."""
    padder = padding.PKCS7(8 * _BLOCK).padder()
    encryptor = Cipher(algorithms.AES(value), modes.CBC(_IV)).encryptor()
    return _shown(encryptor.update(padder.update(_KNOWN) + padder.finalize()) + encryptor.finalize())


def authenticator(key: Any) -> str:  # noqa: ANN401 - as above
    """Return what an HMAC key is known by, without telling anything of it; nothing where it may not sign.

    Raises python-pkcs11's exceptions.
    """
    if not hasattr(key, "sign"):
        return ""
    return _shown(_HMAC + bytes(key.sign(_KNOWN, mechanism=Mechanism.SHA256_HMAC)))


def authenticator_of(value: bytes) -> str:
    """Return what the HMAC key with this value is known by, computed here."""
    return _shown(_HMAC + hmac.digest(value, _KNOWN, "sha256"))


def check_known(key: Any, value: bytes, what: str) -> None:  # noqa: ANN401 - as above
    """See that an imported AES key encrypts what is known as the key of this value does. Raises `BadConfig`."""
    found = fingerprint(key)
    if found and found != fingerprint_of(value):
        raise _fails(what, "it does not encrypt as AES does with the key that was given")


def check_fresh(session: TokenSession, key: Any, what: str) -> None:  # noqa: ANN401 - as above
    """See that a generated AES key encrypts otherwise than another one made for this, and than one of zeros or ones.

    Raises `BadConfig`, python-pkcs11's exceptions.
    """
    if key.key_type is KeyType.RSA:
        return
    other = session.pkcs11.generate_key(
        KeyType.AES,
        256,
        store=False,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )
    try:
        known = {fingerprint(other), *(fingerprint_of(bytes([each]) * DEK_BYTES) for each in (0, 255))}
    finally:
        other.destroy()
    found = fingerprint(key)
    if found and found in known:
        raise _fails(what, "it encrypts as another key does")


def check_fresh_authenticator(session: TokenSession, key: Any, what: str) -> None:  # noqa: ANN401 - as above
    """See of a generated HMAC key what `check_fresh` sees of an AES key. Raises `BadConfig`, python-pkcs11's exceptions."""
    other: Any = session.pkcs11.generate_key(
        KeyType.GENERIC_SECRET,
        256,
        store=False,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )
    try:
        known = {authenticator(other), *(authenticator_of(bytes([each]) * DEK_BYTES) for each in (0, 255))}
    finally:
        other.destroy()
    if authenticator(key) in known:
        raise _fails(what, "its key for HMAC gives the codes of another one")


def _blocks(data: bytes) -> set[bytes]:
    return {data[start : start + _BLOCK] for start in range(0, len(data) - _BLOCK + 1, _BLOCK)}


def _shown(data: bytes) -> str:
    return hashlib.sha256(_DOMAIN + data).hexdigest()[:_FINGERPRINT_DIGITS]


def _fails(what: str, why: str) -> BadConfig:
    return BadConfig(f"{what}: the token does not encrypt with it: {why}; nothing is wrapped under it")
