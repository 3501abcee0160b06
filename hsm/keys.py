# SPDX-License-Identifier: EUPL-1.2
"""Keys on a token by label, id and class. A label's versions have the ids `v0001`, `v0002`, …

Tokens accept a second key of the same label and id; a key that could be either of two is refused.
"""

from __future__ import annotations

from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass

from hsm.errors import BadConfig, KeyAmbiguous, KeyMissing
from hsm.sessions import Held
from hsm.versions import KeyVersion, name, order, printable

HMAC_SUFFIX: Final = "-hmac"
"""The key that authenticates for `AES_CBC_HMAC` has the AES key's label with this; see `companion`."""

_PROHIBITED: Final = "0x1b"
"""`CKR_ACTION_PROHIBITED`, which python-pkcs11 has no class for."""


def companion(key_id: bytes) -> bytes:
    """Return the id of the key that authenticates for the version `key_id`: another one, since NSS keeps one
    secret key for an id and lets the second take the place of the first.
    """
    return key_id + HMAC_SUFFIX.encode()


def find(
    held: Held, kind: ObjectClass, label: str, key_id: bytes | None, key_type: KeyType | None = None
) -> Any:  # noqa: ANN401 - python-pkcs11 makes the key's class at run time, from what the key may do
    """Return the one key of this class, label and id; `key_id` None stands for whatever id it has.

    A session remembers what it found. Raises `KeyMissing`, `KeyAmbiguous` and python-pkcs11's exceptions.
    """
    wanted = (kind, label, key_id, key_type)
    if wanted not in held.keys:
        found = _search(held, kind, label, key_id, key_type)
        what = name(label, key_id)
        if not found:
            raise KeyMissing(f"{what}: the token has no such {_WORDS[kind]}", ckr="NoSuchKey")
        if len(found) > 1:
            handles = ", ".join(str(key.handle) for key in found)
            raise KeyAmbiguous(f"{what}: the token has more than one {_WORDS[kind]} (objects {handles})")
        held.keys[wanted] = found[0]
    return held.keys[wanted]


def exists(held: Held, kind: ObjectClass, label: str, key_id: bytes) -> bool:
    """Tell whether at least one key has this class, label and id."""
    return bool(_search(held, kind, label, key_id, None))


def versions(held: Held, label: str) -> list[KeyVersion]:
    """Return all keys of a label that wrap: AES keys and RSA private keys, in the order of their versions.

    Raises `KeyAmbiguous` when two of them have the same id, and python-pkcs11's exceptions.
    """
    found: dict[bytes, KeyVersion] = {}
    for kind, key_type in ((ObjectClass.SECRET_KEY, KeyType.AES), (ObjectClass.PRIVATE_KEY, KeyType.RSA)):
        for key in _search(held, kind, label, None, key_type):
            key_id = bytes(key[Attribute.ID])
            if key_id in found:
                raise KeyAmbiguous(
                    f"{name(label, key_id)}: the token has more than one; remove or rename all but one"
                )
            found[key_id] = _described(held, key, label, key_id)
    return [found[key_id] for key_id in sorted(found, key=order)]


def retire(held: Held, label: str, key_id: bytes, *, rehearse: bool = False) -> None:
    """Let a version decrypt only, from now on. Needs a session that may write.

    With `rehearse` nothing is changed: the token is asked whether it lets the key change. Raises `BadConfig` where the token does not let the key change, `KeyMissing`, python-pkcs11's exceptions.
    """
    if exists(held, ObjectClass.SECRET_KEY, label, key_id):
        key = find(held, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES)
    else:
        key = find(held, ObjectClass.PUBLIC_KEY, label, key_id, KeyType.RSA)
    fixed = (
        f"{name(label, key_id)}: was made unmodifiable and cannot be retired on the token; "
        "nothing wraps with it while there is a newer version"
    )
    if rehearse:
        if not flag(key, Attribute.MODIFIABLE, absent=True):
            raise BadConfig(fixed, ckr="AttributeReadOnly")
        return
    try:
        key[Attribute.ENCRYPT] = False
    except pkcs11.PKCS11Error as error:
        if not isinstance(error, pkcs11.AttributeReadOnly) and _PROHIBITED not in str(error).lower():
            raise
        raise BadConfig(fixed, ckr=type(error).__name__) from error


def flag(key: Any, attribute: Attribute, *, absent: bool) -> bool:  # noqa: ANN401 - as in `find`
    """Return a boolean attribute, or `absent` where the token does not tell."""
    try:
        return bool(key[attribute])
    except pkcs11.PKCS11Error:
        return absent


_WORDS: Final = {
    ObjectClass.SECRET_KEY: "secret key",
    ObjectClass.PRIVATE_KEY: "private key",
    ObjectClass.PUBLIC_KEY: "public key",
}


def _search(
    held: Held, kind: ObjectClass, label: str, key_id: bytes | None, key_type: KeyType | None
) -> list[Any]:
    wanted: dict[Attribute, Any] = {
        Attribute.CLASS: kind,
        Attribute.LABEL: label or None,
        Attribute.ID: key_id,
        Attribute.KEY_TYPE: key_type,
    }
    return list(
        held.session.get_objects({what: value for what, value in wanted.items() if value is not None})
    )


def _described(held: Held, key: Any, label: str, key_id: bytes) -> KeyVersion:  # noqa: ANN401 - as in `find`
    secret = key.object_class is ObjectClass.SECRET_KEY
    encrypts = key
    if not secret:
        public = _search(held, ObjectClass.PUBLIC_KEY, label, key_id, KeyType.RSA)
        encrypts = public[0] if public else None
    return KeyVersion(
        version=printable(key_id),
        kind="aes" if secret else "rsa",
        bits=_bits(key, secret=secret),
        retired=encrypts is not None and not flag(encrypts, Attribute.ENCRYPT, absent=True),
        protected=flag(key, Attribute.SENSITIVE, absent=False)
        and not flag(key, Attribute.EXTRACTABLE, absent=True)
        and flag(key, Attribute.NEVER_EXTRACTABLE, absent=False),
        authenticated=secret and exists(held, ObjectClass.SECRET_KEY, label + HMAC_SUFFIX, companion(key_id)),
    )


def _bits(key: Any, *, secret: bool) -> int:  # noqa: ANN401 - as in `find`
    try:
        return int(key[Attribute.VALUE_LEN]) * 8 if secret else len(key[Attribute.MODULUS]) * 8
    except pkcs11.PKCS11Error:
        return 0
