# SPDX-License-Identifier: EUPL-1.2
"""A closed segment has what the open one had, wherever its closing was cut short before."""

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.log.format.trees import root
from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import LOG, WrittenLog, nine_digits, record
from vault.log.format.segment import BadSegment, Segment
from vault.log.format.tree import encode_hash
from vault.log.reader.closing import MEMBER_RECORDS, EndedSegment, close_segment
from vault.log.reader.lines import SegmentGone

_RECORDS = 8 * MEMBER_RECORDS + 100


class _Cut(BaseException):
    """The process ends here."""


def _ended(tmp_path: Path) -> tuple[WrittenLog, EndedSegment]:
    """A log whose second segment is to be closed."""
    log = WrittenLog(tmp_path)
    log.write(*[record(tenant="a")] * 5)
    log.next_segment()
    log.write(*[record(tenant=f"t-{number % 3}") for number in range(_RECORDS)])
    log.sign()
    log.sign()
    log.next_segment()
    log.write(record())
    reading = Reading(tmp_path, closes=False)
    reading.catch_up()
    reading.close()
    close_segment(log.folder, reading.ended[0])
    return log, reading.ended[1]


def _whole(log: WrittenLog) -> None:
    """Assert that the second segment is closed as it should be."""
    end = 5 + _RECORDS
    segment = Segment(log.folder, 5)
    manifest = segment.manifest()
    content = segment.path(".jsonl.gz").read_bytes()
    text = b"".join(line + b"\n" for line in log.lines[5:end])
    assert gzip.decompress(content) == text
    assert (manifest.first, manifest.last, manifest.size, manifest.sha256) == (
        5,
        end - 1,
        len(text),
        log.digest(5, end),
    )
    assert manifest.root == encode_hash(root(log.leaves[:end]))
    assert manifest.checkpoint.startswith(f"{log.origin}\n{end}\n")
    assert manifest.tenants == {
        "a": (4, encode_hash(log.leaves[4])),
        **{f"t-{tenant}": _last(log, f"t-{tenant}", end) for tenant in range(3)},
    }
    assert (manifest.begins, manifest.ends) == (_time(log, 5), _time(log, end - 1))
    assert [member[0] for member in manifest.members] == [*range(5, end, MEMBER_RECORDS)]
    for seq in (5, 5 + MEMBER_RECORDS, end - 1):
        assert segment.record(seq) == log.lines[seq]
    assert sorted(path.name for path in log.folder.iterdir() if path.name.startswith(f"{5:020}")) == [
        f"{5:020}{end}" for end in (".checkpoints", ".jsonl.gz", ".manifest")
    ]


def _last(log: WrittenLog, tenant: str, end: int) -> tuple[int, str]:
    theirs = [seq for seq in range(end) if f'"tenant":"{tenant}"'.encode() in log.lines[seq]]
    return len(theirs) - 1, encode_hash(log.leaves[theirs[-1]])


def _time(log: WrittenLog, seq: int) -> str:
    first = log.now - (log.seq - 1 - seq) * 10_000_000
    return nine_digits(first)


@contextmanager
def _ends_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """End the process at the so-manieth step that changes something on disk. Yield the steps that were done."""
    done: list[str] = []

    def cut(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            if len(done) == number:
                raise _Cut
            done.append(name)
            return real(*arguments, **named)

        return called

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut("fsync", os.fsync))
        patch.setattr(Path, "replace", cut("replace", Path.replace))
        patch.setattr(Path, "unlink", cut("unlink", Path.unlink))
        yield done


def test_a_segment_is_closed(tmp_path: Path) -> None:
    log, ended = _ended(tmp_path)
    close_segment(log.folder, ended)
    _whole(log)


def test_wherever_it_was_cut_short_it_is_closed_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    for number in range(100):
        folder = tmp_path / str(number)
        folder.mkdir()
        log, ended = _ended(folder)
        with _ends_at(number, monkeypatch) as done:
            try:
                close_segment(log.folder, ended)
            except _Cut:
                steps += 1
            plain, manifest = (Segment(log.folder, 5).path(kind).exists() for kind in (".jsonl", ".manifest"))
            assert plain or manifest, done
        close_segment(log.folder, ended)
        _whole(log)
        if len(done) < number:
            break
    assert steps > 8


def test_what_follows_a_cut_is_read_by_a_reader_that_begins_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 3, 6, 20):
        folder = tmp_path / str(number)
        folder.mkdir()
        log, ended = _ended(folder)
        with _ends_at(number, monkeypatch), pytest.raises(_Cut):
            close_segment(log.folder, ended)
            raise _Cut
        reading = Reading(folder)
        reading.catch_up()
        assert reading.all() == log.lines
        assert not reading.logs[LOG].damage
        reading.close()
        _whole(log)


def test_another_file_than_was_read_is_left_as_it_is(tmp_path: Path) -> None:
    log, ended = _ended(tmp_path)
    plain = Segment(log.folder, 5).path(".jsonl")
    before = plain.read_bytes()
    for content in (before + b"{}\n", before[:-1], before[: len(before) // 2]):
        plain.write_bytes(content)
        with pytest.raises(BadSegment):
            close_segment(log.folder, ended)
        assert plain.read_bytes() == content
        assert not Segment(log.folder, 5).closed
    plain.unlink()
    with pytest.raises(SegmentGone):
        close_segment(log.folder, ended)


def test_where_a_tile_is_lost_the_plain_file_stays(tmp_path: Path) -> None:
    log, ended = _ended(tmp_path)
    (log.folder / "tile/0/000").unlink()
    with pytest.raises(BadSegment, match="hashes of the tree are lost"):
        close_segment(log.folder, ended)
    assert Segment(log.folder, 5).path(".jsonl").exists()
    assert not Segment(log.folder, 5).closed


def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    log, ended = _ended(tmp_path)
    close_segment(log.folder, ended)
    for kind in (".jsonl.gz", ".manifest"):
        assert Segment(log.folder, 5).path(kind).stat().st_mode & 0o777 == 0o600
