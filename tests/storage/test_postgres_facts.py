# SPDX-License-Identifier: EUPL-1.2
"""A transaction that says what it rests on commits while other facts change, and only then; those that change facts too."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import nullcontext
from typing import Any

import pytest

from tests.postgres import Cluster, asked
from tests.storage.stores import everything, invalidate
from vault.storage.memory import KEPT_CHANGES
from vault.storage.postgres import schema
from vault.storage.postgres.batches import Batch, arguments
from vault.storage.postgres.connection import Address
from vault.storage.postgres.database import Database
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.postgres.unit import Unit
from vault.storage.protocol import Basis, Conflict

Pair = tuple[PostgresStorage, PostgresStorage]


@pytest.fixture
def play(
    postgres: Callable[[], Cluster],
) -> Generator[Callable[[Callable[..., Coroutine[Any, Any, None]]], None]]:
    """Return what plays a story with two storages on one database."""
    cluster = postgres()
    name = cluster.empty()

    def run(story: Callable[..., Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            pair = PostgresStorage(cluster.address(name)), PostgresStorage(cluster.address(name))
            try:
                await invalidate(pair[0], "a fact")  # so that there is an epoch
                for storage in pair:
                    await storage.reader().get("")
                await story(*pair)
            finally:
                for storage in pair:
                    await storage.close()

        asyncio.run(main())

    yield run
    cluster.give_back(name)


def _on(storage: PostgresStorage, *keys: str, kind: str = "kind") -> Basis:
    """What was true a moment ago, and is while none of these keys changes."""
    return Basis(storage.batches._database.epoch, kind, keys)


async def _put(storage: PostgresStorage, path: str) -> None:
    async with storage.write(optimistic=True) as tx:
        await tx.put(path, b"other")


async def _write(
    storage: PostgresStorage, basis: Basis | None, meanwhile: Callable[[], Awaitable[object]]
) -> int:
    """Read "read", list "list/" and write "written", with something done before the commit; return the epoch that it saw."""
    async with storage.write(optimistic=True) as tx:
        await tx.get("read")
        await tx.list("list/")
        await tx.put("written", b"mine")
        if basis is not None:
            assert tx.rest_on(basis)
        await meanwhile()
    return tx.committed


def test_what_rests_on_facts_that_last_commits_at_the_newest_epoch_and_is_sent_once(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        async def changes() -> None:
            for number in range(20):
                await invalidate(other, f"other {number}")
            await one.reader().get("")  # it is known here too
            statements.clear()

        statements = asked(monkeypatch)
        committed = await _write(one, _on(one, "own", "above"), changes)
        assert statements.count(schema.COMMIT) == 1
        reader = other.reader()
        await reader.get("")
        assert committed == reader.epoch
        assert (await everything(other))["written"] == b"mine"

    play(story)


@pytest.mark.parametrize(
    "keys", [("own",), ("above",), ("another", "own"), ("own", "another"), ("another", "above", "third")]
)
def test_what_rests_on_a_fact_that_changed_is_lost(play: Callable[..., None], keys: tuple[str, ...]) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        async def one_by_one() -> None:
            for key in keys:
                await invalidate(other, key)

        for change in (one_by_one, lambda: invalidate(other, *keys)):
            with pytest.raises(Conflict):
                await _write(one, _on(one, "own", "above"), change)
            await one.reader().get("")
        assert "written" not in await everything(other)

    play(story)


def test_what_rests_on_another_kind_of_facts_or_does_not_say_on_what_is_lost(
    play: Callable[..., None],
) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        for basis in (_on(one, "own", kind="other kind"), None):
            with pytest.raises(Conflict):
                await _write(one, basis, lambda: invalidate(other, "key"))
            await one.reader().get("")
        assert "written" not in await everything(other)

    play(story)


@pytest.mark.parametrize("off", [1, -1, 1 << 64])
def test_what_rests_on_facts_of_no_epoch_that_there_was_is_lost(play: Callable[..., None], off: int) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        basis = _on(one)
        unknown = Basis(basis.epoch + off, basis.kind, ())
        with pytest.raises(Conflict):
            await _write(one, unknown, lambda: asyncio.sleep(0))
        assert "written" not in await everything(other)

    play(story)


@pytest.mark.parametrize("path", ["read", "list/more"])
def test_what_was_read_is_compared_all_the_same(play: Callable[..., None], path: str) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        async def change() -> None:
            await invalidate(other, "key")
            await _put(other, path)

        with pytest.raises(Conflict):
            await _write(one, _on(one), change)
        assert "written" not in await everything(other)

    play(story)


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("key", ["own", "other"])
def test_who_only_reads_or_refuses_is_told_whether_it_was_by_facts_that_last(
    play: Callable[..., None], key: str, refused: bool
) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        basis = _on(one, "own")
        await invalidate(other, key)

        async def look() -> None:
            async with one.write(optimistic=True) as tx:
                tx.rest_on(basis)
                await tx.get("read")  # at an epoch at which it is so already
                if refused:
                    raise ValueError(key)

        if key == "own":
            with pytest.raises(Conflict):
                await look()
        else:
            with pytest.raises(ValueError, match=key) if refused else nullcontext():
                await look()

    play(story)


def test_those_that_change_facts_share_a_commit_unless_one_rests_on_what_the_other_changes(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        basiss = {key: _on(one, key) for key in "abcd"}

        async def revoke(own: str, key: str) -> None:
            async with one.write(optimistic=True) as tx:
                tx.rest_on(basiss[own])
                await tx.put(f"by {own}", b"")
                await tx.invalidate("kind", key)

        statements = asked(monkeypatch)
        ends = await asyncio.gather(
            revoke("a", "x"), revoke("b", "a"), revoke("c", "y"), revoke("a", "z"), return_exceptions=True
        )
        assert [type(end) for end in ends if end is not None] == [Conflict]
        assert statements.count(schema.COMMIT) == 2  # what `b` made untrue `a` did not know when it went on
        assert sorted(await everything(other)) == ["by a", "by b", "by c"]
        _, changes = await other.news(basiss["a"].epoch)
        assert changes is not None
        assert [change.key for change in changes] == ["a", "x", "y"]
        assert len({change.epoch for change in changes}) == 1

    play(story)


def _unit(path: str, *keys: str, untrue: str = "") -> Unit:
    unit = Unit(7)
    unit.basis = Basis(7, "kind", keys)
    unit.put(path, b"")
    if untrue:
        unit.untrue["kind", untrue] = None
    return unit


def test_a_batch_takes_whoever_may_come_after_it_and_may_be_sent_beside_one_that_may_come_first_or_last() -> (
    None
):
    batch = Batch()
    batch.add(_unit("a", "a", untrue="x"))
    assert batch.takes(_unit("b", "b", untrue="a"))
    assert batch.takes(Unit(0)), "it rests on nothing"
    assert not batch.takes(_unit("b", "b", "x"))
    assert not batch.takes(Unit(7)), "any change is what it rests on"
    beside, after = Batch(), Batch()
    beside.add(_unit("b", "b", untrue="y"))
    after.add(_unit("b", "b", untrue="a"))
    assert beside.apart(batch)
    assert batch.apart(beside)
    assert not after.apart(batch)
    assert not batch.apart(after)
    batch.units[0].seen["row"] = lost = Unit(7)
    lost.lost = True
    assert batch.drop_lost()
    assert batch.takes(_unit("b", "b", "x")), "what was untrue after that one is true without it"


def test_who_is_far_behind_is_not_told_that_the_database_went_back(postgres: Callable[[], Cluster]) -> None:
    cluster = postgres()
    name = cluster.empty()
    told: list[tuple[str, str]] = []

    async def story() -> None:
        storage = PostgresStorage(
            cluster.address(name), on_turn=lambda known, found: told.append((known, found))
        )
        try:
            first = await invalidate(storage, "first")
            await invalidate(storage, *(str(number) for number in range(KEPT_CHANGES + 1)))
            last = await invalidate(storage, "last")
            assert await storage.news(first) == (last, None)
            assert told == []
            assert await storage.news(last + 1) == (last, None)
            assert len(told) == 1
        finally:
            await storage.close()

    asyncio.run(story())
    cluster.give_back(name)


def test_a_server_of_the_release_before_commits_by_the_statement_that_it_knows(
    postgres: Callable[[], Cluster],
) -> None:
    before = schema.COMMIT.replace("$24,", "$24").replace("$25, $26, $27", "")

    async def story(address: Address) -> None:
        database = Database(address)
        connection = await database.connect()
        for guess, fits in ((0, True), (1, False)):
            unit, batch = Unit(guess), Batch()
            unit.asked = True
            unit.put(f"at {guess}", b"")
            unit.untrue["kind", "key"] = None
            batch.add(unit)
            values = [*arguments(batch, database)][:-3]
            failed, epoch, _ = await connection.row(before, *values)
            assert (failed == [], epoch > 0) == (fits, True)
        assert [*await connection.rows("SELECT path FROM coffre.entry")] == [("at 0",)]
        await connection.close()

    cluster = postgres()
    name = cluster.empty()
    asyncio.run(story(cluster.address(name)))
    cluster.give_back(name)
