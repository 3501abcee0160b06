# SPDX-License-Identifier: EUPL-1.2
"""A power cut: what was acknowledged is on the disk, whatever the disk forgot of what nobody had flushed."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.child import WRITERS, content
from tests.storage.disk import Disk, compiled, variables
from tests.storage.stores import everything
from vault.storage.copies.restore import restore
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.storage import SqliteStorage

ROOT = Path(__file__).parents[2]
_MEMORY = ("-shm", "-turn")
"""Files that hold nothing: SQLite's index of the journal, which is memory, and a lock."""


def recorded(folder: Path, verb: str, *more: str) -> Disk:
    """Let a process do something to `vault.db`, and return what it did to the disk."""
    disk, log = folder / "disk", folder / "log"
    disk.mkdir()
    command = [sys.executable, "-m", "tests.storage.child", verb, str(disk / "vault.db"), *more]
    environment = {**os.environ, **variables(compiled(folder), disk, log)}
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return Disk(disk, log)


def moment(disk: Disk, chance: random.Random) -> int:
    """Return a moment: any one at all, or the very next behind a promise."""
    if chance.random() < 0.5:
        return chance.randrange(disk.length + 1)
    return chance.choice(disk.promises)[0] + 1


def put(image: Mapping[str, bytes], folder: Path) -> None:
    """Make the files that a disk has behind a power cut."""
    folder.mkdir()
    for name, data in image.items():
        if name.endswith("/"):
            (folder / name).mkdir(0o700)
        elif not name.endswith(_MEMORY):
            (folder / name).touch(0o600)
            (folder / name).write_bytes(data)


async def lost(disk: Disk, file: Path, moment: int) -> list[str]:
    """Open what is left of a power cut at this moment, and return what is wrong with it."""
    storage = SqliteStorage.open(file)
    try:
        found = await everything(storage)
        reader = storage.reader()
        await reader.get("")
    finally:
        await storage.close()
    with closing(sqlite3.connect(file)) as database:
        wrong = [row for (row,) in database.execute("PRAGMA integrity_check") if row != "ok"]
        revoked = {key for (key,) in database.execute("SELECT key FROM change")}
    names = {path.partition("/")[0] for path in found}
    for name in names:
        right = found.get(f"{name}/right")
        if found.get(f"{name}/left") != right or not (name.startswith("last") or right == content(name)):
            wrong.append(f"{name} is torn")
    for _, line in disk.promises[: bisect_left(disk.promises, (moment, ""))]:
        writer, number, epoch = line.split()[1:]
        name = f"{writer}-{number}"
        if name not in names or int(found.get(f"last-{writer}/left") or b"-1") < int(number):
            wrong.append(f"{name} is lost")
        if int(number) % 5 == 0 and name not in revoked:
            wrong.append(f"the end of {name} is lost")
        if int(epoch) > reader.epoch:
            wrong.append(f"epoch {epoch} is lost")
    return wrong


def what_is_lost(disk: Disk, folder: Path, at: int) -> list[str]:
    """Return what is wrong with a database behind a power cut at this moment."""
    return asyncio.run(lost(disk, folder / "vault.db", at))


def cut(
    disk: Disk, folder: Path, images: int, look: Callable[[Disk, Path, int], list[str]] = what_is_lost
) -> Iterator[tuple[int, list[str]]]:
    """Cut the power so often; yield each image in which something is wrong, and what, as `look` finds it."""
    for seed in range(images):
        chance = random.Random(seed)
        at = moment(disk, chance)
        image = folder / f"image-{seed}"
        put(disk.image(at, chance), image)
        try:
            wrong = look(disk, image, at)
        except (StorageFailure, sqlite3.Error) as error:
            wrong = [str(error)]
        shutil.rmtree(image)
        if wrong:
            yield seed, wrong[:5]


def test_thirty_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    disk = recorded(tmp_path, "rounds", "2")
    assert len(disk.promises) == 2 * 20 * WRITERS
    assert list(cut(disk, tmp_path, 30)) == []


def test_the_recorded_process_did_all_that_a_server_does_to_a_disk(tmp_path: Path) -> None:
    disk = recorded(tmp_path, "rounds", "2")
    assert set(disk.names) == {"vault.db" + end for end in ("", "-journal", "-wal", *_MEMORY)}
    journal = [number for _, number in disk.names["vault.db-wal"]]
    assert len(journal) >= 4 and journal.count(0) >= 2  # made and removed by each round
    written = [change.at for change in disk.written("vault.db")]
    promises = [at for at, _ in disk.promises]
    assert any(promises[0] < at < promises[-1] for at in written)  # checkpoints between the transactions


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_process_that_does_not_wait_for_the_disk_is_found_out(tmp_path: Path, synchronous: str) -> None:
    disk = recorded(tmp_path, "rounds", "1", f"PRAGMA synchronous={synchronous}")
    assert any(cut(disk, tmp_path, 30))


async def states(file: Path) -> set[str]:
    """Open what is left of a database, and return which states it is in."""
    storage = SqliteStorage.open(file)
    try:
        found = await everything(storage)
    finally:
        await storage.close()
    values = [(found.get(f"entry/{number}") or b"none").decode() for number in range(100)]
    return {one if one == "none" else one[:3] for one in values}


def wrong_copies(disk: Disk, folder: Path, at: int) -> list[str]:
    """Return what is wrong with a database and its copies behind a power cut at this moment."""
    said = [line for when, line in disk.promises if when < at]
    wrong = []
    copies = [file for file in folder.glob("*.db*") if file.name == "b.db" or ".before-" in file.name]
    for file in copies:  # what has its name is whole
        (folder / "other").mkdir(exist_ok=True)
        restore(file, folder / "other" / "vault.db", keep=False, progress=lambda _what, _done: None)
    if "backed up" in said and folder / "b.db" not in copies:
        wrong.append("the backup is lost")
    found = asyncio.run(states(folder / "vault.db"))
    last = said[-1] if said else ""
    allowed = {
        "": ({"none"}, {"old"}),
        "old": ({"old"},),
        "backed up": ({"old"}, {"new"}),
        "new": ({"new"},),
        "restoring": ({"new"}, {"old"}),
        "restored": ({"old"},),
    }
    if found not in allowed[last]:
        wrong.append(f"{found} behind {last}")
    return wrong


def test_power_cuts_in_a_backup_and_a_restore_leave_one_state_whole(tmp_path: Path) -> None:
    disk = recorded(tmp_path, "copies")
    assert [line for _, line in disk.promises] == ["old", "backed up", "new", "restoring", "restored"]
    assert list(cut(disk, tmp_path, 40, wrong_copies)) == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_thousand_power_cuts_in_a_backup_and_a_restore_leave_one_state_whole(tmp_path: Path) -> None:
    assert list(cut(recorded(tmp_path, "copies"), tmp_path, 1000, wrong_copies)) == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_thousand_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    disk = recorded(tmp_path, "rounds", "10")
    assert list(cut(disk, tmp_path, 1000)) == []
