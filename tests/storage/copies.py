# SPDX-License-Identifier: EUPL-1.2
"""Backups and restores that are cut off, in processes of their own: `python -m tests.storage.copies WHAT FOLDER`.

`kill` ends each of them as `kill -9` does at every moment that is told apart: each call of Python's that touches a file or
the database (audit events), and each step of progress. `full` lets no file grow beyond a size. After each the old state or
the new one is there, and doing it again succeeds. Printed are the numbers of moments, and of those after which SQLite had
something to undo.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from tests.storage.child import say
from tests.storage.stores import everything
from vault.storage.copies import snapshot
from vault.storage.copies.backup import back_up
from vault.storage.copies.restore import restore
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.database import newest_schema
from vault.storage.sqlite.storage import SqliteStorage

ENTRIES = 300
TIMES = 3_000
"""How often a value says its word: all are more than SQLite holds in memory, so it writes before it commits."""
_WATCHED = ("open", "os.", "sqlite3.", "fcntl.")
_MOST = 2_000
"""Moments after which something is wrong with the counting."""


async def _write(file: Path, word: str) -> None:
    storage = SqliteStorage.open(file)
    async with storage.write() as tx:
        for number in range(ENTRIES):
            await tx.put(f"{word}/{number}", word.encode() * TIMES)
        await tx.invalidate("token", word)
    await storage.close()


def make(file: Path, word: str) -> None:
    """Make a database with entries that hold `word`."""
    asyncio.run(_write(file, word))


async def _read(file: Path) -> dict[str, bytes | None]:
    storage = SqliteStorage.open(file)
    try:
        return await everything(storage)
    finally:
        await storage.close()


def owned_by(user: int, found: os.stat_result) -> os.stat_result:
    """Return what is found of a file as if it were a user's."""
    told = list(found)
    told[stat.ST_UID] = user
    return os.stat_result(told)


def words(file: Path) -> set[str]:
    """Open a database as a server does, and return whose entries are in it; all of them, or it fails."""
    found = asyncio.run(_read(file))
    assert all(value == path.partition("/")[0].encode() * TIMES for path, value in found.items())
    whose = {path.partition("/")[0] for path in found}
    assert len(found) == ENTRIES * len(whose)
    return whose


def silent(_what: str, _hundredths: int) -> None:
    """Take the progress, and tell nobody."""


def _in_child(work: Callable[[], None]) -> int:
    """Run it in a child; return how that ended: 0, 1 for a `StorageFailure`, or -9."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            work()
            code = 0
        except StorageFailure:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _cut_at(moment: int, work: Callable[[snapshot.Progress], None]) -> Callable[[], None]:
    left = moment

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, _arguments: object) -> None:
        if event.startswith(_WATCHED):
            count()

    def run() -> None:
        sys.addaudithook(hook)
        work(count)

    return run


def _limited(size: int, work: Callable[[snapshot.Progress], None]) -> Callable[[], None]:
    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        work(silent)

    return run


class Stage:
    """A database with `old` in it, or what is said, and a backup that holds `new`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.database = folder / "vault.db"
        self.backup = folder / "backup.db"
        if kind != "none":
            make(self.database, "old")
        if kind == "damaged":
            with self.database.open("r+b") as head:
                head.write(b"nonsense" * 20)
        make(folder / "other.db", "new")
        back_up(folder / "other.db", self.backup, force=False, progress=silent)
        for file in folder.glob("other.db*"):
            file.unlink()
        self._begin = {file.name: file.read_bytes() for file in folder.iterdir()}

    def reset(self) -> None:
        """Make everything as it was."""
        for file in self.folder.iterdir():
            file.unlink()
        for name, content in self._begin.items():
            handle = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
            with open(handle, "wb") as made:
                made.write(content)

    def back_up(self, progress: snapshot.Progress) -> None:
        back_up(self.database, self.folder / "made.db", force=False, progress=progress)

    def replace(self, progress: snapshot.Progress) -> None:
        back_up(self.database, self.backup, force=True, progress=progress)

    def restore(self, progress: snapshot.Progress) -> None:
        restore(self.backup, self.database, keep=True, progress=progress)

    def check_backup(self, code: int) -> None:
        assert words(self.database) == {"old"}
        made = self.folder / "made.db"
        assert made.exists() or code != 0
        if made.exists():
            self._whole(made, "old")
        else:
            self.back_up(silent)
        if code == 1:
            assert not list(self.folder.glob("*.partial*"))

    def check_replaced(self, code: int) -> None:
        self._whole(self.backup, "old" if code == 0 else "")
        self.replace(silent)
        self._whole(self.backup, "old")

    def check_restored(self, code: int, kind: str) -> None:
        if code == 0 or kind != "damaged" or self._opens():
            found = words(self.database)
            assert found == {"new"} or (code != 0 and found == ({"old"} if kind == "there" else set()))
        if kind == "there" and code == 0:
            (kept,) = self.folder.glob("vault.db.replaced-1")
            self._whole(kept, "old")
        if code == 1:
            assert not list(self.folder.glob("*.partial*"))
        self.restore(silent)
        assert words(self.database) == {"new"}

    def _opens(self) -> bool:
        return self.database.read_bytes()[:8] != b"nonsense"

    def _whole(self, file: Path, word: str) -> None:
        with snapshot.opened_backup(file) as connection:
            assert snapshot.examine(file, connection, newest_schema(), silent).entries == ENTRIES
            (one,) = connection.execute("SELECT path FROM entry LIMIT 1").fetchone()
            assert one.startswith(word)
        assert file.stat().st_mode & 0o777 == 0o600


def _errands(folder: Path) -> list[tuple[Stage, Callable[[snapshot.Progress], None], Callable[[int], None]]]:
    stages = {}
    for kind in ("there", "none", "damaged"):
        (folder / kind).mkdir()
        stages[kind] = Stage(folder / kind, kind)
    there = stages["there"]

    def checked(kind: str) -> Callable[[int], None]:
        return lambda code: stages[kind].check_restored(code, kind)

    return [
        (there, there.back_up, there.check_backup),
        (there, there.replace, there.check_replaced),
        *((stage, stage.restore, checked(kind)) for kind, stage in stages.items()),
    ]


def kill(folder: Path) -> None:
    """Cut every errand off at every moment."""
    snapshot.PAGES = 120  # type: ignore[misc]  # more moments
    for stage, errand, check in _errands(folder):
        undone = 0
        for moment in range(1, _MOST):
            stage.reset()
            code = _in_child(_cut_at(moment, errand))
            assert code in (0, -signal.SIGKILL), code
            undone += Path(f"{stage.database}-journal").exists()
            check(code)
            if code == 0:
                say(f"{moment - 1} {undone}")
                break
        else:
            raise AssertionError("it never ended")


def full(folder: Path) -> None:
    """Let the disk be full at many sizes of the largest file, up to what is enough."""
    for stage, errand, check in _errands(folder):
        refusals = 0
        for size in range(0, 8 << 20, 256 << 10):
            stage.reset()
            code = _in_child(_limited(size, errand))
            assert code in (0, 1), code
            check(code)
            if code == 0:
                break
            refusals += 1
        else:
            raise AssertionError("it was never enough")
        say(str(refusals))


if __name__ == "__main__":
    {"kill": kill, "full": full}[sys.argv[1]](Path(sys.argv[2]))
