# SPDX-License-Identifier: EUPL-1.2
"""What a search means of a block is exact, though the index has checksums of most values only."""

from pathlib import Path

import pytest

from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.reader.index.columns import Criterion, records_of
from vault.log.reader.index.entry import Kind
from vault.log.reader.index.store import Block
from vault.log.reader.messages import FilterName, Filters, Tenants
from vault.log.reader.query import Match, criteria_of

_ALIKE = ("plumless", "buckeroo")
"""Two texts with the same checksum."""


def _matches(reading: Reading, filters: Filters, tenants: Tenants = None) -> list[list[int]]:
    """By block the records that a search means."""
    log = reading.logs[LOG]
    match = Match(reading.lines, LOG, criteria_of(filters, tenants))
    blocks: list[Block] = [*log.blocks, log.open] if log.open.count else [*log.blocks]
    return [records_of(match.records(block, (1 << block.count) - 1)) for block in blocks]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    "member", ["request_id", "trace_id", "address", "actor", "credential", "resource", "policy"]
)
def test_values_with_the_same_checksum_are_told_apart(
    tmp_path: Path, reading: Reading, member: FilterName, *, stored: bool
) -> None:
    written = WrittenLog(tmp_path)
    for value in ("other", *_ALIKE, *_ALIKE):
        written.write(
            record(
                request__id=value,
                trace_id=value,
                client__address=value,
                actor={"id": value},
                credential={"accessor": value},
                resource={"id": value, "type": "t"},
                policy={"grant": [{"policy": value, "rule": "r"}]},
            )
        )
    if stored:
        written.next_segment()
    reading.catch_up()
    assert _matches(reading, {member: (_ALIKE[0],)}) == [[1, 3]]
    assert _matches(reading, {member: (_ALIKE[1], "other")}) == [[0, 2, 4]]
    assert _matches(reading, {member: ("none",)}) == [[]]


def test_a_record_with_two_values_of_one_checksum_has_both(tmp_path: Path, reading: Reading) -> None:
    written = WrittenLog(tmp_path)
    written.write(
        record(credential={"accessor": _ALIKE[0], "blocks": [_ALIKE[1]]}),
        record(credential={"accessor": _ALIKE[1]}),
        record(credential={"accessor": "x", "blocks": [_ALIKE[0]]}),
    )
    reading.catch_up()
    assert _matches(reading, {"credential": (_ALIKE[0],)}) == [[0, 2]]
    assert _matches(reading, {"credential": (_ALIKE[1],)}) == [[0, 1]]


def test_filters_are_and_and_their_values_or(tmp_path: Path, reading: Reading) -> None:
    written = WrittenLog(tmp_path)
    for number in range(12):
        written.write(
            record(
                actor={"id": f"e-{number % 2}"},
                outcome=["success", "denied", "failed"][number % 3],
                tenant=f"t-{number % 4}",
            )
        )
    reading.catch_up()
    assert _matches(reading, {"actor": ("e-0",), "outcome": ("denied", "failed")}) == [[2, 4, 8, 10]]
    assert _matches(reading, {"actor": ("e-0", "e-1")}, ("t-1", "t-2")) == [[1, 2, 5, 6, 9, 10]]
    assert _matches(reading, {}, ()) == [[]]
    assert _matches(reading, {}, ("t",)) == [[]]
    assert _matches(reading, {}) == [[*range(12)]]


def test_a_star_stands_for_any_end_of_an_event_or_a_resource_and_for_itself_elsewhere() -> None:
    assert criteria_of({"event": ("esa.kv.*", "esa.auth.login"), "actor": ("e*",)}, None) == (
        Criterion(Kind.EVENT, frozenset(["esa.auth.login"]), ("esa.kv.",)),
        Criterion(Kind.ACTOR, frozenset(["e*"])),
    )
    assert criteria_of({}, ("a",)) == (Criterion(Kind.TENANT, frozenset(["a"])),)


def test_a_line_that_is_there_no_more_is_no_match(tmp_path: Path, reading: Reading) -> None:
    written = WrittenLog(tmp_path)
    written.write(record(request__id="a"))
    written.next_segment()
    reading.catch_up()
    assert _matches(reading, {"request_id": ("a",)}) == [[0]]
    for path in written.folder.glob(f"{0:020}.*"):
        path.unlink()
    reading.lines.forget(LOG, 0)
    assert _matches(reading, {"request_id": ("a",)}) == [[]]
    assert _matches(reading, {"actor": ("e-1",)}) == [[]]
