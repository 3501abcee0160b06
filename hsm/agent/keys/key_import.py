# SPDX-License-Identifier: EUPL-1.2
"""The same AES key in a second token, from components that custodians hold (`hsm.components`).

The key is in this process's memory for a moment, and was outside a token once: the token itself says so of it for ever
(`CKA_NEVER_EXTRACTABLE` is false).
"""

from __future__ import annotations

from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass

from hsm.agent.keys.objects import exists, find, unguarded, versions
from hsm.agent.keys.proof import check_known
from hsm.agent.session.pool import TokenSession
from hsm.errors import BadConfig
from hsm.versions import KeyVersion, name, printable


def import_kek(
    session: TokenSession, label: str, key_id: bytes, key: bytes, *, dry_run: bool = False
) -> KeyVersion:
    """Store `key` under `label` and `key_id`, to wrap and unwrap, never to leave. Needs a session that may write.

    With `dry_run` it is a key of the session alone, and is destroyed again. Raises `BadConfig` when label and id are taken or the token would give the key out, python-pkcs11's exceptions.
    """
    if exists(session, ObjectClass.SECRET_KEY, label, key_id):
        raise BadConfig(f"{name(label, key_id)}: is taken on the token; remove it or choose another id")
    made: Any = session.pkcs11.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.TOKEN: not dry_run,
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
    found = next(version for version in versions(session, label) if version.version == printable(key_id))
    if dry_run:
        made.destroy()
    return found


def token_check_value(session: TokenSession, label: str, key_id: bytes) -> str:
    """Return the check value that the token gives for an AES key, in hexadecimal; empty where it gives none."""
    key: Any = find(session, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES)
    try:
        return bytes(key[Attribute.CHECK_VALUE]).hex()
    except pkcs11.PKCS11Error:
        return ""
