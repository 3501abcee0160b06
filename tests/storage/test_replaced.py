# SPDX-License-Identifier: EUPL-1.2
"""What somebody puts in the place of the files, or of their content, while a storage has them open."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from tests.storage.stores import everything, fill
from vault.storage.protocol import StorageFailure, StorageLost
from vault.storage.sqlite.database import APPLICATION_ID
from vault.storage.sqlite.storage import SqliteStorage


def first_schema(file: Path, mark: int = APPLICATION_ID) -> None:
    """Make a database as the first releases did, with an entry."""
    sql = (resources.files("vault.storage.sqlite") / "migrations/0001.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(sql)
        connection.execute("INSERT INTO entry VALUES ('old', x'31')")
        connection.execute(f"PRAGMA application_id={mark}")
        connection.execute("PRAGMA user_version=1")
        connection.commit()
    file.chmod(0o600)


def restore(source: Path, target: Path) -> None:
    """Do as `sqlite3 TARGET ".restore SOURCE"`."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@pytest.mark.parametrize("first", ["check", "read", "list", "write"])
@pytest.mark.parametrize("content", ["empty", "older", "foreign"])
def test_a_content_that_cannot_be_followed_ends_everything_and_is_named(
    tmp_path: Path, content: str, first: str
) -> None:
    source = tmp_path / "backup.db"
    if content == "empty":
        source.touch()
    else:
        first_schema(source, APPLICATION_ID if content == "older" else 7)

    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db")
        await fill(storage, "a")
        await storage.check()
        restore(source, tmp_path / "s.db")
        said = {"older": "schema 1, this", "empty": "an empty one", "foreign": "another program's"}[content]
        noticed: dict[str, Callable[[], Awaitable[object]]] = {
            "check": storage.check,
            "read": lambda: storage.reader().get("a"),
            "list": lambda: storage.reader().list(""),
            "write": lambda: fill(storage, "b"),
        }
        for notice in (noticed.pop(first), *noticed.values()):
            with pytest.raises(
                StorageLost, match=f"content was replaced by one that this server cannot follow .{said}"
            ):
                await notice()
        await storage.close()

    asyncio.run(story())
    if content == "older":

        async def anew() -> None:
            storage = SqliteStorage.open(tmp_path / "s.db")
            assert await everything(storage) == {"old": b"1"}
            await storage.close()

        asyncio.run(anew())


def test_two_databases_of_an_older_release_are_never_taken_for_each_other(tmp_path: Path) -> None:
    for name in ("one.db", "other.db"):
        first_schema(tmp_path / name)

    async def story() -> None:
        one = SqliteStorage.open(tmp_path / "one.db")
        assert await one.reader().get("old") == b"1"
        other = SqliteStorage.open(tmp_path / "other.db")
        await other.close()
        with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
            connection.execute("UPDATE entry SET value = x'32'")  # it was so before it was brought up to date
        restore(tmp_path / "other.db", tmp_path / "one.db")
        await asyncio.sleep(0)
        assert await one.reader().get("old") == b"2"
        await one.close()

    asyncio.run(story())


def test_a_database_may_be_named_by_a_symbolic_link_that_must_stay(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link, file = tmp_path / "s.db", tmp_path / "disk" / "v.db"
    link.symlink_to(file)

    async def story() -> None:
        made = SqliteStorage.open(file)
        await made.close()
        storage = SqliteStorage.open(link)
        await fill(storage, "a")
        await storage.check()
        shutil.copy(file, tmp_path / "copy.db")
        link.unlink()
        link.symlink_to(tmp_path / "copy.db")
        with pytest.raises(StorageFailure, match="was exchanged for another one"):
            await fill(storage, "b")
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize("busy", [False, True])
def test_a_removed_journal_is_saved_whoever_noticed_first(tmp_path: Path, busy: bool) -> None:
    file = tmp_path / "s.db"

    async def story() -> None:
        storage = SqliteStorage.open(file)
        await fill(storage, "a")
        os.unlink(f"{file}-wal")
        if busy:
            writing = storage.write()
            await (await writing.__aenter__()).get("a")
            with pytest.raises(StorageFailure):
                await storage.check()
            with pytest.raises(StorageFailure):
                await writing.__aexit__(None, None, None)
        else:
            with pytest.raises(StorageFailure):
                await fill(storage, "b")
        with pytest.raises(StorageFailure):
            await storage.check()
        shutil.copy(file, tmp_path / "killed.db")
        with closing(sqlite3.connect(tmp_path / "killed.db")) as connection:
            assert connection.execute("SELECT path FROM entry").fetchall() == [("a",)]
        await storage.close()

    asyncio.run(story())
