# SPDX-License-Identifier: EUPL-1.2
"""Names of backups: what is one, what was left of one, and which are to go."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.server.snapshots.names import Item, begun_at, is_left_over, mark_in, mark_of, name_of, own, surplus
from vault.values.times import Millis

_BEGIN = datetime(2026, 11, 30, 2, 30, tzinfo=UTC)


def _name(hours: float, *, encrypted: bool = False) -> str:
    moment = _BEGIN + timedelta(hours=hours)
    return name_of("nightly", Millis(int(moment.timestamp() * 1000)), encrypted=encrypted)


def _surplus(*hours: float, newest: float, keep: int = 100, max_age: float = 0) -> list[str]:
    items = [Item(_name(hour), 1) for hour in hours]
    return list(surplus("nightly", items, newest=_name(newest), keep=keep, max_age=max_age))


def test_a_name_says_when_it_began() -> None:
    assert _name(0) == "nightly-20261130T023000Z.db"
    assert _name(0, encrypted=True) == "nightly-20261130T023000Z.age"
    assert begun_at("nightly", _name(1)) == _BEGIN + timedelta(hours=1)


def test_a_name_says_of_which_cluster_it_is() -> None:
    mark = mark_of("5f2a90c1-1111-2222-3333-444444444444")
    name = name_of("nightly", Millis(int(_BEGIN.timestamp() * 1000)), encrypted=True, mark=mark)
    assert name == "nightly-20261130T023000Z-5f2a90c1.age"
    assert begun_at("nightly", name) == _BEGIN
    assert mark_in("nightly", name) == mark_in("nightly", f"{name}.partial") == "5f2a90c1"
    assert mark_in("nightly", _name(0)) is None
    assert mark_of("") == mark_of("../etc") == ""


def test_what_is_another_clusters_is_nobodys_business_here() -> None:
    ours, theirs, old = (f"nightly-20261130T023000Z{mark}.db" for mark in ("-5f2a90c1", "-00000000", ""))
    items = {name: Item(name, 1) for name in (ours, theirs, old)}
    assert own("nightly", [items[ours], items[old]], "5f2a90c1") == [items[ours], items[old]]
    assert own("nightly", items.values(), "5f2a90c1") == [items[ours]]
    assert is_left_over("nightly", f"{ours}.partial", mark="5f2a90c1")
    assert is_left_over("nightly", f"{old}.partial", mark="5f2a90c1")
    assert not is_left_over("nightly", f"{theirs}.partial", mark="5f2a90c1")


@pytest.mark.parametrize(
    "name",
    [
        "nightly.db", "other-20261130T023000Z.db", "nightly-20261130T023000Z.db.partial", "nightly-20261330T023000Z.db",
        "xnightly-20261130T023000Z.db", "nightly-20261130T023000Z.db\n", "nightly-٢0261130T023000Z.db", "",
    ],
)  # fmt: skip
def test_any_other_file_is_none(name: str) -> None:
    assert begun_at("nightly", name) is None


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("nightly-20261130T023000Z.db.partial", True),
        ("nightly-20261130T023000Z.db.partial-journal", True),
        ("nightly-20261130T023000Z.age.plain", True),
        ("nightly-20261130T023000Z.age.plain.partial", True),
        ("nightly-20261130T023000Z.age.plain.partial.partial-journal", True),
        ("nightly-20261130T023000Z.age.partial.partial.partial", False),
        ("nightly-20261130T023000Z.age.partial", True),
        ("nightly-20261130T023000Z.db", False),
        ("nightly-20261130T023000Z.db.old", False),
        ("weekly-20261130T023000Z.db.partial", False),
        ("nightly-20261330T023000Z.db.partial", False),
        ("nightly.partial", False),
    ],
)
def test_what_was_left_of_one_is_known(name: str, left: bool) -> None:
    assert is_left_over("nightly", name) is left


def test_the_newest_stay() -> None:
    assert _surplus(1, 2, 3, 4, newest=4, keep=2) == [_name(1), _name(2)]
    assert _surplus(4, newest=4, keep=1) == []


def test_what_is_too_old_goes() -> None:
    assert _surplus(0, 21, 22.9, 23.1, 24, newest=24, max_age=3600) == [_name(0), _name(21)]


def test_after_a_long_outage_the_last_good_ones_stay_however_old_they_are() -> None:
    assert _surplus(0, 1, 2, 9000, newest=9000, max_age=3600) == [_name(0)]
    assert _surplus(0, 1, 2, 9000, newest=9000, max_age=3600, keep=2) == [_name(0), _name(1)]


def test_what_a_clock_that_was_ahead_has_named_stays_and_takes_no_place() -> None:
    assert _surplus(5, 6, newest=1, keep=2) == []
    assert _surplus(5, 6, 7, -1, 0, 1, newest=1, keep=2) == [_name(-1)]


def test_what_is_not_verified_takes_no_place_and_goes_with_what_is_as_old() -> None:
    items = [Item(_name(hour), 1, verified=hour not in (2, 5)) for hour in range(8)]
    gone = surplus("nightly", items, newest=_name(7), keep=3, max_age=0)
    assert gone == [_name(hour) for hour in (0, 1, 2, 3)]
    lost = [Item(_name(hour), 1, verified=hour == 7) for hour in range(8)]
    assert list(surplus("nightly", lost, newest=_name(7), keep=3, max_age=0)) == []


def test_nothing_goes_where_the_new_one_has_no_name_of_ours() -> None:
    assert list(surplus("nightly", [Item(_name(1), 1)], newest="x", keep=1, max_age=1)) == []


@given(
    st.lists(st.integers(0, 1000), max_size=12, unique=True),
    st.integers(0, 1000),
    st.integers(1, 5),
    st.integers(0, 7200),
)
def test_the_new_one_never_goes_and_no_more_than_wanted_stay(
    hours: list[int], newest: int, keep: int, max_age: int
) -> None:
    gone = _surplus(*hours, newest, newest=newest, keep=keep, max_age=max_age)
    assert _name(newest) not in gone
    assert len([hour for hour in {*hours, newest} if hour <= newest]) - len(gone) <= keep
    assert len(gone) == len(set(gone))
