# SPDX-License-Identifier: EUPL-1.2
"""Pictures of pages made small: a page has few colours, so a palette of 256 is nearly all of them."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST = 256
_CHANNELS = {2: 3, 6: 4}
"""By the type of a picture, RGB or RGBA, how many bytes a pixel has."""


def small(png: bytes, most: int | None = None) -> bytes:
    """Return a picture of a browser's, which has eight bits for each colour and is opaque, with a palette.

    `most` is how many lines of it are kept; all, unless given.
    """
    chunks = list(_chunks(png))
    width, _, depth, kind, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, rest) == (8, [0, 0, 0])
    size = _CHANNELS[kind]
    lines = _lines(
        zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT")), width * size, size
    )
    pixels = [
        [line[place : place + 3] for place in range(0, len(line), size)] for line in islice(lines, most)
    ]
    palette = [colour for colour, _ in Counter(one for line in pixels for one in line).most_common(_MOST)]

    @cache
    def nearest(colour: bytes) -> int:
        return min(
            range(len(palette)),
            key=lambda one: sum((a - b) ** 2 for a, b in zip(palette[one], colour, strict=True)),
        )

    body = b"".join(b"\0" + bytes(map(nearest, line)) for line in pixels)
    return _SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(pixels), 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(palette)),
            _chunk(b"IDAT", zlib.compress(body, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    assert png.startswith(_SIGNATURE)
    place = len(_SIGNATURE)
    while place < len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        yield name, png[place + 8 : place + 8 + length]
        place += length + 12


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _lines(data: bytes, length: int, size: int) -> Iterator[bytes]:
    """Yield the lines of a picture, of `length` bytes each, without the filters that each was written with."""
    above = bytes(length)
    for place in range(0, len(data), length + 1):
        kind, line = data[place], bytearray(data[place + 1 : place + 1 + length])
        for at in range(length) if kind else ():
            left = line[at - size] if at >= size else 0
            corner = above[at - size] if at >= size else 0
            line[at] = (line[at] + _guess(kind, left, above[at], corner)) & 255
        above = bytes(line)
        yield above


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    """Return what a filter takes a byte to be (PNG, section 9)."""
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    middle = left + up - corner
    return min((left, up, corner), key=lambda one: abs(middle - one))
