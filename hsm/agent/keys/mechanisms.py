# SPDX-License-Identifier: EUPL-1.2
"""Ways to wrap 32 bytes with a key on a token, by the name that a `WrappedKey` carries.

Nothing depends on a token's support for associated data: the envelope binds what must be bound, in software.
What has a wrong length, or is too large for its key, never reaches the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pkcs11 import MGF, Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from hsm.agent.keys.objects import (
    HMAC_SUFFIX,
    MOST_TWINS,
    authenticators,
    companion,
    find,
    find_authenticator,
    handles,
)
from hsm.agent.session.exceptions import classify
from hsm.agent.session.pool import TokenSession
from hsm.errors import BadConfig, IntegrityError, KeyAmbiguous
from hsm.key_slot import DEK_BYTES, WrappedKey
from hsm.versions import from_printable, name, printable

Entropy = Callable[[int], bytes]
"""Gives as many random bytes as asked for, in a new object each time."""

_GCM_IV: Final = 12
_TAG: Final = 16
_CBC_IV: Final = 16
_CBC_BYTES: Final = DEK_BYTES + 16
"""Size of 32 bytes after PKCS#7 padding."""
_MAC: Final = 32

OAEP: Final = {
    "sha224": (Mechanism.SHA224, MGF.SHA224, hashes.SHA224()),
    "sha256": (Mechanism.SHA256, MGF.SHA256, hashes.SHA256()),
    "sha384": (Mechanism.SHA384, MGF.SHA384, hashes.SHA384()),
    "sha512": (Mechanism.SHA512, MGF.SHA512, hashes.SHA512()),
    "sha1": (Mechanism.SHA_1, MGF.SHA1, hashes.SHA1()),  # noqa: S303 - only where the operator asks for it
}


def wrap_gcm(session: TokenSession, label: str, key_id: bytes, dek: bytes, entropy: Entropy) -> WrappedKey:
    """Wrap with `CKM_AES_GCM`.

    Some tokens choose the IV themselves. They write it over ours, in the very object that we passed: so that is
    a new one each time, and read back afterwards. Others append theirs to the ciphertext.
    """
    key = able(find(session, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES), "encrypt", label, key_id)
    parameters = GCMParams(entropy(_GCM_IV), None, _TAG * 8)
    sealed = key.encrypt(dek, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    iv = parameters.nonce
    if len(sealed) == DEK_BYTES + _TAG + _GCM_IV:
        sealed, iv = sealed[:-_GCM_IV], sealed[-_GCM_IV:]
    return WrappedKey(m="aes-gcm", k=printable(key_id), iv=bytes(iv), ct=sealed)


def unwrap_gcm(session: TokenSession, label: str, wrapped: WrappedKey) -> bytes:
    """Unwrap what `wrap_gcm` made. SoftHSM would take an IV of no bytes at all; here it has twelve."""
    key_id = _id(wrapped)
    _expect(wrapped, iv=_GCM_IV, ct=DEK_BYTES + _TAG, mac=0)
    key = able(find(session, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES), "decrypt", label, key_id)
    parameters = GCMParams(wrapped.iv, None, _TAG * 8)
    return bytes(key.decrypt(wrapped.ct, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))


def wrap_cbc_hmac(
    session: TokenSession, label: str, key_id: bytes, dek: bytes, entropy: Entropy
) -> WrappedKey:
    """Wrap with `CKM_AES_CBC_PAD`, then authenticate IV and ciphertext with `CKM_SHA256_HMAC`."""
    key = able(find(session, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES), "encrypt", label, key_id)
    iv = entropy(_CBC_IV)
    sealed = key.encrypt(dek, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=iv)
    return WrappedKey(
        m="aes-cbc-hmac", k=printable(key_id), iv=iv, ct=sealed, mac=_mac(session, label, key_id, iv + sealed)
    )


def unwrap_cbc_hmac(session: TokenSession, label: str, wrapped: WrappedKey) -> bytes:
    """Unwrap what `wrap_cbc_hmac` made: the padding is looked at only when the code is right."""
    key_id = _id(wrapped)
    _expect(wrapped, iv=_CBC_IV, ct=_CBC_BYTES, mac=_MAC)
    key = able(find(session, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES), "decrypt", label, key_id)
    _authenticate(session, label, key_id, data=wrapped.iv + wrapped.ct, code=wrapped.mac)
    return bytes(key.decrypt(wrapped.ct, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=wrapped.iv))


def wrap_oaep(session: TokenSession, label: str, key_id: bytes, dek: bytes, hash_name: str) -> WrappedKey:
    """Wrap with RSA-OAEP (RFC 8017 §7.1) under the public half, in software."""
    public = rsa_public(session, label, key_id)
    sealed = public.encrypt(dek, oaep_padding(hash_name))
    return WrappedKey(m=f"rsa-oaep-{hash_name}", k=printable(key_id), ct=sealed)


def unwrap_oaep(session: TokenSession, label: str, wrapped: WrappedKey, hash_name: str) -> bytes:
    """Unwrap what `wrap_oaep` made, with `CKM_RSA_PKCS_OAEP` (RFC 8017 §7.1.2)."""
    key_id = _id(wrapped)
    key = able(find(session, ObjectClass.PRIVATE_KEY, label, key_id, KeyType.RSA), "decrypt", label, key_id)
    modulus = key[Attribute.MODULUS].lstrip(b"\0")
    _expect(wrapped, iv=0, ct=len(modulus), mac=0)
    if wrapped.ct >= modulus:  # NSS calls it a bad argument, as it calls a hash that it does not know
        raise IntegrityError("the wrapped key's ct is no number below the key's modulus")
    algorithm, mask, _ = OAEP[hash_name]
    try:
        return bytes(
            key.decrypt(
                wrapped.ct, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=(algorithm, mask, None)
            )
        )
    except (pkcs11.ArgumentsBad, pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid) as error:
        known = classify(error, f"{name(label, key_id)}: RSA-OAEP with {hash_name}")
        raise BadConfig(
            f'{known}; the token cannot do it: use an AES key, or accept rsa_oaep_hash="sha1"', ckr=known.ckr
        ) from error


def rsa_public(session: TokenSession, label: str, key_id: bytes | None) -> rsa.RSAPublicKey:
    """Return the public half of an RSA key, of its public object or else of the private one."""
    key = find(session, ObjectClass.PRIVATE_KEY, label, key_id, KeyType.RSA)
    modulus, exponent = key[Attribute.MODULUS], key[Attribute.PUBLIC_EXPONENT]
    return rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus)).public_key()


def able(key: Any, operation: str, label: str, key_id: bytes | None) -> Any:  # noqa: ANN401 - see keys.find
    """Return `key` if it may do `operation`; python-pkcs11 gives a key only the methods that it may do.

    Raises `BadConfig`.
    """
    if not hasattr(key, operation):
        raise BadConfig(
            f"{name(label, key_id)}: may not {operation} (CKA_{operation.upper()} is false); use another key"
        )
    return key


def same(one: bytes, other: bytes) -> bool:
    """Compare in a time that depends on the lengths alone."""
    return hmac.compare_digest(one, other)


def _mac(session: TokenSession, label: str, key_id: bytes, data: bytes) -> bytes:
    other, other_id = label + HMAC_SUFFIX, companion(key_id)
    key = able(find_authenticator(session, label, key_id), "sign", other, other_id)
    return bytes(key.sign(data, mechanism=Mechanism.SHA256_HMAC))


def _authenticate(session: TokenSession, label: str, key_id: bytes, *, data: bytes, code: bytes) -> None:
    """See that `code` is that of `data`, under whichever of several HMAC keys: the code shows which is the right one.

    Raises `IntegrityError`, and `KeyAmbiguous` for more keys than are tried.
    """
    several: KeyAmbiguous | None = None
    try:
        if same(_mac(session, label, key_id, data), code):
            return
    except KeyAmbiguous as error:
        several = error
    wrong = f"{name(label, key_id)}: the wrapped key's authentication code is wrong"
    found = authenticators(session, label, key_id)
    if several is None and len(found) < 2:
        raise IntegrityError(wrong)
    if len(found) > MOST_TWINS:
        raise several or KeyAmbiguous(
            f"{name(label, key_id)}: has {len(found)} keys for HMAC; remove those that are not needed"
        )
    signing = (key for key in found if hasattr(key, "sign"))
    if not any(same(bytes(key.sign(data, mechanism=Mechanism.SHA256_HMAC)), code) for key in signing):
        raise IntegrityError(f"{wrong} under each key for HMAC ({handles(found)})")


def oaep_padding(hash_name: str) -> padding.OAEP:
    """Return RSA-OAEP with one hash throughout, a name of `OAEP`, and no label."""
    algorithm = OAEP[hash_name][2]
    return padding.OAEP(mgf=padding.MGF1(algorithm=algorithm), algorithm=algorithm, label=None)


def _id(wrapped: WrappedKey) -> bytes:
    try:
        return from_printable(wrapped.k)
    except ValueError:
        raise IntegrityError("the wrapped key names a version that is no CKA_ID") from None


def _expect(wrapped: WrappedKey, *, iv: int, ct: int, mac: int) -> None:
    """Refuse parts of a wrong length. Raises `IntegrityError`."""
    for part, wanted, found in (("iv", iv, wrapped.iv), ("ct", ct, wrapped.ct), ("mac", mac, wrapped.mac)):
        if len(found) != wanted:
            raise IntegrityError(f"the wrapped key's {part} has {len(found)} bytes, not {wanted}")
