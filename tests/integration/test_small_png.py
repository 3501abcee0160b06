# SPDX-License-Identifier: EUPL-1.2
"""Pictures stay what they are when they are made small: written with each filter that a browser may choose."""

import struct
import zlib

import pytest

from tests.integration import small_png
from tests.integration.small_png import small

WHITE, RED, BLUE = b"\xff\xff\xff", b"\xff\x00\x00", b"\x00\x10\xff"
LINES = (
    (WHITE, WHITE, RED, BLUE),
    (RED, BLUE, BLUE, WHITE),
    (BLUE, RED, WHITE, RED),
    (RED, RED, RED, BLUE),
    (WHITE, BLUE, RED, RED),
)


def _picture(alpha: bytes) -> bytes:
    """A picture whose lines are written with one filter each."""
    size = 3 + len(alpha)
    lines = [b"".join(pixel + alpha for pixel in line) for line in LINES]
    body, above = b"", bytes(len(lines[0]))
    for kind, line in enumerate(lines):
        written = bytearray()
        for at, byte in enumerate(line):
            left = line[at - size] if at >= size else 0
            corner = above[at - size] if at >= size else 0
            up = above[at]
            middle = left + up - corner
            _, _, paeth = min((abs(middle - one), rank, one) for rank, one in enumerate((left, up, corner)))
            written.append((byte - (0, left, up, (left + up) // 2, paeth)[kind]) & 255)
        body, above = body + bytes([kind]) + written, line
    head = struct.pack(">IIBBBBB", 4, len(LINES), 8, 6 if alpha else 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(small_png._chunk(name, data) for name, data in chunks)


def _colours(png: bytes) -> tuple[tuple[bytes, ...], ...]:
    found = dict(small_png._chunks(png))
    palette, body = found[b"PLTE"], zlib.decompress(found[b"IDAT"])
    lines = [body[place + 1 : place + 5] for place in range(0, len(body), 5)]
    return tuple(tuple(palette[3 * one : 3 * one + 3] for one in line) for line in lines)


@pytest.mark.parametrize("alpha", [b"", b"\xff"], ids=["RGB", "RGBA"])
def test_a_picture_of_few_colours_keeps_each_of_them(alpha: bytes) -> None:
    assert _colours(small(_picture(alpha))) == LINES


def test_a_tall_picture_is_cut_at_so_many_lines() -> None:
    assert _colours(small(_picture(b""), 2)) == LINES[:2]


def test_a_colour_without_a_place_becomes_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_png, "_MOST", 2)
    expected = tuple(tuple(BLUE if colour == WHITE else colour for colour in line) for line in LINES)
    assert _colours(small(_picture(b""))) == expected
