# SPDX-License-Identifier: EUPL-1.2
"""Remembered rows: never older than what was committed, whoever committed and however that ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from vault.storage.commits import Commits, Rows
from vault.storage.protocol import StorageFailure
from vault.storage.sqlite import SqliteStorage


async def put(storage: SqliteStorage, path: str, value: bytes) -> None:
    async with storage.write() as tx:
        await tx.put(path, value)


def test_a_row_is_read_once_until_any_process_commits(tmp_path: Path) -> None:
    async def story() -> None:
        asked: list[str] = []
        one, other = SqliteStorage.open(tmp_path / "s.db"), SqliteStorage.open(tmp_path / "s.db")
        await put(one, "a", b"1")
        one._reader.raw.set_trace_callback(asked.append)
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
        for _ in range(2):
            reader = storage.reader()
            await reader.get("a")
            assert reader.epoch == 1
        await storage.close()

    asyncio.run(story())


def test_what_is_read_while_a_commit_is_under_way_is_not_remembered(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "s.db")
    committer = Commits(tmp_path / "s.db")
    rows = Rows(commits)
    before = rows.before()
    committer.start()
    rows.keep("a", (1, b"old"), before)
    assert rows.find("a") is None
    rows.keep("a", (1, b"old"), rows.before())
    assert rows.find("a") is None
    committer.finish()
    assert rows.find("a") is None
    rows.keep("a", (2, b"new"), rows.before())
    assert rows.find("a") == (2, b"new")


def test_a_committer_that_died_or_was_overtaken_leaves_nothing_to_be_remembered(tmp_path: Path) -> None:
    rows = Rows(Commits(tmp_path / "s.db"))
    dead, alive, slow = (Commits(tmp_path / "s.db") for _ in range(3))
    dead.start()
    rows.keep("a", (1, b"1"), rows.before())
    assert rows.find("a") is None
    slow.start()
    alive.start()
    alive.finish()
    slow.finish()
    rows.keep("a", (1, b"1"), rows.before())
    assert rows.find("a") is None
    alive.start()
    alive.finish()
    rows.keep("a", (1, b"1"), rows.before())
    assert rows.find("a") == (1, b"1")


def test_few_and_short_rows_are_remembered(tmp_path: Path) -> None:
    rows = Rows(Commits(tmp_path / "s.db"))
    rows.keep("long", (0, bytes(5000)), rows.before())
    rows.keep("p" * 5000, (0, None), rows.before())
    assert (rows.find("long"), rows.find("p" * 5000)) == (None, None)
    for number in range(4097):
        rows.keep(str(number), (0, None), rows.before())
    assert rows.find("0") is None
    assert rows.find("4096") == (0, None)


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
        assert asked == []
        await put(storage, "a/c", b"3")
        assert await reader.get("a/c") == b"3"
        assert asked == []
        assert await reader.list("a/") == ["b", "c"]
        assert asked != []
        await storage.close()

    asyncio.run(story())


def test_while_rows_are_being_committed_only_the_others_are_known(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "s.db")
    rows = Rows(commits)
    for path in ("mine", "other"):
        rows.keep(path, (1, b"old"), rows.before())
    rows.expect({"mine": b"new"})
    for step in (commits.start, commits.finish):
        step()
        assert (rows.find("mine"), rows.find("other")) == (None, (1, b"old"))
        rows.keep("mine", (1, b"new"), rows.before())
        assert rows.find("mine") is None
    rows.end(kept=True)
    assert (rows.find("mine"), rows.find("other")) == ((1, b"new"), (1, b"old"))


def test_what_makes_anything_untrue_is_waited_for_and_then_all_other_rows_are_known_at_its_epoch(
    tmp_path: Path,
) -> None:
    commits = Commits(tmp_path / "s.db")
    rows = Rows(commits)
    look = ("list", "", 0)
    for path in ("mine", "other"):
        rows.keep(path, (1, b"old"), rows.before())
    rows.keep_below("others/", look, (1, ("a",)), rows.before())
    rows.expect({"mine": b"new"}, moves=True)
    for step in (commits.start, commits.finish):
        step()
        assert (rows.find("mine"), rows.find("other"), rows.find_below("others/", look)) == (None, None, None)
        rows.keep("more", (1, b"old"), rows.before())
        rows.keep_below("", look, (1, ("mine",)), rows.before())
    rows.end(kept=True, epoch=2)
    assert (rows.find("mine"), rows.find("other")) == ((2, b"new"), (2, b"old"))
    assert rows.find_below("others/", look) == (2, ("a",))
    assert (rows.find("more"), rows.find_below("", look)) == (None, None)


def test_what_is_of_another_epoch_is_not_kept_beside_the_rest(tmp_path: Path) -> None:
    rows = Rows(Commits(tmp_path / "s.db"))
    rows.keep("a", (1, b"1"), rows.before())
    rows.keep("b", (2, b"2"), rows.before())
    assert (rows.find("a"), rows.find("b")) == (None, (2, b"2"))


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
        assert (await reader.get("a"), reader.epoch) == (b"1", 1)
        assert asked == []
        other = SqliteStorage.open(tmp_path / "s.db")
        async with other.write() as tx:
            await tx.invalidate("kind", "key")
        assert (await reader.get("a"), reader.epoch) == (b"1", 2)
        assert asked != []
        await other.close()
        await storage.close()

    asyncio.run(story())


def test_while_rows_are_being_committed_what_they_do_not_change_can_be_learnt(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "s.db")
    rows = Rows(commits)
    look = ("list", "", 0)
    for prefix in ("mine/", "other/"):
        rows.keep_below(prefix, look, (1, ("old",)), rows.before())
    rows.expect({"mine/new": b"new"})
    for name in ("seen", "start", "finish"):
        before = rows.before()
        getattr(commits, name)()
        assert (rows.find_below("mine/", look), rows.find_below("other/", look)) == (None, (1, ("old",)))
        rows.keep(name, (1, None), before)
        assert rows.find(name) == (1, None)
        rows.keep_below(f"{name}/", look, (1, ()), before)
        assert rows.find_below(f"{name}/", look) == (1, ())
        for prefix in ("", "mine/"):
            rows.keep_below(prefix, look, (1, ("old",)), before)
            assert rows.find_below(prefix, look) is None
    rows.end(kept=True)
    assert (rows.find_below("mine/", look), rows.find_below("other/", look)) == (None, (1, ("old",)))
    assert rows.find("finish") == (1, None)


def test_what_was_read_before_another_process_committed_is_not_learnt(tmp_path: Path) -> None:
    commits, other = Commits(tmp_path / "s.db"), Commits(tmp_path / "s.db")
    rows = Rows(commits)
    rows.keep("a", (1, b"old"), rows.before())
    rows.expect({"b": b"new"})
    before = rows.before()
    commits.start()
    commits.finish()
    other.start()
    other.finish()
    rows.keep("a", (1, b"old"), before)
    rows.keep_below("c/", ("list", "", 0), (1, ()), before)
    assert (rows.find("a"), rows.find_below("c/", ("list", "", 0))) == (None, None)


def test_what_is_read_while_another_process_commits_is_not_learnt_behind_a_commit_of_our_own(
    tmp_path: Path,
) -> None:
    commits, other = Commits(tmp_path / "s.db"), Commits(tmp_path / "s.db")
    rows = Rows(commits)
    look = ("list", "", 0)
    rows.keep("a", (1, b"old"), rows.before())
    rows.expect({"b": b"new"})
    commits.start()
    commits.finish()
    other.start()  # and it is killed once it has committed another value of `a`
    rows.keep("a", (1, b"old"), rows.before())
    rows.keep_below("", look, (1, ("a",)), rows.before())
    assert (rows.find("a"), rows.find_below("", look)) == (None, None)
    rows.end(kept=True)
    assert (rows.find("a"), rows.find_below("", look)) == (None, None)


@pytest.mark.parametrize("kept", [True, False])
def test_a_commit_that_failed_or_that_another_one_followed_leaves_nothing_known(
    tmp_path: Path, *, kept: bool
) -> None:
    commits, other = Commits(tmp_path / "s.db"), Commits(tmp_path / "s.db")
    rows = Rows(commits)
    rows.keep("a", (1, b"old"), rows.before())
    rows.expect({"b": b"new"})
    commits.start()
    commits.finish()
    if kept:
        other.start()
        other.finish()
    rows.end(kept=kept)
    assert rows.find("a") is None


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


def test_counters_that_cannot_be_opened_say_where(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match=r"none/s\.db-turn: it cannot be opened"):
        Commits(tmp_path / "none" / "s.db")
