# SPDX-License-Identifier: EUPL-1.2
"""A log is followed record by record; what does not follow is told, and nothing behind it is shown."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.unit.log.format.trees import root
from tests.unit.log.reader.reading import FOREVER, Reading
from tests.unit.log.reader.written import BEGAN, LOG, SECOND, WrittenLog, record
from vault.log.reader import follower
from vault.log.reader.closing import close_segment
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.columns import MOST_RECORDS
from vault.log.reader.index.store import Index, IndexDamaged
from vault.log.reader.messages import Search
from vault.values.times import Nanos


def _records(count: int) -> list[dict[str, object]]:
    return [record(request__id=f"r-{number}", tenant=f"t-{number % 3}") for number in range(count)]


def test_records_are_there_when_they_were_written(written: WrittenLog, reading: Reading) -> None:
    for count in (1, 2, 50):
        written.write(*_records(count))
        reading.catch_up()
        assert reading.all() == written.lines
    log = reading.logs[LOG]
    assert (log.first, log.next, log.observed, log.damage) == (0, 53, written.now, "")
    assert (log.behind, log.behind_bytes) == (0, 0)
    assert log.tree.root(53) == root(written.leaves)


def test_a_torn_line_waits_for_its_end(written: WrittenLog, reading: Reading) -> None:
    written.write(*_records(3))
    line = written.line(record())
    written.append(line[:100])
    reading.catch_up()
    assert (reading.logs[LOG].next, reading.logs[LOG].behind_bytes) == (3, 100)
    written.append(line[100:] + b"\n")
    reading.catch_up()
    assert reading.all() == written.lines


def test_blocks_end_with_their_number_and_with_their_segment(written: WrittenLog, reading: Reading) -> None:
    written.write(*_records(MOST_RECORDS + 10))
    written.next_segment()
    written.write(*_records(5))
    written.next_segment()
    reading.catch_up()
    log = reading.logs[LOG]
    assert [(block.first, block.count) for block in log.blocks] == [
        (0, MOST_RECORDS),
        (MOST_RECORDS, 10),
        (MOST_RECORDS + 10, 5),
    ]
    assert log.segments == {0: True, MOST_RECORDS + 10: True, MOST_RECORDS + 15: False}
    for seq in (0, MOST_RECORDS - 1, MOST_RECORDS, MOST_RECORDS + 14):
        block = log.block_of(seq)
        assert block is not None
        assert block.first <= seq < block.first + block.count
    assert log.block_of(MOST_RECORDS + 15) is None
    assert log.block_of(-1) is None
    assert reading.all() == written.lines


def test_a_restart_goes_on_behind_closed_segments(tmp_path: Path, written: WrittenLog) -> None:
    reading = Reading(tmp_path)
    for _ in range(3):
        written.write(*_records(300))
        written.next_segment()
    written.write(*_records(40))
    reading.catch_up()
    ids = [block.id for block in reading.logs[LOG].blocks]
    reading = reading.again()
    log = reading.logs[LOG]
    assert [block.id for block in log.blocks] == ids
    written.write(*_records(40))
    reading.catch_up()
    assert reading.all() == written.lines
    assert log.tree.root(written.seq) == root(written.leaves)
    assert [log.tenant_through(f"t-{tenant}") for tenant in range(3)] == [327, 325, 325]
    reading.close()


def test_a_deleted_index_is_made_anew_of_closed_segments(tmp_path: Path, written: WrittenLog) -> None:
    reading = Reading(tmp_path)
    for _ in range(3):
        written.write(*_records(300))
        written.next_segment()
    reading.catch_up()
    reading.close()
    Index.remove(tmp_path)
    reading = Reading(tmp_path)
    reading.catch_up()
    assert reading.all() == written.lines
    assert reading.logs[LOG].damage == ""
    assert reading.logs[LOG].tree.root(written.seq) == root(written.leaves)
    reading.close()


def _cut_middle(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], *lines[6:]]


def _changed(old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    def change(lines: list[bytes]) -> list[bytes]:
        assert lines[5].count(old) == 1
        return [*lines[:5], lines[5].replace(old, new), *lines[6:]]

    return change


_NOISE = b'{"x":"\xff\xfe","seq":5}'
_DEEP = b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
_WRONG: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int, str]] = {
    "a record is missing": (_cut_middle, 5, "another number"),
    "two are swapped": (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], 5, "another number"),
    "one comes twice": (lambda lines: [*lines[:6], lines[5], *lines[6:]], 6, "another number"),
    "one was edited": (_changed(b"10.2.0.9", b"10.2.0.8"), 6, "another hash"),
    "one is no JSON": (_changed(b'"actor"', b'"actor'), 5, "cannot be read"),
    "one is empty": (lambda lines: [*lines[:5], b"", *lines[5:]], 5, "cannot be read"),
    "one is no UTF-8": (lambda lines: [*lines[:5], _NOISE, *lines[6:]], 5, "cannot be read"),
    "one is too deep": (lambda lines: [*lines[:5], _DEEP, *lines[6:]], 5, "cannot be read"),
    "a time is no time": (
        _changed(b'"observed_timestamp":"2026', b'"observed_timestamp":"x026'),
        5,
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", _WRONG)
def test_a_record_that_does_not_follow_is_told(written: WrittenLog, reading: Reading, name: str) -> None:
    change, at, why = _WRONG[name]
    for one in _records(10):
        written.line(one)
    written.append(b"".join(line + b"\n" for line in change(written.lines)))
    reading.catch_up()
    log = reading.logs[LOG]
    assert log.damage.startswith(f"record {at}: ")
    assert why in log.damage
    assert log.next == at
    assert reading.all() == change(written.lines)[:at]
    before = log.damage
    written.write(record())
    reading.catch_up()
    assert (log.damage, log.next) == (before, at)


@pytest.mark.parametrize("line", [_NOISE, _DEEP, b"", b"null", b'{"log":1}'])
def test_a_first_record_that_is_none_is_told(written: WrittenLog, reading: Reading, line: bytes) -> None:
    written.append(line + b"\n")
    reading.catch_up()
    assert reading.logs[LOG].damage.startswith("record 0: it cannot be read")


def test_a_segment_that_is_too_large_is_told(
    written: WrittenLog, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LARGEST_SEGMENT", 2000)
    written.write(*_records(10))
    reading.catch_up()
    assert reading.logs[LOG].damage == "record 3: its segment has more than 2000 bytes"


def test_without_the_tree_a_segment_stays_open(tmp_path: Path, written: WrittenLog) -> None:
    reading = Reading(tmp_path)
    written.write(*_records(600))
    written.next_segment()
    written.write(*_records(5))
    reading.catch_up()
    (written.folder / "tile").rename(tmp_path / "lost")
    reading = reading.again()
    log = reading.logs[LOG]
    assert not log.tree.whole
    written.next_segment()
    written.write(*_records(5))
    reading.catch_up()
    assert log.unclosed == "segment 600 is not closed: hashes of the tree are lost"
    assert (log.next, log.damage, log.segments) == (610, "", {0: True, 600: False, 605: False})
    assert reading.all() == written.lines
    reading.close()


def test_a_manifest_that_was_cut_is_told_after_a_restart(tmp_path: Path, written: WrittenLog) -> None:
    reading = Reading(tmp_path)
    written.write(*_records(20))
    written.next_segment()
    written.write(*_records(5))
    reading.catch_up()
    path = written.folder / f"{0:020}.manifest"
    manifest = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**manifest, "members": []}))
    reading = reading.again()
    assert reading.logs[LOG].damage == "record 0: the manifest of segment 0 is another one's"
    reading.close()


def test_a_time_that_goes_back_is_told(written: WrittenLog, reading: Reading) -> None:
    written.write(record(), record())
    written.write(record(), after=-SECOND)
    reading.catch_up()
    assert reading.logs[LOG].damage.startswith("record 2: its time goes back")


def test_a_gap_in_a_tenants_chain_is_told(written: WrittenLog, reading: Reading) -> None:
    written.write(record(tenant="a"), record(tenant="b"))
    written.leave_out("b", 4)
    written.write(record(tenant="a"), record(tenant="b"))
    reading.catch_up()
    assert reading.logs[LOG].damage == "record 3: it has another number in its tenant's chain"


def test_a_record_of_another_log_is_told(tmp_path: Path, reading: Reading) -> None:
    other = WrittenLog(tmp_path, "01234567-0-2")
    other.write(record())
    other.folder.rename(tmp_path / LOG)
    reading.catch_up()
    assert reading.logs[LOG].damage == "record 0: it is of another log"


def _without_a_segment(written: WrittenLog) -> None:
    (written.folder / f"{10:020}.jsonl").unlink()


def _without_an_end(written: WrittenLog) -> None:
    path = written.folder / f"{10:020}.jsonl"
    path.write_bytes(path.read_bytes()[: -len(written.lines[19]) - 1])


def _with_more(written: WrittenLog) -> None:
    with (written.folder / f"{10:020}.jsonl").open("ab") as file:
        file.write(written.lines[20] + b"\n")


@pytest.mark.parametrize(
    ("spoil", "end", "why"),
    [
        (_without_a_segment, 10, "record 10: it is missing, and later ones are there"),
        (_without_an_end, 19, "record 19: it is missing, and later ones are there"),
        (_with_more, 21, "record 20: another segment begins with it"),
    ],
)
@pytest.mark.parametrize("meanwhile", [False, True])
def test_records_that_are_missing_before_a_segment_are_told(
    written: WrittenLog,
    reading: Reading,
    spoil: Callable[[WrittenLog], None],
    end: int,
    why: str,
    *,
    meanwhile: bool,
) -> None:
    reading.closes = False
    written.write(*_records(10))
    if meanwhile:
        reading.catch_up()
    written.next_segment()
    written.write(*_records(10))
    written.next_segment()
    written.write(*_records(10))
    spoil(written)
    reading.catch_up()
    log = reading.logs[LOG]
    assert (log.damage, log.next) == (why, end)
    page = reading.page(Search(begins=Nanos(0), ends=FOREVER))
    assert (page.count, page.complete, page.damaged) == (end, False, {LOG: end})


class _Walked(dict[int, bool]):
    """Segments that nobody may walk through, as where there are very many."""

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("all segments were walked through")


def test_an_idle_look_walks_through_no_segments(written: WrittenLog, reading: Reading) -> None:
    written.write(record())
    reading.catch_up()
    log = reading.logs[LOG]
    log.segments = _Walked(log.segments)
    assert not log.step()


def test_damage_in_one_log_is_none_in_another(tmp_path: Path, written: WrittenLog, reading: Reading) -> None:
    written.append(b"nothing\n")
    other = WrittenLog(tmp_path, "01234567-1-1")
    other.write(record())
    reading.catch_up()
    assert reading.logs[LOG].damage
    assert reading.all() == other.lines


def test_a_closed_segment_that_was_edited_is_told_when_it_is_read_again(
    tmp_path: Path, written: WrittenLog
) -> None:
    reading = Reading(tmp_path, closes=False)
    written.write(*_records(600))
    written.next_segment()
    reading.catch_up()
    ended = reading.ended[0]
    reading.close()
    Index.remove(tmp_path)
    plain = written.folder / f"{0:020}.jsonl"
    forged = WrittenLog(tmp_path / "elsewhere")
    for number, one in enumerate(_records(600)):
        forged.line({**one, "outcome": "denied"} if number == 300 else one)
    forged_text = b"".join(line + b"\n" for line in forged.lines)
    plain.write_bytes(forged_text)
    close_segment(written.folder, msgspec.structs.replace(ended, size=len(forged_text)))
    reading = Reading(tmp_path)
    reading.catch_up()
    log = reading.logs[LOG]
    assert (log.next, log.damage) == (300, "record 300: it is not the one whose leaf is in the tree")
    reading.close()


def test_a_manifest_that_names_another_root_is_told(tmp_path: Path, written: WrittenLog) -> None:
    reading = Reading(tmp_path)
    written.write(*_records(20))
    written.next_segment()
    reading.catch_up()
    reading.close()
    Index.remove(tmp_path)
    path = written.folder / f"{0:020}.manifest"
    path.write_bytes(path.read_bytes().replace(b'"root":"', b'"root":"A'))
    reading = Reading(tmp_path)
    reading.catch_up()
    assert "manifest" in reading.logs[LOG].damage
    reading.close()


def test_what_a_writer_took_back_is_forgotten(written: WrittenLog, reading: Reading) -> None:
    written.write(*_records(10))
    reading.catch_up()
    size = written.path.stat().st_size
    kept = written.lines[:]
    written.append(b"".join(written.line(one) + b"\n" for one in _records(3)))
    reading.catch_up()
    assert reading.logs[LOG].next == 13
    os.truncate(written.path, size)
    reading.catch_up()
    assert reading.all() == kept
    assert reading.logs[LOG].damage == ""


def test_what_was_written_in_place_of_what_was_taken_back_is_read(tmp_path: Path, reading: Reading) -> None:
    first, second = WrittenLog(tmp_path), WrittenLog(tmp_path)
    for one in _records(10):
        first.line(one)
        second.line(one)
    first.append(b"".join(line + b"\n" for line in first.lines))
    size = first.path.stat().st_size
    first.write(record(outcome="failed"))
    reading.catch_up()
    os.truncate(first.path, size)
    second.write(*_records(30))
    reading.catch_up()
    assert reading.all() == second.lines
    assert reading.logs[LOG].damage == ""
    assert reading.logs[LOG].tree.root(40) == root(second.leaves)


def test_a_purge_takes_the_oldest_segments_away(written: WrittenLog, reading: Reading) -> None:
    for _ in range(4):
        written.write(*_records(50))
        written.next_segment()
    written.write(*_records(50))
    reading.catch_up()
    _purge(written, 0, 50)
    reading.catch_up()
    log = reading.logs[LOG]
    assert log.first == 100
    assert reading.all() == written.lines[100:]
    assert log.tree.root(250) == root(written.leaves)
    written.write(*_records(50))
    reading.catch_up()
    assert reading.all() == written.lines[100:]


def _purge(written: WrittenLog, *firsts: int) -> None:
    for first in firsts:
        for path in written.folder.glob(f"{first:020}.*"):
            path.unlink()


def test_a_purge_while_the_reader_was_away_is_followed(tmp_path: Path, written: WrittenLog) -> None:
    reading = Reading(tmp_path)
    for _ in range(4):
        written.write(*_records(50))
        written.next_segment()
    reading.catch_up()
    reading.close()
    _purge(written, 0, 50)
    reading = Reading(tmp_path)
    reading.catch_up()
    assert reading.all() == written.lines[100:]
    reading.close()
    Index.remove(tmp_path)
    reading = Reading(tmp_path)
    written.write(*_records(50))
    reading.catch_up()
    assert reading.all() == written.lines[100:]
    assert reading.logs[LOG].damage == ""
    reading.close()


def test_a_purge_of_what_was_not_read_yet_is_passed_over(written: WrittenLog, reading: Reading) -> None:
    written.write(*_records(10))
    reading.catch_up()
    written.write(*_records(10))
    written.next_segment()
    written.write(*_records(10))
    written.next_segment()
    written.write(*_records(10))
    _purge(written, 0, 20)
    log = reading.logs[LOG]
    reading.lines.forget(LOG, 0)
    reading.catch_up()
    assert reading.all() == written.lines[30:]
    assert log.damage == ""


def test_an_index_that_lacks_blocks_is_damaged(tmp_path: Path, written: WrittenLog) -> None:
    reading = Reading(tmp_path)
    written.write(*_records(50))
    written.next_segment()
    reading.catch_up()
    reading.index._db.execute("DELETE FROM block")
    reading.close()
    index = Index(tmp_path)
    with pytest.raises(IndexDamaged):
        FollowedLog(LOG, tmp_path, reading.lines, index, lambda _: None)
    index.close()


def test_only_records_that_are_none_of_reading_wake(written: WrittenLog, reading: Reading) -> None:
    written.write(record(tenant="a"), record(tenant="b"), record(tenant="a", event_name="esa.log.query"))
    reading.catch_up()
    log = reading.logs[LOG]
    assert (log.waking, log.tenants_waking) == (1, {"a": 0, "b": 0})
    written.write(record(tenant="a", event_name="esa.log.device.failed", phase="notice"))
    reading.catch_up()
    assert (log.waking, log.tenants_waking) == (3, {"a": 2, "b": 0})


def test_blocks_are_told_by_time(written: WrittenLog, reading: Reading) -> None:
    for _ in range(3):
        written.write(*_records(10), after=SECOND)
        written.next_segment()
    written.write(*_records(10), after=SECOND)
    reading.catch_up()
    log = reading.logs[LOG]

    def firsts(begin: int, end: int) -> list[int]:
        found = log.blocks_within(begins=Nanos(BEGAN + begin * SECOND), ends=Nanos(BEGAN + end * SECOND))
        return [block.first for block, count in found if count == 10]

    assert firsts(0, 100) == [0, 10, 20, 30]
    assert firsts(0, 1) == []
    assert firsts(1, 2) == [0]
    assert firsts(10, 11) == [0]
    assert firsts(10, 12) == [0, 10]
    assert firsts(25, 31) == [20]
    assert firsts(40, 50) == [30]
    assert firsts(41, 50) == []
