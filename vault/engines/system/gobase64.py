# SPDX-License-Identifier: EUPL-1.2
"""Standard base64 as the field's clients know it: padded, line ends ignored, and the place of a fault told."""

from __future__ import annotations

import base64
from typing import Final

_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_BREAKS: Final = frozenset(b"\r\n")
_PAD: Final = 0x3D


class IllegalBase64(ValueError):
    """The text is not base64; the message names the place of the fault, never what is there."""

    def __init__(self, place: int) -> None:
        super().__init__(f"illegal base64 data at input byte {place}")


def decode(text: str) -> bytes:
    """Return the bytes that `text` stands for. Raises `IllegalBase64`."""
    data = text.encode("utf-8", "surrogatepass")
    kept = bytearray()
    for place, byte in enumerate(data):
        if byte in _BREAKS:
            continue
        if byte not in _ALPHABET:
            return _padded(data, place, kept)
        kept.append(byte)
    if len(kept) % 4:
        raise IllegalBase64(len(data) - len(kept) % 4)
    return base64.b64decode(bytes(kept))


def _padded(data: bytes, place: int, kept: bytearray) -> bytes:
    """Finish at the first byte outside the alphabet: right only for padding that ends the text."""
    given = len(kept) % 4
    if data[place] != _PAD or given < 2:
        raise IllegalBase64(place)
    rest = [spot for spot in range(place + 1, len(data)) if data[spot] not in _BREAKS]
    if given == 2:
        if not rest:
            raise IllegalBase64(len(data))
        if data[rest[0]] != _PAD:
            raise IllegalBase64(rest[0] - 1)
        rest = rest[1:]
    if rest:
        raise IllegalBase64(rest[0])
    return base64.b64decode(bytes(kept) + b"=" * (4 - given))
