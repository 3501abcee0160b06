# SPDX-License-Identifier: EUPL-1.2
"""Messages of protobuf: every length has one spelling, however many bytes it takes."""

import pytest

from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.protobuf import BYTES, field, read_all

KNOWN = {2: BYTES}
TAG = field(2, b"")[:1]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 16_383, 16_384, 70_000])
def test_bytes_of_every_length_are_read_back(length: int) -> None:
    written = field(2, b"x" * length)
    assert read_all(written, "message", KNOWN, ()) == [(2, b"x" * length)]
    with pytest.raises(BiscuitError, match="ends within"):
        read_all(written[:-1], "message", KNOWN, ())


@pytest.mark.parametrize(
    ("length", "refusal"),
    [
        (b"\x80\x00", "too long or too large"),
        (b"\x85\x00", "too long or too large"),
        (b"\x85\x80\x00", "too long or too large"),
        (b"\x80", "ends within a number"),
        (b"\xff\x80", "ends within a number"),
        (b"\xff\x7f", "ends within field 2"),
    ],
)
def test_a_length_that_is_padded_or_cut_off_is_refused(length: bytes, refusal: str) -> None:
    behind = b"x" * 5 if length.endswith(b"\0") else b""
    with pytest.raises(BiscuitError, match=refusal):
        read_all(TAG + length + behind, "message", KNOWN, ())
