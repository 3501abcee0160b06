# SPDX-License-Identifier: EUPL-1.2
"""An encrypted backup or its restore, ended as by `kill -9`: `python -m tests.storage.cut_snapshots ERRAND` with `CUTS` on standard input.

Moments are the calls that touch a file, the database or a connection (audit events), and each step of progress. Each is tried in
a child of its own, which is forked before anything is open.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.storage.child import say
from tests.storage.copies import silent, words
from vault.server.config.settings import StorageSettings
from vault.server.offline.backups import bring_back, save, verify
from vault.storage.copies.snapshot import Progress

_PLAIN = b"new/"
"""What stands in a backup that is not encrypted: the names of paths."""
_WATCHED = ("open", "os.", "sqlite3.", "fcntl.", "socket.")


class Cuts(msgspec.Struct, frozen=True):
    """What is cut, and how often; `count` 0 is at every moment."""

    storage: StorageSettings
    backup: str
    recipient: str
    identity: str
    count: int


def _save(cuts: Cuts, progress: Progress) -> None:
    save(
        cuts.storage,
        cuts.backup,
        recipients=[cuts.recipient],
        recipients_file="",
        force=False,
        progress=progress,
    )


def _restore(cuts: Cuts, progress: Progress) -> None:
    bring_back(
        cuts.backup, cuts.storage, identity=cuts.identity, keep=False, dry_run=False, progress=progress
    )


def _ended(moment: int, work: Callable[[Progress], None]) -> tuple[int, int]:
    """Run it in a child that is killed at a moment; return how that ended, and how many moments there were."""
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0

        def count(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(lambda event, _: count() if event.startswith(_WATCHED) else None)
        work(count)
        os.write(far, str(seen).encode())
        os._exit(0)
    os.close(far)
    with open(near, "rb") as told:
        seen = int(told.read() or b"0")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen


def _moments(cuts: Cuts, work: Callable[[Progress], None], undo: Callable[[], None]) -> list[int]:
    """Return the moments at which it is cut off."""
    code, last = _ended(0, work)
    assert code == 0
    undo()
    every = range(1, last)
    return sorted(random.Random(21).sample(every, min(cuts.count or last, len(every))))


def saves(cuts: Cuts) -> None:
    """Cut a backup off: there is a whole one, or none."""
    backup = Path(cuts.backup)
    folder = backup.parent
    before = {file.name for file in folder.iterdir()}

    def undo() -> None:
        for file in folder.iterdir():
            if file.name not in before:
                file.unlink()

    moments = _moments(cuts, lambda progress: _save(cuts, progress), undo)
    whole = 0
    for moment in moments:
        code, _ = _ended(moment, lambda progress: _save(cuts, progress))
        assert code in (0, -signal.SIGKILL)
        for file in folder.iterdir():
            assert file.name in before or _PLAIN not in file.read_bytes(), f"{file.name} is not encrypted"
        if backup.exists():
            verify(cuts.backup, identity=cuts.identity, progress=silent)
            whole += 1
            backup.unlink()
        assert _ended(0, lambda progress: _save(cuts, progress))[0] == 0
        assert {file.name for file in folder.iterdir()} - before == {backup.name}, sorted(
            file.name for file in folder.iterdir()
        )
        undo()
    say(f"{len(moments)} {whole}")


def restores(cuts: Cuts) -> None:
    """Cut a restore into a file off: what was there is, or what is restored."""
    database = Path(cuts.storage.path)
    begin = {file: file.read_bytes() for file in database.parent.glob(f"{database.name}*")}

    def undo() -> None:
        for file in database.parent.glob(f"{database.name}*"):
            file.unlink()
        for file, content in begin.items():
            file.write_bytes(content)
            file.chmod(0o600)

    moments = _moments(cuts, lambda progress: _restore(cuts, progress), undo)
    new = 0
    for moment in moments:
        code, _ = _ended(moment, lambda progress: _restore(cuts, progress))
        assert code in (0, -signal.SIGKILL)
        found = words(database)
        assert found in ({"old"}, {"new"}), found
        new += found == {"new"}
        _restore(cuts, silent)
        assert words(database) == {"new"}
        undo()
    say(f"{len(moments)} {new}")


def once(cuts: Cuts) -> None:
    """Restore, and end at a moment that stands in the place of the number of cuts; say how many there were, if it lived."""
    code, seen = _ended(cuts.count, lambda progress: _restore(cuts, progress))
    assert code in (0, -signal.SIGKILL)
    say(str(seen))


if __name__ == "__main__":
    errand = {"saves": saves, "restores": restores, "once": once}[sys.argv[1]]
    errand(msgspec.json.decode(sys.stdin.buffer.read(), type=Cuts))
