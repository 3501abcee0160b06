# SPDX-License-Identifier: EUPL-1.2
"""Backups in a directory: nothing but what is a schedule's own is listed or removed, and nothing that somebody writes."""

import fcntl
import os
from pathlib import Path

import pytest

from vault.server.snapshots.directory import Directory
from vault.server.snapshots.names import Item
from vault.storage.protocol import StorageFailure

ONE, TWO = "n-20261130T023000Z.db", "n-20261201T023000Z.age"


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x" * 3)


def test_only_the_schedules_own_are_listed(tmp_path: Path) -> None:
    _write(tmp_path, ONE, TWO, "m-20261130T023000Z.db", f"{ONE}.partial", "notes.txt")
    (tmp_path / "n-20261202T023000Z.db").symlink_to(tmp_path / ONE)
    (tmp_path / "n-20261203T023000Z.db").mkdir()
    assert sorted(Directory("n", tmp_path).items(), key=lambda item: item.name) == [
        Item(ONE, 3),
        Item(TWO, 3),
    ]


def test_what_was_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [f"{ONE}.partial", f"{ONE}.partial-journal", f"{TWO}.plain", f"{TWO}.plain.partial"]
    others = [ONE, "m-20261130T023000Z.db.partial", "n.partial"]
    _write(tmp_path, *left, *others)
    assert Directory("n", tmp_path).clear() == len(left)
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted(others)


def test_what_somebody_still_writes_stays_with_its_journal(tmp_path: Path) -> None:
    _write(tmp_path, f"{ONE}.partial", f"{ONE}.partial-journal")
    with (tmp_path / f"{ONE}.partial").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert Directory("n", tmp_path).clear() == 0
    assert Directory("n", tmp_path).clear() == 2


def test_what_another_cluster_has_left_stays(tmp_path: Path) -> None:
    left = [f"n-20261130T023000Z-{mark}.db.partial" for mark in ("5f2a90c1", "00000000")]
    _write(tmp_path, *left)
    assert Directory("n", tmp_path, "5f2a90c1").clear() == 1
    assert [found.name for found in tmp_path.iterdir()] == left[1:]


def test_a_pipe_that_is_called_so_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"{ONE}.partial")
    assert Directory("n", tmp_path).clear() == 1


def test_a_link_in_its_place_leads_nowhere(tmp_path: Path) -> None:
    _write(tmp_path, "precious")
    (tmp_path / f"{ONE}.partial").symlink_to(tmp_path / "precious")
    Directory("n", tmp_path).clear()
    assert (tmp_path / "precious").read_bytes() == b"xxx"


def test_one_is_put_and_removed(tmp_path: Path) -> None:
    place = Directory("n", tmp_path)
    assert place.put(ONE, lambda file: _write(file.parent, file.name)) == 3
    place.remove(ONE)
    place.remove(ONE)
    assert place.items() == []


def test_one_that_is_not_made_is_not_there(tmp_path: Path) -> None:
    def fail(_file: Path) -> None:
        raise StorageFailure("the disk is full")

    with pytest.raises(StorageFailure, match="the disk is full"):
        Directory("n", tmp_path).put(ONE, fail)
    assert Directory("n", tmp_path).items() == []
