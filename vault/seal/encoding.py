# SPDX-License-Identifier: EUPL-1.2
"""The text forms in which shares and public keys arrive: hexadecimal, or base64 as Go reads it."""

from __future__ import annotations

import binascii
import re
from typing import Final

_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*\Z")
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_PAD: Final = ord("=")
_LINE_ENDS: Final = frozenset(b"\r\n")


class NotBase64(ValueError):
    """The text is not padded standard base64; `at` is the byte offset that OpenBao would name."""

    def __init__(self, at: int) -> None:
        """`at` is a byte offset into the UTF-8 text."""
        super().__init__(f"illegal base64 data at input byte {at}")
        self.at = at


def from_hex(text: str) -> bytes | None:
    """Return the bytes of an even number of hexadecimal digits (either case), or None."""
    return bytes.fromhex(text) if _HEX.match(text) else None


def from_base64(text: str) -> bytes:
    """Decode padded standard base64; line ends are ignored anywhere, trailing bits need not be zero.

    Raises `NotBase64`.
    """
    data = text.encode(errors="surrogatepass")
    at = _first_error(data)
    if at is not None:
        raise NotBase64(at)
    return binascii.a2b_base64(data)


def _first_error(data: bytes) -> int | None:
    """Return the offset of the first error in `data`, or None."""
    filled = 0
    for at, byte in enumerate(data):
        if byte in _LINE_ENDS:
            continue
        if byte == _PAD and filled >= 2:
            return _padding_error(data, at + 1, missing=3 - filled)
        if byte not in _ALPHABET:
            return at
        filled = (filled + 1) % 4
    return len(data) - filled if filled else None


def _padding_error(data: bytes, start: int, missing: int) -> int | None:
    """Return the first error from `start` on, where `missing` more pads and then nothing must follow."""
    last = start
    for at in range(start, len(data)):
        if data[at] in _LINE_ENDS:
            continue
        if missing == 0:
            return at
        if data[at] != _PAD:
            return at - 1
        missing -= 1
        last = at + 1
    return len(data) if missing and last <= len(data) else None
