# SPDX-License-Identifier: EUPL-1.2
"""A log is read from any place on, whatever becomes of its segments meanwhile."""

from pathlib import Path

import pytest

from tests.log.written import LOG, WrittenLog, chained, record, written
from tests.unit.log.folders import draft, opened, wrote
from vault.log.format.segment import CLOSED, MANIFEST, SEGMENT, BadSegment, Segment
from vault.log.format.tree import encode_hash, leaf_hash
from vault.log.forward.batch import BatchLimits, Place
from vault.log.forward.source import START, LogChanged, LogSource, RecordsGone
from vault.log.writer import LogLimits

FIVE = BatchLimits(records=5)
ALL = BatchLimits(records=1000)


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """23 records: a closed segment of 10 in three members, one of 7, and 6 in the open one."""
    return written(tmp_path, 23, starts=(0, 10, 17), signed=(3, 9, 17, 20))


def hash_of(log: WrittenLog, seq: int) -> str:
    return encode_hash(leaf_hash(log.lines[seq]))


def rest(source: LogSource, place: Place, limits: BatchLimits = FIVE) -> list[bytes]:
    """Every line from a place on."""
    lines = []
    while (batch := source.read(place, limits)) is not None:
        lines += [each.line for each in batch.records]
        place = batch.end
    return lines


@pytest.mark.parametrize("limits", [FIVE, ALL, BatchLimits(records=1), BatchLimits(bytes=1)])
def test_a_log_is_read_through_all_its_segments(log: WrittenLog, tmp_path: Path, limits: BatchLimits) -> None:
    assert rest(LogSource(tmp_path, LOG), START, limits) == log.lines


def test_a_batch_is_as_long_as_may_be_and_of_one_segment(log: WrittenLog, tmp_path: Path) -> None:
    source = LogSource(tmp_path, LOG)
    batch = source.read(START, FIVE)
    assert batch is not None
    assert (batch.first, batch.last, batch.end.seq) == (0, 4, 5)
    assert batch.ndjson == b"".join(line + b"\n" for line in log.lines[:5])
    batch = source.read(batch.end, ALL)
    assert batch is not None
    assert (batch.first, batch.last) == (5, 9)


@pytest.mark.parametrize("seq", [0, 10, 17])
def test_a_batch_has_so_many_bytes_or_one_record(log: WrittenLog, tmp_path: Path, seq: int) -> None:
    source = LogSource(tmp_path, LOG)
    place = source.find(seq, "")
    three = sum(len(line) + 1 for line in log.lines[seq : seq + 3])
    for size, records in ((1, 1), (three - 1, 2), (three, 3), (three + 1, 3)):
        batch = source.read(place, BatchLimits(bytes=size))
        assert batch is not None
        assert len(batch.records) == records


@pytest.mark.parametrize("seq", range(24))
def test_any_record_is_found_by_its_number(log: WrittenLog, tmp_path: Path, seq: int) -> None:
    source = LogSource(tmp_path, LOG)
    last = hash_of(log, seq - 1) if seq else START.last
    assert rest(source, source.find(seq, last)) == log.lines[seq:]


def test_a_segment_that_is_closed_while_it_is_read_goes_on(log: WrittenLog, tmp_path: Path) -> None:
    log.starts = [0]
    log.write()
    source = LogSource(tmp_path, LOG)
    batch = source.read(START, FIVE)
    assert batch is not None
    log.starts = [0, 20]
    log.write()
    assert rest(source, batch.end) == log.lines[5:]


def test_what_is_appended_is_read_when_it_is_whole(tmp_path: Path) -> None:
    writing = opened(tmp_path)
    source = LogSource(tmp_path, writing.id)
    assert source.read(START, FIVE) is None
    wrote(writing, draft())
    batch = source.read(START, FIVE)
    assert batch is not None
    assert source.read(batch.end, FIVE) is None
    line = writing.writer.chain.append(draft())
    path = Segment(tmp_path / writing.id, 0).path(SEGMENT)
    with path.open("ab") as file:
        file.write(line[:-1])
        file.flush()
        assert source.read(batch.end, FIVE) is None
        file.write(b"\n")
    following = source.read(batch.end, FIVE)
    assert following is not None
    assert following.ndjson == line


def test_a_segment_that_begins_while_nothing_is_there_is_followed(tmp_path: Path) -> None:
    writing = opened(tmp_path, limits=LogLimits(segment_bytes=1))
    wrote(writing, *[draft()] * 4)
    assert len(rest(LogSource(tmp_path, writing.id), START)) == 4


def test_records_that_were_purged_are_told(log: WrittenLog, tmp_path: Path) -> None:
    source = LogSource(tmp_path, LOG)
    batch = source.read(START, FIVE)
    assert batch is not None
    for kind in (MANIFEST, CLOSED):
        Segment(log.folder, 0).path(kind).unlink()
    for attempt in (lambda: source.read(batch.end, FIVE), lambda: source.find(5, "")):
        with pytest.raises(RecordsGone) as gone:
            attempt()
        assert gone.value.first == 10


def test_a_log_that_is_shorter_than_it_was_has_changed(log: WrittenLog, tmp_path: Path) -> None:
    with pytest.raises(LogChanged):
        LogSource(tmp_path, LOG).find(24, "")


def test_a_log_with_another_end_has_changed(log: WrittenLog, tmp_path: Path) -> None:
    place = LogSource(tmp_path, LOG).find(22, hash_of(log, 21))
    others = chained({**record(seq), "outcome": "denied" if seq == 21 else "success"} for seq in range(23))
    log.lines = [*log.lines[:21], *others[21:]]
    log.write()
    with pytest.raises(LogChanged):
        LogSource(tmp_path, LOG).read(place, FIVE)


@pytest.mark.parametrize(("seq", "back"), [(22, 20), (20, 20), (19, 17), (8, 3)])
def test_the_last_checkpoint_before_a_record_is_found(
    log: WrittenLog, tmp_path: Path, seq: int, back: int
) -> None:
    place = LogSource(tmp_path, LOG).signed(seq)
    assert (place.seq, place.last) == (back, "")


def test_records_that_are_missing_between_segments_are_damage(log: WrittenLog, tmp_path: Path) -> None:
    for kind in (MANIFEST, CLOSED):
        Segment(log.folder, 10).path(kind).unlink()
    source = LogSource(tmp_path, LOG)
    place = source.find(10, "")
    with pytest.raises((BadSegment, RecordsGone)):
        source.read(place, FIVE)


@pytest.mark.parametrize(
    "line", [b"{}\n", b"no record\n", b'{"log":"x","seq":23,"prev_hash":"","observed_timestamp":""}\n']
)
def test_a_line_that_is_no_record_of_the_log_is_damage(log: WrittenLog, tmp_path: Path, line: bytes) -> None:
    log.write(tail=line)
    source = LogSource(tmp_path, LOG)
    with pytest.raises(BadSegment):
        source.read(source.find(23, ""), FIVE)


def test_a_line_without_an_end_is_damage(log: WrittenLog, tmp_path: Path) -> None:
    log.write(tail=b"x" * 70_000)
    source = LogSource(tmp_path, LOG)
    with pytest.raises(BadSegment):
        source.read(source.find(23, ""), FIVE)


def test_the_end_of_a_log_is_found(log: WrittenLog, tmp_path: Path) -> None:
    assert LogSource(tmp_path, LOG).end() == 23
    log.write(tail=b'{"torn"')
    assert LogSource(tmp_path, LOG).end() == 23
    Segment(log.folder, 17).path(SEGMENT).write_bytes(b"")
    assert LogSource(tmp_path, LOG).end() == 17
    Segment(log.folder, 17).path(SEGMENT).write_bytes(b"no record\n")
    with pytest.raises(BadSegment):
        LogSource(tmp_path, LOG).end()


def test_the_end_of_a_log_without_segments_is_its_begin(tmp_path: Path) -> None:
    (tmp_path / LOG).mkdir()
    source = LogSource(tmp_path, LOG)
    assert source.end() == 0
    assert source.find(0, START.last) == START
    assert source.read(START, FIVE) is None
