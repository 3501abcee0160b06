# SPDX-License-Identifier: EUPL-1.2
"""Files of tests are in memory where that has room, and where somebody wants them otherwise."""

import os
import tempfile
from pathlib import Path

import pytest

from tests import temporary


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is taken for memory; nobody has said where files go."""
    monkeypatch.setenv("TMPDIR", "")
    del os.environ["TMPDIR"]
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    return tmp_path


def test_files_are_made_in_memory(memory: Path) -> None:
    temporary.use_memory(memory)
    with tempfile.TemporaryDirectory() as made:
        assert Path(made).parent.parent == memory
    assert os.environ["TMPDIR"] == str(Path(made).parent)


def test_who_says_where_files_go_is_obeyed(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    temporary.use_memory(memory)
    assert os.environ["TMPDIR"] == "/elsewhere"
    assert list(memory.iterdir()) == []


def test_memory_without_room_is_left_alone(memory: Path) -> None:
    free = os.statvfs(memory).f_bavail * os.statvfs(memory).f_frsize
    assert temporary.has_room(memory, 1)
    assert not temporary.has_room(memory, 2 * free)
    assert not temporary.has_room(memory / "none", 1)


def test_what_is_large_is_not_in_memory_and_goes() -> None:
    with temporary.on_disk() as folder:
        (folder / "image").touch()
        assert not str(folder).startswith("/dev/shm")
    assert not folder.exists()
