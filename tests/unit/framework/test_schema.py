# SPDX-License-Identifier: EUPL-1.2
"""Bodies under limits, forms and queries: parsed or refused, and no refusal quotes its input (SL-51, SL-70)."""

import json
import re
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework import schema
from vault.framework.errors import Malformed, TooLarge
from vault.framework.limits import JsonLimits

SECRET = "hunter2hunter2"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=5))
def test_an_object_comes_out_as_it_went_in(value: dict[str, Any]) -> None:
    assert schema.decode_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize("body", [b"", b" \n", b"null", b"{}"])
def test_nothing_is_an_empty_object(body: bytes) -> None:
    assert schema.decode_object(body) == {}


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0eE.-+\\ntrufalse ', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_malformed(body: bytes) -> None:
    try:
        found: object = schema.decode_object(body)
    except Malformed:
        return
    assert isinstance(found, dict)


@pytest.mark.parametrize(
    "body",
    ['{{"a": "{}"', '{{"a": "{}}}', '["{}"]', '"{}"', '{{"{}"}}', "{}", '{{"a": "{}\\ud800"}}', '{{"a": {}}}',
     '{{"a": NaN, "b": "{}"}}', '{{"a": "{}"}} {{}}', "\ufeff{{\"a\": \"{}\"}}"],
)  # fmt: skip
def test_a_refusal_names_the_place_and_never_the_text(body: str) -> None:
    with pytest.raises(Malformed) as refusal:
        schema.decode_object(body.format(SECRET).encode())
    assert SECRET not in refusal.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200,
        b'{"a":' * 101 + b"1" + b"}" * 101,
        b'{"a":[' + b'"x",' * 1500 + b'"x"]}',
        b'{"a":' + b"9" * 1001 + b"}",
    ],
)
def test_sl_70_a_body_that_would_be_costly_is_refused_before_it_is_parsed(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"high complexity|cannot unmarshal number"):
        schema.decode_object(body)


NUMBERS = st.sampled_from([b"1", b"9" * 308, b"9" * 309, b"0." + b"1" * 300, b'"' + b"1" * 400 + b'"'])
TEXTS = st.sampled_from([b'"a"', b'""', b'"\\""', b'"\\\\"', b'"\\\\\\""', b'"[{"', b'"]"', b'"\\u005b"'])
DEEP = st.builds(lambda depth, inner: b"[" * depth + inner + b"]" * depth, st.integers(97, 103), TEXTS)


@given(st.lists(NUMBERS | TEXTS | DEEP, max_size=12))
def test_limits_count_what_a_parser_would(values: list[bytes]) -> None:
    body = b"[" + b",".join(values) + b"]"
    strings = sum(value.count(b'"a"') or value.lstrip(b"[").startswith(b'"') for value in values)
    depth = 1 + max((len(value) - len(value.lstrip(b"[")) for value in values), default=0)
    wanted = (
        "number of strings" if strings > 5
        else "depth" if depth > schema.MAX_DEPTH
        else "float64" if b"9" * 309 in values
        else ""
    )  # fmt: skip
    if wanted:
        with pytest.raises(Malformed, match=f"{wanted}$"):
            schema.check_limits(body, JsonLimits(strings=5))
    else:
        schema.check_limits(body, JsonLimits(strings=5))


FORMS = st.lists(st.sampled_from([b"a", b"b", b"=", b"&", b"+", b"%41", b"%e9", b"%3D", b"%26", b"%", b"%4",
                                  b"%0a", b"\n", b" ", b"_", b"\xc3\xa9", b"\xff", b"=3D", b"%25"]), max_size=14)  # fmt: skip


@given(FORMS)
def test_a_form_is_what_the_standard_library_reads(parts: list[bytes]) -> None:
    body = b"".join(parts)
    try:
        found = schema.decode_form(body)
    except Malformed:
        assert re.search(rb"%(?![0-9A-Fa-f]{2})", body) or b"\xff" in body
        return
    wanted = parse_qs(body.decode(), keep_blank_values=True)
    assert found == {name: ",".join(values) for name, values in wanted.items()}


@pytest.mark.parametrize(
    "query", [b"a=1&b=%zz", b"a=1&b;c=1", b"a=1&%", b"a=1&b=%4", b"&a=1&&", b"a=1&b=%C3%A9%"]
)
def test_a_field_of_a_query_that_is_not_encoded_is_left_out_as_openbao_does(query: bytes) -> None:
    assert schema.decode_query(query) == {"a": "1"}


def test_strings_may_hold_what_looks_like_structure_and_digits() -> None:
    text = "[{" * 500 + '\\"' + "9" * 2000
    assert schema.decode_object(json.dumps({"a": text}).encode()) == {"a": text}


def test_a_form_joins_repeated_names_and_a_query_lists_them() -> None:
    assert schema.decode_form(b"a=1&a=2&b=&c=%20") == {"a": "1,2", "b": "", "c": " "}
    assert schema.decode_query(b"a=1&a=2&a=3&b=x") == {"a": ("1", "2", "3"), "b": "x"}
    assert schema.decode_query(b"") == {}


@pytest.mark.parametrize("decode", [schema.decode_form, schema.decode_query])
@pytest.mark.parametrize("text", [b"a=\xff", b"&".join([b"a=b"] * 1002)])
def test_a_form_or_query_that_is_none_is_refused(decode: Any, text: bytes) -> None:
    with pytest.raises(Malformed):
        decode(text)


def test_a_body_over_the_limit_is_refused() -> None:
    schema.refuse_over(4, 4)
    with pytest.raises(TooLarge):
        schema.refuse_over(4, 5)


def test_sl_70_a_body_has_only_so_many_values_and_commas_in_strings_are_none() -> None:
    assert schema.decode_object(b'{"a":[' + b"1," * (schema.MAX_VALUES - 3) + b"1]}")
    for piece in (b"1,", b"{},", b"[],", b'{"a":1},'):
        with pytest.raises(Malformed, match=r"exceeded maximum number of (values|strings)"):
            schema.decode_object(b'{"a":[' + piece * schema.MAX_VALUES + b"1]}")
    assert schema.decode_object(b'{"a":"' + b"," * 200_000 + b'"}')


def test_sl_70_memory_is_that_of_values_and_a_table_in_a_string_is_one() -> None:
    table = b'{"a":"' + b"1," * 900_000 + b'"}'
    assert schema.decode_object(table)
    for body in (table, b'{"a":[' + b"1," * 10_000 + b"1]}"):
        with pytest.raises(Malformed, match=r"exceeded maximum estimated memory limits"):
            schema.decode_object(body, limits=JsonLimits(memory=100_000))
