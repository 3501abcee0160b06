# SPDX-License-Identifier: EUPL-1.2
"""A traversal of a search has every record that is meant once and in order, whatever happens to the logs meanwhile."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.log.reader.reading import FOREVER, Reading
from tests.unit.log.reader.written import BEGAN, LOG, SECOND, WrittenLog, record
from vault.log.reader.messages import Position, Search
from vault.log.reader.search import Page
from vault.values.times import Nanos

_OTHER = "01234567-1-1"


def _has(line: dict[str, Any], name: str) -> set[str]:
    """What a record has of what a filter asks for, found in the plainest way."""
    grants = line.get("policy", {}).get("grant", [])
    credential = line.get("credential", {})
    found: dict[str, list[str | None]] = {
        "event": [line["event_name"]],
        "resource": [line["resource"]["id"]],
        "resource_type": [line["resource"]["type"]],
        "outcome": [line.get("outcome")],
        "phase": [line["phase"]],
        "actor": [line["actor"]["id"]],
        "address": [line["client.address"]],
        "policy": [grant["policy"] for grant in grants],
        "rule": [grant["rule"] for grant in grants],
        "credential": [credential.get("accessor"), *credential.get("blocks", [])],
        "request_id": [line["request.id"]],
        "trace_id": [line.get("trace_id")],
    }
    return {value for value in found[name] if value}


def _meant(
    lines: list[bytes], filters: dict[str, tuple[str, ...]], tenants: tuple[str, ...] | None
) -> list[bytes]:
    """The lines that a search means, in order: a filter in plain Python over all records."""
    records = [(json.loads(line), line) for line in lines]
    records.sort(key=lambda one: (one[0]["observed_timestamp"], one[0]["log"], one[0]["seq"]))

    def fits(line: dict[str, Any]) -> bool:
        if tenants is not None and line["tenant"] not in tenants:
            return False
        for name, values in filters.items():
            has = _has(line, name)
            prefixes = [
                value[:-1] for value in values if value.endswith("*") and name in {"event", "resource"}
            ]
            if not (
                has & set(values) or any(value.startswith(prefix) for value in has for prefix in prefixes)
            ):
                return False
        return True

    return [text for line, text in records if fits(line)]


_few = st.sampled_from(["a", "b", "c"])
_records = st.builds(
    lambda event, resource, outcome, tenant, actor, request, grants, blocks: record(
        event_name=f"esa.{event}",
        resource={"id": f"kv/{resource}", "type": "t"},
        tenant=tenant,
        actor={"id": actor},
        request__id=request,
        policy={"grant": [{"policy": policy, "rule": f"r/{policy}"} for policy in grants]},
        credential={"accessor": actor, "blocks": blocks},
        **({"outcome": outcome} if outcome else {"phase": "attempt", "outcome": None}),
    ),
    st.sampled_from(["kv.read", "kv.write", "auth.login"]), st.sampled_from(["a", "ab", "b", "plumless", "buckeroo"]),
    st.sampled_from(["success", "denied", ""]), _few, _few, st.sampled_from(["r1", "r2", "plumless", "buckeroo"]),
    st.lists(_few, max_size=3, unique=True), st.lists(_few, max_size=2, unique=True),
)  # fmt: skip
_batches = st.lists(
    st.tuples(st.booleans(), st.lists(_records, max_size=8), st.integers(0, 3), st.booleans()),
    min_size=1,
    max_size=8,
)
_filters = st.dictionaries(
    st.sampled_from(["event", "resource", "outcome", "phase", "actor", "policy", "rule", "credential", "request_id"]),
    st.lists(
        st.sampled_from(
            ["esa.kv.*", "esa.auth.login", "kv/a*", "kv/b", "kv/plumless", "success", "denied", "attempt", "outcome",
             "a", "b", "r/a", "r1", "plumless", "*", "none"]
        ),
        min_size=1, max_size=3, unique=True,
    ).map(tuple),
    max_size=3,
)  # fmt: skip


@given(
    _batches,
    _filters,
    st.sampled_from([None, ("a",), ("a", "c"), ()]),
    st.sampled_from(["asc", "desc"]),
    st.integers(1, 7),
    st.tuples(st.integers(0, 120), st.integers(0, 120)),
)
def test_a_search_is_a_filter_over_all_records(
    batches: list[tuple[bool, list[dict[str, Any]], int, bool]],
    filters: dict[Any, tuple[str, ...]],
    tenants: tuple[str, ...] | None,
    order: Any,
    limit: int,
    window: tuple[int, int],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        logs = [WrittenLog(Path(folder), name) for name in (LOG, _OTHER)]
        reading = Reading(Path(folder))
        for which, records, after, cut in batches:
            log = logs[which]
            log.write(*[{k: v for k, v in one.items() if v is not None} for one in records], after=after)
            if cut and log.seq > log.segment:
                log.next_segment()
            reading.catch_up()
        begins, ends = (Nanos(BEGAN + moment) for moment in sorted(window))
        lines = [line for log in logs for line in log.lines]
        within = [line for line in lines if begins <= _time_of(line) < ends]
        expected = _meant(within, filters, tenants)
        found = reading.all(limit, filters=filters, tenants=tenants, order=order, begins=begins, ends=ends)
        assert found == (expected if order == "asc" else expected[::-1])
        reading.close()


def _time_of(line: bytes) -> int:
    return BEGAN + int(json.loads(line)["observed_timestamp"][20:29])


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("skew", [0, 90, -90], ids=["clocks agree", "one is ahead", "one is behind"])
def test_a_record_that_is_there_all_the_time_comes_once(
    tmp_path: Path, reading: Reading, order: Any, skew: int
) -> None:
    logs = [WrittenLog(tmp_path, LOG), WrittenLog(tmp_path, _OTHER, began=BEGAN + skew * SECOND)]
    for _ in range(3):
        for log in logs:
            log.write(*[record()] * 7)
            log.next_segment()
    for log in logs:
        log.write(*[record()] * 3)
    reading.closes = False
    reading.catch_up()
    before = _meant([line for log in logs for line in log.lines], {}, None)
    found: list[bytes] = []
    position: Position | None = None
    for turn in range(100):
        page = reading.page(Search(begins=Nanos(0), ends=FOREVER, order=order, limit=3, position=position))
        found += page.lines
        position = page.position
        if position is None:
            break
        logs[turn % 2].write(record(outcome="denied"))
        if turn % 3 == 0:
            logs[turn % 2].next_segment()
        reading.closes = turn % 4 == 1
        reading.catch_up()
    assert [line for line in found if line in before] == (before if order == "asc" else before[::-1])
    assert len(set(found)) == len(found)


def test_an_open_search_has_what_clocks_that_were_ahead_left(tmp_path: Path, reading: Reading) -> None:
    log, ahead = WrittenLog(tmp_path, LOG), WrittenLog(tmp_path, _OTHER, began=BEGAN + 3600 * SECOND)
    log.write(*[record()] * 5)
    ahead.write(*[record()] * 5)
    reading.catch_up()
    now = Nanos(BEGAN + 10 * SECOND)
    assert len(reading.page(Search(begins=Nanos(0), ends=now)).lines) == 5
    first = reading.page(Search(begins=Nanos(0), ends=now, open=True, limit=7))
    assert first.lines == [*ahead.lines[::-1], *log.lines[:2:-1]]
    ahead.write(record())  # which was not there when the search began
    log.write(record())
    reading.catch_up()
    second = reading.page(Search(begins=Nanos(0), ends=first.ends, position=first.position))
    assert second.lines == log.lines[2::-1]
    forward = Search(begins=Nanos(0), ends=first.ends, order="asc", position=Position(now, "", -1))
    assert reading.page(forward).lines == ahead.lines[:5]
    later = Nanos(BEGAN + 7200 * SECOND)
    assert reading.page(Search(begins=Nanos(0), ends=later, open=True)).ends == later


def test_a_page_says_how_far_it_looked(tmp_path: Path, reading: Reading) -> None:
    log, other = WrittenLog(tmp_path, LOG), WrittenLog(tmp_path, _OTHER)
    log.write(*[record(tenant="a")] * 5, record(tenant="b"))
    other.write(record(tenant="b"))
    reading.catch_up()
    every = Search(begins=Nanos(0), ends=FOREVER)
    assert reading.page(every).indexed_through == {LOG: 5, _OTHER: 0}
    scoped = reading.page(Search(begins=Nanos(0), ends=FOREVER, tenants=("a", "c")))
    assert (scoped.indexed_through, scoped.tenants_through) == ({}, {LOG: {"a": 4}})


def test_what_is_behind_damage_is_said_not_to_be_there(tmp_path: Path, reading: Reading) -> None:
    log, other = WrittenLog(tmp_path, LOG), WrittenLog(tmp_path, _OTHER)
    other.write(*[record(tenant="b")] * 3)
    log.write(*[record(tenant="a")] * 2)
    reading.catch_up()
    every = Search(begins=Nanos(0), ends=FOREVER, limit=3)
    whole = reading.page(every)
    assert (whole.complete, whole.damaged) == (True, {})
    log.append(log.line(record()).replace(b"10.2.0.9", b"10.2.0.8") + b"\n")
    log.write(record())
    reading.catch_up()
    for asked in ({}, {"position": whole.position}, {"tenants": ("b",)}, {"filters": {"event": ("none",)}}):
        page = reading.page(msgspec.structs.replace(every, **asked))
        assert (page.complete, page.damaged) == (False, {LOG: 3}), asked


def test_time_runs_out_between_records_and_the_next_page_goes_on(tmp_path: Path, reading: Reading) -> None:
    log = WrittenLog(tmp_path)
    for _ in range(20):
        log.write(*[record(request__id="x")] * 2, *[record()] * 8, after=SECOND // 3)
        log.next_segment()
    reading.catch_up()
    for order in ("asc", "desc"):
        found: list[bytes] = []
        position: Position | None = None
        pages = 0
        while pages < 200:
            ask = Search(
                begins=Nanos(0), ends=FOREVER, order=order, filters={"request_id": ("x",)}, position=position
            )
            clock = iter(range(10_000))
            page = _read(reading, ask, clock, until=12)
            assert page.complete == (page.position is None)
            found += page.lines
            pages += 1
            position = page.position
            if position is None:
                break
        assert pages > 2
        expected = _meant(log.lines, {"request_id": ("x",)}, None)
        assert found == (expected if order == "asc" else expected[::-1])


def _read(reading: Reading, ask: Search, clock: Iterator[int], until: int) -> Any:
    return asyncio.run(Page(reading.logs.values(), reading.lines, ask).read(lambda: next(clock), until))


def test_the_position_of_a_page_that_ran_out_of_time_tells_nothing_of_others(
    tmp_path: Path, reading: Reading
) -> None:
    """It may lie behind records of other tenants: then it is a whole second, and names no log."""
    log = WrittenLog(tmp_path)
    for _ in range(10):
        log.write(*[record(tenant="other")] * 10, after=SECOND // 7)
        log.next_segment()
    reading.catch_up()
    for order in ("asc", "desc"):
        ask = Search(begins=Nanos(0), ends=FOREVER, order=order, tenants=("mine",))
        page = _read(reading, ask, iter(range(10_000)), until=5)
        assert not page.complete
        assert page.lines == []
        assert page.position.time % SECOND == 0
        assert page.position.log in {"", "~"}
        assert page.position.seq in {-1, (1 << 62) - 1}


def test_a_page_ends_with_so_many_bytes(tmp_path: Path, reading: Reading) -> None:
    log = WrittenLog(tmp_path)
    log.write(*[record(fields={"x": "y" * 60_000})] * 100)
    reading.catch_up()
    page = reading.page(Search(begins=Nanos(0), ends=FOREVER, limit=1000))
    assert 4 << 20 <= sum(len(line) for line in page.lines) < 5 << 20
    assert page.complete
    assert page.position is not None
    assert reading.all() == log.lines


def test_a_purge_in_between_takes_nothing_else_away(tmp_path: Path, reading: Reading) -> None:
    log = WrittenLog(tmp_path)
    for _ in range(4):
        log.write(*[record()] * 5)
        log.next_segment()
    reading.catch_up()
    page = reading.page(Search(begins=Nanos(0), ends=FOREVER, order="asc", limit=7))
    for first in (0, 5):
        for path in log.folder.glob(f"{first:020}.*"):
            path.unlink()
    reading.catch_up()
    rest = reading.page(Search(begins=Nanos(0), ends=FOREVER, order="asc", position=page.position))
    assert rest.lines == log.lines[10:]


def _found(reading: Reading, **filters: tuple[str, ...]) -> list[tuple[int, str]]:
    return [
        (one["seq"], one.get("outcome", "attempt")) for one in map(json.loads, reading.all(filters=filters))
    ]


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_an_outcome_whose_place_a_later_one_takes_is_not_said_to_be_one(
    tmp_path: Path, segments: int
) -> None:
    """Also where its block is stored already, after a restart, and where the open segment is read anew."""
    log = WrittenLog(tmp_path)
    log.write(record(), record(phase="attempt", outcome=""), record())
    if segments > 1:
        log.next_segment()
    log.write(record(), record(outcome="failed", supersedes=2))
    if segments > 2:
        log.next_segment()
    log.write(record(outcome="denied"))
    reading = Reading(tmp_path)
    reading.catch_up()
    for again in range(3):
        ends = [(0, "success"), (3, "success"), (4, "failed"), (5, "denied")]
        assert _found(reading, phase=("outcome", "notice")) == ends
        assert _found(reading, outcome=("success", "failed")) == ends[:3]
        assert _found(reading, request_id=("r-1",)) == _found(reading)
        assert [seq for seq, _ in _found(reading)] == [0, 1, 2, 3, 4, 5]
        if again:
            reading.logs[LOG]._rewind()
            reading.catch_up()
        else:
            reading = reading.again()
    reading.close()


def test_a_record_that_takes_the_place_of_none_before_it_hides_nothing(tmp_path: Path) -> None:
    log = WrittenLog(tmp_path)
    log.write(record(supersedes=0), record(supersedes=1 << 80), record())
    reading = Reading(tmp_path)
    reading.catch_up()
    assert [seq for seq, _ in _found(reading, phase=("outcome",))] == [0, 1, 2]
    reading.close()
