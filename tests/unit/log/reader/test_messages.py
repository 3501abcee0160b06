# SPDX-License-Identifier: EUPL-1.2
"""What goes between the server and the reader is within its limits before anybody works on it."""

from typing import Any

import msgspec
import pytest

from vault.log.reader.messages import (
    PIECE,
    Answer,
    Question,
    Refusal,
    Search,
    Status,
    TailPage,
    answer,
    framed,
    joined,
    length_of,
    piece_of,
    question,
    replied,
)
from vault.values.times import Nanos


def _asked(**members: Any) -> bytes:
    return msgspec.json.encode({"number": 1, "ask": members})


def test_a_question_comes_as_it_was_asked() -> None:
    asked = Question(
        7, Search(begins=Nanos(1), ends=Nanos(2), filters={"event": ("a", "b*")}, tenants=("t",))
    )
    frame = framed(asked)
    assert length_of(frame[:4]) == len(frame) - 4
    assert question(frame[4:]) == asked


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_lines_pass_byte_for_byte_in_pieces(size: int) -> None:
    lines = [b'{"a":"\\u00e9","b":1.0}', b"x" * size]
    *frames, last = replied(7, TailPage(pieces=joined(lines), after=5))
    assert all(len(frame) == 4 + length_of(frame[:4]) <= 4 + 9 + PIECE for frame in frames)
    pieces = [piece for frame in frames if (piece := piece_of(frame[4:])) is not None]
    assert {number for number, _ in pieces} == {7}
    assert b"".join(piece for _, piece in pieces).split(b"\n") == lines
    assert piece_of(last[4:]) is None
    assert msgspec.json.decode(answer(last[4:]).answer, type=TailPage) == TailPage(after=5)


def test_no_lines_are_no_pieces() -> None:
    (frame,) = replied(7, TailPage(pieces=joined([]), after=5))
    assert answer(frame[4:]).number == 7


@pytest.mark.parametrize("body", [b"", b"P", b"P1234567", b'{"number":1}'])
def test_what_is_no_piece_is_none(body: bytes) -> None:
    assert piece_of(body) is None


def test_a_refusal_is_an_answer() -> None:
    frame = framed(Answer(3, refusal=Refusal(kind="purged", text="gone", first=9)))
    assert answer(frame[4:]).refusal == Refusal(kind="purged", text="gone", first=9)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"{}", b'{"number":"1"}',
        _asked(type="unknown"),
        _asked(type="search", begins=0),
        _asked(type="search", begins=0, ends=1, limit=0),
        _asked(type="search", begins=0, ends=1, limit=1001),
        _asked(type="search", begins=-1, ends=1),
        _asked(type="search", begins=0, ends=1 << 62),
        _asked(type="search", begins=0, ends=1, order="up"),
        _asked(type="search", begins=0, ends=1, filters={"fields": ["a"]}),
        _asked(type="search", begins=0, ends=1, filters={"event": []}),
        _asked(type="search", begins=0, ends=1, filters={"event": [""]}),
        _asked(type="search", begins=0, ends=1, filters={"event": ["a"] * 101}),
        _asked(type="search", begins=0, ends=1, filters={"event": ["a" * 8193]}),
        _asked(type="search", begins=0, ends=1, tenants=["a"] * 10_001),
        _asked(type="search", begins=0, ends=1, position={"time": 0, "log": "x" * 41, "seq": 0}),
        _asked(type="follow", log="a", wait=61),
        _asked(type="follow", log="a", wait=-1),
        _asked(type="follow", log="a", after=-2),
        _asked(type="record", log="a", seq=-1),
        _asked(type="proof", log="a", seq=1, checkpoint="x" * 131_073),
        _asked(type="count", begins=0, ends=1, buckets=501),
        _asked(type="count", begins=0, ends=1, buckets=0),
        _asked(type="tile", log="a", path="x" * 65),
        _asked(type="segment", log="a", first=0, length=(4 << 20) + 1),
        _asked(type="segment", log="a", first=0, file="../node"),
    ],
)  # fmt: skip
def test_what_is_over_a_limit_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        question(body)


def test_the_least_question_is_taken() -> None:
    assert question(_asked(type="status")) == Question(1, Status())
