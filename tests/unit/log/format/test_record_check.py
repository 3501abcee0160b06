# SPDX-License-Identifier: EUPL-1.2
"""Records are checked one after another, and what is wrong with one is told of that one."""

from collections.abc import Sequence

import pytest

from tests.log.written import LOG, Record, chained, record, root_of, time_of
from vault.log.format.canonical import decode_record, encode_record
from vault.log.format.finding import Finding
from vault.log.format.record_check import RecordCheck
from vault.log.format.tree import CompactRange, encode_hash, leaf_hash


def _records(count: int = 7) -> list[Record]:
    return [record(seq, tenant=("root", "ns1")[seq % 2]) for seq in range(count)]


def _told(lines: Sequence[bytes]) -> list[str]:
    return [finding.words for finding in _findings(lines)]


def _findings(lines: Sequence[bytes]) -> list[Finding]:
    found: list[Finding] = []
    check = RecordCheck(LOG, found.append)
    for line in lines:
        check.take(line)
    return found


def _edited(line: bytes, **members: object) -> bytes:
    return encode_record({**decode_record(line), **members})


def test_of_records_that_follow_each_other_nothing_is_told() -> None:
    lines = chained(_records())
    found: list[Finding] = []
    check = RecordCheck(LOG, found.append)
    assert all(check.take(line) for line in lines)
    assert (found, check.seq, check.time) == ([], 7, time_of(6))
    assert check.tree is not None
    assert check.tree.root() == root_of(lines)
    assert check.tenants == {
        "root": (3, encode_hash(leaf_hash(lines[6]))),
        "ns1": (2, encode_hash(leaf_hash(lines[5]))),
    }


def test_an_edited_record_is_not_the_one_that_the_next_names() -> None:
    lines = chained(_records())
    lines[2] = _edited(lines[2], outcome="denied")
    assert _told(lines) == [
        "record 2: the next one names another hash",
        "record 4: it does not follow record 1 of its tenant",
    ]
    assert [(one.first, one.last) for one in _findings(lines)] == [(2, 2), (4, 4)]


def test_the_last_record_has_no_next_one() -> None:
    lines = chained(_records())
    lines[6] = _edited(lines[6], outcome="denied")
    assert _told(lines) == []


def test_the_first_record_names_the_hash_of_nothing() -> None:
    lines = chained(_records())
    lines[0] = _edited(lines[0], prev_hash=encode_hash(leaf_hash(b"another")))
    assert _told(lines)[0] == "record 0: the next one names another hash"


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ([0, 1, 2, 4, 5, 6], ["record 3: record 4 stands in its place"]),
        ([0, 1, 2, 4, 3, 5, 6], ["record 3: record 4 stands in its place", "record 5: record 3 stands in its place"]),
        ([0, 1, 2, 3, 3, 4, 5, 6], ["record 4: record 3 stands in its place"]),
        ([1, 2, 3], ["record 0: record 1 stands in its place"]),
        ([6, 5, 4], ["record 0: record 6 stands in its place", "record 7: record 5 stands in its place", "record 7: record 4 stands in its place"]),
    ],
)  # fmt: skip
def test_a_record_out_of_place_is_told_where_it_stands(order: list[int], told: list[str]) -> None:
    lines = chained(_records())
    assert _told([lines[seq] for seq in order]) == told


def test_a_repeated_record_is_not_taken_and_the_tree_stays_right() -> None:
    lines = chained(_records())
    check = RecordCheck(LOG, lambda _: None)
    taken = [check.take(line) for line in [*lines[:4], lines[3], *lines[4:]]]
    assert taken == [True] * 4 + [False] + [True] * 3
    assert check.tree is not None
    assert check.tree.root() == root_of(lines)


def test_without_a_record_the_tree_is_unknown() -> None:
    lines = chained(_records())
    check = RecordCheck(LOG, lambda _: None)
    for line in (*lines[:3], *lines[4:]):
        check.take(line)
    assert (check.tree, check.whole, check.seq) == (None, False, 7)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "it is no JSON object"),
        (b'{"seq":3}', "the next one names another hash"),
        (b'{"seq":"3"}', "it has no number"),
        (b'{"seq":true}', "it has no number"),
        (b'{"seq":-1}', "it has no number"),
        (b"{}", "it has no number"),
        (b'{"a": 1}', "it is not in canonical form"),
        (b'{"a":1.5}', "it has a fraction"),
    ],
)
def test_what_is_no_record_is_told_and_the_next_ones_are_read(line: bytes, words: str) -> None:
    lines = chained(_records())
    found = _told([*lines[:3], line, *lines[4:]])
    assert found[0].endswith(words)
    assert len(found) < 6


def test_a_line_that_was_put_in_is_told_alone() -> None:
    lines = chained(_records())
    assert _told([*lines[:3], b"{", *lines[3:]]) == ["record 3: it is no JSON object"]


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (time_of(1), "record 3: its time is before that of the record before it"),
        ("2026-11-28T09:00:03Z", "record 3: its time is none"),
        ("2026-11-28T09:00:03.000000000+01:00", "record 3: its time is none"),
        (3, "record 3: its time is none"),
        (None, "record 3: its time is none"),
    ],
)
def test_time_never_goes_back(time: object, words: str) -> None:
    records = _records()
    records[3]["observed_timestamp"] = time
    assert _told(chained(records)) == [words]


def test_a_time_that_stands_still_does_not_go_back() -> None:
    records = _records()
    records[3]["observed_timestamp"] = time_of(2)
    assert _told(chained(records)) == []


def test_a_record_of_another_log_is_told() -> None:
    records = _records()
    records[3]["log"] = "0123abcd-0-2"
    assert _told(chained(records)) == ["record 3: it is another log's"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"tenant_seq": 5}, "record 4: it does not follow record 1 of its tenant"),
        ({"tenant_prev_hash": "x"}, "record 4: it does not follow record 1 of its tenant"),
        ({"tenant": "ns2", "tenant_seq": 1}, "record 4: it is said not to be the first of its tenant"),
        ({"tenant": 1}, "record 4: it has no tenant"),
        ({"tenant_seq": None}, "record 4: it has no tenant"),
    ],
)
def test_a_tenants_records_follow_each_other(members: dict[str, object], words: str) -> None:
    lines = chained(_records(5))
    lines[4] = _edited(lines[4], **members)
    assert _told(lines) == [words]


def test_records_before_the_first_one_are_unknown_or_those_of_a_tree() -> None:
    lines = chained(_records())
    check = RecordCheck(LOG, lambda _: None, first=3)
    assert all(check.take(line) for line in lines[3:])
    assert (check.tree, check.whole) == (None, False)

    found: list[Finding] = []
    before = CompactRange()
    for line in lines[:3]:
        before.append(leaf_hash(line))
    check = RecordCheck(LOG, found.append, first=3)
    check.continue_from(before, leaf_hash(lines[2]))
    for line in lines[3:]:
        check.take(line)
    assert check.tree is not None
    assert (check.tree.root(), found) == (root_of(lines), [])

    check = RecordCheck(LOG, found.append, first=3)
    check.continue_from(before, leaf_hash(lines[1]))
    check.take(lines[3])
    assert [finding.words for finding in found] == ["record 2: the next one names another hash"]


def test_records_that_are_missing_are_told_with_their_number() -> None:
    lines = chained(_records())
    found: list[Finding] = []
    check = RecordCheck(LOG, found.append)
    check.take(lines[0])
    check.miss(4)
    for line in lines[4:]:
        check.take(line)
    assert [(one.words, one.first, one.last) for one in found] == [("records 1 to 3: missing", 1, 3)]
