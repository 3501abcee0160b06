# SPDX-License-Identifier: EUPL-1.2
"""How long records are kept: what goes by its age, what a hold keeps, and that a change of it is seen."""

from pathlib import Path

import pytest

from vault.framework.clock import rfc3339_whole
from vault.log.reader.messages import SegmentEntry
from vault.log.retention import (
    NO_RETENTION,
    Hold,
    Retention,
    keep_retention,
    last_retention,
    plan,
)
from vault.values.times import Nanos

_SECOND = 1_000_000_000


def _at(second: int) -> Nanos:
    return Nanos((1_800_000_000 + second) * _SECOND)


def _segment(number: int, *, closed: bool = True) -> SegmentEntry:
    """One of ten records, made in ten seconds."""
    if not closed:
        return SegmentEntry(first=10 * number, closed=False)
    begins, ends = (rfc3339_whole(_at(10 * number + second)).decode() for second in (0, 9))
    return SegmentEntry(first=10 * number, last=10 * number + 9, closed=True, begins=begins, ends=ends)


_LOG = [*map(_segment, range(5)), _segment(5, closed=False)]


def _firsts(segments: list[SegmentEntry], before: Nanos, **holds: Hold) -> tuple[list[int], list[str]]:
    cut = plan(segments, before, holds)
    return [one.first for one in cut.segments], [*cut.holds]


def _hold(begins: int | None = None, ends: int | None = None) -> Hold:
    none = Nanos(0)
    return Hold(
        made=none,
        begins=none if begins is None else _at(begins),
        ends=none if ends is None else _at(ends),
    )


def test_whole_segments_go_whose_last_record_is_old_enough() -> None:
    assert _firsts(_LOG, _at(19)) == ([0], [])
    assert _firsts(_LOG, Nanos(_at(19) + 1)) == ([0, 10], [])
    assert _firsts(_LOG, _at(9)) == ([], [])


def test_the_newest_segment_and_one_that_is_not_closed_stay() -> None:
    assert _firsts(_LOG, _at(1000)) == ([0, 10, 20, 30, 40], [])
    assert _firsts(_LOG[:3], _at(1000)) == ([0, 10], [])
    assert _firsts([_LOG[0], _segment(1, closed=False), *_LOG[2:]], _at(1000)) == ([0], [])
    assert _firsts([], _at(1000)) == ([], [])


def test_a_segment_whose_manifest_cannot_be_read_stays() -> None:
    assert _firsts([_LOG[0], SegmentEntry(first=10, closed=True), *_LOG[2:]], _at(1000)) == ([0], [])


@pytest.mark.parametrize(
    ("begins", "ends", "firsts"),
    [
        (None, None, []),
        (19, None, [0]),
        (20, 21, [0, 10]),
        (20, None, [0, 10]),
        (None, 1, []),
        (None, 0, [0, 10, 20, 30, 40]),
        (49, 50, [0, 10, 20, 30]),
        (60, None, [0, 10, 20, 30, 40]),
    ],
)
def test_a_hold_keeps_what_it_is_on_and_what_follows(
    begins: int | None, ends: int | None, firsts: list[int]
) -> None:
    found = _firsts(_LOG, _at(1000), one=_hold(begins, ends))
    assert found == (firsts, [] if len(firsts) == 5 else ["one"])


def test_all_holds_that_keep_a_segment_are_named() -> None:
    assert _firsts(_LOG, _at(1000), b=_hold(12, 13), a=_hold(), c=_hold(40)) == ([], ["a"])
    assert _firsts(_LOG, _at(1000), b=_hold(12, 13), a=_hold(5), c=_hold(40)) == ([], ["a"])
    assert _firsts(_LOG, _at(1000), b=_hold(12, 13), a=_hold(15), c=_hold(40)) == ([0], ["a", "b"])


def test_a_hold_is_told_by_its_times_alone() -> None:
    hold = Hold(made=_at(0), begins=_at(1), reason="mallory against trent")
    assert hold.interval == "2027-01-15T08:00:01Z/.."
    assert _hold().interval == "../.."
    assert _hold(None, 2).interval == "../2027-01-15T08:00:02Z"


def test_bounds_are_counted_from_now() -> None:
    kept = Retention(least=10, most=60)
    assert (kept.purgeable(_at(100)), kept.expired(_at(100))) == (_at(90), _at(40))
    assert (NO_RETENTION.purgeable(_at(100)), NO_RETENTION.expired(_at(100))) == (_at(100), 0)


def test_the_retention_of_the_last_start_is_known(tmp_path: Path) -> None:
    assert last_retention(tmp_path) == NO_RETENTION
    for kept in (Retention(least=1, most=2.5), NO_RETENTION):
        keep_retention(tmp_path, kept)
        assert last_retention(tmp_path) == kept
    assert [path.name for path in tmp_path.iterdir()] == ["retention"]
    (tmp_path / "retention").write_text("{")
    assert last_retention(tmp_path) == NO_RETENTION
