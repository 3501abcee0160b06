# SPDX-License-Identifier: EUPL-1.2
"""Where copies are made that do not stay: room is looked for before, and what was left of others goes."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyrage
import pytest

from tests.storage.copies import make, silent, words
from tests.storage.copying import ROOT, backed_up, sealed, writing
from vault.server.config.settings import StorageSettings
from vault.server.offline.moves import carry
from vault.storage.copies.backup import back_up
from vault.storage.copies.encryption import decrypted
from vault.storage.copies.restore import restore
from vault.storage.copies.workplace import FOR_COPY, clear_workplaces, require_room, workplace
from vault.storage.protocol import StorageFailure

_KILLED_READING = """
import os, sys
from pathlib import Path
from tests.storage.copies import silent
from vault.storage.copies.encryption import decrypted
with decrypted(Path(sys.argv[1]), sys.argv[2], silent) as plain:
    assert plain.stat().st_size
    os.kill(os.getpid(), 9)
"""
_KILLED = """
import os, sys
from pathlib import Path
from vault.storage.copies.workplace import workplace
with workplace(Path(sys.argv[1]), "archive") as folder:
    (folder / "backup.db").write_bytes(b"x")
    os.kill(os.getpid(), 9)
"""


def with_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let every disk have so many bytes left."""
    real = os.statvfs

    def told(path: Path) -> os.statvfs_result:
        found = list(real(path))
        found[1], found[4] = 1, free  # f_frsize, f_bavail
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", told)


def test_room_is_for_the_copy_and_for_who_else_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_room(monkeypatch, 126 << 20)
    require_room(tmp_path, {FOR_COPY: 100 << 20})
    with pytest.raises(
        StorageFailure, match="126 MiB are free, and 127 MiB are needed: 101 MiB for the copy"
    ):
        require_room(tmp_path, {FOR_COPY: (100 << 20) + 1})


@pytest.mark.parametrize("how", [backed_up, lambda one, two: sealed(one, two, [])])
def test_no_copy_is_begun_that_has_no_room(
    how: Callable[[Path, Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "vault.db", "old")
    with_room(monkeypatch, 1 << 20)
    with pytest.raises(StorageFailure, match="1 MiB are free"):
        how(tmp_path / "vault.db", tmp_path / "b.db")
    assert not [found for found in tmp_path.iterdir() if found.name.startswith("b.db")]


def _stored(database: Path, place: Path) -> object:
    """Return what a database holds, by a copy of it; what is none, as its bytes."""
    place.mkdir()
    found = {file.name: file.read_bytes() for file in database.parent.glob("vault.db*")}
    for name, content in found.items():
        if not name.endswith("-shm"):  # SQLite makes that anew of the journal
            (place / name).write_bytes(content)
    try:
        with closing(sqlite3.connect(place / "vault.db")) as copy:
            return copy.execute("SELECT path, value FROM entry").fetchall()
    except sqlite3.DatabaseError:
        return found


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("there", ["whole", "served", "damaged", "missing", "another's journal"])
def test_no_restore_is_begun_that_has_no_room_and_nothing_is_changed(
    database: Path,
    backup: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: str,
    *,
    dry_run: bool,
) -> None:
    if there in ("served", "another's journal"):
        with writing(database):
            pass  # killed: it leaves a journal
    if there == "another's journal":
        database.write_bytes(backup.read_bytes())
    if there == "damaged":
        database.write_bytes(b"nonsense" * 1000)
    if there == "missing":
        database.unlink()

    before = _stored(database, tmp_path / "before")
    with_room(monkeypatch, 1 << 20)
    with pytest.raises(StorageFailure, match=r"1 MiB are free, and [0-9]+ MiB are needed: ") as caught:
        restore(backup, database, keep=True, progress=silent, patience=0.1, dry_run=dry_run)
    assert _stored(database, tmp_path / "after") == before
    said = "MiB to keep what is there" if there in ("whole", "served") else "MiB for what is restored"
    assert said in str(caught.value)


def test_a_restore_that_keeps_nothing_wants_less_room(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = database.stat().st_size
    assert backup.stat().st_size < size + (1 << 20)
    with_room(monkeypatch, (17 << 20) + size + size // 10)
    with pytest.raises(StorageFailure, match=r"free some space, or keep nothing with -discard$"):
        restore(backup, database, keep=True, progress=silent)
    restore(backup, database, keep=False, progress=silent)
    with_room(monkeypatch, 1 << 20)
    with pytest.raises(StorageFailure, match=r"writes there; free some space$"):
        restore(backup, database, keep=False, progress=silent)
    assert words(database) == {"new"}


def test_no_move_into_a_file_is_begun_that_has_no_room(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_room(monkeypatch, 1 << 20)
    near, far = (StorageSettings(kind="sqlite", path=str(file)) for file in (database, tmp_path / "far.db"))
    with pytest.raises(
        StorageFailure, match=r"1 MiB are free, and [0-9]+ MiB are needed: [0-9]+ MiB for the copy"
    ):
        carry(near, far, silent)
    assert not list(tmp_path.glob("far.db*"))


def test_a_pipe_in_the_place_of_what_is_written_is_removed(tmp_path: Path) -> None:
    make(tmp_path / "vault.db", "old")
    os.mkfifo(tmp_path / "b.db.partial")
    back_up(tmp_path / "vault.db", tmp_path / "b.db", force=False, progress=silent)
    assert {found.name for found in tmp_path.iterdir()} >= {"b.db"}
    assert not (tmp_path / "b.db.partial").exists()


def test_two_have_a_folder_each_and_nothing_stays(tmp_path: Path) -> None:
    file = tmp_path / "vault.db"
    with workplace(file, "archive") as one, workplace(file, "archive") as two:
        assert one != two
        assert one.stat().st_mode & 0o777 == 0o700
        assert clear_workplaces(file, "archive") == 0
        assert one.exists()
        assert two.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_goes_with_the_next(tmp_path: Path) -> None:
    file = tmp_path / "vault.db"
    others = [
        tmp_path / "vault.db.archive",
        tmp_path / "vault.db.archive-notes",
        tmp_path / "other.db.archive-x",
    ]
    others[0].mkdir()
    others[1].write_bytes(b"x")
    others[2].mkdir()
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(file)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    (left,) = set(tmp_path.iterdir()) - set(others)
    assert (left / "backup.db").exists()
    with workplace(file, "archive"):
        assert not left.exists()
    assert set(tmp_path.iterdir()) == set(others)


def test_nothing_of_an_encrypted_backup_is_left_in_plain_by_who_is_killed(
    database: Path, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key"
    key.write_text(f"{identity}\n")
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    sealed(backup, tmp_path / "b.age", [identity.to_public()])
    words = [sys.executable, "-c", _KILLED_READING, str(tmp_path / "b.age"), str(key)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -9
    (left,) = place.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    with decrypted(tmp_path / "b.age", str(key), silent) as plain:
        assert plain.read_bytes() == backup.read_bytes()
        assert not left.exists()
    assert not list(place.iterdir())


@pytest.mark.parametrize("moment", [1, 50, 99])
def test_no_other_program_finds_what_is_not_encrypted_yet(
    database: Path, tmp_path: Path, moment: int
) -> None:
    """While it is copied, verified and encrypted it has no name; a power cut takes what has none."""
    folder = tmp_path / "made"
    folder.mkdir()
    recipient = pyrage.x25519.Identity.generate().to_public()
    found: set[str] = set()

    def look(what: str, hundredths: int) -> None:
        if what != "copying" or hundredths >= moment:
            found.update(file.name for file in folder.iterdir() if b"old/" in file.read_bytes())

    back_up(database, folder / "b.age", force=False, progress=look, recipients=[recipient])
    assert found == set()
    assert [file.name for file in folder.iterdir()] == ["b.age"]
