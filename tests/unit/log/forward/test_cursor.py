# SPDX-License-Identifier: EUPL-1.2
"""Cursors are stored whole or not at all, and one that cannot be read costs no record."""

import os
import stat
from pathlib import Path

import pytest

from vault.log.forward.batch import Place
from vault.log.forward.cursor import Cursor

PLACES = {"0123abcd-0-1": Place(17, 5000, 23, "aGFzaA=="), "0123abcd-1-1": Place(0, 0, 0, "")}


def stored(folder: Path) -> Path:
    """A cursor, and its file."""
    cursor = Cursor(folder, "siem")
    cursor.places, cursor.caught_up = dict(PLACES), True
    cursor.store()
    return folder / "devices" / "siem.json"


def test_a_cursor_is_read_as_it_was_stored(tmp_path: Path) -> None:
    path = stored(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    cursor = Cursor(tmp_path, "siem")
    assert cursor.load()
    assert cursor.caught_up
    assert cursor.places == {log: Place(0, 0, place.seq, place.last) for log, place in PLACES.items()}


def test_a_device_without_one_begins_with_the_first_record(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path, "siem")
    assert cursor.load()
    assert (cursor.places, cursor.caught_up) == ({}, False)


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_a_torn_cursor_is_as_none(tmp_path: Path, cut: int) -> None:
    path = stored(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    cursor = Cursor(tmp_path, "siem")
    assert not cursor.load()
    assert (cursor.places, cursor.caught_up) == ({}, False)


@pytest.mark.parametrize(
    "content", [b"\0" * 100, b'{"logs":{"a":{"seq":-1,"last":""}}}', b"[]", b'{"logs":{"a":{"seq":"1"}}}']
)
def test_a_cursor_that_says_what_none_can_is_as_none(tmp_path: Path, content: bytes) -> None:
    stored(tmp_path).write_bytes(content)
    assert not Cursor(tmp_path, "siem").load()


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path, "siem")
    cursor.places = dict(PLACES)
    cursor.store()
    before = (tmp_path / "devices" / "siem.json").stat().st_ino
    cursor.store()
    assert (tmp_path / "devices" / "siem.json").stat().st_ino == before
    cursor.places["0123abcd-0-1"] = Place(17, 6000, 24, "")
    cursor.store()
    assert (tmp_path / "devices" / "siem.json").stat().st_ino != before


def test_a_cursor_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = stored(tmp_path)
    before = path.read_bytes()
    (path.parent / "siem.json.new").mkdir()
    cursor = Cursor(tmp_path, "siem")
    cursor.places = {"0123abcd-0-1": Place(0, 1, 1, "")}
    with pytest.raises(OSError):
        cursor.store()
    assert path.read_bytes() == before
    os.rmdir(path.parent / "siem.json.new")
    cursor.store()
    assert path.read_bytes() != before
