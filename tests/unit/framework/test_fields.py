# SPDX-License-Identifier: EUPL-1.2
"""Weak typing: each kind of field takes what the field takes, and refuses in words that name it (SL-51)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework.errors import Malformed
from vault.framework.fields import (
    COERCE,
    MAX_ITEMS,
    FieldKind,
    Mismatch,
    coerce,
    has_its_form,
    parse_duration,
    to_comma_strings,
    to_ints,
    to_pairs,
    to_strings,
)

SECRET = "hunter2hunter2"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "x", "x"), ("string", 5, "5"), ("string", True, "1"), ("string", False, "0"),
        ("int", "0x10", 16), ("int", "0b11", 3), ("int", "010", 8), ("int", "0x_f", 15), ("int", "0o17", 15), ("int", "1_000", 1000), ("int", "0", 0), ("int", "", 0), ("int", True, 1), ("int", -3, -3),
        ("bool", "t", True), ("bool", "FALSE", False), ("bool", 1, True), ("bool", 0, False), ("bool", True, True),
        ("duration", "1h30m", 5400), ("duration", 90, 90), ("duration", "90", 90), ("duration", "", 0),
        ("duration", "2d", 172800), ("duration", "1.5s", 1), ("duration", "-5s", -5),
        ("strings", "a,b", ("a,b",)), ("strings", ["a", 1], ("a", "1")),
        ("commas", "a, b,,c", ("a", "b", "c")), ("commas", ["a,b"], ("a,b",)),
        ("ints", "1,2", (1, 2)), ("ints", [1, "2"], (1, 2)), ("ints", 7, (7,)),
        ("map", {"a": 1}, {"a": 1}), ("map", [], {}),
        ("pairs", ["a=b", "c=d=e"], {"a": "b", "c": "d=e"}), ("pairs", "a=b,c=d", {"a": "b", "c": "d"}),
        ("pairs", {"a": 1, "b": None}, {"a": "1", "b": ""}),
        ("lower", " AbC ", "abc"), ("any", [1], [1]),
    ],
)  # fmt: skip
def test_a_value_becomes_what_its_field_declares(kind: str, value: Any, expected: Any) -> None:
    assert coerce("field", FieldKind(kind), value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", {}), ("string", ["x"]), ("int", "x"), ("int", 1.5), ("int", {}), ("int", 2**63), ("int", "1_"),
        ("int", "0x_"), ("int", "0b"), ("int", "0o_"), ("int", "1__0"), ("int", "08"),
        ("bool", "yes"), ("bool", 2), ("bool", {}), ("duration", "1x"), ("duration", 1.5), ("duration", True),
        ("duration", {}), ("duration", 2**63), ("duration", "9" * 30), ("strings", [{}]), ("strings", {}),
        ("commas", [[]]), ("ints", ["x"]), ("map", "x"), ("map", ["x"]), ("map", 1), ("pairs", ["x"]), ("pairs", 5),
        ("pairs", {"a": {}}), ("pairs", [{}]), ("lower", {}),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_with_the_fields_name(kind: str, value: Any) -> None:
    with pytest.raises(
        Malformed, match=r'^Field validation failed: error converting input for field "colour": '
    ):
        coerce("colour", FieldKind(kind), value)
    with pytest.raises(Malformed, match=r'^error converting input for field "colour": '):
        coerce("colour", FieldKind(kind, bare=True), value)


@pytest.mark.parametrize(
    ("kind", "value", "has"),
    [
        ("int", 5, True), ("int", "5", True), ("int", True, True), ("int", SECRET, False), ("int", [5], False),
        ("bool", "t", True), ("bool", SECRET, False), ("bool", None, False),
        ("duration", "1h30m", True), ("span", 90, True), ("span", -1, False), ("span", SECRET, False),
        ("ints", [1, "2"], True), ("ints", "1,2", True), ("ints", [1, SECRET], False),
        ("string", SECRET, True), ("string", "x" * 512, True), ("string", "x" * 513, False),
        ("string", 4711, False), ("string", [SECRET], False), ("lower", SECRET, True),
        ("commas", ["a", "b"], True), ("commas", "a,b", True), ("commas", ["a", 4711], False),
        ("strings", ["a"] * 64, True), ("strings", ["a"] * 65, False), ("strings", ["x" * 513], False),
        ("strings", [["a"]], False), ("strings", {"a": "b"}, False), ("ints", [[]], False), ("ints", [{}], False),
        ("map", SECRET, False), ("pairs", SECRET, False), ("any", SECRET, False), ("any", 5, False),
    ],
)  # fmt: skip
def test_what_is_not_of_its_fields_form_is_told_apart(kind: str, value: Any, has: bool) -> None:
    assert has_its_form(FieldKind(kind), value) is has


@given(st.sampled_from(sorted(COERCE)), JSON)
def test_any_json_has_its_fields_form_or_not(kind: str, value: Any) -> None:
    has = has_its_form(FieldKind(kind), value)
    if has:
        coerce("field", FieldKind(kind), value)
    assert not (has and isinstance(value, dict | float | None))


@given(st.sampled_from(sorted(COERCE)), JSON)
def test_any_json_becomes_something_or_is_malformed(kind: str, value: Any) -> None:
    try:
        coerce("field", FieldKind(kind), value)
    except Malformed:
        return


@pytest.mark.parametrize("kind", sorted(COERCE))
@pytest.mark.parametrize(
    "value",
    [SECRET, [SECRET], {SECRET: SECRET}, {"a": [SECRET]}, [{"a": SECRET}], f"{SECRET}=", f"1,{SECRET}"],
)
def test_a_refusal_never_quotes_the_value(kind: str, value: Any) -> None:
    try:
        coerce("field", FieldKind(kind), value)
    except Malformed as refusal:
        message = refusal.message
    else:
        return
    assert SECRET not in message


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.text(alphabet="0123456789.hmsduµn+- eE_x", max_size=12))
def test_any_text_is_a_duration_or_a_mismatch(text: str) -> None:
    try:
        found: object = parse_duration(text)
    except Mismatch:
        return
    assert isinstance(found, int)


def test_a_list_has_an_end_however_it_comes() -> None:
    most = MAX_ITEMS
    assert len(to_comma_strings("a," * (most - 1) + "a")) == most
    for convert, value in (
        (to_comma_strings, "a," * most + "a"),
        (to_strings, ["a"] * (most + 1)),
        (to_ints, [1] * (most + 1)),
        (to_pairs, "a=b," * most + "a=b"),
    ):
        with pytest.raises(Mismatch, match="the list may have at most 10000 entries"):
            convert(value)
