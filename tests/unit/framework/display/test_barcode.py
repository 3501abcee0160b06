# SPDX-License-Identifier: EUPL-1.2
"""Pictures for telephones: of exactly the size that was asked for, with every module of the code in it."""

import base64
import struct
import zlib
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import segno

from tests.unit.policy.test_costs import seconds
from vault.framework.display.barcode import barcode
from vault.framework.display.otpauth import otpauth
from vault.framework.errors import Malformed
from vault.values.times import Seconds

TEXT = "otpauth://totp/Rig:me@x?secret=JBSWY3DPEHPK3PXP"
MODULES = segno.make(TEXT, error="m", micro=False).matrix


def _pixels(picture: str) -> list[str]:
    """The lines of a picture, dark pixels as `0`, read by the PNG specification alone."""
    data = base64.b64decode(picture)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [1, 0, 0, 0, 0]
    drawn, step = zlib.decompress(chunks[b"IDAT"]), 1 + -(-width // 8)
    assert len(drawn) == height * step
    lines = [drawn[line * step : (line + 1) * step] for line in range(height)]
    assert {line[0] for line in lines} == {0}
    return [f"{int.from_bytes(line[1:]):0{8 * (step - 1)}b}"[:width] for line in lines]


@pytest.mark.parametrize("size", [len(MODULES), len(MODULES) + 3, 57, 60, 100, 200, 201, 333, 2000])
def test_a_picture_is_as_large_as_asked_and_is_the_code(size: int) -> None:
    lines = _pixels(barcode(TEXT, size, refusal="too long"))
    assert len(lines) == size and {len(line) for line in lines} == {size}
    dark = [number for number, line in enumerate(lines) if "0" in line]
    scale = (dark[-1] + 1 - dark[0]) // len(MODULES)
    columns = [number for number in range(size) if any(line[number] == "0" for line in lines)]
    assert columns == list(range(columns[0], columns[0] + scale * len(MODULES)))
    for row, module in enumerate(MODULES):
        wanted = "".join(("0" if one else "1") * scale for one in module)
        for line in lines[dark[0] + row * scale :][:scale]:
            assert line[columns[0] : columns[-1] + 1] == wanted
    if size >= len(MODULES) + 8:
        assert min(dark[0], size - 1 - dark[-1]) >= 4 * scale
        assert scale == size // (len(MODULES) + 8)


def test_what_no_picture_can_hold_is_refused() -> None:
    with pytest.raises(Malformed, match="too long"):
        barcode("x" * 3000, 2000, refusal="too long")
    with pytest.raises(Malformed, match=f"at least {len(MODULES)}"):
        barcode(TEXT, len(MODULES) - 1, refusal="too long")
    assert barcode(TEXT, 0, refusal="too long") == barcode(TEXT, -5, refusal="too long") == ""


def test_sl_70_a_text_that_fits_into_no_picture_is_not_drawn() -> None:
    def draw() -> None:
        with pytest.raises(Malformed, match="too long"):
            barcode("x" * (1 << 18), 2000, refusal="too long")

    assert seconds(draw) < 0.02
    assert barcode("1" * 5596, 2000, refusal="too long")


@pytest.mark.parametrize(
    ("issuer", "account", "label"),
    [("Rig", "me@x", "Rig:me@x"), ("a b/c", "d?e#f", "a%20b/c:d%3Fe%23f"), ("\u00dc&=+", "'()!*", None)],
)
def test_a_url_is_spelled_as_authenticators_read_it(issuer: str, account: str, label: str | None) -> None:
    made = otpauth(issuer, account, algorithm="SHA1", digits=6, period=Seconds(30), secret=b"x" * 20)
    parts = urlsplit(made)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert label is None or parts.path == f"/{label}"
    assert unquote(parts.path) == f"/{issuer}:{account}"
    fields = {"algorithm", "digits", "issuer", "period", "secret"}
    query = parse_qs(parts.query, strict_parsing=True)
    assert query.keys() == fields and query["issuer"] == [issuer]
