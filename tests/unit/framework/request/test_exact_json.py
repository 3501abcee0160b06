# SPDX-License-Identifier: EUPL-1.2
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework.request import exact_json

LEAF = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=5)
OBJECT = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        LEAF,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    ),
    max_size=4,
)
NUMBERS = (
    *(
        "-0",
        "0",
        "-0.0",
        "-0e1",
        "-0E+1",
        "1.0",
        "1e5",
        "12345678901234567890123",
        "0.10",
        "1e400",
        "-1E-400",
        "1e-0",
    ),
    *("9" * 308, "0." + "1" * 308, "-18446744073709551617", "1E+2"),
)
NUMBER = st.from_regex(r"-?(?:0|[1-9][0-9]{0,40})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?", fullmatch=True)
NAMES = ('"-0"', '"\\"-0"', '"\\\\"', '"a-0,b"', '",-0]"')


def _again(text: bytes) -> bytes:
    return exact_json.encode(exact_json.decode(text))


@given(OBJECT, st.sampled_from([None, 1, "\t"]))
def test_text_is_kept_whatever_the_blanks_around_it(value: dict[str, Any], indent: Any) -> None:
    text = _again(json.dumps(value, indent=indent).encode())
    assert json.loads(text) == value
    assert _again(text) == text


@given(
    st.lists(st.sampled_from(NUMBERS) | NUMBER, max_size=6),
    st.sampled_from(NAMES),
    st.sampled_from([",", " ,\t"]),
)
def test_every_number_keeps_its_digits(numbers: list[str], name: str, comma: str) -> None:
    text = f"{{{name}:[{','.join([*numbers, name])}]}}".encode()
    spread = f"{{{name}:[{comma.join([*numbers, name])}]}}".encode()
    assert _again(text) == _again(spread) == text


def test_what_is_an_integer_can_be_counted_with_and_the_rest_is_text() -> None:
    found = exact_json.decode(b'{"a":7,"b":7.0,"c":-0}')
    assert found["a"] == 7
    assert (bytes(found["b"]), bytes(found["c"])) == (b"7.0", b"-0")


@pytest.mark.parametrize(
    "text", [b"{", b'{"a":-0', b'{"a":--0}', b'{"a":-00}', b'{"a":01}', b'{"a":1.}', b'{"a":NaN}', b"\xff"]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        exact_json.decode(text)
