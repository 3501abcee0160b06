# SPDX-License-Identifier: EUPL-1.2
"""How a key slot protects a value of any length: a fresh data encryption key, wrapped by the slot.

A record is the SHA-256 of a text, then that text: JSON with sorted keys and without spaces,
`{"c": ciphertext, "h": header, "n": nonce}`. The payload is encrypted with AES-256-GCM in software under the
data encryption key; the additional data is `COFFRE-SEAL-1`, a zero byte and the header's JSON. The header
holds the wrapped key and says whose record this is and what for. So wrap and payload are bound to each other
and to their place, whatever mechanism the slot has, and no mechanism of a token ever sees additional data.

The digest tells damage from a slot that lost its key; it is no protection against someone who can write:
that is the encryption. What is not exactly the text that we would write is refused, so there is one spelling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm.errors import IntegrityError
from hsm.key_slot import DEK_BYTES, KeyIdentity, KeySlot, WrappedKey

VERSION: Final = 1
"""The only layout so far; it is in the additional data, so nothing can be read as an older one."""

Purpose = Literal["root", "recovery", "canary", "sealwrap", "managed"]
"""What a record is for: one of another purpose never opens."""

_DOMAIN: Final = b"COFFRE-SEAL-1\0"
_DIGEST_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class RecordAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record belongs; it opens nowhere else."""

    slot: str
    """Name of the key slot."""
    purpose: Purpose
    cluster: str
    """Identifier of the vault."""
    namespace: str
    path: str
    """Full storage path of the value."""
    root_version: int = 0
    """Which generation of the root key the value is, for `root`; else 0."""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    v: Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)] = VERSION
    slot: str
    purpose: Purpose
    cluster: str
    ns: str
    path: str
    root_ver: Annotated[int, msgspec.Meta(ge=0)]
    wrap: WrappedKey


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    h: _Header
    n: Annotated[bytes, msgspec.Meta(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]
    c: Annotated[bytes, msgspec.Meta(min_length=16)]


async def seal(
    slot: KeySlot,
    place: RecordAddress,
    payload: bytes,
    random: Callable[[int], bytes],
    key: KeyIdentity | None = None,
) -> bytes:
    """Encrypt `payload` so that `slot` opens it at `place` only, under `key` if that is given.

    Raises what `slot.wrap` raises.
    """
    dek = random(DEK_BYTES)
    wrapped = await slot.wrap(dek, key)
    header = _Header(
        slot=place.slot,
        purpose=place.purpose,
        cluster=place.cluster,
        ns=place.namespace,
        path=place.path,
        root_ver=place.root_version,
        wrap=wrapped,
    )
    nonce = random(_NONCE_BYTES)
    sealed = AESGCM(dek).encrypt(nonce, payload, _bound(header))
    text = _canonical(_Record(h=header, n=nonce, c=sealed))
    return hashlib.sha256(text).digest() + text


async def unseal(slot: KeySlot, place: RecordAddress, record: bytes) -> bytes:
    """Return the payload of a record that `seal` made with `slot` for `place`.

    Raises `IntegrityError` for any other bytes, and what `slot.unwrap` raises.
    """
    found = _read(record)
    header = found.h
    if place != RecordAddress(
        slot=header.slot,
        purpose=header.purpose,
        cluster=header.cluster,
        namespace=header.ns,
        path=header.path,
        root_version=header.root_ver,
    ):
        raise IntegrityError(f"seal record at {place.path}: belongs to another place; restore the right one")
    dek = await slot.unwrap(header.wrap)
    try:
        return AESGCM(dek).decrypt(found.n, found.c, _bound(header))
    except (InvalidTag, ValueError):
        raise IntegrityError(f"seal record at {place.path}: was altered; restore it from a backup") from None


def key_version(record: bytes) -> str:
    """Return the version of the slot's key that wrapped `record`; raises `IntegrityError` when it is damaged."""
    return wrapped_by(record).k


def wrapped_by(record: bytes) -> WrappedKey:
    """Return the wrapped key of `record`: how it was wrapped, and under which version. Raises `IntegrityError`."""
    return _read(record).h.wrap


def _read(record: bytes) -> _Record:
    text = record[_DIGEST_BYTES:]
    if hashlib.sha256(text).digest() != record[:_DIGEST_BYTES]:
        raise IntegrityError("seal record: was damaged or cut short; restore it from a backup")
    try:
        found = msgspec.json.decode(text, type=_Record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IntegrityError("seal record: has an unknown format or version") from None
    if _canonical(found) != text:
        raise IntegrityError("seal record: is not spelt as this program spells it")
    return found


def _bound(header: _Header) -> bytes:
    return _DOMAIN + _canonical(header)


def _canonical(value: _Header | _Record) -> bytes:
    return msgspec.json.encode(value, order="sorted")
