# SPDX-License-Identifier: EUPL-1.2
"""What of a record is indexed."""

from pathlib import Path

import msgspec
import pytest

from tests.unit.log.reader.written import BEGAN, WrittenLog, nine_digits, record
from vault.log.reader.index.entry import (
    Entry,
    Kind,
    decode,
    decode_all,
    nanos_of_text,
    nanos_of_texts,
    values,
)


def _entry(**members: object) -> Entry:
    return decode(WrittenLog(Path()).line(record(**members)))


def test_each_kind_has_its_values() -> None:
    entry = _entry(
        credential={"accessor": "a-1", "blocks": ["b-1", "b-2"], "bound": "none", "kind": "biscuit"},
        policy={"grant": [{"policy": "p", "rule": "kv/*"}, {"policy": "q", "rule": "kv/*"}]},
        trace_id="t-1",
        fields={"request": {"outcome": "another", "seq": "none"}},
    )
    assert {kind: values(entry, kind) for kind in Kind} == {
        Kind.EVENT: {"esa.kv.read"}, Kind.RESOURCE: {"kv/payments/1"}, Kind.TYPE: {"kv.secret"}, Kind.OUTCOME: {"success"},
        Kind.PHASE: {"outcome"}, Kind.TENANT: {"root"}, Kind.ACTOR: {"e-1"}, Kind.ADDRESS: {"10.2.0.9"},
        Kind.POLICY: {"p", "q"}, Kind.RULE: {"kv/*"}, Kind.CREDENTIAL: {"a-1", "b-1", "b-2"}, Kind.REQUEST: {"r-1"},
        Kind.TRACE: {"t-1"},
    }  # fmt: skip
    assert entry.seq == 0
    assert entry.tenant_seq == 0


def test_the_rule_that_refused_it_counts_as_those_that_allowed_it() -> None:
    refused = _entry(
        policy={
            "by": [{"policy": "p", "rule": "kv/*"}, {"policy": "q", "rule": "kv/*"}, {"$omitted": 3}],
            "reason": "the rule does not grant delete",
        }
    )
    assert values(refused, Kind.POLICY) == {"p", "q"}
    assert values(refused, Kind.RULE) == {"kv/*"}


def test_a_record_that_leaves_everything_out_has_no_values() -> None:
    entry = decode(b'{"observed_timestamp":"","prev_hash":"","seq":7}')
    assert {value for kind in Kind for value in values(entry, kind)} == set()


@pytest.mark.parametrize(
    "line", [b"", b"{", b'{"seq":1}', b'{"observed_timestamp":"","prev_hash":"","seq":"1"}', b"[]"]
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(line)


@pytest.mark.parametrize(
    ("event", "phase", "wakes"),
    [
        ("esa.kv.read", "outcome", True),
        ("esa.log.query", "outcome", False),
        ("esa.log.query", "attempt", False),
        ("esa.log.device.failed", "notice", True),
        ("esa.logs.read", "outcome", True),
    ],
)
def test_only_a_record_of_reading_wakes_no_tail(event: str, phase: str, *, wakes: bool) -> None:
    log = WrittenLog(Path())
    lines = [log.line(record(event_name=event, phase=phase)), log.line(record())]
    assert decode_all(lines).waking == [wakes, True]


def test_records_are_read_together_as_each_is_read_alone() -> None:
    log = WrittenLog(Path())
    lines = [log.line(record(trace_id=f"t-{at}", tenant=f"n-{at % 2}")) for at in range(5)]
    columns = decode_all(lines)
    assert [*zip(*columns, strict=True)] == [msgspec.structs.astuple(decode(line)) for line in lines]
    assert columns.traces == ("t-0", "t-1", "t-2", "t-3", "t-4")
    assert columns.tenant_seqs == (0, 0, 1, 1, 2)


def test_few_records_take_the_place_of_others_all_of_which_are_earlier() -> None:
    log = WrittenLog(Path())
    lines = [
        log.line(record(**more)) for more in ({}, {"supersedes": 0}, {"supersedes": 2}, {"supersedes": 9})
    ]
    assert decode_all(lines).superseded == [0]
    assert decode_all(lines[:1]).superseded == ()


def test_a_time_is_read_to_the_nanosecond() -> None:
    assert nanos_of_text(nine_digits(BEGAN + 123_456_789)) == BEGAN + 123_456_789


@pytest.mark.parametrize("step", [1, 999_999_937, 59_000_000_001, 3_600_000_000_007])
def test_times_are_read_together_within_a_minute_and_beyond(step: int) -> None:
    times = [BEGAN + number * step for number in range(20)]
    assert nanos_of_texts([*map(nine_digits, times)]) == times


def test_one_time_of_another_minute_among_others_is_read_as_it_is() -> None:
    times = [BEGAN, BEGAN + 3_600_000_000_000, BEGAN + 1]
    assert nanos_of_texts([*map(nine_digits, times)]) == times


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-28T09:00:00Z",
        "2026-11-28T09:00:00.0000000000Z",
        "2026-11-28T09:00:00,00000000000",
        "2026-11-28T09:00:00.0000000e2Z",
        "2026-13-28T09:00:00.000000000Z",
    ],
)
def test_another_form_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        nanos_of_text(text)


@pytest.mark.parametrize(
    "other", ["2026-11-28T09:00:01Z", "2026-11-28T10:00:01Z", "2026-11-28T09:00:1.0000000000000Z"]
)
def test_one_time_of_another_form_among_others_is_refused(other: str) -> None:
    with pytest.raises(ValueError, match="nine digits"):
        nanos_of_texts([nine_digits(BEGAN), other, nine_digits(BEGAN)])


@pytest.mark.parametrize("seconds", ["00,1000000000", "0..000000000Z", "9999999999999"])
def test_what_stands_within_a_minute_is_digits_as_a_time_has_them(seconds: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        nanos_of_texts([nine_digits(BEGAN), f"{nine_digits(BEGAN)[:17]}{seconds}", nine_digits(BEGAN)])
