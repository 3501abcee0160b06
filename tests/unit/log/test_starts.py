# SPDX-License-Identifier: EUPL-1.2
"""Several processes of a node start at once, or one ends in the middle of a start: no log ever has two writers."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.log.folders import draft, opened, records, wrote
from vault.log.recovery import LOCK, OpenedLog


def _damaged(folder: Path) -> str:
    """A log in whose middle a record was changed; its id."""
    log = opened(folder)
    wrote(log, *[draft() for _ in range(5)])
    log.writer.close()
    segment = next((folder / log.id).glob("*.jsonl"))
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([lines[0], lines[1].replace(b"kv.read", b"kv.list"), *lines[2:]]))
    return log.id


def _before_lock(monkeypatch: pytest.MonkeyPatch, log: str, then: Callable[[], object]) -> None:
    """Have something done when the lock of a log is taken next, just before it is."""
    real, waiting = fcntl.flock, [then]

    def flock(fd: int, how: int) -> None:
        if waiting and Path(f"/proc/self/fd/{fd}").readlink().parts[-2:] == (log, LOCK):
            waiting.pop()()
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)


def test_who_comes_to_a_damaged_log_when_another_has_begun_the_next_one_takes_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, first = _damaged(tmp_path), list[OpenedLog]()
    _before_lock(monkeypatch, lost, lambda: first.append(opened(tmp_path)))
    second = opened(tmp_path)
    assert (first[0].id[9:], second.id[9:], second.lost) == ("0-2", "1-1", "")
    assert first[0].lost.startswith(f"{lost}: ")
    for log in (first[0], second) * 3:
        wrote(log, draft())
    assert [record["seq"] for record in records(tmp_path / first[0].id)] == [0, 1, 2]


def test_who_comes_to_a_damaged_log_when_the_next_one_was_begun_and_let_go_goes_on_with_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = _damaged(tmp_path)

    def begun() -> None:
        first = opened(tmp_path)
        wrote(first, draft(), draft())
        first.writer.close()

    _before_lock(monkeypatch, lost, begun)
    second = opened(tmp_path)
    assert (second.id[9:], second.lost, second.writer.chain.written) == ("0-2", "", 2)


def test_who_is_overtaken_at_the_log_that_it_makes_leaves_it_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, other = _damaged(tmp_path), list[OpenedLog]()
    _before_lock(monkeypatch, f"{lost[:-1]}2", lambda: other.append(opened(tmp_path)))
    overtaken = opened(tmp_path)
    assert (other[0].id[9:], overtaken.id[9:], overtaken.lost) == ("0-2", "1-1", "")
    assert other[0].lost.startswith(f"{lost}: ")  # and its first record says so, whoever found it out first
    other[0].writer.close()
    overtaken.writer.close()
    assert opened(tmp_path).id == other[0].id


@pytest.mark.parametrize("files", [(), (LOCK,), (LOCK, f"{0:020}.jsonl")])
def test_a_log_that_was_made_and_never_written_says_what_was_lost_before_it(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    lost = _damaged(tmp_path)
    made = tmp_path / f"{lost[:-1]}2"
    made.mkdir()
    for name in files:
        (made / name).touch()
    log = opened(tmp_path)
    assert log.id == made.name
    assert log.lost == f"{lost}: records follow its first 2, and do not chain"
    wrote(log, draft())
    log.writer.close()
    assert opened(tmp_path).lost == ""


def test_a_log_whose_folder_another_process_made_is_on_the_disk_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = _damaged(tmp_path)
    (tmp_path / f"{lost[:-1]}2").mkdir()  # by a process that was killed before it synced the name
    synced, real = list[Path](), os.fsync

    def note(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    def locked(fd: int, how: int) -> None:
        synced.clear()
        fcntl_flock(fd, how)

    fcntl_flock = fcntl.flock
    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(fcntl, "flock", locked)
    opened(tmp_path)
    assert tmp_path in synced
