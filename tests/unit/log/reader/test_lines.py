# SPDX-License-Identifier: EUPL-1.2
"""Lines are read by their place, from an open segment as from a closed one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.format.segment import BadSegment
from vault.log.reader.lines import (
    LONGEST_LINE,
    Lines,
    SegmentGone,
    newest_notes,
    read_manifest,
    segments_in,
)


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """A log of a closed segment and an open one."""
    written = WrittenLog(tmp_path)
    for number in range(300):
        written.write(record(request__id=f"r-{number}"))
        if number == 199:
            written.next_segment()
    reading = Reading(tmp_path)
    reading.catch_up()
    reading.close()
    return written


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    opened = Lines(tmp_path)
    yield opened
    opened.close()


def _text(log: WrittenLog, first: int, end: int) -> bytes:
    return b"".join(line + b"\n" for line in log.lines[first:end])


def test_segments_are_told_in_order_and_whether_each_is_closed(log: WrittenLog) -> None:
    assert segments_in(log.folder) == {0: True, 200: False}


@pytest.mark.parametrize(("segment", "first", "end"), [(0, 0, 200), (200, 200, 300)])
def test_any_piece_of_a_segment_is_read(
    log: WrittenLog, lines: Lines, segment: int, first: int, end: int
) -> None:
    text = _text(log, first, end)
    assert lines.size(LOG, segment) == len(text)
    for begin, stop in (
        (0, 10),
        (5, 5),
        (0, len(text)),
        (len(text) // 2, len(text)),
        (len(text) - 3, len(text) + 50),
    ):
        assert lines.read(LOG, segment, begin=begin, end=stop) == text[begin:stop]


@pytest.mark.parametrize(("segment", "first", "end"), [(0, 0, 200), (200, 200, 300)])
def test_whole_lines_follow_each_other(
    log: WrittenLog, lines: Lines, segment: int, first: int, end: int
) -> None:
    text, at = _text(log, first, end), 0
    while found := lines.following(LOG, segment, begin=at, most=1000):
        part = b"".join(line + b"\n" for line in found)
        assert text[at : at + len(part)] == part
        at += len(part)
    assert at == len(text)


def test_a_torn_line_waits(log: WrittenLog, lines: Lines) -> None:
    size = lines.size(LOG, 200)
    log.append(b'{"half":')
    assert lines.following(LOG, 200, begin=size, most=1000) == []
    log.append(b"1}\n")
    assert lines.following(LOG, 200, begin=size, most=1000) == [b'{"half":1}']


def test_a_line_without_an_end_is_told_when_it_is_too_long(log: WrittenLog, lines: Lines) -> None:
    size = lines.size(LOG, 200)
    log.append(b"x" * (LONGEST_LINE - 1))
    assert lines.following(LOG, 200, begin=size, most=1000) == []
    log.append(b"xx")
    with pytest.raises(BadSegment):
        lines.following(LOG, 200, begin=size, most=1000)


def test_what_is_not_there_is_told(log: WrittenLog, lines: Lines) -> None:
    with pytest.raises(SegmentGone):
        lines.read(LOG, 7, begin=0, end=1)
    (log.folder / f"{0:020}.jsonl.gz").unlink()
    with pytest.raises(BadSegment):
        lines.read(LOG, 0, begin=0, end=1)
    (log.folder / f"{0:020}.manifest").unlink()
    lines.forget(LOG, 0)
    with pytest.raises(SegmentGone):
        lines.read(LOG, 0, begin=0, end=1)


@pytest.mark.parametrize("content", [b"{}", b"x", b'{"first":1}'])
def test_a_manifest_that_is_none_is_told(log: WrittenLog, content: bytes) -> None:
    (log.folder / f"{0:020}.manifest").write_bytes(content)
    with pytest.raises(BadSegment):
        read_manifest(log.folder, 0)


def test_a_damaged_member_is_told(log: WrittenLog, lines: Lines) -> None:
    path = log.folder / f"{0:020}.jsonl.gz"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadSegment):
        lines.read(LOG, 0, begin=0, end=10)


def test_a_segment_that_is_closed_meanwhile_is_read_on(tmp_path: Path, lines: Lines) -> None:
    written = WrittenLog(tmp_path)
    written.write(*[record()] * 5)
    before = lines.read(LOG, 0, begin=0, end=10_000)
    written.next_segment()
    written.write(record())
    reading = Reading(tmp_path)
    reading.catch_up()
    reading.close()
    assert not (written.folder / f"{0:020}.jsonl").exists()
    assert lines.read(LOG, 0, begin=0, end=10_000) == before
    lines.forget(LOG, 0)
    assert lines.read(LOG, 0, begin=0, end=10_000) == before


def test_few_files_and_members_are_kept(tmp_path: Path) -> None:
    written = WrittenLog(tmp_path)
    for _ in range(12):
        written.write(*[record()] * 3)
        written.next_segment()
    lines = Lines(tmp_path, files=4, kept_bytes=2000)
    for _ in range(2):
        for number in range(12):
            assert lines.read(LOG, 3 * number, begin=0, end=100_000) == _text(
                written, 3 * number, 3 * number + 3
            )
    assert len(lines._files) == 4
    lines.close()
    reading = Reading(tmp_path)
    reading.catch_up()
    reading.close()
    lines = Lines(tmp_path, files=4, kept_bytes=2000)
    for number in range(12):
        assert lines.read(LOG, 3 * number, begin=0, end=100_000) == _text(written, 3 * number, 3 * number + 3)
    assert sum(map(len, lines._members.values())) <= 2000


def test_notes_come_the_newest_first_and_a_torn_one_is_passed_over(log: WrittenLog) -> None:
    assert [*newest_notes(log.folder, 200)] == []
    notes = [log.sign() for _ in range(3)]
    with log.path.with_suffix(".checkpoints").open("ab") as file:
        file.write(b'{"note":"torn')
    assert [note.encode() for note in newest_notes(log.folder, 200)] == notes[::-1]


def test_of_many_notes_only_the_last_are_read(log: WrittenLog) -> None:
    note = log.sign().decode()
    path = log.path.with_suffix(".checkpoints")
    path.write_bytes(path.read_bytes() * 2000)
    found = [*newest_notes(log.folder, 200)]
    assert set(found) == {note}
    assert 100 < len(found) < 2000
