# SPDX-License-Identifier: EUPL-1.2
"""Encrypting and decrypting callers' data with a token's keys: AES-GCM, and RSA-OAEP, of which the token does the decrypting.

Whoever sends ciphertexts must learn nothing from how they are refused (Manger's attack on OAEP, CRYPTO 2001): a wrong
length, a wrong padding and a wrong tag are one and the same error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from hsm.agent.keys.mechanisms import OAEP, Entropy, able, oaep_padding, rsa_public, same
from hsm.agent.keys.objects import find
from hsm.agent.keys.proof import fingerprint, prove
from hsm.agent.keys.signatures import told
from hsm.agent.session.exceptions import UnclearFault, classify
from hsm.agent.session.pool import TokenSession
from hsm.errors import BadConfig, HsmError, IntegrityError, SlotUnavailable
from hsm.key_slot import DEK_BYTES, WrappedKey
from hsm.operations import Decrypt, Encrypt, SecretKey, SecretKeyInfo
from hsm.versions import name

CipherOperation = SecretKey | Encrypt | Decrypt
Found = TypeVar("Found")

_NONCE: Final = 12
_TAG: Final = 16
_GCM: Final = "AES_GCM"
_OAEP_NAME: Final = "RSA_PKCS_OAEP"
CIPHERS: Final = (_GCM, _OAEP_NAME)
"""Names of PKCS#11, without `CKM_`."""


class Run(Protocol):
    """Does work on a session with a key: `hsm.agent.device.Device`. Raises `HsmError`."""

    def __call__(
        self,
        work: Callable[[TokenSession], Found],
        doing: str,
        label: str,
        key_id: bytes | None,
        *,
        decrypting: bool = False,
        secret: bool = False,
    ) -> Found:
        """Return what `work` returns; `decrypting` says that somebody may have changed what it works on.

        `secret` says that the key is an AES key.
        """
        ...


def answered(run: Run, wanted: CipherOperation, entropy: Entropy) -> bytes | SecretKeyInfo:
    """Do what is asked for. Raises `HsmError`: `IntegrityError` for a ciphertext, whatever is wrong with it."""
    label, key_id = wanted.key_label, wanted.key_id
    if isinstance(wanted, SecretKey):

        def look(session: TokenSession) -> SecretKeyInfo:
            return secret_key(session, label, key_id, entropy)

        return run(look, "secret key", label, key_id, secret=True)
    if isinstance(wanted, Encrypt):
        data, associated_data = wanted.data, wanted.associated_data

        def make(session: TokenSession) -> bytes:
            return encrypt(
                session, label, key_id, data=data, associated_data=associated_data, entropy=entropy
            )

        return run(make, "encrypt", label, key_id, secret=True)

    def opening(work: Callable[[TokenSession], bytes]) -> bytes:
        secret = wanted.mechanism == _GCM
        return run(work, "decrypt", label, key_id, decrypting=True, secret=secret)

    return decrypted(opening, wanted, entropy)


def secret_key(session: TokenSession, label: str, key_id: bytes | None, entropy: Entropy) -> SecretKeyInfo:
    """Return what an AES key is known by, once it has shown that it encrypts (`hsm.agent.keys.proof.prove`).

    A key that only decrypts shows nothing. Raises `BadConfig`, `KeyMissing`, `KeyAmbiguous`, python-pkcs11's exceptions.
    """
    key = able(_aes(session, label, key_id), "decrypt", label, key_id)
    known = ""
    if hasattr(key, "encrypt"):

        def wrap(text: bytes) -> WrappedKey:
            made = encrypt(session, label, key_id, data=text, associated_data=b"", entropy=entropy)
            return WrappedKey(m="", k="", iv=made[:_NONCE], ct=made[_NONCE:])

        def unwrap(wrapped: WrappedKey) -> bytes:
            return _open_gcm(session, label, key_id, wrapped.iv + wrapped.ct, b"")

        prove(wrap, unwrap, entropy(DEK_BYTES), name(label, key_id))
        known = fingerprint(key)
    bits = told(key, Attribute.VALUE_LEN)
    return SecretKeyInfo(
        label=str(told(key, Attribute.LABEL) or ""),
        key_id=bytes(told(key, Attribute.ID) or b""),
        bits=8 * int(bits) if bits else 0,
        fingerprint=known,
    )


def encrypt(
    session: TokenSession,
    label: str,
    key_id: bytes | None,
    *,
    data: bytes,
    associated_data: bytes,
    entropy: Entropy,
) -> bytes:
    """Return nonce, encrypted data and tag. The nonce is 96 random bits: NIST SP 800-38D section 8.3 bounds how often.

    Some tokens choose it themselves. They write it over ours, in the very object that we passed, or append it. Raises
    `BadConfig`, `KeyMissing`, `IntegrityError` for an answer of another length, python-pkcs11's exceptions.
    """
    key = able(_aes(session, label, key_id), "encrypt", label, key_id)
    parameters = GCMParams(entropy(_NONCE), associated_data or None, 8 * _TAG)
    sealed = bytes(key.encrypt(data, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))
    nonce = bytes(parameters.nonce)
    if len(sealed) == len(data) + _TAG + _NONCE:
        sealed, nonce = sealed[:-_NONCE], sealed[-_NONCE:]
    if len(sealed) != len(data) + _TAG or len(nonce) != _NONCE:
        raise IntegrityError(f"{name(label, key_id)}: the token made {len(sealed)} bytes of {len(data)}")
    return nonce + sealed


def decrypted(
    run: Callable[[Callable[[TokenSession], bytes]], bytes], wanted: Decrypt, entropy: Entropy
) -> bytes:
    """Return what `wanted` asks for. `run` does work on a session.

    A token may fail once and work again: the data are to blame where it fails before and after it decrypted something
    fresh. Raises `IntegrityError` for them, and other `HsmError`.
    """
    what = name(wanted.key_label, wanted.key_id)
    if wanted.mechanism not in CIPHERS:
        raise BadConfig(f"mechanism {wanted.mechanism}: must be one of {', '.join(CIPHERS)}")
    if wanted.mechanism == _OAEP_NAME and wanted.oaep_hash not in OAEP:
        raise BadConfig(f"hash {wanted.oaep_hash}: must be one of {', '.join(OAEP)}")
    try:
        return run(lambda session: _opened(session, wanted))
    except UnclearFault as error:
        unclear = error
    except IntegrityError:
        raise _refused(what) from None
    try:
        run(lambda session: _fresh(session, wanted, entropy))
    except HsmError as error:
        raise SlotUnavailable(f"{unclear}, and so does something fresh: {error}", ckr=unclear.ckr) from error
    try:
        return run(lambda session: _opened(session, wanted))
    except (UnclearFault, IntegrityError):
        raise _refused(what) from None


def _refused(what: str) -> IntegrityError:
    return IntegrityError(f"{what}: the ciphertext is not of this key, or was changed")


def _fresh(session: TokenSession, wanted: Decrypt, entropy: Entropy) -> bytes:
    """Encrypt something fresh, and return what the token makes of it. Raises `SlotUnavailable` where that is something else.

    An AES key that only decrypts cannot be tried so: that it is there is all that can be seen.
    """
    label, key_id = wanted.key_label, wanted.key_id
    text = entropy(DEK_BYTES)
    if wanted.mechanism == _OAEP_NAME:
        sealed = rsa_public(session, label, key_id).encrypt(text, oaep_padding(wanted.oaep_hash))
        found = _open_oaep(session, label, key_id, sealed, wanted.oaep_hash)
    elif hasattr(_aes(session, label, key_id), "encrypt"):
        sealed = encrypt(session, label, key_id, data=text, associated_data=b"", entropy=entropy)
        found = _open_gcm(session, label, key_id, sealed, b"")
    else:
        return text
    if not same(found, text):
        raise SlotUnavailable(f"{name(label, key_id)}: the token gave back something else than was encrypted")
    return found


def _opened(session: TokenSession, wanted: Decrypt) -> bytes:
    label, key_id, data = wanted.key_label, wanted.key_id, wanted.data
    if wanted.mechanism == _OAEP_NAME:
        return _open_oaep(session, label, key_id, data, wanted.oaep_hash)
    return _open_gcm(session, label, key_id, data, wanted.associated_data)


def _open_gcm(
    session: TokenSession, label: str, key_id: bytes | None, data: bytes, associated_data: bytes
) -> bytes:
    """SoftHSM would take a nonce of no bytes at all; here it has twelve."""
    key = able(_aes(session, label, key_id), "decrypt", label, key_id)
    if len(data) < _NONCE + _TAG:
        raise _refused(name(label, key_id))
    parameters = GCMParams(data[:_NONCE], associated_data or None, 8 * _TAG)
    return bytes(key.decrypt(data[_NONCE:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters))


def _open_oaep(session: TokenSession, label: str, key_id: bytes | None, data: bytes, hash_name: str) -> bytes:
    """What is no number below the modulus never reaches the token (RFC 8017 section 7.1.2)."""
    key = able(find(session, ObjectClass.PRIVATE_KEY, label, key_id, KeyType.RSA), "decrypt", label, key_id)
    modulus = bytes(key[Attribute.MODULUS]).lstrip(b"\0")
    if len(data) != len(modulus) or data >= modulus:
        raise _refused(name(label, key_id))
    algorithm, mask, _ = OAEP[hash_name]
    try:
        return bytes(
            key.decrypt(data, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=(algorithm, mask, None))
        )
    except (pkcs11.ArgumentsBad, pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid) as error:
        known = classify(error, f"{name(label, key_id)}: RSA-OAEP with {hash_name}")
        raise BadConfig(
            f"{known}; the token cannot do it: try another rsa_oaep_hash", ckr=known.ckr
        ) from error


def _aes(session: TokenSession, label: str, key_id: bytes | None) -> Any:  # noqa: ANN401 - see keys.find
    return find(session, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES)
