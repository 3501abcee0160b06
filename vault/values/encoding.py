# SPDX-License-Identifier: EUPL-1.2
"""The text forms in which bytes arrive: hexadecimal, or base64 as Go reads it."""

from __future__ import annotations

import binascii
import re
from typing import Final

_FOREIGN: Final = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_VISIBLE: Final = re.compile(rb"[^\r\n]")
_LINE_ENDS: Final = b"\r\n"


class NotBase64(ValueError):
    """The text is not padded standard base64; `at` is the byte offset that OpenBao would name."""

    def __init__(self, at: int) -> None:
        """`at` is a byte offset into the UTF-8 text."""
        super().__init__(f"illegal base64 data at input byte {at}")
        self.at = at


def from_hex(text: str) -> bytes | None:
    """Return the bytes of an even number of hexadecimal digits (either case), or None."""
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return None


def to_base64(data: bytes) -> str:
    """Return bytes as padded standard base64."""
    return binascii.b2a_base64(data, newline=False).decode()


def from_base64(text: str) -> bytes:
    """Decode padded standard base64; line ends are ignored anywhere, trailing bits need not be zero.

    Raises `NotBase64`.
    """
    if len(text) % 4 or text.endswith("==="):  # the strict mode lets too much padding pass
        return _from_unusual(text)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return _from_unusual(text)


def _from_unusual(text: str) -> bytes:
    """Decode what has line ends, or say where it is no base64."""
    data = text.encode(errors="surrogatepass")
    foreign = _FOREIGN.search(data)
    if foreign is not None:
        return _padded(data, foreign.start())
    kept = data.translate(None, _LINE_ENDS)
    if len(kept) % 4:
        raise NotBase64(len(data) - len(kept) % 4)
    return binascii.a2b_base64(kept)


def _padded(data: bytes, at: int) -> bytes:
    """Finish at the first byte outside the alphabet: right only for padding that ends the text."""
    kept = data[:at].translate(None, _LINE_ENDS)
    given = len(kept) % 4
    if data[at : at + 1] != b"=" or given < 2:
        raise NotBase64(at)
    rest = _VISIBLE.search(data, at + 1)
    if given == 2:
        if rest is None:
            raise NotBase64(len(data))
        if rest.group() != b"=":
            raise NotBase64(rest.start() - 1)
        rest = _VISIBLE.search(data, rest.end())
    if rest is not None:
        raise NotBase64(rest.start())
    return binascii.a2b_base64(kept + b"=" * (4 - given))
