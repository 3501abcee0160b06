# SPDX-License-Identifier: EUPL-1.2
"""How single values are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework.hcl.syntax_tree import Value
from vault.server.config import values


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("1h30m", 5400),
        ("768h", 2_764_800),
        ("30d", 2_592_000),
        (45, 45),
        ("45", 45),
        ("1.5s", 1.5),
    ],
)
def test_durations_are_numbers_of_seconds_or_have_units(written: Value, seconds: float) -> None:
    assert values.duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "-1s", "1w", "s", "1h ", "1h-2m", "99999999999h", True, None, -3, ()]
)
def test_what_is_no_duration_is_refused(written: Value) -> None:
    with pytest.raises(values.Unreadable, match="a duration such as"):
        values.duration(written)


@pytest.mark.parametrize(("written", "bits"), [("0600", 0o600), ("640", 0o640), (600, 0o600)])
def test_modes_are_octal(written: Value, bits: int) -> None:
    assert values.mode(written) == bits


@pytest.mark.parametrize("written", ["0o600", "888", "06000", "", None, True, 0.5])
def test_what_is_no_mode_is_refused(written: Value) -> None:
    with pytest.raises(values.Unreadable):
        values.mode(written)


@given(
    st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.tuples(st.text(), st.integers())
)
def test_a_reader_returns_or_refuses_and_quotes_nothing(written: Value) -> None:
    readers = (
        values.text, values.filled, values.boolean, values.whole, values.limit, values.duration, values.words,
        values.mode, values.one_of("a", "b"),
    )  # fmt: skip
    for read in readers:
        try:
            read(written)
        except values.Unreadable as problem:
            shown = str(problem)
            assert shown in REFUSALS


REFUSALS = {
    "a string",
    "a string that is not empty",
    "true or false",
    "a whole number of at least 0",
    "a whole number of at least 1 (a limit can be raised, but not switched off)",
    "a duration such as 90s, 30m or 768h",
    "a list of strings",
    'permission bits in octal, such as "0600"',
    "one of a, b",
}


@pytest.mark.parametrize(
    ("written", "expected"),
    [("a, b,,c", ("a", "b", "c")), (("a", "b,c"), ("a", "b,c")), ((), ()), ("", ())],
)
def test_a_list_may_be_one_string_with_commas(written: Value, expected: tuple[str, ...]) -> None:
    assert values.words(written) == expected


@pytest.mark.parametrize("written", [("a", 1), 1, None, True])
def test_what_is_no_list_of_strings_is_refused(written: Value) -> None:
    with pytest.raises(values.Unreadable, match="a list of strings"):
        values.words(written)
