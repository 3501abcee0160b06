# SPDX-License-Identifier: EUPL-1.2
"""Bodies under limits, forms and queries: parsed or refused, and no refusal quotes its input (SL-51, SL-70)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework import schema
from vault.framework.errors import Malformed, TooLarge

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
