# SPDX-License-Identifier: EUPL-1.2
"""Keys on a token by label, id and class. A label's versions have the ids `v0001`, `v0002`, …

Tokens accept a second key of the same label and id; a key that could be either of two is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass

from hsm.errors import BadConfig, KeyAmbiguous, KeyMissing
from hsm.sessions import Held

HMAC_SUFFIX: Final = "-hmac"
"""The key that authenticates for `AES_CBC_HMAC` has the AES key's label with this; see `companion`."""

_PROHIBITED: Final = "0x1b"
"""`CKR_ACTION_PROHIBITED`, which python-pkcs11 has no class for."""
_VERSION: Final = re.compile(rb"v(\d{4,9})")
_PRINTABLE: Final = re.compile(rb"(?!0x)[\x21-\x7e]+")


class KeyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a key that wraps, as the token has it."""

    version: str
    """`CKA_ID`, printable or as `0x…`."""
    kind: str
    """`aes` or `rsa`."""
    bits: int
    """Size of the key; 0 where the token does not tell."""
    retired: bool
    """Whether it only decrypts."""
    protected: bool
    """Whether the token says that it is sensitive and was never extractable."""
    authenticated: bool = False
    """Whether an HMAC key belongs to it."""


def printable(key_id: bytes) -> str:
    """Return a `CKA_ID` as text that `from_printable` reads back."""
    return key_id.decode("ascii") if _PRINTABLE.fullmatch(key_id) else f"0x{key_id.hex()}"


def from_printable(text: str) -> bytes:
    """Return the `CKA_ID` for its text. Raises `ValueError` for text that `printable` never gives."""
    key_id = bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode("ascii")
    if printable(key_id) != text:
        raise ValueError("is not the text of an id")
    return key_id


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


def name(label: str, key_id: bytes | None) -> str:
    """Return how messages call a key."""
    return f"key {label} id {printable(key_id)}" if key_id else f"key {label}"


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
    return [found[key_id] for key_id in sorted(found, key=_order)]


def newest(found: Iterable[KeyVersion], label: str) -> KeyVersion:
    """Return the version that wraps: the highest that is not retired.

    Raises `KeyMissing`, and `KeyAmbiguous` where the ids do not tell an order.
    """
    current = [version for version in found if not version.retired]
    if not current:
        raise KeyMissing(
            f"key {label}: the token has none that encrypts; make one with vaultctl hsm generate-kek",
            ckr="NoSuchKey",
        )
    numbered = [v for v in current if _VERSION.fullmatch(from_printable(v.version))]
    if len(current) > 1 and not numbered:
        ids = ", ".join(version.version for version in current)
        raise KeyAmbiguous(f"key {label}: the token has several (ids {ids}); set key_id")
    return (numbered or current)[-1]


def next_version(found: Iterable[KeyVersion]) -> bytes:
    """Return the id of the version after all that there are."""
    numbers = [int(m[1]) for v in found if (m := _VERSION.fullmatch(from_printable(v.version)))]
    return b"v%04d" % (max(numbers, default=0) + 1)


def retire(held: Held, label: str, key_id: bytes) -> None:
    """Let a version decrypt only, from now on. Needs a session that may write.

    Raises `BadConfig` where the token does not let the key change, `KeyMissing`, python-pkcs11's exceptions.
    """
    if exists(held, ObjectClass.SECRET_KEY, label, key_id):
        key = find(held, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES)
    else:
        key = find(held, ObjectClass.PUBLIC_KEY, label, key_id, KeyType.RSA)
    try:
        key[Attribute.ENCRYPT] = False
    except pkcs11.PKCS11Error as error:
        if not isinstance(error, pkcs11.AttributeReadOnly) and _PROHIBITED not in str(error).lower():
            raise
        raise BadConfig(
            f"{name(label, key_id)}: was made unmodifiable and cannot be retired on the token; "
            "nothing wraps with it while there is a newer version",
            ckr=type(error).__name__,
        ) from error


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


def _order(key_id: bytes) -> tuple[int, bytes]:
    numbered = _VERSION.fullmatch(key_id)
    return (int(numbered[1]) if numbered else 0, key_id)
