# SPDX-License-Identifier: EUPL-1.2
"""Standard base64 as the field's clients know it: padded, line ends ignored, and the place of a fault told."""

from __future__ import annotations

import base64
import re
from typing import Final

_FOREIGN: Final = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_VISIBLE: Final = re.compile(rb"[^\r\n]")
_BREAKS: Final = b"\r\n"


class IllegalBase64(ValueError):
    """The text is not base64; the message names the place of the fault, never what is there."""

    def __init__(self, place: int) -> None:
        super().__init__(f"illegal base64 data at input byte {place}")


def decode(text: str) -> bytes:
    """Return the bytes that `text` stands for. Raises `IllegalBase64`."""
    data = text.encode("utf-8", "surrogatepass")
    foreign = _FOREIGN.search(data)
    if foreign is not None:
        return _padded(data, foreign.start())
    kept = data.translate(None, _BREAKS)
    if len(kept) % 4:
        raise IllegalBase64(len(data) - len(kept) % 4)
    return base64.b64decode(kept)


def _padded(data: bytes, place: int) -> bytes:
    """Finish at the first byte outside the alphabet: right only for padding that ends the text."""
    kept = data[:place].translate(None, _BREAKS)
    given = len(kept) % 4
    if data[place : place + 1] != b"=" or given < 2:
        raise IllegalBase64(place)
    rest = _VISIBLE.search(data, place + 1)
    if given == 2:
        if rest is None:
            raise IllegalBase64(len(data))
        if rest.group() != b"=":
            raise IllegalBase64(rest.start() - 1)
        rest = _VISIBLE.search(data, rest.end())
    if rest is not None:
        raise IllegalBase64(rest.start())
    return base64.b64decode(kept + b"=" * (4 - given))
