# SPDX-License-Identifier: EUPL-1.2
"""A schema changes while nobody else has the file open: a server of an older release would go on with what it knows."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite import database
from vault.storage.sqlite.database import APPLICATION_ID, _migrations, newest_schema
from vault.storage.sqlite.storage import SqliteStorage

_OPEN = """
import asyncio, sys
from pathlib import Path
from vault.storage.sqlite.storage import SqliteStorage

async def story():
    storage = SqliteStorage.open(Path(sys.argv[1]), patience=10.0)
    assert await storage.reader().get("a") == b"1"
    await storage.close()

sys.stdin.read(1)
asyncio.run(story())
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A database of the first schema, with an entry."""
    file = tmp_path / "vault.db"
    file.touch(mode=0o600)
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(_migrations()[0][1])
        database.execute("INSERT INTO entry VALUES ('a', x'31')")
        database.execute(f"PRAGMA application_id={APPLICATION_ID}")
        database.execute("PRAGMA user_version=1")
    return file


def _schema(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        (found,) = database.execute("PRAGMA user_version").fetchone()
    return int(found)


def test_a_schema_stays_as_it_is_while_somebody_has_the_file_open(older: Path) -> None:
    async def story() -> None:
        with closing(sqlite3.connect(older)) as somebody:
            assert somebody.execute("SELECT n FROM epoch").fetchall() == [(0,)]
            with pytest.raises(
                StorageFailure, match=r"has it open, and its schema is to change from 1 to \d+;"
            ):
                SqliteStorage.open(older, patience=0.1)
            assert _schema(older) == 1
            assert somebody.execute("SELECT n FROM epoch").fetchall() == [(0,)]
        storage = SqliteStorage.open(older, patience=0.1)
        assert await storage.reader().get("a") == b"1"
        another = SqliteStorage.open(older, patience=0.1)  # the newest schema is anybody's
        assert await another.reader().get("a") == b"1"
        await storage.close()
        await another.close()

    asyncio.run(story())
    assert _schema(older) == newest_schema()


@pytest.mark.parametrize("changed", [False, True])
def test_who_is_kept_out_by_one_that_starts_as_well_tries_again(
    changed: bool, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two may have what the other waits for; and the other may have changed the schema, and go on."""
    made = database.Connection
    tries: list[SqliteStorage | None] = []

    def connect(file: Path, *given: Any, alone: bool = False, **more: Any) -> database.Connection:
        if alone and not tries:
            tries.append(None)
            if changed:
                tries.append(SqliteStorage.open(older, patience=10.0))
            busy = sqlite3.OperationalError("locked")
            busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise database.failure(file, busy) from busy
        return made(file, *given, alone=alone, **more)

    async def story() -> None:
        storage = SqliteStorage.open(older, patience=10.0)
        assert await storage.reader().get("a") == b"1"
        await storage.close()
        for other in tries:
            if other is not None:
                await other.close()

    monkeypatch.setattr(database, "Connection", connect)
    asyncio.run(story())
    assert _schema(older) == newest_schema()


def test_servers_that_start_together_change_it_once(older: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, older], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for one in started:
        assert one.stdin is not None
        one.stdin.write(b"x")
        one.stdin.flush()
    told = [one.communicate()[1].decode() for one in started]
    assert [one.returncode for one in started] == [0] * len(started), told
    assert _schema(older) == newest_schema()
