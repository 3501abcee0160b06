# SPDX-License-Identifier: EUPL-1.2
"""A segment's manifest says what the segment has, and whatever can't be read of it is told."""

from pathlib import Path

import msgspec
import pytest

from tests.log.written import LOG, WrittenLog, time_of, written
from vault.log.format.finding import Finding, Kind
from vault.log.format.record_check import RecordCheck
from vault.log.format.segment import CLOSED, MANIFEST, Manifest, Segment
from vault.log.format.segment_check import SegmentCheck


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """13 records: a closed segment of 10 in three members, and 3 in the open one."""
    return written(tmp_path, 13, starts=(0, 10))


def _check(log: WrittenLog, first: int = 0, *, newest: bool = False) -> tuple[list[Finding], int]:
    found: list[Finding] = []
    records = RecordCheck(LOG, found.append, first=first)
    taken = []
    SegmentCheck(Segment(log.folder, first), records, found.append, newest=newest).run(
        lambda: taken.append(records.seq)
    )
    assert taken == list(range(first + 1, first + 1 + len(taken)))
    return found, len(taken)


def test_of_a_segment_as_it_was_written_nothing_is_told(log: WrittenLog) -> None:
    assert _check(log) == ([], 10)
    assert _check(log, 10, newest=True) == ([], 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "00"}, "digest"),
        ({"size": 1}, "size"),
        ({"last": 8}, "last record"),
        ({"begins": time_of(1)}, "first time"),
        ({"ends": time_of(1)}, "last time"),
        ({"root": ""}, "root"),
        ({"tenants": {"root": (3, "")}}, "end of tenants' parts"),
        ({"sha256": "00", "last": 8}, "digest, last record"),
    ],
)
def test_a_manifest_that_says_otherwise_is_told(
    log: WrittenLog, changes: dict[str, object], words: str
) -> None:
    _rewrite(log, **changes)
    [finding] = _check(log)[0]
    assert finding.words == f"the manifest of segment 0 says another {words}"
    assert (finding.kind, finding.first, finding.last) == (Kind.MANIFEST, 0, 9)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda members: (members[0], (4, members[1][1] + 1, members[1][2]), members[2]),
        lambda members: (members[0], (4, members[2][1], members[1][2]), members[2]),
        lambda members: (members[0], (4, members[1][1], members[1][2] + 1), members[2]),
        lambda members: (members[0], (5, members[1][1], members[1][2]), members[2]),
        lambda members: (*members, (10, members[2][1], members[2][2])),
        lambda members: (members[0], (4, 1 << 40, members[1][2]), members[2]),
    ],
)
def test_a_manifest_that_leads_to_other_records_is_told(log: WrittenLog, wrong: object) -> None:
    assert callable(wrong)
    _rewrite(log, members=wrong(_manifest(log).members))
    assert [finding.words for finding in _check(log)[0]] == [
        "the manifest of segment 0 says another place of records"
    ]


def test_a_manifest_that_cannot_be_read_is_told_and_the_records_are_checked(log: WrittenLog) -> None:
    Segment(log.folder, 0).path(MANIFEST).write_bytes(b"{}")
    found, taken = _check(log)
    assert ([finding.words for finding in found], taken) == (["the manifest of segment 0 can't be read"], 10)


def test_a_file_that_is_cut_or_damaged_is_told_and_what_can_be_read_is_checked(log: WrittenLog) -> None:
    path = Segment(log.folder, 0).path(CLOSED)
    path.write_bytes(path.read_bytes()[: _manifest(log).members[2][1] + 5])
    found, taken = _check(log)
    assert taken == 8
    assert found[0].kind == Kind.SEGMENT
    assert found[0].words.startswith("segment 0 can't be read: ")
    path.unlink()
    assert _check(log)[0][0].words == "segment 0 can't be read: No such file or directory"


def test_a_torn_last_line_is_a_fault_only_where_more_follows(log: WrittenLog) -> None:
    log.write(tail=b'{"actor":{')
    [finding], taken = _check(log, 10, newest=True)
    assert taken == 3
    assert (finding.kind, finding.fault, finding.first) == (Kind.TORN, False, 13)
    assert finding.words == "record 13: its line has no end, as after a crash; it was never answered for"
    [finding], _ = _check(log, 10)
    assert (finding.kind, finding.fault) == (Kind.RECORD, True)
    assert finding.words == "record 13: its line has no end"


def test_a_line_that_is_too_long_ends_the_reading(log: WrittenLog) -> None:
    log.write(tail=b"x" * 70_000 + b"\n" + log.lines[0] + b"\n")
    [finding], taken = _check(log, 10, newest=True)
    assert taken == 3
    assert (finding.kind, finding.fault) == (Kind.RECORD, True)
    assert finding.words == "record 13: it has more than 65535 bytes, and nothing after it is read"


def test_whose_records_are_not_all_known_is_not_compared(log: WrittenLog) -> None:
    log.starts = [0, 5, 10]
    log.write()
    assert _check(log, 5) == ([], 5)


def _manifest(log: WrittenLog) -> Manifest:
    return Segment(log.folder, 0).manifest()


def _rewrite(log: WrittenLog, **changes: object) -> None:
    changed = msgspec.structs.replace(_manifest(log), **changes)
    Segment(log.folder, 0).path(MANIFEST).write_bytes(changed.encode())
