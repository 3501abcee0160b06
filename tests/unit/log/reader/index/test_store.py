# SPDX-License-Identifier: EUPL-1.2
"""What is stored of a block is found again, and whatever was done to the file meanwhile is told."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.log.reader.written import WrittenLog, record
from vault.log.reader.index import store
from vault.log.reader.index.block import OpenBlock
from vault.log.reader.index.columns import Criterion, records_of
from vault.log.reader.index.entry import Kind, decode_all
from vault.log.reader.index.store import (
    BlockGone,
    Index,
    IndexDamaged,
    IndexedSegment,
    IndexFull,
    StoredBlock,
)

_EVERY = Criterion(Kind.EVENT, frozenset(), ("",))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path)
    yield opened
    opened.close()


def _block(first: int = 0, segment: int = 0, count: int = 5) -> OpenBlock:
    log = WrittenLog(Path())
    block = OpenBlock(first, segment=segment, begin=3)
    for number in range(count):
        line = log.line(
            record(
                request__id=f"r-{number}",
                resource={"id": f"kv/{number % 3}", "type": "kv.secret"},
                tenant=f"t-{number % 2}",
                outcome="denied" if number == 2 else "success",
            )
        )
        block.extend(decode_all([line]), [100 + number], [10 * (number + 1)])
    return block


def test_a_stored_block_says_what_the_open_one_said(index: Index) -> None:
    block = _block(40, 30)
    stored = index.add_block("log", block)
    for found in (stored, index.blocks("log")[0]):
        assert (found.first, found.count, found.segment, found.begins, found.ends) == (40, 5, 30, 100, 104)
        assert ([*found.times], [*found.places]) == ([*block.times], [*block.places])
        assert found.tenants == {"t-0": 0, "t-1": 0}
        assert found.groups(Kind.OUTCOME) == block.groups(Kind.OUTCOME)
        for criterion in (
            Criterion(Kind.REQUEST, frozenset(["r-3"])),
            Criterion(Kind.RESOURCE, frozenset(["kv/1"]), ("kv/2",)),
            Criterion(Kind.TRACE, frozenset(["none"])),
            Criterion(Kind.ACTOR, frozenset(["e-1"])),
        ):
            assert [*found.find(criterion)] == [*block.find(criterion)]
    assert index.blocks("another") == []


def test_a_block_is_read_after_a_restart(tmp_path: Path) -> None:
    first = Index(tmp_path)
    first.add_block("log", _block())
    first.add_segment("log", IndexedSegment(0, 4, "sum", b"leaf", b"leaves"))
    first.close()
    second = Index(tmp_path)
    assert second.segments("log") == [IndexedSegment(0, 4, "sum", b"leaf", b"leaves")]
    (found,) = second.blocks("log")[0].find(Criterion(Kind.RESOURCE, frozenset(["kv/1"])))
    assert records_of(found.bits) == [1, 4]
    assert second.size > 0
    assert (tmp_path / store.FILE).stat().st_mode & 0o777 == 0o600
    second.close()


def test_it_keeps_what_records_of_a_block_take_the_place_of(index: Index) -> None:
    block = _block(40)
    block.superseded += [3, 41]
    stored = index.add_block("log", block)
    assert [[*found.superseded] for found in (stored, *index.blocks("log"))] == [[3, 41], [3, 41]]


def test_what_is_removed_is_gone_and_nothing_else(index: Index) -> None:
    for first in (0, 5, 10):
        index.add_block("log", _block(first))
        index.add_segment("log", IndexedSegment(first, first + 4, "", b"", b""))
    index.add_block("other", _block(5))
    index.remove_between("log", 5, 10)
    assert [block.first for block in index.blocks("log")] == [0, 10]
    assert [segment.first for segment in index.segments("log")] == [0, 10]
    assert [block.first for block in index.blocks("other")] == [5]
    assert [*index.blocks("log")[1].find(_EVERY)]


def test_a_removed_block_is_never_taken_for_a_later_one(index: Index) -> None:
    old = index.add_block("log", _block())
    index.remove_between("log", 0, 10)
    new = index.add_block("log", _block(count=1))
    assert new.id != old.id
    with pytest.raises(BlockGone):
        _ = old.times
    with pytest.raises(BlockGone):
        _ = old.tenants
    assert len(new.times) == 1


def test_values_that_are_kept_are_forgotten_in_time(tmp_path: Path) -> None:
    index = Index(tmp_path, kept_bytes=200)
    blocks = [index.add_block("log", _block(first)) for first in range(0, 50, 5)]
    for _ in range(2):
        assert [[*block.times] for block in blocks] == [[100, 101, 102, 103, 104]] * 10
    assert index._kept_bytes <= 200
    index.close()


def test_another_version_is_damage(tmp_path: Path) -> None:
    Index(tmp_path).close()
    _execute(tmp_path, "UPDATE meta SET version = 'another'")
    with pytest.raises(IndexDamaged):
        Index(tmp_path)
    Index.remove(tmp_path)
    Index(tmp_path).close()


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0" + b"\0" * 4000])
def test_another_file_is_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / store.FILE).write_bytes(content)
    with pytest.raises(IndexDamaged):
        Index(tmp_path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE block SET count = 4",
        "UPDATE block SET ends = ends + 1",
        "UPDATE block SET times = zeroblob(length(times))",
        "UPDATE block SET places = 'text'",
        "UPDATE block SET superseded = zeroblob(8)",
        "UPDATE part SET packed = zeroblob(length(packed))",
        "UPDATE part SET packed = X'' WHERE id & 15 = 10",
        "DELETE FROM part",
        "DROP TABLE part",
    ],
)
def test_whatever_is_changed_is_told(tmp_path: Path, statement: str) -> None:
    first = Index(tmp_path)
    first.add_block("log", _block())
    first.close()
    _execute(tmp_path, statement)
    second = Index(tmp_path)
    with pytest.raises(IndexDamaged):
        _read_all(second.blocks("log")[0])
    second.close()


def test_a_changed_segment_is_told(tmp_path: Path) -> None:
    first = Index(tmp_path)
    first.add_segment("log", IndexedSegment(0, 4, "sum", b"leaf", b"leaves"))
    first.close()
    _execute(tmp_path, "UPDATE segment SET packed = X'00000000' || X'90'")
    second = Index(tmp_path)
    with pytest.raises(IndexDamaged):
        second.segments("log")
    second.close()


def test_a_full_disk_is_no_damage(index: Index) -> None:
    index._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(IndexFull):
        for first in range(0, 500, 5):
            index.add_block("log", _block(first))
    index._db.execute("PRAGMA max_page_count = 100000")
    kept = index.blocks("log")
    index.add_block("log", _block(1000))
    assert [block.first for block in index.blocks("log")] == [*(block.first for block in kept), 1000]


def test_what_was_written_is_copied_back(tmp_path: Path, index: Index) -> None:
    index.add_block("log", _block())
    before = (tmp_path / store.FILE).stat().st_size
    Index.copy_back(tmp_path)
    assert (tmp_path / store.FILE).stat().st_size > before


def _read_all(block: StoredBlock) -> None:
    _ = block.times, block.places, block.tenants
    for kind in Kind:
        for found in block.find(Criterion(kind, frozenset(["esa.kv.read", "r-1", "e-1"]), ("kv",))):
            records_of(found.bits)
    block.groups(Kind.OUTCOME)


def _execute(folder: Path, statement: str) -> None:
    db = sqlite3.connect(folder / store.FILE)
    db.execute(statement)
    db.commit()
    db.close()
