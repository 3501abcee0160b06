# SPDX-License-Identifier: EUPL-1.2
"""How one value lies in storage: encrypted, and bound to its place.

An entry: version byte (1) | key term (4 bytes, big-endian) | nonce (12) | ciphertext and tag (16).
A wrapped record (keyring, seal slot): version byte (1) | nonce (12) | ciphertext and tag (16).

Everything is AES-256-GCM. The additional data is the header and, each preceded by its length in 4
bytes, a domain string, and where the value lives. So no two places share additional data, and an
entry that was moved, relabelled or altered in any bit does not open.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag

from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key, Random
from vault.values.ids import NamespaceId

VERSION: Final = 1
"""The only layout so far; the first byte of every envelope."""

NONCE_BYTES: Final = 12
"""Length of the random nonce: at most about 2^32 encryptions per key, see `keyring.RotationConfig`."""

ENTRY_DOMAIN: Final = "coffre.entry"
"""Domain string of everything stored through a view."""

_TAG_BYTES: Final = 16
_ENTRY_HEADER: Final = Struct(">BI")
_unpack_header: Final = _ENTRY_HEADER.unpack_from
_NONCE_END: Final = _ENTRY_HEADER.size + NONCE_BYTES
_ENTRY_SHORTEST: Final = _NONCE_END + _TAG_BYTES
_WRAPPED_SHORTEST: Final = 1 + NONCE_BYTES + _TAG_BYTES
_pack: Final = Struct(">I").pack
_HEAD: Final = _ENTRY_HEADER.size


def bind(*fields: str) -> bytes:
    """Encode `fields` as additional data: each as its length in 4 bytes, then UTF-8. Injective."""
    encoded = [field.encode() for field in fields]
    return b"".join(_pack(len(field)) + field for field in encoded)


@lru_cache(maxsize=1024)
def entry_scope(namespace_id: NamespaceId) -> bytes:
    """Return the part of the additional data that all entries of one namespace share."""
    return bind(ENTRY_DOMAIN, namespace_id)


def header(term: int) -> bytes:
    """Return the first five bytes of an entry under key `term`."""
    return _ENTRY_HEADER.pack(VERSION, term)


def seal(key: Key, *, head: bytes, scope: bytes, path: str, plaintext: bytes, nonce: bytes) -> bytes:
    """Encrypt `plaintext` for the full storage `path`.

    `head` comes from `header`, `scope` from `entry_scope`; `nonce` is 12 fresh random bytes.
    """
    place = path.encode()
    return head + nonce + key.aead.encrypt(nonce, plaintext, head + scope + _pack(len(place)) + place)


def term_of(data: bytes) -> int:
    """Return the key term that an entry names; `BarrierFailure` when it cannot be an entry."""
    if len(data) < _ENTRY_SHORTEST:
        raise BarrierFailure("stored entry is cut short")
    version, term = _unpack_header(data)
    if version != VERSION:
        raise BarrierFailure("stored entry has an unknown version")
    return term  # type: ignore[no-any-return]  # the struct says so


def open_entry(key: Key, scope: bytes, path: str, data: bytes) -> bytes:
    """Decrypt what `seal` made for `path`, after `term_of` chose the key; else `BarrierFailure`."""
    place = path.encode()
    bound = data[:_HEAD] + scope + _pack(len(place)) + place
    try:
        return key.aead.decrypt(data[_HEAD:_NONCE_END], data[_NONCE_END:], bound)
    except InvalidTag:
        raise BarrierFailure("stored entry fails its integrity check") from None


def wrap(key: Key, place: tuple[str, ...], plaintext: bytes, random: Random) -> bytes:
    """Encrypt a record that lives outside the keyring's reach, bound to `place`: purpose, path, and so on."""
    nonce = random(NONCE_BYTES)
    head = bytes([VERSION])
    return head + nonce + key.aead.encrypt(nonce, plaintext, head + bind(*place))


def unwrap(key: Key, place: tuple[str, ...], data: bytes) -> bytes:
    """Decrypt what `wrap` made; `BarrierFailure` when the key, the place or any bit differs."""
    if len(data) < _WRAPPED_SHORTEST or data[0] != VERSION:
        raise BarrierFailure("stored record is cut short or has an unknown version")
    nonce, sealed = data[1 : 1 + NONCE_BYTES], data[1 + NONCE_BYTES :]
    try:
        return key.aead.decrypt(nonce, sealed, data[:1] + bind(*place))
    except InvalidTag:
        raise BarrierFailure("stored record fails its integrity check") from None
