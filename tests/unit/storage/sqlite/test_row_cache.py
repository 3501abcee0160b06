# SPDX-License-Identifier: EUPL-1.2
"""Remembered rows: never older than what was committed, whoever committed and however that ended."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vault.storage.protocol import StorageFailure
from vault.storage.sqlite.journal_index import one_commit_between
from vault.storage.sqlite.row_cache import Point, Rows
from vault.storage.sqlite.storage import SqliteStorage

LOOK = ("list", "", 0)


class Database:
    """The stamp of the last commit, what changes with each, and rows that look and ask."""

    def __init__(self) -> None:
        self.stamp, self.asked, self.commits = 1, 0, 1
        self.rows = Rows(lambda: self.head, self._ask)

    @property
    def head(self) -> bytes:
        """The head of the journal's index: what is at its beginning does not matter here, but the number of commits."""
        return bytes(8) + self.commits.to_bytes(4, sys.byteorder) + bytes(36)

    def _ask(self) -> int:
        self.asked += 1
        return self.stamp

    def commit(self, stamp: int) -> None:
        """Let somebody commit."""
        self.stamp, self.commits = stamp, (self.commits + 1) & 0xFFFF_FFFF


@pytest.fixture
def database() -> Database:
    """Rows at stamp 1."""
    return Database()


async def put(storage: SqliteStorage, path: str, value: bytes) -> None:
    async with storage.write() as tx:
        await tx.put(path, value)


def test_a_row_is_read_once_until_any_process_commits(tmp_path: Path) -> None:
    async def story() -> None:
        asked: list[str] = []
        one, other = SqliteStorage.open(tmp_path / "s.db"), SqliteStorage.open(tmp_path / "s.db")
        await put(one, "a", b"1")
        one._reader.raw.set_trace_callback(lambda text: asked.append(text) if "entry" in text else None)
        assert [await one.reader().get("a") for _ in range(3)] == [b"1"] * 3
        assert len(asked) == 1
        await put(other, "b", b"2")
        assert [await one.reader().get("a") for _ in range(2)] == [b"1"] * 2
        assert len(asked) == 2
        await put(other, "a", b"3")
        assert await one.reader().get("a") == b"3"
        await one.close()
        await other.close()

    asyncio.run(story())


def test_the_epoch_of_a_remembered_row_is_the_one_that_it_was_read_at(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db")
        async with storage.write() as tx:
            await tx.put("a", b"1")
            await tx.invalidate("kind", "key")
        seen = set()
        for _ in range(2):
            reader = storage.reader()
            await reader.get("a")
            seen.add(reader.epoch)
        assert len(seen) == 1 and min(seen) > 0
        await storage.close()

    asyncio.run(story())


def test_the_database_is_asked_when_anything_was_committed(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"1")
    assert [rows.find("a") for _ in range(3)] == [(1, b"1")] * 3
    assert database.asked == 1
    database.commit(1)  # and it is the same state again
    assert rows.find("a") == (1, b"1") and database.asked == 2


def test_what_is_committed_while_the_database_is_asked_is_asked_about_again(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"1")
    ask = rows._ask

    def slowly() -> int:
        stamp = ask()
        database.commit(2)
        return stamp

    rows._ask = slowly
    rows.find("a")
    rows._ask = ask
    assert rows.find("a") is None and database.asked == 2


def test_whoever_commits_leaves_nothing_that_was_read_before(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"1")
    rows.keep_below("", LOOK, Point(1, 1), ["a"])
    database.commit(2)
    assert (rows.find("a"), rows.find_below("", LOOK)) == (None, None)
    rows.keep("a", Point(1, 2), b"2")
    assert rows.find("a") == (1, b"2")


def test_a_state_that_came_back_is_another_one_where_there_were_commits_since(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"backed up")
    database.commit(2)
    rows.keep("a", Point(1, 2), b"later")
    database.commit(1)  # the backup is put in place
    assert rows.find("a") is None
    rows.keep("a", Point(1, 1), b"backed up")
    assert rows.find("a") == (1, b"backed up")


def test_a_statement_that_sees_more_than_was_asked_for_tells(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"1")
    assert rows.find("a") == (1, b"1")
    database.commit(2)
    rows.keep("b", Point(2, 2), b"2")
    assert (rows.find("a"), rows.find("b")) == (None, (2, b"2"))


def test_few_and_short_rows_are_remembered(database: Database) -> None:
    rows, at = database.rows, Point(0, 1)
    rows.keep("long", at, bytes(5000))
    rows.keep("p" * 5000, at, None)
    assert (rows.find("long"), rows.find("p" * 5000)) == (None, None)
    for number in range(4097):
        rows.keep(str(number), at, None)
    assert rows.find("0") is None
    assert rows.find("4096") == (0, None)


def test_while_rows_are_being_committed_only_the_others_are_known(database: Database) -> None:
    rows = database.rows
    for path in ("mine", "other"):
        rows.keep(path, Point(1, 1), b"old")
    rows.expect({"mine": b"new"}, 1, 2, moves=False)
    assert (rows.find("mine"), rows.find("other")) == ((1, b"old"), (1, b"old"))
    database.commit(2)
    assert (rows.find("mine"), rows.find("other")) == (None, (1, b"old"))
    rows.keep("mine", Point(1, 2), b"new")
    assert rows.find("mine") is None
    rows.end(kept=True)
    assert (rows.find("mine"), rows.find("other")) == ((1, b"new"), (1, b"old"))


def test_once_it_is_there_what_makes_anything_untrue_is_waited_for_and_then_all_is_known_at_its_epoch(
    database: Database,
) -> None:
    rows = database.rows
    for path in ("mine", "other"):
        rows.keep(path, Point(1, 1), b"old")
    rows.keep_below("others/", LOOK, Point(1, 1), ["a"])
    rows.expect({"mine": b"new"}, 1, 2, moves=True)
    database.commit(2)
    assert (rows.find("mine"), rows.find("other"), rows.find_below("others/", LOOK)) == (None, None, None)
    rows.keep("more", Point(2, 2), b"old")
    rows.keep_below("", LOOK, Point(2, 2), ["mine"])
    rows.end(kept=True, epoch=2)
    assert (rows.find("mine"), rows.find("other")) == ((2, b"new"), (2, b"old"))
    assert rows.find_below("others/", LOOK) == (2, ("a",))
    assert (rows.find("more"), rows.find_below("", LOOK)) == (None, None)


@pytest.mark.parametrize("stamp", [1, 2])
def test_while_rows_are_being_committed_what_they_do_not_change_can_be_learnt(
    database: Database, stamp: int
) -> None:
    rows = database.rows
    for prefix in ("mine/", "other/"):
        rows.keep_below(prefix, LOOK, Point(1, 1), ["old"])
    rows.expect({"mine/new": b"new"}, 1, 2, moves=False)
    database.commit(stamp)
    assert (rows.find_below("mine/", LOOK), rows.find_below("other/", LOOK)) == (None, (1, ("old",)))
    rows.keep("row", Point(1, stamp), None)
    assert rows.find("row") == (1, None)
    rows.keep_below("row/", LOOK, Point(1, stamp), [])
    assert rows.find_below("row/", LOOK) == (1, ())
    for prefix in ("", "mine/"):
        rows.keep_below(prefix, LOOK, Point(1, stamp), ["old"])
        assert rows.find_below(prefix, LOOK) is None
    database.commit(2)
    rows.end(kept=True)
    assert (rows.find_below("mine/", LOOK), rows.find_below("other/", LOOK)) == (None, (1, ("old",)))
    assert rows.find("row") == (1, None)


@pytest.mark.parametrize("read", [False, True])
def test_a_commit_that_another_one_followed_leaves_nothing_known(database: Database, *, read: bool) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"old")
    rows.keep_below("", LOOK, Point(1, 1), ["a"])
    rows.expect({"b": b"new"}, 1, 2, moves=False)
    database.commit(2)
    database.commit(3)
    if read:
        rows.keep("c", Point(1, 3), b"theirs")
    rows.end(kept=True)
    assert (rows.find("a"), rows.find_below("", LOOK)) == (None, None)
    assert rows.find("c") == ((1, b"theirs") if read else None)


@pytest.mark.parametrize("commits", [1, 0xFFFF_FFFF])
def test_our_own_commit_alone_is_not_asked_about(database: Database, commits: int) -> None:
    rows, database.commits = database.rows, commits
    rows.keep("a", Point(1, 1), b"old")
    assert rows.stamp() == 1
    rows.expect({"a": b"new"}, 1, 2, moves=False)
    asked = database.asked
    database.commit(2)
    rows.committed()
    assert (rows.find("a"), rows.stamp()) == (None, 2)
    rows.end(kept=True)
    assert (rows.find("a"), rows.stamp()) == ((1, b"new"), 2)
    assert database.asked == asked
    database.commit(3)
    assert rows.find("a") is None
    assert database.asked == asked + 1


def test_a_commit_that_may_be_another_ones_is_asked_about(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"old")
    assert rows.stamp() == 1
    rows.expect({"b": b"new"}, 1, 2, moves=False)
    database.commit(3)  # ours was rolled back, and another process came before anybody here knew
    asked = database.asked
    assert rows.find("a") is None
    assert database.asked == asked + 1
    rows.end(kept=False)
    assert rows.find("a") is None


@pytest.mark.parametrize("seen", [False, True])
def test_another_commit_between_ours_and_the_word_of_it_is_asked_about(
    database: Database, *, seen: bool
) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"old")
    rows.expect({"b": b"new"}, 1, 2, moves=False)
    database.commit(2)
    if seen:
        assert rows.stamp() == 2
    database.commit(3)
    rows.committed()
    assert rows.find("a") is None
    rows.end(kept=True)
    assert (rows.find("a"), rows.stamp()) == (None, 3)


def test_where_no_other_server_can_commit_the_next_commit_is_ours_before_anybody_says_so(
    database: Database,
) -> None:
    rows = database.rows
    for path in ("mine", "other"):
        rows.keep(path, Point(1, 1), b"old")
    assert rows.stamp() == 1
    asked = database.asked
    rows.expect({"mine": b"new"}, 1, 2, moves=False)
    rows.expect_no_other()
    database.commit(2)
    assert (rows.find("mine"), rows.find("other"), rows.stamp()) == (None, (1, b"old"), 2)
    rows.committed()
    rows.end(kept=True)
    assert (rows.find("mine"), rows.find("other"), database.asked) == ((1, b"new"), (1, b"old"), asked)
    rows.expect({"mine": b"newer"}, 2, 3, moves=False)
    database.commit(9)  # it has to be said for each commit
    assert rows.find("other") is None and database.asked == asked + 1


def test_what_came_behind_a_commit_that_had_no_other_beside_it_is_asked_about(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"old")
    rows.expect({"b": b"new"}, 1, 2, moves=False)
    rows.expect_no_other()
    database.commit(2)
    database.commit(3)
    assert rows.find("a") is None


def test_a_commit_that_failed_and_was_taken_for_ours_is_asked_about_once_that_is_known(
    database: Database,
) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"old")
    rows.expect({"b": b"new"}, 1, 2, moves=False)
    rows.expect_no_other()
    database.commit(3)  # of somebody who is no server, as our disk failed
    rows.find("a")
    rows.end(kept=False)
    assert (rows.find("a"), rows.stamp()) == (None, 3)
    rows.keep("a", Point(2, 3), b"theirs")
    assert rows.find("a") == (2, b"theirs")


def _restored(file: Path, source: Path) -> None:
    with closing(sqlite3.connect(source)) as backup, closing(sqlite3.connect(file)) as there:
        backup.backup(there)


def _written(file: Path, source: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as there:
        there.execute("UPDATE head SET stamp = stamp + 1")


def _compacted(file: Path, source: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as there:
        there.execute("VACUUM")


@pytest.mark.parametrize("change", [_restored, _written, _compacted])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_what_anybody_commits_behind_ours_is_counted(
    tmp_path: Path, change: Callable[[Path, Path], None], *, checkpointed: bool
) -> None:
    async def story() -> None:
        file, copy = tmp_path / "s.db", tmp_path / "copy.db"
        storage = SqliteStorage.open(file)
        await put(storage, "a", b"1")
        with closing(sqlite3.connect(file)) as there, closing(sqlite3.connect(copy)) as backup:
            there.backup(backup)
        before = storage._index.head()
        await put(storage, "a", b"2")
        ours = storage._index.head()
        assert one_commit_between(before, ours)
        if checkpointed:
            with closing(sqlite3.connect(file)) as there:
                there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert one_commit_between(before, storage._index.head())  # which changes nothing
        change(file, copy)
        assert not one_commit_between(before, storage._index.head())
        await storage.close()

    asyncio.run(story())


def test_a_commit_that_failed_is_asked_about(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"old")
    rows.expect({"a": b"new"}, 1, 2, moves=False)
    rows.end(kept=False)
    assert rows.find("a") == (1, b"old")
    rows.expect({"a": b"new"}, 1, 3, moves=False)
    database.commit(3)
    rows.end(kept=False)  # and yet it was kept
    assert rows.find("a") is None


def test_what_a_commit_of_unknown_rows_wrote_is_read_anew(database: Database) -> None:
    rows = database.rows
    rows.keep("a", Point(1, 1), b"old")
    assert rows.find("a") == (1, b"old")
    database.commit(2)  # nothing was expected
    rows.end(kept=True)
    assert rows.find("a") is None


def test_what_this_process_commits_is_known_without_another_look(tmp_path: Path) -> None:
    async def story() -> None:
        asked: list[str] = []
        storage = SqliteStorage.open(tmp_path / "s.db")
        await put(storage, "a/b", b"1")
        reader = storage.reader()
        assert (await reader.get("a/b"), await reader.get("a/c"), await reader.list("a/")) == (
            b"1",
            None,
            ["b"],
        )
        storage._reader.raw.set_trace_callback(asked.append)
        await put(storage, "a/b", b"2")
        assert await reader.get("a/b") == b"2"
        await put(storage, "a/c", b"3")
        assert await reader.get("a/c") == b"3"
        assert asked == []
        assert await reader.list("a/") == ["b", "c"]
        assert asked != []
        await storage.close()

    asyncio.run(story())


def test_a_row_is_known_when_something_else_became_untrue(tmp_path: Path) -> None:
    async def story() -> None:
        asked: list[str] = []
        storage = SqliteStorage.open(tmp_path / "s.db")
        await put(storage, "a", b"1")
        reader = storage.reader()
        assert (await reader.get("a"), reader.epoch) == (b"1", 0)
        storage._reader.raw.set_trace_callback(asked.append)
        async with storage.write() as tx:
            await tx.put("b", b"1")
            await tx.invalidate("kind", "key")
        assert await reader.get("a") == b"1"
        moved = reader.epoch
        assert moved > 0
        assert set(asked) <= {"SELECT stamp FROM head"}
        other = SqliteStorage.open(tmp_path / "s.db")
        async with other.write() as tx:
            await tx.invalidate("kind", "key")
        assert await reader.get("a") == b"1"
        assert reader.epoch > moved
        assert not set(asked) <= {"SELECT stamp FROM head"}
        await other.close()
        await storage.close()

    asyncio.run(story())


def test_a_closed_storage_answers_nothing_from_memory(tmp_path: Path) -> None:
    async def story() -> None:
        storage = SqliteStorage.open(tmp_path / "s.db")
        await put(storage, "a", b"1")
        reader = storage.reader()
        await reader.get("a")
        await storage.close()
        with pytest.raises(StorageFailure, match="it is closed"):
            await reader.get("a")

    asyncio.run(story())
