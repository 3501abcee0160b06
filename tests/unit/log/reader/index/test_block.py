# SPDX-License-Identifier: EUPL-1.2
"""The newest block of a log says what its records have while it grows."""

from pathlib import Path

from tests.unit.log.reader.written import WrittenLog, record
from vault.log.reader.index.block import OpenBlock
from vault.log.reader.index.columns import MOST_RECORDS, Criterion, records_of
from vault.log.reader.index.entry import Entry, Kind, decode


def _entries(*members: dict[str, object]) -> list[Entry]:
    log = WrittenLog(Path())
    return [decode(log.line(record(**one))) for one in members]


def _grown(*members: dict[str, object]) -> OpenBlock:
    block = OpenBlock(100, segment=50, begin=7)
    for number, entry in enumerate(_entries(*members)):
        block.extend([entry], [1000 + number], [10 * (number + 1)])
    return block


def test_it_knows_where_and_when_its_records_are() -> None:
    block = _grown({}, {}, {})
    assert (block.first, block.segment, block.count, block.full) == (100, 50, 3, False)
    assert (block.begins, block.ends, [*block.places]) == (1000, 1002, [7, 10, 20, 30])


def test_it_knows_the_first_number_of_each_tenant() -> None:
    log = WrittenLog(Path())
    entries = [decode(log.line(record(tenant=tenant))) for tenant in ("a", "b", "b", "a", "c")]
    block = OpenBlock(2, segment=0, begin=0)
    block.extend(entries[2:4], [1, 2], [3, 4])
    block.extend(entries[4:], [3], [5])
    assert block.tenants == {"b": 1, "a": 1, "c": 0}


def test_a_record_is_found_by_each_of_its_values() -> None:
    block = _grown(
        {"policy": {"grant": [{"policy": "p", "rule": "r"}, {"policy": "q", "rule": "r"}]}},
        {"credential": {"accessor": "a", "blocks": ["b", "c", "a"]}},
        {"policy": {"grant": []}, "credential": {"accessor": "c"}},
    )
    for kind, value, records in (
        (Kind.POLICY, "p", [0]),
        (Kind.POLICY, "q", [0]),
        (Kind.RULE, "r", [0]),
        (Kind.CREDENTIAL, "a", [1]),
        (Kind.CREDENTIAL, "c", [1, 2]),
        (Kind.TRACE, "none", []),
    ):
        found = [*block.find(Criterion(kind, frozenset([value])))]
        assert sorted(at for candidates in found for at in records_of(candidates.bits)) == records, (
            kind,
            value,
        )
    assert {policy: records_of(bits) for policy, bits in block.groups(Kind.POLICY).items()} == {
        "p": [0],
        "q": [0],
    }
    assert block.groups(Kind.TYPE).keys() == {"kv.secret"}


def test_it_is_full_with_so_many_records_or_so_many_values() -> None:
    (entry,) = _entries({})
    block = OpenBlock(0, segment=0, begin=0)
    block.extend([entry] * (MOST_RECORDS - 1), [0] * (MOST_RECORDS - 1), [0] * (MOST_RECORDS - 1))
    fullness = [block.full]
    block.extend([entry], [0], [0])
    assert [*fullness, block.full] == [False, True]
    (wide,) = _entries({"credential": {"accessor": "a", "blocks": [str(number) for number in range(1000)]}})
    block = OpenBlock(0, segment=0, begin=0)
    block.extend([wide] * 16, [0] * 16, [0] * 16)
    fullness = [block.full]
    block.extend([wide], [0], [0])
    assert [*fullness, block.full] == [False, True]
