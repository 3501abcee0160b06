# SPDX-License-Identifier: EUPL-1.2
"""QR codes (ISO/IEC 18004), which the API of OpenBao calls barcodes."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Final

from vault.framework.errors import Malformed

_MOST: Final = 5596
"""Characters of the longest text for which there is a code: digits alone (ISO/IEC 18004, table 7: version 40, level M)."""
_QUIET: Final = 4
"""White modules around a code, the quiet zone, where there is room (ISO/IEC 18004, 9.1)."""


def barcode(text: str, size: int, *, refusal: str) -> str:
    """Return a QR code as PNG of exactly `size` pixels a side, in base64; empty for 0 or less.

    Raises `Malformed`: with `refusal` where the text is too long for one, else where it takes more pixels.
    """
    if size <= 0:
        return ""
    if len(text) > _MOST:
        raise Malformed(refusal)
    import segno  # imported late: few servers ever draw one

    try:
        modules = segno.make(text, error="m", micro=False).matrix
    except segno.DataOverflowError:
        raise Malformed(refusal) from None
    if size < len(modules):
        raise Malformed(f"qr_size must be at least {len(modules)} for this URL, or 0 for no QR code")
    return base64.b64encode(_png(modules, size)).decode()


def _png(modules: Sequence[bytearray], size: int) -> bytes:
    """Return a picture with one bit for each pixel, 1 for white (PNG specification, sections 5 and 11).

    segno draws whole modules only, but clients ask for a size in pixels.
    """
    scale = max(size // (len(modules) + 2 * _QUIET), 1)
    before = (size - scale * len(modules)) // 2
    width = -(-size // 8)
    white = b"\0" + _packed("1" * size, width)
    lines = []
    for module in modules:
        dark = "".join(("0" if one else "1") * scale for one in module)
        lines += [b"\0" + _packed(("1" * before + dark).ljust(size, "1"), width)] * scale
    after = size - before - len(lines)
    header = struct.pack(">IIBBBBB", size, size, 1, 0, 0, 0, 0)
    drawn = zlib.compress(white * before + b"".join(lines) + white * after)
    chunks = ((b"IHDR", header), (b"IDAT", drawn), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _packed(bits: str, width: int) -> bytes:
    """Return a line of bits in so many bytes, padded with white."""
    return int(bits.ljust(8 * width, "1"), 2).to_bytes(width, "big")
