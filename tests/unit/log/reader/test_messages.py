# SPDX-License-Identifier: EUPL-1.2
"""What goes between the server and the reader is within its limits before anybody works on it."""

from typing import Any

import msgspec
import pytest

from vault.log.reader.messages import (
    Answer,
    Question,
    Refusal,
    Search,
    Status,
    TailPage,
    answer,
    encoded,
    framed,
    length_of,
    question,
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


def test_lines_pass_byte_for_byte() -> None:
    line = b'{"a":"\\u00e9","b":1.0}'
    frame = framed(Answer(1, encoded(TailPage(records=(msgspec.Raw(line),), after=0))))
    found = msgspec.json.decode(answer(frame[4:]).answer, type=TailPage)
    assert bytes(found.records[0]) == line


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
