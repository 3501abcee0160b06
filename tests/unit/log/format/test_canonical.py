# SPDX-License-Identifier: EUPL-1.2
"""The canonical form is that of RFC 8785 for whatever a record may hold, and everything else is refused."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.log.format.trees import VECTORS
from vault.log.format.canonical import (
    LARGEST_INTEGER,
    LONGEST_RECORD,
    NotCanonical,
    decode_record,
    encode_record,
)

_TEXTS = st.text(max_size=8) | st.text(
    st.sampled_from('a"\\/\b\f\n\r\t\x00\x1f\x7f\u2028é\ud7ff\ue000\uffff\U00010000\U0010ffff'), max_size=4
)
_INTEGERS = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
_VALUES = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_RECORDS = st.dictionaries(_TEXTS, _VALUES, max_size=6)


@given(_RECORDS)
def test_the_form_is_that_of_another_implementation(record: dict[str, object]) -> None:
    line = encode_record(record)
    assert line == rfc8785.dumps(record)  # type: ignore[arg-type]  # its type of JSON is recursive
    assert decode_record(line) == record


@given(_RECORDS, st.data())
def test_a_line_is_taken_only_in_that_form(record: dict[str, object], data: st.DataObject) -> None:
    line = rfc8785.dumps(record)  # type: ignore[arg-type]  # as above
    place = data.draw(st.integers(0, len(line)))
    cut = data.draw(st.integers(0, 3))
    more = data.draw(
        st.sampled_from([b"", b" ", b'"', b"\\u0061", b"\\/", b"\t", b"0", b"-", b",", b"{}", b"\xe9"])
    )
    edited = line[:place] + more + line[place + cut :]
    assert _taken(edited) is _is_canonical(edited)


def _taken(line: bytes) -> bool:
    try:
        decode_record(line)
    except NotCanonical:
        return False
    return True


def _is_canonical(line: bytes) -> bool:
    try:
        value = json.loads(line.decode("utf-8"), parse_float=_none, parse_constant=_none)
        return isinstance(value, dict) and rfc8785.dumps(value) == line
    except (ValueError, rfc8785.CanonicalizationError):
        return False


def _none(text: str) -> object:
    raise ValueError(text)


@pytest.mark.parametrize("line", VECTORS["records"])
def test_the_records_of_the_vectors_are_canonical(line: str) -> None:
    assert encode_record(decode_record(line.encode())) == line.encode()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b'{"a":1}{}', "no JSON object"),
        (b'{"a":01}', "no JSON object"),
        (b'{"a":NaN}', "no JSON object"),
        (b'{"a":"\xff"}', "no JSON object"),
        (b'{"a":"\xed\xa0\x80"}', "no JSON object"),
        (b'{"a":"\\ud800"}', "no JSON object"),
        (b'{"a":"\n"}', "no JSON object"),
        (b"\xef\xbb\xbf{}", "no JSON object"),
        (b'{"a":' + b"9" * 5000 + b"}", "no JSON object"),
        (b'{"a":1.0}', "a fraction"),
        (b'{"a":1e3}', "a fraction"),
        (b'{"a":[{"b":-0.0}]}', "a fraction"),
        (b'{"a":-0}', "not in canonical form"),
        (b'{ "a":1}', "not in canonical form"),
        (b'{"a":1} ', "not in canonical form"),
        (b'{"a":1}\r', "not in canonical form"),
        (b'{"b":1,"a":2}', "not in canonical form"),
        (b'{"a":1,"a":1}', "not in canonical form"),
        (b'{"a":1,"a":2}', "not in canonical form"),
        (b'{"a":"\\u0041"}', "not in canonical form"),
        (b'{"a":"\\/"}', "not in canonical form"),
        (b'{"a":"\\u001F"}', "not in canonical form"),
        ('{"\ue000":1,"\U00010000":2}'.encode(), "not in canonical form"),
        (b'{"a":9007199254740992}', "a double would round"),
        (b'{"a":[{"b":-9007199254740992}]}', "a double would round"),
        (b'{"a":18446744073709551616}', "a double would round"),
        (b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "nested too deep"),
        (b'{"a":"' + b"x" * LONGEST_RECORD + b'"}', "more than 65535 bytes"),
    ],
)
def test_another_line_is_refused_with_the_reason(line: bytes, problem: str) -> None:
    with pytest.raises(NotCanonical, match=problem):
        decode_record(line)


@pytest.mark.parametrize(
    "line",
    [
        '{"\U00010000":1,"\ue000":2}',  # by UTF-16, not by code points
        '{"a":9007199254740991,"b":-9007199254740991}',
        '{"a":"9007199254740992"}',
        '{"a":"\x7f\u2028/"}',
    ],
)
def test_what_is_canonical_is_taken(line: str) -> None:
    assert encode_record(decode_record(line.encode())) == line.encode()


def test_the_longest_record_is_taken() -> None:
    line = b'{"a":"' + b"x" * (LONGEST_RECORD - 8) + b'"}'
    assert len(line) == LONGEST_RECORD
    assert encode_record(decode_record(line)) == line


@pytest.mark.parametrize(
    "record",
    [
        {"a": float("nan")}, {"a": 1.5}, {"a": "\ud800"}, {"\ud800": 1}, {1: 2}, {"a": b"x"}, {"a": {1}}, {"a": 1 << 53},
        {"a": object()},
    ],
)  # fmt: skip
def test_what_no_record_can_hold_is_not_written(record: dict[str, object]) -> None:
    with pytest.raises(NotCanonical):
        encode_record(record)
