# SPDX-License-Identifier: EUPL-1.2
"""Restores bring all of a backup back, or leave what was there; never under a server."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pytest

from tests.storage.copies import ENTRIES, owned_by, silent, words
from tests.storage.copying import (
    DIGEST,
    ROOT,
    backed_up,
    mode,
    not_backed_up,
    not_restored,
    query,
    restored,
    writing,
)
from tests.storage.stores import everything, fill
from vault.storage.copies import atomic_file as unfinished
from vault.storage.copies import restore as module
from vault.storage.copies import snapshot
from vault.storage.copies.backup import back_up
from vault.storage.copies.restore import restore
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite import storage as sqlite
from vault.storage.sqlite.database import APPLICATION_ID, newest_schema, prepare
from vault.storage.sqlite.storage import SqliteStorage


def test_a_restore_brings_everything_back_and_keeps_what_was_there(database: Path, backup: Path) -> None:
    os.chmod(database, 0o644)
    inode = database.stat().st_ino
    done = restored(backup, database)
    assert done.content.entries == ENTRIES
    assert (mode(database), database.stat().st_ino) == (0o600, inode)
    assert words(database) == {"new"}
    kept = Path(done.kept)
    assert kept == database.with_name("vault.db.replaced-1")
    assert mode(kept) == 0o600
    back = restored(kept, database)
    assert words(database) == {"old"}
    assert Path(back.kept).name == "vault.db.replaced-2"
    assert restored(backup, database, keep=False).kept == ""
    assert words(database) == {"new"}
    assert len(list(database.parent.glob("*.replaced-*"))) == 2


@pytest.mark.parametrize("there", [True, False])
def test_without_a_database_one_is_made(tmp_path: Path, backup: Path, *, there: bool) -> None:
    file = tmp_path / "fresh.db"
    if there:
        file.touch(0o600)
    assert restored(backup, file).kept == ""
    assert (mode(file), words(file)) == (0o600, {"new"})
    assert "its directory is not there" in not_restored(backup, tmp_path / "none" / "x.db")
    (tmp_path / "folder.db").mkdir()
    assert "regular file" in not_restored(backup, tmp_path / "folder.db")


def test_a_database_by_another_name_is_the_same_one(tmp_path: Path, database: Path, backup: Path) -> None:
    (tmp_path / "way.db").symlink_to(database)
    assert Path(restored(backup, tmp_path / "way.db").kept).name == "vault.db.replaced-1"
    assert (tmp_path / "way.db").is_symlink()
    assert words(database) == {"new"}
    assert "database itself" in not_restored(tmp_path / "way.db", database)


def test_it_is_refused_while_anybody_has_the_database_open(database: Path, backup: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(database)
        await storage.reader().get("old/1")
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)
        assert await storage.reader().get("new/1") is None
        await fill(storage, "later")
        await storage.close()

    asyncio.run(story())
    with writing(database):
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)
    restored(backup, database)
    assert words(database) == {"new"}


def test_a_second_storage_of_a_process_does_not_let_others_in(database: Path, backup: Path) -> None:
    """Closing any descriptor of a file gives up the locks of the whole process on it."""
    attempt = (
        "import sys; from pathlib import Path; from tests.storage.copying import restored;"
        "restored(Path(sys.argv[1]), Path(sys.argv[2]))"
    )

    async def story() -> None:
        storage = SqliteStorage.open(database)
        await fill(storage, "later")
        second = SqliteStorage.open(database)
        backed_up(database, database.with_name("b.db"))
        command = [sys.executable, "-c", attempt, str(backup), str(database)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: ASYNC221 - nothing else goes on
        assert "has it open" in done.stderr
        await second.close()
        await storage.close()

    asyncio.run(story())


def test_whoever_starts_meanwhile_waits_or_is_told(database: Path, backup: Path) -> None:
    told: list[str] = []

    def during(what: str, hundredths: int) -> None:
        if what == "restoring" and not told:
            with pytest.raises(StorageFailure) as caught:
                SqliteStorage.open(database, patience=0.1)
            told.append(str(caught.value))

    restore(backup, database, keep=True, progress=during)
    assert "another process keeps it locked" in told[0]
    assert words(database) == {"new"}


def test_a_database_that_nobody_can_open_is_replaced_and_kept(database: Path, backup: Path) -> None:
    damaged = b"nonsense" * 1000
    database.write_bytes(damaged)
    done = restored(backup, database)
    assert (mode(database), words(database)) == (0o600, {"new"})
    assert Path(done.kept).read_bytes() == damaged
    database.write_bytes(damaged)
    again = restored(backup, database, keep=False)
    assert Path(again.kept).read_bytes() == damaged, "it may be no database at all, named by mistake"
    assert words(database) == {"new"}


def test_a_journal_without_its_database_is_set_aside(tmp_path: Path, database: Path, backup: Path) -> None:
    with writing(database):
        pass
    frames = Path(f"{database}-wal").read_bytes()
    assert frames
    for name in (database, Path(f"{database}-shm")):
        name.unlink()
    with pytest.raises(StorageFailure, match="its journal"):
        SqliteStorage.open(database)
    done = restored(backup, database)
    assert Path(f"{done.kept}-wal").read_bytes() == frames
    assert words(database) == {"new"}


def test_a_backup_that_was_put_beside_the_journal_of_before_is_not_mixed_with_it(
    tmp_path: Path, database: Path, backup: Path
) -> None:
    """As whoever copies a backup to the place of a database whose server was killed."""
    with writing(database):
        pass
    database.write_bytes(backup.read_bytes())
    frames = Path(f"{database}-wal").read_bytes()
    with pytest.raises(StorageFailure, match="belongs to another database") as caught:
        SqliteStorage.open(database)
    assert f"{database}-wal" in str(caught.value)
    assert "belongs to another database" in not_backed_up(database, tmp_path / "b.db")
    assert "belongs to another database" in not_restored(database, tmp_path / "other.db")
    (tmp_path / "elsewhere" / "way.db").symlink_to(database)
    way = tmp_path / "elsewhere" / "way.db"
    assert "belongs to another database" in not_backed_up(way, tmp_path / "b.db")
    assert "belongs to another database" in not_restored(way, tmp_path / "other.db")
    assert (database.read_bytes(), Path(f"{database}-wal").read_bytes()) == (backup.read_bytes(), frames)
    done = restored(backup, database)
    assert Path(done.kept).read_bytes() == backup.read_bytes()
    assert Path(f"{done.kept}-wal").read_bytes() == frames
    assert words(database) == {"new"}


def test_two_at_once_keep_both_what_was_there(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = module._alone

    def after_another(*arguments: Any) -> sqlite3.Connection | None:
        monkeypatch.setattr(module, "_alone", alone)
        assert restored(backup, database).kept.endswith(".replaced-1")
        return alone(*arguments)

    monkeypatch.setattr(module, "_alone", after_another)
    assert restored(backup, database).kept.endswith(".replaced-2")


def test_what_fails_keeps_no_copy_of_what_is_still_there(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each attempt leaves less room on the disk for the next; but what is the only copy stays."""

    def fail(what: str, _hundredths: int) -> None:
        if what == "restoring":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "PAGES", 100)
        with pytest.raises(KeyboardInterrupt):
            restore(backup, database, keep=True, progress=fail)
    assert not list(database.parent.glob("*.replaced-*"))
    assert words(database) == {"old"}
    with pytest.raises(KeyboardInterrupt):
        restore(backup, database, keep=True, progress=fail)
    assert words(database) == {"new"}
    (kept,) = database.parent.glob("*.replaced-*")
    restored(kept, database, keep=False)
    kept.unlink()

    def not_undone(*_: object) -> None:
        Path(f"{database}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "copy", not_undone)
    with pytest.raises(KeyboardInterrupt):
        restore(backup, database, keep=True, progress=silent)
    assert len(list(database.parent.glob("*.replaced-*"))) == 1


@contextmanager
def holding(database: Path) -> Iterator[None]:
    """Let another process have it open, and not look after it."""
    hold = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('SELECT epoch FROM head').fetchone(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_running_server_whose_file_is_gone_or_damaged_is_noticed(
    database: Path, backup: Path, how: str
) -> None:
    with writing(database):
        pass
    with holding(database):
        if how == "gone":
            database.unlink()
        else:
            subprocess.run(["dd", f"of={database}", "conv=notrunc"], input=b"nonsense", check=True)
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)


def test_what_is_no_backup_of_ours_is_refused_before_anything_is_touched(
    tmp_path: Path, database: Path, backup: Path
) -> None:
    assert "no such file" in not_restored(tmp_path / "none", database)
    whole = backup.read_bytes()[:-DIGEST]
    wrong = tmp_path / "wrong.db"
    query(wrong, "CREATE TABLE t (x)")
    assert "no backup of a vault" in not_restored(wrong, database)
    for content in (
        b"",
        b"hello",
        whole[:-4096],
        whole[:4096],
        whole[:40960] + b"\xff" * 8192 + whole[49152:],
    ):
        wrong.write_bytes(content)
        assert "backup of a vault" in (text := not_restored(wrong, database)) or "damaged" in text
    wrong.write_bytes(whole)
    query(wrong, f"PRAGMA user_version={newest_schema() + 1}")
    assert "a newer release wrote it" in not_restored(wrong, database)
    wrong.write_bytes(whole)
    query(wrong, "CREATE TRIGGER t AFTER DELETE ON entry BEGIN SELECT 1; END")
    assert "damaged" in not_restored(wrong, database)
    wrong.write_bytes(whole)
    query(wrong, "DROP TABLE timer")
    assert "damaged" in not_restored(wrong, database)
    wrong.write_bytes(whole)
    Path(f"{wrong}-journal").write_bytes(b"half")
    assert "unfinished" in not_restored(wrong, database)
    (tmp_path / "elsewhere" / "way.db").symlink_to(wrong)
    assert "unfinished" in not_restored(tmp_path / "elsewhere" / "way.db", database)
    query(tmp_path / "foreign.db", "CREATE TABLE t (x)")
    assert "another program" in not_restored(backup, tmp_path / "foreign.db")
    wrong.unlink()
    Path(f"{wrong}-journal").unlink()
    wrong.write_bytes(whole)
    query(wrong, "DELETE FROM entry")
    assert "no vault was initialised" in not_restored(wrong, database)
    assert words(database) == {"old"}
    assert not list(tmp_path.glob("*.replaced-*"))


def test_copies_of_a_database_itself_are_backups_too(tmp_path: Path, database: Path) -> None:
    """As SQLite's own backup makes them, or a copy of a database that nobody has open."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(database.read_bytes())
    assert copy.read_bytes()[18:20] == b"\x02\x02"
    before = {file.name for file in tmp_path.iterdir()}
    restored(copy, tmp_path / "fresh.db")
    assert {file.name for file in tmp_path.iterdir()} - before == {"fresh.db"}
    assert words(tmp_path / "fresh.db") == {"old"}
    with writing(database):  # one in use, with what is in its journal
        found = restored(database, tmp_path / "second.db")
    assert found.content.entries > ENTRIES


def older(file: Path) -> None:
    """Make a database of the first schema, as an older release has."""
    migrations = ROOT / "vault" / "storage" / "sqlite" / "migrations"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((migrations / "0001.sql").read_text(encoding="utf-8"))
        connection.execute("UPDATE epoch SET n=7")
        connection.execute("INSERT INTO entry VALUES ('first/1', x'01')")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("PRAGMA user_version=1")
        connection.commit()
        connection.execute("PRAGMA journal_mode=WAL")
    file.chmod(0o600)


def test_a_backup_of_an_older_release_is_restored_as_it_is_and_opens(database: Path, tmp_path: Path) -> None:
    """So that an older release, to which somebody went back, opens it too."""
    older(tmp_path / "older.db")
    made = backed_up(tmp_path / "older.db", tmp_path / "b.db")
    assert (made.schema, made.epoch, made.entries) == (1, 7, 1)
    assert restored(tmp_path / "b.db", database).content == made
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    storage = SqliteStorage.open(database)
    assert asyncio.run(everything(storage)) == {"first/1": b"\x01"}
    asyncio.run(storage.close())


def test_root_acts_as_the_user_of_the_server(
    database: Path, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whose directory a link may lead anywhere."""
    now = {"user": 0, "group": 0}
    was: set[tuple[str, int, int]] = set()

    def told(what: str, _hundredths: int) -> None:
        was.add((what, now["user"], now["group"]))

    monkeypatch.setattr(os, "geteuid", lambda: now["user"])
    monkeypatch.setattr(os, "getegid", lambda: now["group"])
    monkeypatch.setattr(os, "seteuid", lambda user: now.update(user=user))
    monkeypatch.setattr(os, "setegid", lambda group: now.update(group=group))
    monkeypatch.setattr(os, "setgroups", lambda _: None)
    monkeypatch.setattr(unfinished, "owner_of", {database: (17, 18), tmp_path / "b.db": (27, 28)}.__getitem__)
    monkeypatch.setattr(os, "fstat", lambda handle: owned_by(now["user"], os.stat(handle)))
    read = resources.files

    def as_root(package: str) -> Traversable:
        assert now["user"] == 0, "the program may be in a place that the user may not read"
        return read(package)

    monkeypatch.setattr(resources, "files", as_root)
    restore(backup, database, keep=True, progress=told)
    assert was == {("verifying", 0, 0), ("keeping what was there", 17, 18), ("restoring", 17, 18)}
    was.clear()
    back_up(database, tmp_path / "b.db", force=False, progress=told)
    assert was == {("copying", 27, 28), ("verifying", 27, 28)}
    assert now == {"user": 0, "group": 0}
    monkeypatch.setattr(os, "access", lambda *_, **__: now["user"] == 0)
    assert "root acts for the owner of the directory" in not_restored(backup, database)


def test_whose_a_directory_is_or_a_file_in_one_of_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "way").symlink_to("/etc/passwd")
    lstat, folder = os.lstat, os.stat(tmp_path)
    for owner, expected in ((27, 27), (0, 17)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", lambda _file, owner=owner: owned_by(owner, folder))
            patch.setattr(os, "lstat", lambda file: owned_by(17, lstat(file)))
            assert unfinished.owner_of(tmp_path / "way")[0] == expected, "not whose it leads to"
            assert unfinished.owner_of(tmp_path / "none")[0] == owner


def test_whoever_waits_long_enough_opens_what_was_restored(database: Path, backup: Path) -> None:
    found: list[set[str]] = []
    others: list[threading.Thread] = []

    def during(what: str, hundredths: int) -> None:
        if what == "restoring" and not others:
            others.append(threading.Thread(target=lambda: found.append(words(database))))
            others[0].start()

    restore(backup, database, keep=True, progress=during)
    others[0].join()
    assert found == [{"new"}]


def test_a_server_that_had_just_looked_at_the_file_goes_on_with_what_was_restored(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_at(file: Path, *, patience: float) -> None:
        prepare(file, patience=patience)
        restored(backup, file)

    monkeypatch.setattr(sqlite, "prepare", looked_at)
    has_journal = Path(f"{database}-wal").exists

    async def story() -> None:
        storage = SqliteStorage.open(database)
        assert await storage.reader().get("new/1") is not None
        assert await storage.reader().get("old/1") is None
        assert has_journal(), "readers and writers do not wait for each other"
        await fill(storage, "later")
        with pytest.raises(StorageFailure, match="has it open"):
            restored(backup, database)
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize("call", ["fsync", "link", "replace", "open"])
def test_a_disk_that_refuses_leaves_what_was_there(
    database: Path, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        told = not_backed_up(
            database, backup if call == "replace" else tmp_path / "b.db", force=call == "replace"
        )
    assert "Input/output error" in told
    assert not (tmp_path / "b.db").exists()
    database.write_bytes(b"nonsense" * 100)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        assert "Input/output error" in not_restored(backup, database)
    restored(backup, database)
    assert words(database) == {"new"}


def test_a_file_that_may_not_be_read_is_told(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(StorageFailure, match="it cannot be read: Permission denied"):
            restored(backup, database)
    assert words(database) == {"old"}


def test_whoever_interrupts_it_is_obeyed(database: Path, backup: Path, tmp_path: Path) -> None:
    def interrupt(what: str, hundredths: int) -> None:
        raise KeyboardInterrupt

    before = database.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        back_up(database, tmp_path / "b.db", force=False, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        restore(backup, database, keep=True, progress=interrupt)
    assert database.read_bytes() == before
    assert not list(tmp_path.glob("*.partial*"))
    assert not (tmp_path / "b.db").exists()


@pytest.mark.parametrize("what", ["kill", "full"])
def test_cut_off_at_any_moment_the_old_or_the_new_is_there(tmp_path: Path, what: str) -> None:
    command = [sys.executable, "-m", "tests.storage.copies", what, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    moments = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert len(moments) == 5
    assert min(moments) >= 5
    if what == "kill":
        undone = [int(line.split()[1]) for line in done.stdout.splitlines()]
        assert undone[2] > 5, "SQLite had something to undo after many of them"
