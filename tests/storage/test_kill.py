# SPDX-License-Identifier: EUPL-1.2
"""`kill -9` under load: what was acknowledged is there, and no transaction is torn."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.child import WRITERS, content
from tests.storage.stores import everything
from vault.storage.memory import KEPT_CHANGES
from vault.storage.sqlite.storage import SqliteStorage

ROOT = Path(__file__).parents[2]


def killed(file: Path, tag: str, after: int) -> list[str]:
    """Start a writer, kill it once it has said `after` lines, and return all that it said."""
    command = [sys.executable, "-m", "tests.storage.child", "write", str(file), tag]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline().rstrip("\n") for _ in range(after)]
        child.kill()
        said += child.stdout.read().splitlines()
    assert child.returncode == -9
    assert said[0] == "ready"
    return said[1:]


async def check(file: Path, acknowledged: list[str]) -> None:
    """Check that all that was acknowledged is whole and that nothing is torn."""
    storage = SqliteStorage.open(file)
    found = await everything(storage)
    await storage.close()
    names = {path.partition("/")[0] for path in found}
    for name in names:
        assert found.get(f"{name}/left") == found.get(f"{name}/right") == content(name)
    assert {line.partition(" ")[2] for line in acknowledged} <= names
    revoked = {line.partition(" ")[2] for line in acknowledged if line.startswith("revoked")}
    with closing(sqlite3.connect(file)) as database:
        changes = {key for (key,) in database.execute("SELECT key FROM change")}
        if len(changes) < KEPT_CHANGES:
            assert revoked <= changes <= names
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def kill_rounds(folder: Path, rounds: int) -> None:
    """Kill and check so many times; the file is carried over from round to round, ten at a time."""
    chance = random.Random(rounds)
    acknowledged: list[str] = []
    for number in range(rounds):
        if number % 10 == 0:
            acknowledged = []
        file = folder / f"{number // 10}.db"
        said = killed(file, str(number), chance.choice([1, 2, WRITERS, chance.randrange(3, 1500)]))
        acknowledged += said
        asyncio.run(check(file, acknowledged))


def test_five_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    kill_rounds(tmp_path, 5)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    kill_rounds(tmp_path, 200)
