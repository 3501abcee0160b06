# SPDX-License-Identifier: EUPL-1.2
"""Columns say of which records something is, whatever else has the same checksum."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.log.reader.index.columns import (
    MOST_RECORDS,
    BadColumn,
    ChecksumColumn,
    CodeColumn,
    Codes,
    Criterion,
    bits_of,
    find,
    groups,
    records_of,
    within,
)
from vault.log.reader.index.entry import Kind

_ALIKE = ("plumless", "buckeroo")
"""Two texts with the same checksum."""


def _codes(column: Sequence[str], more: Sequence[tuple[int, str]] = ()) -> CodeColumn:
    made = CodeColumn()
    made.extend(column[: len(column) // 2])
    made.extend(column[len(column) // 2 :])
    for at, value in more:
        made.add(at, value)
    return made


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


@given(
    st.lists(st.sampled_from(["", "a", "b", *_ALIKE]), min_size=1, max_size=30),
    st.sets(st.tuples(st.integers(0, 29), st.sampled_from(["b", "c", *_ALIKE])), max_size=5),
)
def test_groups_have_the_records_of_each_value(column: list[str], more: set[tuple[int, str]]) -> None:
    further = sorted((at, value) for at, value in more if at < len(column))
    made = _codes(column, further)
    has = [{column[at], *(value for place, value in further if place == at)} for at in range(len(column))]
    expected = {
        value: bits_of([at for at, its in enumerate(has) if value in its])
        for value in set().union(*has) - {""}
    }
    assert (groups(made.packed(), made.names) if made.packed() else {}) == expected


def test_a_column_with_many_values_is_as_exact() -> None:
    column = [f"v-{at % 700}" for at in range(MOST_RECORDS)]
    made = _codes(column)
    found = groups(made.packed(), made.names)
    assert len(found) == 700
    assert all(
        records_of(bits) == [*range(int(value[2:]), MOST_RECORDS, 700)] for value, bits in found.items()
    )


def test_a_column_without_values_is_nothing() -> None:
    assert _codes(["", ""]).packed() == b""
    empty = ChecksumColumn()
    empty.extend(["", ""])
    assert empty.packed() == b""


@pytest.mark.parametrize("kind", [Kind.EVENT, Kind.RESOURCE])
def test_a_named_kind_is_found_by_value_and_by_beginning(kind: Kind) -> None:
    made = _codes(["ab", "ac", "b", "ab", "", *_ALIKE])
    for criterion, records in (
        (Criterion(kind, frozenset(["ab"])), [0, 3]),
        (Criterion(kind, frozenset(["b", "ac"])), [1, 2]),
        (Criterion(kind, frozenset(), ("a",)), [0, 1, 3]),
        (Criterion(kind, frozenset(["b"]), ("ac", "plum")), [1, 2, 5]),
        (Criterion(kind, frozenset([_ALIKE[1]])), [6]),
        (Criterion(kind, frozenset(), ("",)), [0, 1, 2, 3, 5, 6]),
        (Criterion(kind, frozenset(["none"])), []),
    ):
        found = [*find(criterion, made.packed(), lambda: made.names)]
        assert not any(candidates.value for candidates in found)
        assert sorted(at for candidates in found for at in records_of(candidates.bits)) == records


def test_values_that_are_not_named_come_apart_by_number_and_with_doubt() -> None:
    made = _codes(["a", _ALIKE[0], _ALIKE[1], _ALIKE[0]])
    found = [*find(Criterion(Kind.ACTOR, frozenset([_ALIKE[0]])), made.packed(), list)]
    assert sorted(records_of(candidates.bits) for candidates in found) == [[1, 3], [2]]
    assert {(candidates.value, candidates.alike) for candidates in found} == {(_ALIKE[0], True)}


def test_unique_values_are_found_by_checksum_and_with_doubt() -> None:
    made = ChecksumColumn()
    made.extend(["a", *_ALIKE, "", "a"])
    (found,) = find(Criterion(Kind.REQUEST, frozenset([_ALIKE[0]])), made.packed(), list)
    assert (records_of(found.bits), found.value, found.alike) == ([1, 2], _ALIKE[0], False)
    (found,) = find(Criterion(Kind.REQUEST, frozenset(["b"])), made.packed(), list)
    assert found.bits == 0


def test_a_checksum_is_found_only_where_one_begins() -> None:
    made = ChecksumColumn()
    made.extend(["a"])
    criterion = Criterion(Kind.REQUEST, frozenset(["a"]))
    (found,) = find(criterion, b"\0\0\0\0" + made.packed(), list)
    assert found.bits == 2
    (found,) = find(criterion, b"\0\0" + made.packed() + b"\0\0", list)
    assert found.bits == 0


@pytest.mark.parametrize("packed", [b"", b"\0" * 11, b"\1\0\0\0" + b"\0" * 8, b"\0" * 12 + b"\0"])
def test_a_column_of_another_size_is_told(packed: bytes) -> None:
    with pytest.raises(BadColumn):
        Codes(packed)
