# SPDX-License-Identifier: EUPL-1.2
"""Keys on a token by label, id and class. A label's versions have the ids `v0001`, `v0002`, …

Tokens accept a second key of the same label and id; a key that could be either of two is refused. A process that reaches
a token without its PIN can make, change and delete its public objects, of any label and id. So a secret or private key
counts only if it is guarded: private, so that it takes a login to make one, sensitive and not extractable. All look-ups
of such keys are here, and see no others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass

from hsm.agent.session.pool import TokenSession
from hsm.errors import BadConfig, KeyAmbiguous, KeyMissing
from hsm.versions import KeyVersion, name, order, printable

HMAC_SUFFIX: Final = "-hmac"
"""The key that authenticates for `AES_CBC_HMAC` has the AES key's label with this; see `companion`."""

MOST_OBJECTS: Final = 256
"""How many objects of one name are looked at: the versions of a key in a lifetime, not what somebody floods a token with."""

MOST_TWINS: Final = 8
"""How many keys of one label and id are tried, where the record itself shows which is the right one."""

_MOST_STRANGERS: Final = 8
"""How many objects that do not count are named."""

_LONGEST_SHOWN: Final = 32
"""Bytes of an id that messages show of an object that does not count: its length is an attacker's choice."""

_PROHIBITED: Final = "0x1b"
"""`CKR_ACTION_PROHIBITED`, which python-pkcs11 has no class for."""


def companion(key_id: bytes) -> bytes:
    """Return the id of the key that authenticates for the version `key_id`: another one, since NSS keeps one
    secret key for an id and lets the second take the place of the first.
    """
    return key_id + HMAC_SUFFIX.encode()


def authenticators(session: TokenSession, label: str, key_id: bytes) -> list[Any]:
    """Return the HMAC keys of a version: there is to be one. Raises as `search`."""
    return search(session, ObjectClass.SECRET_KEY, label + HMAC_SUFFIX, companion(key_id), None)


def find(
    session: TokenSession,
    kind: ObjectClass,
    label: str,
    key_id: bytes | None,
    key_type: KeyType | None = None,
) -> Any:  # noqa: ANN401 - python-pkcs11 makes the key's class at run time, from what the key may do
    """Return the one key of this class, label and id; `key_id` None stands for whatever id it has.

    A session remembers what it found. Raises `KeyMissing`, `KeyAmbiguous` and python-pkcs11's exceptions.
    """
    wanted = (kind, label, key_id, key_type)
    if wanted not in session.keys:
        found = search(session, kind, label, key_id, key_type)
        what = name(label, key_id)
        if not found:
            ignored = ignored_note(strangers(session, label, key_id))
            raise KeyMissing(f"{what}: the token has no such {_WORDS[kind]}{ignored}", ckr="NoSuchKey")
        if len(found) > 1:
            raise KeyAmbiguous(f"{what}: the token has more than one {_WORDS[kind]} ({handles(found)})")
        session.keys[wanted] = found[0]
    return session.keys[wanted]


def unguarded(key: Any) -> str:  # noqa: ANN401 - as in `find`
    """Return why a secret or private key does not count, or nothing. What the token does not tell speaks against it,
    but for its history, which not every token knows.

    A key that was generated on the token must never have been readable; one that was imported was outside by intent.
    """
    if not flag(key, Attribute.PRIVATE, absent=False):
        return "it is not private (CKA_PRIVATE): no login is needed to make or read it"
    if not flag(key, Attribute.SENSITIVE, absent=False):
        return "it is not sensitive (CKA_SENSITIVE)"
    if flag(key, Attribute.EXTRACTABLE, absent=True):
        return "it is extractable (CKA_EXTRACTABLE)"
    if flag(key, Attribute.LOCAL, absent=False) and not (
        flag(key, Attribute.ALWAYS_SENSITIVE, absent=True)
        and flag(key, Attribute.NEVER_EXTRACTABLE, absent=True)
    ):
        return "it could be read once (CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE)"
    return ""


def strangers(session: TokenSession, label: str, key_id: bytes | None = None) -> list[str]:
    """Return the secret and private keys of a label that do not count, each with the reason: the first few of them."""
    found: list[str] = []
    for kind in _GUARDED:
        wanted = _template(kind, label, key_id, None)
        seen = _objects(session, wanted)
        while len(found) < _MOST_STRANGERS:
            try:
                key = next(seen, None)
            except (ValueError, NotImplementedError):  # of a type that python-pkcs11 does not know
                break
            if key is None:
                break
            why = unguarded(key)
            if why:
                found.append(f"object {key.handle}, a {_WORDS[kind]} {label} id {_id_of(key)}: {why}")
    return found


def ignored_note(ignored: list[str]) -> str:
    """Return the end of a sentence that names what does not count, or nothing."""
    return f"; it has what does not count: {'; '.join(ignored)}" if ignored else ""


def handles(found: list[Any]) -> str:
    """Return how messages name objects of one label and id."""
    return "objects " + ", ".join(str(key.handle) for key in found)


def find_authenticator(session: TokenSession, label: str, key_id: bytes) -> Any:  # noqa: ANN401 - as in `find`
    """Return the one HMAC key of a version. Raises as `find`."""
    return find(session, ObjectClass.SECRET_KEY, label + HMAC_SUFFIX, companion(key_id))


def remember_authenticator(session: TokenSession, key: Any, label: str, key_id: bytes) -> None:  # noqa: ANN401 - as in `find`
    """Let `find` return `key`, one of several HMAC keys of a version."""
    session.keys[ObjectClass.SECRET_KEY, label + HMAC_SUFFIX, companion(key_id), None] = key


def remember(
    session: TokenSession,
    key: Any,  # noqa: ANN401 - as above
    kind: ObjectClass,
    label: str,
    key_id: bytes,
    key_type: KeyType,
) -> None:
    """Let `find` return `key`, one of several of its name, for as long as the session remembers what it found."""
    session.keys[kind, label, key_id, key_type] = key


def forget(session: TokenSession, kind: ObjectClass, label: str, key_id: bytes, key_type: KeyType) -> None:
    """Let `find` look again."""
    session.keys.pop((kind, label, key_id, key_type), None)


def exists(session: TokenSession, kind: ObjectClass, label: str, key_id: bytes) -> bool:
    """Tell whether at least one key has this class, label and id."""
    return bool(search(session, kind, label, key_id, None))


def versions(session: TokenSession, label: str) -> list[KeyVersion]:
    """Return all keys of a label that wrap: AES keys and RSA private keys, in the order of their versions.

    Raises `KeyAmbiguous` when two of them have the same id, and python-pkcs11's exceptions.
    """
    found: dict[bytes, KeyVersion] = {}
    seen: dict[bytes, Any] = {}
    for kind, key_type in ((ObjectClass.SECRET_KEY, KeyType.AES), (ObjectClass.PRIVATE_KEY, KeyType.RSA)):
        for key in search(session, kind, label, None, key_type):
            key_id = bytes(key[Attribute.ID])
            if key_id in found:
                raise KeyAmbiguous(
                    f"{name(label, key_id)}: the token has more than one ({handles([seen[key_id], key])}); "
                    "remove or rename all but one"
                )
            seen[key_id] = key
            found[key_id] = describe(session, key, label, key_id)
    return [found[key_id] for key_id in sorted(found, key=order)]


def retire(session: TokenSession, label: str, key_id: bytes, *, dry_run: bool = False) -> None:
    """Let a version decrypt only, from now on. Needs a session that may write.

    With `dry_run` nothing is changed: the token is asked whether it lets the key change. Raises `BadConfig` where the token does not let the key change, `KeyMissing`, python-pkcs11's exceptions.
    """
    if exists(session, ObjectClass.SECRET_KEY, label, key_id):
        encrypting = [find(session, ObjectClass.SECRET_KEY, label, key_id, KeyType.AES)]
    else:
        private = find(session, ObjectClass.PRIVATE_KEY, label, key_id, KeyType.RSA)
        encrypting = _halves(session, private, label, key_id)
        if not encrypting:
            raise KeyMissing(f"{name(label, key_id)}: the token has no public key that belongs to it")
    fixed = (
        f"{name(label, key_id)}: was made unmodifiable and cannot be retired on the token; "
        "nothing wraps with it while there is a newer version"
    )
    if dry_run:
        if not all(flag(key, Attribute.MODIFIABLE, absent=True) for key in encrypting):
            raise BadConfig(fixed, ckr="AttributeReadOnly")
        return
    try:
        for key in encrypting:
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


_GUARDED: Final = (ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY)


def search(
    session: TokenSession, kind: ObjectClass, label: str, key_id: bytes | None, key_type: KeyType | None
) -> list[Any]:
    """Return the keys of this class, label, id and type, of secret and private keys the guarded ones alone.

    The token is asked for private ones, so that no number of others is in the way. Raises `KeyAmbiguous` for more than
    `MOST_OBJECTS`, python-pkcs11's exceptions.
    """
    wanted = _template(kind, label, key_id, key_type)
    if kind in _GUARDED:
        wanted[Attribute.PRIVATE] = True
    found = list(itertools.islice(_objects(session, wanted), MOST_OBJECTS + 1))
    if len(found) > MOST_OBJECTS:
        raise KeyAmbiguous(
            f"{name(label, key_id)}: the token has more than {MOST_OBJECTS} objects of this name, a {_WORDS[kind]} each; "
            "remove those that are not needed"
        )
    return [key for key in found if kind not in _GUARDED or not unguarded(key)]


def _template(
    kind: ObjectClass, label: str, key_id: bytes | None, key_type: KeyType | None
) -> dict[Attribute, Any]:
    wanted: dict[Attribute, Any] = {
        Attribute.CLASS: kind,
        Attribute.LABEL: label or None,
        Attribute.ID: key_id,
        Attribute.KEY_TYPE: key_type,
    }
    return {what: value for what, value in wanted.items() if value is not None}


def _objects(session: TokenSession, wanted: dict[Attribute, Any]) -> Iterator[Any]:
    return iter(session.pkcs11.get_objects(wanted))


def _id_of(key: Any) -> str:  # noqa: ANN401 - as in `find`
    try:
        found = bytes(key[Attribute.ID])
    except pkcs11.PKCS11Error:
        return "unknown"
    shown = printable(found[:_LONGEST_SHOWN])
    return shown if len(found) <= _LONGEST_SHOWN else f"{shown}… ({len(found)} bytes)"


def describe(session: TokenSession, key: Any, label: str, key_id: bytes) -> KeyVersion:  # noqa: ANN401 - as in `find`
    """Return what is known of a key that wraps."""
    secret = key.object_class is ObjectClass.SECRET_KEY
    encrypting = [key] if secret else _halves(session, key, label, key_id)
    return KeyVersion(
        version=printable(key_id),
        kind="aes" if secret else "rsa",
        bits=_bits(key, secret=secret),
        retired=bool(encrypting)
        and not any(flag(each, Attribute.ENCRYPT, absent=True) for each in encrypting),
        protected=flag(key, Attribute.SENSITIVE, absent=False)
        and not flag(key, Attribute.EXTRACTABLE, absent=True)
        and flag(key, Attribute.NEVER_EXTRACTABLE, absent=False),
        imported=not flag(key, Attribute.LOCAL, absent=True),
        authenticated=secret and bool(authenticators(session, label, key_id)),
    )


def _halves(session: TokenSession, private: Any, label: str, key_id: bytes) -> list[Any]:  # noqa: ANN401 - as in `find`
    """Return the public objects of an RSA key: those with its modulus, whatever else has its name, and however much.

    The token compares, so that nothing of what somebody planted is read. The first few are enough.
    """
    wanted = _template(ObjectClass.PUBLIC_KEY, label, key_id, KeyType.RSA)
    wanted[Attribute.MODULUS] = bytes(private[Attribute.MODULUS])
    return list(itertools.islice(_objects(session, wanted), MOST_TWINS))


def _bits(key: Any, *, secret: bool) -> int:  # noqa: ANN401 - as in `find`
    try:
        return int(key[Attribute.VALUE_LEN]) * 8 if secret else len(key[Attribute.MODULUS]) * 8
    except pkcs11.PKCS11Error:
        return 0
