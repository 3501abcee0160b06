# SPDX-License-Identifier: EUPL-1.2
"""Segments are read whole, a record at a time, and as far as they can be."""

import gzip
import os
from pathlib import Path

import msgspec
import pytest

from tests.log.written import WrittenLog, written
from vault.log.format.canonical import LONGEST_RECORD
from vault.log.format.segment import (
    CHECKPOINTS,
    CLOSED,
    MANIFEST,
    MOST_SHORT_LINES,
    SEGMENT,
    BadSegment,
    LogId,
    Segment,
    list_logs,
    list_segments,
)


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """23 records: a closed segment of 10 in three members, one of 7, and 6 in the open one."""
    return written(tmp_path, 23, starts=(0, 10, 17), signed=(3, 9, 17, 20))


def test_the_logs_of_a_folder_are_found_in_their_order(tmp_path: Path) -> None:
    for name in (
        "0123abcd-0-2",
        "0123abcd-0-10",
        "0123abcd-0-01",
        "0123ABCD-0-1",
        "0123abcd-1-0",
        "node",
        "00000000-0-0",
    ):
        (tmp_path / name).mkdir()
    assert [str(log) for log in list_logs(tmp_path)] == [
        "00000000-0-0",
        "0123abcd-0-2",
        "0123abcd-0-10",
        "0123abcd-1-0",
    ]
    assert LogId.parse("0123abcd-1-0") == LogId("0123abcd", 1, 0)


def test_segments_are_found_in_their_order_whatever_else_is_there(log: WrittenLog) -> None:
    for name in ("lock", "5.jsonl", f"{99:020}.state", f"{99:020}.jsonl.gz", f"{99:020}.jsonl.new"):
        (log.folder / name).touch()
    found = list_segments(log.folder)
    assert [segment.first for segment in found] == [0, 10, 17]
    assert [segment.closed for segment in found] == [True, True, False]


def test_the_lines_of_all_segments_are_those_of_the_log(log: WrittenLog) -> None:
    lines = [line for segment in list_segments(log.folder) for line in segment.lines()]
    assert lines == [line + b"\n" for line in log.lines]


def test_each_record_is_read_alone(log: WrittenLog) -> None:
    for segment in list_segments(log.folder):
        end = {0: 10, 10: 17, 17: 23}[segment.first]
        assert [segment.record(seq) for seq in range(segment.first, end)] == log.lines[segment.first : end]
        for absent in (segment.first - 1, end, end + 100):
            with pytest.raises(LookupError):
                segment.record(absent)


def test_a_member_alone_is_what_is_decompressed_for_a_record(log: WrittenLog) -> None:
    segment = Segment(log.folder, 0)
    packed = bytearray(segment.path(CLOSED).read_bytes())
    packed[20] ^= 0xFF
    segment.path(CLOSED).write_bytes(packed)
    assert segment.record(4) == log.lines[4]
    for read in (lambda: segment.record(3), lambda: list(segment.lines())):
        with pytest.raises(BadSegment, match="segment 0 can't be read"):
            read()


def test_a_manifest_is_written_as_it_is_read(log: WrittenLog) -> None:
    segment = Segment(log.folder, 10)
    content = segment.path(MANIFEST).read_bytes()
    manifest = segment.manifest()
    assert manifest.encode() == content
    assert list(msgspec.json.decode(content)) == [
        "checkpoint", "first", "from", "last", "members", "root", "sha256", "size", "tenants", "to",
    ]  # fmt: skip
    assert (manifest.first, manifest.last, len(manifest.members)) == (10, 16, 2)


def test_a_segment_is_read_while_it_is_closed(log: WrittenLog) -> None:
    segment = Segment(log.folder, 0)
    plain = gzip.decompress(segment.path(CLOSED).read_bytes())
    segment.path(SEGMENT).write_bytes(plain)
    assert len(list(segment.lines())) == 10
    segment.path(CLOSED).write_bytes(b"half")
    segment.path(MANIFEST).rename(log.folder / "away")
    assert b"".join(segment.lines()) == plain


def test_what_does_not_end_comes_last_without_an_end(log: WrittenLog) -> None:
    log.write(tail=b'{"actor":')
    segment = Segment(log.folder, 17)
    *whole, torn = segment.lines()
    assert (len(whole), torn) == (6, b'{"actor":')
    assert segment.record(22) == log.lines[22]
    with pytest.raises(LookupError):
        segment.record(23)


def test_no_line_is_read_that_is_longer_than_a_record(log: WrittenLog) -> None:
    log.write(tail=b"x" * (3 * LONGEST_RECORD) + b"\n{}\n")
    last = list(Segment(log.folder, 17).lines())[-1]
    assert len(last) == LONGEST_RECORD + 1
    assert not last.endswith(b"\n")


def test_lines_that_are_too_short_for_a_record_come_to_an_end(log: WrittenLog) -> None:
    segment = Segment(log.folder, 10)
    segment.path(CLOSED).write_bytes(gzip.compress(b"\n" * (MOST_SHORT_LINES + 1)))
    lines = segment.lines()
    assert [next(lines) for _ in range(MOST_SHORT_LINES)] == [b"\n"] * MOST_SHORT_LINES
    with pytest.raises(BadSegment, match="too short for a record"):
        next(lines)


def test_a_member_is_not_decompressed_beyond_what_records_take(log: WrittenLog) -> None:
    segment = Segment(log.folder, 10)
    segment.path(CLOSED).write_bytes(gzip.compress(bytes(64 << 20), compresslevel=1))
    with pytest.raises(BadSegment, match="no whole member"):
        segment.record(12)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "can't be read"),
        (b"{}", "can't be read"),
        (b"[" * 10_000, "can't be read"),
        (b'"\xff"', "can't be read"),
    ],
)
def test_a_manifest_that_is_none_is_refused(log: WrittenLog, content: bytes, problem: str) -> None:
    segment = Segment(log.folder, 0)
    segment.path(MANIFEST).write_bytes(content)
    with pytest.raises(BadSegment, match=problem):
        segment.manifest()


def test_a_manifest_that_is_too_long_is_not_read(log: WrittenLog) -> None:
    segment = Segment(log.folder, 0)
    os.truncate(segment.path(MANIFEST), (64 << 20) + 1)
    with pytest.raises(BadSegment, match="has more than 67108864 bytes"):
        segment.manifest()


def test_a_manifest_of_another_segment_is_refused(log: WrittenLog) -> None:
    first, second = Segment(log.folder, 0), Segment(log.folder, 10)
    first.path(MANIFEST).write_bytes(second.path(MANIFEST).read_bytes())
    with pytest.raises(BadSegment, match="another one's"):
        first.manifest()
    with pytest.raises(BadSegment, match="No such file"):
        Segment(log.folder, 17).manifest()


def test_a_manifest_that_leads_elsewhere_is_found_out(log: WrittenLog) -> None:
    segment = Segment(log.folder, 0)
    manifest = segment.manifest()
    for offset in (1, 1 << 40, -1):
        wrong = msgspec.structs.replace(manifest, members=((0, 0, 0), (4, offset, 0)))
        segment.path(MANIFEST).write_bytes(wrong.encode())
        with pytest.raises(BadSegment):
            segment.record(5)


def test_checkpoints_are_listed_and_a_torn_one_is_passed_over(log: WrittenLog) -> None:
    segment = Segment(log.folder, 0)
    with segment.path(CHECKPOINTS).open("ab") as file:
        file.write(b'{"time":"2026')
    assert [stored.note.encode() for stored in segment.checkpoints()] == [log.notes[3], log.notes[9]]
    assert [stored.note.encode() for stored in Segment(log.folder, 10).checkpoints()] == [log.notes[17]]
    segment.path(CHECKPOINTS).unlink()
    assert list(segment.checkpoints()) == []
    segment.path(CHECKPOINTS).mkdir()
    with pytest.raises(BadSegment, match="the checkpoints of segment 0"):
        list(segment.checkpoints())


def test_a_segment_without_its_file_is_said_to_be(log: WrittenLog) -> None:
    Segment(log.folder, 0).path(CLOSED).unlink()
    with pytest.raises(BadSegment, match="segment 0 can't be read: No such file"):
        list(Segment(log.folder, 0).lines())
