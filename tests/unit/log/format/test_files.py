# SPDX-License-Identifier: EUPL-1.2
"""A file is whole or as it was, and so is a file of lines, whatever the disk and other processes do meanwhile."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vault.log.format.files import (
    append_line,
    append_whole,
    create_file,
    of_process,
    replace_durably,
    replace_file,
    replace_unsynced,
    sync_folder,
)

_OTHER = "import sys; from pathlib import Path; from vault.log.format.files import of_process, replace_file; "
_REPLACE = f"{_OTHER} replace_file(Path(sys.argv[1]), b'other', beside=of_process())"
_REPLACES = pytest.mark.parametrize("replace", [replace_file, replace_durably, replace_unsynced])


class Disk:
    """Takes seven bytes at a time, and is full after `room` of them; notes what is synced."""

    def __init__(self, room: int = 1 << 20) -> None:
        self.left, self.synced = room, list[str]()
        self._write, self._sync = os.write, os.fsync

    def write(self, fd: int, data: bytes) -> int:
        if not self.left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(fd, data[: min(7, self.left)])
        self.left -= written
        return written

    def fsync(self, fd: int) -> None:
        self.synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
        self._sync(fd)

    def use(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(os, "write", self.write)
        patch.setattr(os, "fsync", self.fsync)


@_REPLACES
def test_a_file_is_replaced_by_a_whole_one_in_short_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "list.json"
    for content in (b"", b"a line of some length", b"short"):
        with monkeypatch.context() as patch:
            Disk().use(patch)
            replace(path, content)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert os.listdir(tmp_path) == ["list.json"]


@_REPLACES
def test_on_a_full_disk_the_file_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(b"before")
    with monkeypatch.context() as patch:
        Disk(room=10).use(patch)
        with pytest.raises(OSError, match="No space left"):
            replace(path, b"a line of some length")
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["list.json"]


def test_what_cannot_have_the_name_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "list.json").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "list.json", b"content")
    assert os.listdir(tmp_path) == ["list.json"]


@pytest.mark.parametrize(
    ("replace", "synced"),
    [
        (replace_file, ["list.json.new"]),
        (replace_durably, ["list.json.new", "logs"]),
        (replace_unsynced, []),
        (create_file, ["list.json.new"]),
    ],
)
def test_each_form_syncs_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path, bytes], None], synced: list[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    disk = Disk()
    with monkeypatch.context() as patch:
        disk.use(patch)
        replace(folder / "list.json", b"content")
    assert disk.synced == synced


def test_two_processes_replace_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sync = tmp_path / "list.json", os.fsync

    def other(fd: int) -> None:
        sync(fd)
        subprocess.run([sys.executable, "-c", _REPLACE, path], check=True)
        assert path.read_bytes() == b"other"

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", other)
        replace_file(path, b"own", beside=of_process())
    assert path.read_bytes() == b"own"
    assert os.listdir(tmp_path) == ["list.json"]


def test_a_file_is_made_once(tmp_path: Path) -> None:
    create_file(tmp_path / "node", b"first\n")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "node", b"second\n")
    assert (tmp_path / "node").read_bytes() == b"first\n"
    assert os.listdir(tmp_path) == ["node"]


def test_a_line_is_appended_whole_in_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, disk = tmp_path / "lines", Disk()
    with monkeypatch.context() as patch:
        disk.use(patch)
        append_line(path, b"the first line\n", synced=False)
        assert disk.synced == []
        append_line(path, b"the second line\n", synced=True)
        assert disk.synced == ["lines"]
    assert path.read_bytes() == b"the first line\nthe second line\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_follows_what_is_left_of_another(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"whole\nto")
    append_line(tmp_path / "lines", b"next\n", synced=False)
    assert (tmp_path / "lines").read_bytes() == b"whole\nto\nnext\n"


@pytest.mark.parametrize("room", [0, 3, 7, 10])
def test_no_part_of_a_line_stays_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "lines"
    append_line(path, b"whole\n", synced=True)
    with monkeypatch.context() as patch:
        Disk(room).use(patch)
        with pytest.raises(OSError, match="No space left"):
            append_line(path, b"a line of some length\n", synced=True)
    assert path.read_bytes() == b"whole\n"


def test_several_appends_to_one_open_file_are_each_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = os.open(tmp_path / "lines", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with monkeypatch.context() as patch:
        Disk(room=25).use(patch)
        append_whole(fd, b"a first line\n")
        with pytest.raises(OSError, match="No space left"):
            append_whole(fd, b"one without room\n")
    append_whole(fd, b"a last line\n")
    os.close(fd)
    assert (tmp_path / "lines").read_bytes() == b"a first line\na last line\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    for name in ("lines", "list.json.new"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        append_line(tmp_path / "lines", b"line\n", synced=False)
    with pytest.raises(OSError):
        replace_file(tmp_path / "list.json", b"content")
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_a_folder_that_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")
