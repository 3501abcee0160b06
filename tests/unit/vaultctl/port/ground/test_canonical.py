# SPDX-License-Identifier: EUPL-1.2
"""The canonical form is that of RFC 8785, by another implementation of it; values in an archive keep their digits."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from vaultctl.errors import CommandError, DepthError
from vaultctl.port.ground import canonical
from vaultctl.port.ground.canonical import decode, digest, encode, exact, inexact
from vaultctl.text.json import parse

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_the_form_is_that_of_the_rfc(value: Any) -> None:
    assert encode(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "number",
    [0.0, -0.0, 1e-5, -1.5e-6, 1e-6, 1e-7, 1e20, 1e21, 123456789e15, 5e-324, 1.7976931348623157e308, 0.1],
)
def test_numbers_are_spelled_as_in_the_rfc(number: float) -> None:
    assert encode(number) == rfc8785.dumps(number)


def test_a_whole_number_that_a_double_rounds_is_the_double() -> None:
    assert encode(12345678901234567890) == encode(12345678901234567000) == b"12345678901234567000"
    assert inexact({"a": [1, 2**53]})
    assert not inexact({"a": [1, 2**53 - 1, 1.5, True]})


def test_values_keep_their_digits_where_they_travel() -> None:
    text = '{"a":1.10,"b":12345678901234567890,"é":"<&>"}'
    assert exact(parse(text)) == text


@pytest.mark.parametrize(
    "line", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1.0}', b"[1]", b"{", b'{"a":"\\u0041"}']
)
def test_a_line_in_another_spelling_is_refused(line: bytes) -> None:
    with pytest.raises(CommandError):
        decode(line)


@pytest.mark.parametrize("value", [1e400, 10**400, "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(CommandError):
        encode(value)


def test_a_digest_depends_on_its_key() -> None:
    assert digest(b"a" * 32, {"x": 1}) == digest(b"a" * 32, {"x": 1.0}) != digest(b"b" * 32, {"x": 1})


def _nested(levels: int) -> str:
    return '{"a":' + "[" * levels + "]" * levels + "}"


@pytest.mark.parametrize("levels", [canonical.DEEPEST, 900, 5000, 200_000])
def test_what_is_nested_deeper_than_is_looked_at_is_refused_before_it_is(levels: int) -> None:
    with pytest.raises(DepthError, match="nested too deep"):
        canonical.value_of(_nested(levels))
    with pytest.raises(CommandError, match="nested too deep"):
        canonical.decode(_nested(levels).encode())


def test_what_is_nested_as_deep_as_is_looked_at_is_read() -> None:
    text = _nested(canonical.DEEPEST - 1)
    assert canonical.exact(canonical.value_of(text)) == text
    assert canonical.decode(text.encode()) == canonical.value_of(text)
