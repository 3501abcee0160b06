# SPDX-License-Identifier: EUPL-1.2
"""The newest block of a log says what its records have while it grows."""

from pathlib import Path

import pytest

from tests.unit.log.reader.written import WrittenLog, record
from vault.log.reader.index.block import Column, OpenBlock, Read, find, read_tenants
from vault.log.reader.index.columns import MOST_RECORDS, BadColumn, Criterion, records_of
from vault.log.reader.index.entry import Columns, Kind, decode_all


def _records(*members: dict[str, object]) -> list[Columns]:
    log = WrittenLog(Path())
    return [decode_all([log.line(record(**one))]) for one in members]


def _grown(*members: dict[str, object]) -> OpenBlock:
    block = OpenBlock(100, segment=50, begin=7)
    for number, its in enumerate(_records(*members)):
        block.extend(its, [1000 + number], [10 * (number + 1)])
    return block


def test_it_knows_where_and_when_its_records_are() -> None:
    block = _grown({}, {}, {})
    assert (block.first, block.segment, block.count, block.full) == (100, 50, 3, False)
    assert (block.begins, block.ends, [*block.places]) == (1000, 1002, [7, 10, 20, 30])


def test_it_knows_the_first_number_of_each_tenant() -> None:
    log = WrittenLog(Path())
    lines = [log.line(record(tenant=tenant)) for tenant in ("a", "b", "b", "a", "c")]
    block = OpenBlock(2, segment=0, begin=0)
    block.extend(decode_all(lines[2:4]), [1, 2], [3, 4])
    block.extend(decode_all(lines[4:]), [3], [5])
    assert block.tenants == {"b": 1, "a": 1, "c": 0}


def test_a_record_is_found_by_each_of_its_values() -> None:
    block = _grown(
        {"policy": {"grant": [{"policy": "p", "rule": "r"}, {"policy": "q", "rule": "r"}]}},
        {"credential": {"accessor": "a", "blocks": ["b", "c", "a"]}},
        {"policy": {"grant": []}, "credential": {"accessor": "c"}},
        {"policy": {"by": [{"policy": "p", "rule": "s"}, {"policy": "o", "rule": "s"}], "reason": "none"}},
    )
    for kind, value, records in (
        (Kind.POLICY, "p", [0, 3]),
        (Kind.POLICY, "q", [0]),
        (Kind.POLICY, "o", [3]),
        (Kind.RULE, "r", [0]),
        (Kind.RULE, "s", [3]),
        (Kind.CREDENTIAL, "a", [1]),
        (Kind.CREDENTIAL, "c", [1, 2]),
        (Kind.TRACE, "none", []),
    ):
        found = [*block.find(Criterion(kind, frozenset([value])))]
        assert sorted({at for candidates in found for at in records_of(candidates.bits)}) == records, (
            kind,
            value,
        )
    assert block.groups(Kind.TYPE).keys() == {"kv.secret"}


@pytest.mark.parametrize("kind", [Kind.EVENT, Kind.TYPE, Kind.OUTCOME, Kind.PHASE, Kind.TENANT])
def test_groups_have_the_records_of_each_value(kind: Kind) -> None:
    members: list[dict[str, object]] = [
        {"event_name": f"e{at % 2}", "outcome": f"o{at % 3}", "phase": f"p{at % 4}", "tenant": f"t{at % 5}",
         "resource": {"id": "r", "type": f"r{at % 6}"}}
        for at in range(60)
    ]  # fmt: skip
    modulus = {Kind.EVENT: 2, Kind.OUTCOME: 3, Kind.PHASE: 4, Kind.TENANT: 5, Kind.TYPE: 6}[kind]
    found = _grown(*members).groups(kind)
    assert sorted(map(records_of, found.values())) == [
        [*range(first, 60, modulus)] for first in range(modulus)
    ]


def test_what_is_empty_is_in_no_group() -> None:
    assert _grown({"outcome": ""}, {}).groups(Kind.OUTCOME).keys() == {"success"}


@pytest.mark.parametrize("column", {*Column} - {Column.REQUEST, Column.TRACE})
def test_what_cannot_be_read_is_told(column: Column) -> None:
    block = _grown({"policy": {"grant": [{"policy": "p", "rule": "r"}]}}, {})

    def read(which: Column) -> bytes:
        return b"\xc1" if which is column else block.packed(which)

    with pytest.raises(BadColumn):
        _read_all(read)
    _read_all(block.packed)


def _read_all(read: Read) -> None:
    for kind, value in (
        (Kind.EVENT, "esa.kv.read"), (Kind.POLICY, "p"), (Kind.ACTOR, "e-1"), (Kind.ADDRESS, "10.2.0.9"),
        (Kind.CREDENTIAL, "a"), (Kind.RESOURCE, "kv/payments/1"),
    ):  # fmt: skip
        assert all(candidates.bits for candidates in find(Criterion(kind, frozenset([value])), read))
    assert [*find(Criterion(Kind.RESOURCE, frozenset(), ("kv",)), read)]
    assert read_tenants(read(Column.TENANT))


def test_it_is_full_with_so_many_records() -> None:
    line = WrittenLog(Path()).line(record())
    block = OpenBlock(0, segment=0, begin=0)
    block.extend(decode_all([line] * (MOST_RECORDS - 1)), [0] * (MOST_RECORDS - 1), [0] * (MOST_RECORDS - 1))
    fullness = [block.full]
    block.extend(decode_all([line]), [0], [0])
    assert [*fullness, block.full] == [False, True]
