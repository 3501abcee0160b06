# SPDX-License-Identifier: EUPL-1.2
"""Columns say of which records something is, whatever else has the same checksum."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.log.reader.index.columns import (
    MOST_RECORDS,
    BadColumn,
    Candidates,
    ChecksumColumn,
    CodeColumn,
    Codes,
    Criterion,
    bits_of,
    find_begun,
    find_named,
    find_summed,
    find_unique,
    pack_sums,
    places_of,
    records_of,
    within,
)
from vault.log.reader.index.entry import Kind

_ALIKE = ("plumless", "buckeroo")
"""Two texts with the same checksum."""


def _codes(column: Sequence[str]) -> CodeColumn[str]:
    made: CodeColumn[str] = CodeColumn()
    made.extend(column[: len(column) // 2])
    made.extend(column[len(column) // 2 :])
    return made


def _criterion(*values: str, prefixes: tuple[str, ...] = ()) -> Criterion:
    return Criterion(Kind.RESOURCE, frozenset(values), prefixes)


def _records(found: Iterator[Candidates]) -> list[int]:
    return sorted(at for candidates in found for at in records_of(candidates.bits))


@given(st.sets(st.integers(0, MOST_RECORDS - 1), max_size=60))
def test_records_are_one_integer_and_back(records: set[int]) -> None:
    assert records_of(bits_of(sorted(records))) == sorted(records)
    assert bits_of(sorted(records)) == sum(1 << at for at in records)


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(0, 50), st.integers(0, 50))
def test_a_time_cuts_records_exactly(times: list[int], begin: int, end: int) -> None:
    times.sort()
    assert records_of(within(times, begin, end)) == [
        at for at, time in enumerate(times) if begin <= time < end
    ]


@given(st.lists(st.sampled_from(["", "a", "b", *_ALIKE]), min_size=1, max_size=30))
def test_codes_have_the_records_of_each_key(column: list[str]) -> None:
    made = _codes(column)
    codes = Codes(made.packed())
    for number, key in enumerate(made.keys):
        assert records_of(codes.bits({number})) == [at for at, value in enumerate(column) if value == key]
    assert records_of(codes.bits(range(len(made)))) == [*range(len(column))]
    assert codes.bits(()) == 0


@pytest.mark.parametrize("distinct", [255, 256, 257, 700, MOST_RECORDS])
def test_a_column_with_many_keys_is_as_exact(distinct: int) -> None:
    made = _codes([f"v-{at % distinct}" for at in range(MOST_RECORDS)])
    codes = Codes(made.packed())
    assert len(made) == distinct
    for number, key in [*enumerate(made.keys)][:: distinct // 50]:
        assert records_of(codes.bits({number})) == [*range(int(key[2:]), MOST_RECORDS, distinct)]


@pytest.mark.parametrize(
    ("criterion", "records"),
    [
        (_criterion("ab"), [0, 3]),
        (_criterion("b", "ac"), [1, 2]),
        (_criterion(prefixes=("a",)), [0, 1, 3]),
        (_criterion("b", prefixes=("ac", "plum")), [1, 2, 5]),
        (_criterion(_ALIKE[1]), [6]),
        (_criterion(prefixes=("",)), [0, 1, 2, 3, 5, 6]),
        (_criterion("none"), []),
        (_criterion(""), []),
    ],
)
def test_a_named_value_is_found_by_itself_and_by_its_beginning(
    criterion: Criterion, records: list[int]
) -> None:
    made = _codes(["ab", "ac", "b", "ab", "", *_ALIKE])
    for found in (
        [*find_named(criterion, [(key,) for key in made.keys], made.packed())],
        [*find_begun(criterion, made.keys, made.packed())],
    ):
        assert not any(candidates.value for candidates in found)
        assert _records(iter(found)) == records


def test_a_key_may_have_several_values() -> None:
    made = _codes(["x", "y", "x"])
    values = [["a", "b"], ["b", "c"]] if made.keys[0] == "x" else [["b", "c"], ["a", "b"]]
    assert _records(find_named(_criterion("a"), values, made.packed())) == [0, 2]
    assert _records(find_named(_criterion("b"), values, made.packed())) == [0, 1, 2]


def test_values_that_are_not_named_come_apart_by_key_and_with_doubt() -> None:
    made = _codes(["a", _ALIKE[0], _ALIKE[1], _ALIKE[0]])
    found = [*find_summed(_criterion(_ALIKE[0]), pack_sums(made.keys), made.packed())]
    assert sorted(records_of(candidates.bits) for candidates in found) == [[1, 3], [2]]
    assert {(candidates.value, candidates.alike) for candidates in found} == {(_ALIKE[0], True)}


def test_further_values_of_a_key_are_found_too() -> None:
    made = _codes(["k0", "k1", "k0"])
    sums = pack_sums(["a", "b"], [(0, "c"), (1, "c"), (1, "d")])
    for value, records in (("a", [0, 2]), ("b", [1]), ("c", [0, 1, 2]), ("d", [1]), ("e", [])):
        assert _records(find_summed(_criterion(value), sums, made.packed())) == records


def test_unique_values_are_found_by_checksum_and_with_doubt() -> None:
    made = ChecksumColumn()
    made.extend(["a", *_ALIKE, "", "a"])
    (found,) = find_unique(_criterion(_ALIKE[0]), made.packed())
    assert (records_of(found.bits), found.value, found.alike) == ([1, 2], _ALIKE[0], False)
    (found,) = find_unique(_criterion("b"), made.packed())
    assert found.bits == 0


def test_a_column_without_values_is_nothing() -> None:
    empty = ChecksumColumn()
    empty.extend(["", ""])
    assert empty.packed() == b""
    assert _records(find_unique(_criterion("a"), b"")) == []


def test_a_checksum_is_found_only_where_one_begins() -> None:
    made = ChecksumColumn()
    made.extend(["a"])
    assert places_of(b"\0\0\0\0" + made.packed(), "a") == [1]
    assert places_of(b"\0\0" + made.packed() + b"\0\0", "a") == []


@pytest.mark.parametrize("packed", [b"", b"\0" * 7, b"\1\0\0\0" + b"\0" * 4, b"\0" * 8 + b"\0"])
@pytest.mark.parametrize("read", [Codes, lambda packed: [*find_summed(_criterion("a"), packed, b"\0" * 8)]])
def test_a_column_of_another_size_is_told(packed: bytes, read: Callable[[bytes], object]) -> None:
    with pytest.raises(BadColumn):
        read(packed)
