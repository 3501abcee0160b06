# SPDX-License-Identifier: EUPL-1.2
"""The same AES key in a second token, from components that two or more custodians hold.

No component tells anything of the key; the key is their exclusive or. It is in this process's memory for a moment,
and was outside a token once: the token itself says so of it for ever (`CKA_NEVER_EXTRACTABLE` is false).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

import pkcs11
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pkcs11 import Attribute, KeyType, ObjectClass

from hsm.agent.keys.objects import exists, find, unguarded, versions
from hsm.agent.keys.proof import check_known
from hsm.agent.session.pool import Held
from hsm.errors import BadConfig
from hsm.versions import KeyVersion, name, printable

KEY_BYTES: Final = 32


def combined(components: Sequence[bytes]) -> bytes:
    """Return the key of these components. Raises `BadConfig` for what can be no component, or no pair of them."""
    if len(components) < 2:
        raise BadConfig("components: a key comes from at least two, so that nobody knows it alone")
    if any(len(component) != KEY_BYTES for component in components):
        raise BadConfig(
            f"components: each must have {KEY_BYTES} bytes, in {2 * KEY_BYTES} hexadecimal digits"
        )
    if len(set(components)) != len(components) or bytes(KEY_BYTES) in components:
        raise BadConfig("components: one is zero or given twice, so that another would be the key itself")
    return functools.reduce(_exclusive_or, components)


def check_value(key: bytes) -> str:
    """Return what tells keys apart without telling them: three bytes in hexadecimal, as `CKA_CHECK_VALUE` has them.

    It is the start of a block of zeros encrypted with the key (PKCS#11 v3.0, 4.10.2).
    """
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block, by definition
    return encryptor.update(bytes(16))[:3].hex()


def import_kek(held: Held, label: str, key_id: bytes, key: bytes, *, rehearse: bool = False) -> KeyVersion:
    """Store `key` under `label` and `key_id`, to wrap and unwrap, never to leave. Needs a session that may write.

    With `rehearse` it is a key of the session alone, and is destroyed again. Raises `BadConfig` when label and id are taken or the token would give the key out, python-pkcs11's exceptions.
    """
    if exists(held, ObjectClass.SECRET_KEY, label, key_id):
        raise BadConfig(f"{name(label, key_id)}: is taken on the token; remove it or choose another id")
    made: Any = held.session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.TOKEN: not rehearse,
            Attribute.PRIVATE: True,
            Attribute.LABEL: label,
            Attribute.ID: key_id,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.ENCRYPT: True,
            Attribute.DECRYPT: True,
            Attribute.VALUE: key,
        }
    )
    why = unguarded(made)
    if why:
        made.destroy()
        raise BadConfig(
            f"{name(label, key_id)}: the token did not make it as asked, so it was destroyed: {why}"
        )
    try:
        check_known(made, key, name(label, key_id))
    except (BadConfig, pkcs11.PKCS11Error):
        made.destroy()
        raise
    found = next(version for version in versions(held, label) if version.version == printable(key_id))
    if rehearse:
        made.destroy()
    return found


def token_check_value(held: Held, label: str, key_id: bytes) -> str:
    """Return the check value that the token gives for an AES key, in hexadecimal; empty where it gives none."""
    key: Any = find(held, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES)
    try:
        return bytes(key[Attribute.CHECK_VALUE]).hex()
    except pkcs11.PKCS11Error:
        return ""


def _exclusive_or(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
