# SPDX-License-Identifier: EUPL-1.2
import base64
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.values.encoding import NotBase64, from_base64, from_hex, to_base64


# Offsets as OpenBao 2.7.2 answered them on sys/init, pgp_keys.
@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("!!!", 0),
        ("A", 0),
        ("AA", 0),
        ("AAA", 0),
        ("AA=", 3),
        ("A===", 1),
        ("AA=A", 2),
        ("====", 0),
        ("=", 0),
        ("AAAA=", 4),
        ("AA==A", 4),
        ("AAAA\0", 4),
        ("AAé=", 2),
        ("AAA\n", 1),
        ("A\nA=", 4),
        ("AA= =", 2),
        ("keybase:a", 7),
        ("AAAA AAAA", 4),
        ("AAAA-_==", 4),
        ("AA==\n\nA", 6),
        ("AA=\n", 4),
        ("\ud800", 0),
        ("YQ==x", 4),
        ("YQ=x", 2),
        ("Y\nQ!", 3),
        ("Y\nQ", 1),
    ],
)
def test_the_first_error_is_found_where_openbao_finds_it(text: str, at: int) -> None:
    with pytest.raises(NotBase64) as caught:
        from_base64(text)
    assert caught.value.at == at
    assert str(caught.value) == f"illegal base64 data at input byte {at}"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("AAA=", b"\0\0"),
        ("AA==\n", b"\0"),
        ("AA=\n=", b"\0"),
        ("AB==", b"\0"),
        ("AAB=", b"\0\0"),
        ("A\r\nAAA", b"\0\0\0"),
        ("Y\nQ=\n=\r\n", b"a"),
    ],
)
def test_line_ends_and_trailing_bits_are_ignored(text: str, data: bytes) -> None:
    assert from_base64(text) == data


@given(st.binary(max_size=50))
def test_what_was_encoded_decodes(data: bytes) -> None:
    assert from_base64(base64.b64encode(data).decode()) == data
    assert from_hex(data.hex()) == data
    assert from_hex(data.hex().upper()) == data


@given(st.text(alphabet="A/+=b\n\r !", max_size=12))
def test_any_text_is_decoded_or_refused_within_it(text: str) -> None:
    at = 0
    try:
        from_base64(text)
    except NotBase64 as failure:
        at = failure.at
    assert 0 <= at <= len(text)


@pytest.mark.parametrize("text", ["0", "0g", " 00", "00 ", "00\n", "0 0", "\u0660\u0660"])
def test_what_is_not_hexadecimal_gives_none(text: str) -> None:
    assert from_hex(text) is None


_WELL_FORMED = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def test_what_is_taken_is_padded_base64_and_nothing_else() -> None:
    for letters in itertools.product("AQg/+=\n-é", repeat=4):
        for text in ("".join(letters), "QUJD" + "".join(letters), "".join(letters) + "="):
            kept = text.replace("\n", "")
            wanted = base64.b64decode(kept) if _WELL_FORMED.fullmatch(kept) else None
            assert _decoded(text) == wanted, text


def _decoded(text: str) -> bytes | None:
    try:
        return from_base64(text)
    except NotBase64:
        return None


def test_bytes_are_written_as_they_are_read() -> None:
    for length in range(8):
        data = bytes(range(250, 250 + min(length, 6))) + b"\0" * max(0, length - 6)
        assert from_base64(to_base64(data)) == data
        assert to_base64(data) == base64.b64encode(data).decode()
