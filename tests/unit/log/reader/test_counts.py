# SPDX-License-Identifier: EUPL-1.2
"""Counts are those of the records, by outcome and part of the time, in one answer or in several."""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import BEGAN, LOG, SECOND, WrittenLog, record
from vault.log.reader.counts import count
from vault.log.reader.messages import Count, OutcomeCounts
from vault.values.times import Nanos


def _count(
    reading: Reading, ask: Count, now: Callable[[], float] = time.monotonic, until: float = 1e18
) -> OutcomeCounts:
    return asyncio.run(count(reading.logs.values(), reading.lines, ask, now, until))


def _plain(lines: list[bytes], begin: int, end: int, buckets: int, **has: Any) -> list[dict[str, int]]:
    """The counts, in the plainest way."""
    found = [Counter[str]() for _ in range(buckets)]
    edges = [begin + (end - begin) * number // buckets for number in range(buckets + 1)]
    for line in lines:
        one = json.loads(line)
        moment = (
            BEGAN + int(one["observed_timestamp"][20:29]) + SECOND * (int(one["observed_timestamp"][17:19]))
        )
        if begin <= moment < end and all(one[name] == value for name, value in has.items()):
            found[max(number for number in range(buckets) if edges[number] <= moment)][
                one.get("outcome", "")
            ] += 1
    return [dict(one) for one in found]


def _written(folder: Path, batches: list[tuple[int, int, int]]) -> list[WrittenLog]:
    logs = [WrittenLog(folder, LOG), WrittenLog(folder, "01234567-1-1")]
    for which, number, after in batches:
        for at in range(number):
            members = record(tenant=f"t-{at % 2}", outcome=["success", "denied", "failed"][at % 3])
            if at % 4 == 3:
                del members["outcome"]
            logs[which].write(members, after=after)
        logs[which].next_segment()
    return logs


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9), st.integers(0, 400)), min_size=1, max_size=6),
    st.tuples(st.integers(0, 3000), st.integers(1, 3000)),
    st.sampled_from([1, 2, 7, 100, 500]),
    st.sampled_from([None, "t-1"]),
)
def test_counts_are_those_of_the_records(
    batches: list[tuple[int, int, int]], window: tuple[int, int], buckets: int, tenant: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        logs = _written(Path(folder), batches)
        reading = Reading(Path(folder))
        reading.catch_up()
        begin, end = BEGAN + window[0], BEGAN + window[0] + window[1]
        ask = Count(
            begins=Nanos(begin),
            ends=Nanos(end),
            buckets=buckets,
            tenants=None if tenant is None else (tenant,),
        )
        expected = _plain(
            [line for log in logs for line in log.lines],
            begin,
            end,
            buckets,
            **({"tenant": tenant} if tenant else {}),
        )
        assert [dict(one) for one in _count(reading, ask).counts] == expected
        reading.close()


def test_what_ran_out_of_time_goes_on_where_it_ended(tmp_path: Path) -> None:
    log = _written(tmp_path, [(0, 9, SECOND // 3)] * 5)[0]
    reading = Reading(tmp_path)
    reading.catch_up()
    ask = Count(begins=Nanos(BEGAN), ends=Nanos(BEGAN + 20 * SECOND), buckets=10)
    sums = [Counter[str]() for _ in range(10)]
    answers = 0
    while True:
        ticks = iter(range(100_000))
        answer = _count(reading, ask, lambda: next(ticks), until=40)  # noqa: B023 -- called at once
        answers += 1
        for total, one in zip(sums, answer.counts, strict=True):
            total.update(one)
        if answer.done is None:
            break
        assert answer.done > (ask.done or 0)
        ask = Count(begins=ask.begins, ends=ask.ends, buckets=10, done=answer.done)
    assert answers > 5
    assert [dict(one) for one in sums] == _plain(log.lines, BEGAN, BEGAN + 20 * SECOND, 10)
    reading.close()


def test_filters_hold_for_counts_as_well(tmp_path: Path) -> None:
    log = WrittenLog(tmp_path)
    for value in ("plumless", "buckeroo", "plumless"):
        log.write(record(actor={"id": value}))
    reading = Reading(tmp_path)
    reading.catch_up()
    ask = Count(begins=Nanos(0), ends=Nanos(1 << 61), buckets=1, filters={"actor": ("plumless",)})
    assert _count(reading, ask).counts == ({"success": 2},)
    reading.close()


def test_an_outcome_whose_place_a_later_one_takes_is_not_counted(tmp_path: Path) -> None:
    log = WrittenLog(tmp_path)
    log.write(record(), record(), record(outcome="failed", supersedes=1))
    reading = Reading(tmp_path)
    reading.catch_up()
    ask = Count(begins=Nanos(0), ends=Nanos(1 << 61), buckets=1)
    assert _count(reading, ask).counts == ({"success": 1, "failed": 1},)
    reading.close()


def test_what_comes_while_it_counts_is_not_counted_twice(tmp_path: Path) -> None:
    log = WrittenLog(tmp_path)
    log.write(*[record()] * 5)
    reading = Reading(tmp_path)
    reading.catch_up()
    ticks = iter(range(100_000))

    def now() -> float:
        if next(ticks) == 100:
            log.write(*[record()] * 5)
            reading.catch_up()
        return 0

    ask = Count(begins=Nanos(BEGAN), ends=Nanos(BEGAN + SECOND), buckets=500)
    assert sum(sum(one.values()) for one in _count(reading, ask, now).counts) == 5
    reading.close()


def test_what_is_behind_damage_is_said_not_to_be_counted(tmp_path: Path, reading: Reading) -> None:
    log = WrittenLog(tmp_path)
    log.write(*[record()] * 4)
    reading.catch_up()
    ask = Count(begins=Nanos(0), ends=Nanos(1 << 61), buckets=1)
    assert _count(reading, ask).damaged == {}
    log.append(b"{}\n")
    reading.catch_up()
    found = _count(reading, ask)
    assert (found.counts, found.done, found.damaged) == (({"success": 4},), None, {LOG: 4})
    assert _count(reading, ask, lambda: 0.0, until=0.0).damaged == {LOG: 4}
