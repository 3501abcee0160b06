# SPDX-License-Identifier: EUPL-1.2
"""The writer: whole lines or none, segments of bounded size and age, and a full disk that costs no number."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.log.folders import draft, opened, records, wrote
from vault.log.writer import LogFailure, LogLimits, follows


def _segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.jsonl"))


def test_a_segment_ends_at_its_size_and_the_next_begins_with_the_number_that_it_is_called_by(
    tmp_path: Path,
) -> None:
    log = opened(tmp_path, limits=LogLimits(segment_bytes=1000))
    wrote(log, *[draft() for _ in range(9)])
    names = _segments(tmp_path)
    assert len(names) > 1
    for path in tmp_path.rglob("*.jsonl"):
        first = json.loads(path.read_bytes().splitlines()[0])
        assert path.name == f"{first['seq']:020d}.jsonl"
    assert [record["seq"] for record in records(tmp_path)] == list(range(9))


def test_where_a_segment_begins_is_stored_off_the_loop_and_again_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path, limits=LogLimits(segment_bytes=1000))
    wrote(log, *[draft() for _ in range(9)])
    firsts = {path.stem for path in tmp_path.rglob("*.jsonl")}
    assert (len(firsts) > 2, list(tmp_path.rglob("*.state"))) == (True, [])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _broken)
        with pytest.raises(OSError, match="Input"):
            log.writer.sync()
    assert list(tmp_path.rglob("*.state")) == []
    log.writer.sync()
    assert {path.stem for path in tmp_path.rglob("*.state")} == firsts


def test_where_a_segment_begins_is_stored_behind_what_comes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, synced, real = (
        opened(tmp_path, limits=LogLimits(segment_bytes=1000)),
        list[tuple[str, int]](),
        os.fsync,
    )

    def note(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        synced.append((path.suffix, len(list(tmp_path.rglob("*.state")))))
        real(fd)

    wrote(log, *[draft() for _ in range(9)])
    segments = len(list(tmp_path.rglob("*.jsonl")))
    monkeypatch.setattr(os, "fsync", note)
    log.writer.sync()
    names = ("", 0)  # the folder's: a segment has to be there where a later one's begin is
    assert synced[: segments + 1] == [*[(".jsonl", 0)] * segments, names]
    assert synced[-1] == ("", segments)


def test_a_segment_that_could_not_be_synced_is_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path, limits=LogLimits(segment_bytes=1000))
    wrote(log, *[draft() for _ in range(9)])
    segments = sorted(tmp_path.rglob("*.jsonl"))
    first, synced, real = segments[0].stat().st_ino, list[int](), os.fsync

    def refuse(fd: int) -> None:
        if os.fstat(fd).st_ino == first:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="Input"):
                log.writer.sync()
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    log.writer.sync()
    assert synced[: len(segments)] == [path.stat().st_ino for path in segments]


def test_what_could_not_be_written_is_written_again_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system says once that it could not write, and lets go of it: the next sync has nothing to do, and says so."""
    log, done, real = opened(tmp_path, limits=LogLimits(segment_bytes=1000)), list[str](), os.pwrite
    wrote(log, *[draft() for _ in range(9)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _broken)
        with pytest.raises(OSError, match="Input"):
            log.writer.sync()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}

    def note(fd: int, data: bytes, at: int) -> int:
        done.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", note)
    log.writer.sync()
    assert done == [path.name for path in sorted(before)]
    assert {path: path.read_bytes() for path in before} == before
    wrote(log, draft())
    log.writer.sync()
    assert len(done) == len(before)


def test_a_log_whose_records_the_system_lost_is_not_signed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path)
    wrote(log, draft(), draft())
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _broken)
        with pytest.raises(OSError, match="Input"):
            log.writer.sync()
    (path,) = tmp_path.rglob("*.jsonl")
    with path.open("r+b") as file:
        file.write(bytes(100))
    for _ in range(2):
        with pytest.raises(OSError, match="is lost"):
            log.writer.sync()


def test_a_log_has_its_names_on_the_disk_before_anything_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, real = list[Path](), os.fsync

    def note(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    monkeypatch.setattr(os, "fsync", note)
    opened(tmp_path / "var/log").writer.close()
    assert {tmp_path, tmp_path / "var", tmp_path / "var/log"} <= set(synced)


def test_a_segment_ends_at_its_age(tmp_path: Path) -> None:
    log = opened(tmp_path, limits=LogLimits(segment_seconds=10))
    chain = log.writer.chain
    for now in (0.0, 9.0, 10.0, 11.0):
        log.writer.write(chain.append(draft()), now)
    assert _segments(tmp_path) == [f"{0:020d}.jsonl", f"{2:020d}.jsonl"]


def test_a_segment_that_is_ended_is_followed_at_once_and_by_nothing_where_it_is_empty(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.writer.end_segment(0.0)
    assert _segments(tmp_path) == [f"{0:020d}.jsonl"]
    wrote(log, draft(), draft())
    waiting = log.writer.chain.append(draft())  # made, and to be written with others
    for _ in range(2):
        log.writer.end_segment(0.0)
        assert _segments(tmp_path) == [f"{0:020d}.jsonl", f"{2:020d}.jsonl"]
    log.writer.write(waiting, 0.0)
    log.writer.sync()
    (state,) = (path for path in tmp_path.rglob("*.state") if int(path.stem))
    assert json.loads(state.read_bytes())["seq"] == 2
    wrote(log, draft())
    log.writer.close()
    again = opened(tmp_path)
    assert (again.lost, again.writer.chain.written, _segments(tmp_path)[1:]) == ("", 4, [f"{2:020d}.jsonl"])


@pytest.mark.parametrize("synced", [False, True])
def test_a_log_whose_writer_was_killed_when_it_had_ended_a_segment_goes_on(
    tmp_path: Path, *, synced: bool
) -> None:
    log = opened(tmp_path)
    wrote(log, draft(), draft())
    log.writer.end_segment(0.0)
    if synced:
        log.writer.sync()
    log.writer.sync = lambda: None  # type: ignore[method-assign]  # a kill has nothing more on the disk
    log.writer.close()
    again = opened(tmp_path)
    assert (again.id, again.lost) == (log.id, "")
    wrote(again, draft())
    assert [record["seq"] for record in records(tmp_path)] == [0, 1, 2]
    assert _segments(tmp_path) == [f"{0:020d}.jsonl", f"{2:020d}.jsonl"]


@pytest.mark.parametrize("short", [False, True], ids=["at once", "in the middle"])
def test_a_full_disk_refuses_and_leaves_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, short: bool
) -> None:
    log = opened(tmp_path)
    wrote(log, draft(), draft())
    real, calls = os.write, []

    def full(fd: int, data: bytes) -> int:
        calls.append(1)
        if short and len(calls) == 1:
            return real(fd, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(LogFailure, match="the disk is full; free space"):
            wrote(log, draft())
    wrote(log, draft("esa.kv.list"))
    found = records(tmp_path)
    assert [record["seq"] for record in found] == [0, 1, 2]
    assert found[2]["event_name"] == "esa.kv.list"


def test_who_made_a_record_while_one_before_it_failed_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path)
    chain = log.writer.chain
    first, second = chain.append(draft()), chain.append(draft())
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", _broken)
        with pytest.raises(LogFailure):
            log.writer.write(first, 0.0)
    with pytest.raises(LogFailure, match="did not take the record before"):
        log.writer.write(second, 0.0)
    assert records(tmp_path) == []
    wrote(log, draft())
    assert [record["seq"] for record in records(tmp_path)] == [0]


def _broken(*_: Any) -> int:
    raise OSError(errno.EIO, "Input/output error")


def test_records_are_taken_in_their_order_alone(tmp_path: Path) -> None:
    log = opened(tmp_path)
    chain = log.writer.chain
    first, second = chain.append(draft()), chain.append(draft())
    with pytest.raises(LogFailure):
        log.writer.write(second, 0.0)
    with pytest.raises(LogFailure):
        log.writer.write(first + second, 0.0)
    assert records(tmp_path) == []


@pytest.mark.parametrize("torn", [slice(0, -1), slice(0, 0), slice(0, 10)])
def test_what_ends_within_a_record_is_not_taken(tmp_path: Path, torn: slice) -> None:
    log = opened(tmp_path)
    lines = log.writer.chain.append(draft()) + log.writer.chain.append(draft())
    with pytest.raises(LogFailure):
        log.writer.write(lines[torn], 0.0)
    with pytest.raises(LogFailure):  # all that was made is taken back
        log.writer.write(lines, 0.0)
    assert records(tmp_path) == []


def test_a_record_that_was_made_and_never_written_keeps_none_out_for_long(tmp_path: Path) -> None:
    log = opened(tmp_path)
    wrote(log, draft())
    log.writer.chain.append(draft())  # whoever made it met a defect
    with pytest.raises(LogFailure):
        wrote(log, draft())
    wrote(log, draft(), draft())
    assert [record["seq"] for record in records(tmp_path)] == [0, 1, 2]
    log.writer.close()
    assert opened(tmp_path).lost == ""


def test_short_writes_leave_a_whole_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path, limits=LogLimits(segment_bytes=1))
    wrote(log, draft())
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: real(fd, data[:20]))
        wrote(log, draft())
    log.writer.close()
    assert opened(tmp_path).lost == ""


def test_a_number_is_not_found_in_a_value() -> None:
    line = json.dumps(
        {"fields": '","seq":7,', "schema": "s", "seq": 12, "t": 0}, separators=(",", ":")
    ).encode()
    assert follows(line, 12)
    assert not follows(line, 7)
    assert not follows(line, 1)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    wrote(log, draft())
    for path in (tmp_path / "log").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
