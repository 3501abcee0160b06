# SPDX-License-Identifier: EUPL-1.2
"""A key's versions, as a token's owner and a server speak of them. Nothing here touches a token.

A label's versions have the ids `v0001`, `v0002`, …; other ids are taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from hsm.errors import KeyAmbiguous, KeyMissing

_VERSION: Final = re.compile(rb"v(\d{4,9})")
_PRINTABLE: Final = re.compile(rb"(?!0x)[\x21-\x7e]+")

GONE: Final = "for what a key wrapped that is gone no new one helps: restore it from a backup of the token"
"""Goes with every advice to make a key."""


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
    imported: bool = False
    """Whether the token says that it was brought from outside, as `hsm.agent.keys.key_import` does."""


def printable(key_id: bytes) -> str:
    """Return a `CKA_ID` as text that `from_printable` reads back."""
    return key_id.decode("ascii") if _PRINTABLE.fullmatch(key_id) else f"0x{key_id.hex()}"


def from_printable(text: str) -> bytes:
    """Return the `CKA_ID` for its text. Raises `ValueError` for text that `printable` never gives."""
    key_id = bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode("ascii")
    if printable(key_id) != text:
        raise ValueError("is not the text of an id")
    return key_id


def name(label: str, key_id: bytes | None) -> str:
    """Return how messages call a key."""
    return f"key {label} id {printable(key_id)}" if key_id else f"key {label}"


def newest(found: Iterable[KeyVersion], label: str) -> KeyVersion:
    """Return the version that wraps: the highest that is not retired.

    Raises `KeyMissing`, and `KeyAmbiguous` where the ids do not tell an order, or where it would be older than an RSA key
    that counts as retired: what says so is public, and nobody without the PIN chooses between versions.
    """
    found = list(found)
    current = [version for version in found if not version.retired]
    if not current:
        raise KeyMissing(
            f"key {label}: the token has none that encrypts (a new slot gets one by vaultctl hsm generate-kek; {GONE})",
            ckr="NoSuchKey",
        )
    numbered = [v for v in current if _VERSION.fullmatch(from_printable(v.version))]
    if len(current) > 1 and not numbered:
        ids = ", ".join(version.version for version in current)
        raise KeyAmbiguous(f"key {label}: the token has several (ids {ids}); set key_id")
    chosen = (numbered or current)[-1]
    for later in found:
        if later.kind == "rsa" and later.retired and _later(later, chosen):
            raise KeyAmbiguous(
                f"key {label}: its public half says that id {later.version} only decrypts, which anybody can set, and "
                f"{chosen.version} is older; let it encrypt again, or set key_id"
            )
    return chosen


def _later(one: KeyVersion, other: KeyVersion) -> bool:
    return order(from_printable(one.version)) > order(from_printable(other.version))


def next_version(found: Iterable[KeyVersion]) -> bytes:
    """Return the id of the version after all that there are."""
    numbers = [int(m[1]) for v in found if (m := _VERSION.fullmatch(from_printable(v.version)))]
    return b"v%04d" % (max(numbers, default=0) + 1)


def following(key_id: bytes) -> bytes:
    """Return the id after one that `next_version` gave."""
    return b"v%04d" % (int(key_id[1:]) + 1)


def order(key_id: bytes) -> tuple[int, bytes]:
    """Return what versions are sorted by: the number in the id, or the id where there is none."""
    numbered = _VERSION.fullmatch(key_id)
    return (int(numbered[1]) if numbered else 0, key_id)
