# SPDX-License-Identifier: EUPL-1.2
"""Storages on one PostgreSQL, as so many nodes have: what one commits, what the other then loses, and what they share."""

import asyncio
import os
from collections.abc import Callable, Generator
from functools import partial

import pytest

from tests.postgres import Cluster, asked
from tests.storage.stores import add, everything, fill, invalidate, number, until_kept
from vault.storage.postgres import lanes
from vault.storage.postgres.lines import Lines
from vault.storage.postgres.schema import END_OF_ALL
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import LONGEST_PATH, Conflict, Storage, StorageFailure, Tx


@pytest.fixture
def database(postgres: Callable[[], Cluster]) -> Generator[Callable[[], PostgresStorage]]:
    """Return what opens one more storage on one database, as so many nodes do."""
    cluster = postgres()
    name = cluster.empty()
    yield lambda: PostgresStorage(cluster.address(name))
    cluster.give_back(name)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the loop under test sets no event
        await asyncio.sleep(0)


async def fill_optimistic(storage: Storage, path: str) -> None:
    """Put nothing at a path."""
    async with storage.write(optimistic=True) as tx:
        await tx.put(path, b"")


def _is_pending(storage: PostgresStorage, path: str) -> bool:
    return storage.batches.pending(path) is not None


async def _closing(*storages: Storage) -> None:
    for storage in storages:
        await storage.close()


def test_nothing_commits_by_facts_that_another_node_made_untrue(
    database: Callable[[], PostgresStorage],
) -> None:
    async def story() -> None:
        one, other = database(), database()
        await invalidate(one, "before")
        async with one.write(optimistic=True) as tx:
            await tx.get("a")
            seen = tx.epoch
        with pytest.raises(Conflict):
            async with one.write(optimistic=True) as tx:
                assert tx.epoch == seen
                await tx.put("a", b"by older facts")
                moved = await invalidate(other, "revoked")
        assert moved > seen
        assert await everything(other) == {}
        async with one.write(optimistic=True) as tx:  # the first that is told of it is enough
            await tx.get("a")
            assert tx.epoch == moved
            await tx.put("a", b"by the newest")
        await _closing(one, other)

    asyncio.run(story())


def test_of_two_that_list_what_the_other_adds_to_one_is_kept(database: Callable[[], PostgresStorage]) -> None:
    async def story() -> None:
        storage = database()
        listed = asyncio.Barrier(2)

        async def number_of(name: str) -> None:
            async with storage.write(optimistic=True) as tx:
                there = await tx.list("n/")
                await listed.wait()
                await tx.put(f"n/{name}", str(len(there)).encode())

        ends = await asyncio.gather(number_of("a"), number_of("b"), return_exceptions=True)
        assert [type(end) for end in ends if end is not None] == [Conflict]
        assert len(await everything(storage)) == 1
        await _closing(storage)

    asyncio.run(story())


def test_who_read_from_one_that_lost_is_not_kept_either(database: Callable[[], PostgresStorage]) -> None:
    async def story() -> None:
        one, other = database(), database()
        await fill(one, "row")

        async def first() -> None:
            async with one.write(optimistic=True) as tx:
                await tx.get("row")
                await tx.put("first", b"")

        async def second() -> None:
            async with one.write(optimistic=True) as tx:
                assert await tx.get("first") == b""
                await tx.put("second", b"")

        async with other.write() as tx:
            await tx.put("row", b"changed")
            loser = asyncio.create_task(first())
            await _until(lambda: bool(one.batches._sent))  # what it read will have changed when it commits
            follower = asyncio.create_task(second())
            await _until(lambda: bool(one.batches._waiting))
        ends = await asyncio.gather(loser, follower, return_exceptions=True)
        assert [type(end) for end in ends] == [Conflict, Conflict]
        assert await everything(other) == {"row": b"changed"}
        await _closing(one, other)

    asyncio.run(story())


def test_whoever_built_on_one_that_lost_falls_with_it_however_far_away(
    database: Callable[[], PostgresStorage],
) -> None:
    async def story() -> None:
        one, other = database(), database()
        await fill(one, "row")

        async def link(number: int) -> None:
            async with one.write(optimistic=True) as tx:
                await tx.get(f"link/{number - 1}" if number else "row")
                await tx.put(f"link/{number}", b"")
                await tx.invalidate(
                    "kind", str(number)
                )  # whatever makes facts untrue is the last of its batch

        async with other.write() as tx:
            await tx.put("row", b"changed")
            links = []
            for number in range(4):
                links.append(asyncio.create_task(link(number)))
                await _until(partial(_is_pending, one, f"link/{number}"))
            bystander = asyncio.create_task(fill_optimistic(one, "apart"))
            await _until(partial(_is_pending, one, "apart"))
        ends = await asyncio.gather(*links, return_exceptions=True)
        assert [type(end) for end in ends] == [Conflict] * 4
        await bystander
        assert await everything(other) == {"row": b"changed", "apart": b""}
        await _closing(one, other)

    asyncio.run(story())


def test_who_read_what_another_one_of_its_batch_replaced_is_not_kept(
    database: Callable[[], PostgresStorage],
) -> None:
    """All of a batch has one version: it says nothing of what was written first."""

    async def story() -> None:
        one, other = database(), database()

        async def first(tx: Tx) -> None:
            await tx.put("row", b"first")

        async def second(tx: Tx) -> None:
            assert await tx.get("row") == b"first"
            await tx.put("row", b"second")

        with pytest.raises(Conflict):
            async with one.write(optimistic=True) as tx:
                async with other.write():
                    before = asyncio.create_task(fill_optimistic(one, "before"))
                    await _until(lambda: bool(one.batches._sent))
                    tasks = [before, asyncio.create_task(until_kept(one, first))]
                    await _until(lambda: one.batches.pending("row") is not None)
                    assert await tx.get("row") == b"first"
                    tasks.append(asyncio.create_task(until_kept(one, second)))
                    await _until(lambda: len(one.batches._waiting[0].units) == 2)
                await asyncio.gather(*tasks)
                await tx.put("copy", await tx.get("row") or b"")
        assert await everything(other) == {"before": b"", "row": b"second"}
        await _closing(one, other)

    asyncio.run(story())


def test_a_short_value_that_a_longer_one_of_its_batch_replaced_is_not_guessed_again(
    database: Callable[[], PostgresStorage],
) -> None:
    async def story() -> None:
        storage = database()

        async def put(value: bytes) -> None:
            async with storage.write(optimistic=True) as tx:
                await tx.put("row", value)

        await asyncio.gather(put(b"short"), put(bytes(100_000)))
        async with storage.write(optimistic=True) as tx:
            assert await tx.get("row") == bytes(100_000)
        await _closing(storage)

    asyncio.run(story())


def test_two_nodes_that_write_one_row_lose_nothing(database: Callable[[], PostgresStorage]) -> None:
    async def story() -> None:
        nodes = [database(), database()]
        runs = await asyncio.gather(
            *(until_kept(node, add) for _ in range(40) for node in nodes),
            *(until_kept(node, number) for _ in range(10) for node in nodes),
        )
        assert max(times for _, times in runs) > 1
        assert await nodes[0].reader().get("counter") == b"x" * 80
        assert await nodes[1].reader().list("n/") == [f"{n:03}" for n in range(20)]
        await _closing(*nodes)

    asyncio.run(story())


def test_who_changes_one_row_over_and_over_stands_in_line_for_it(
    database: Callable[[], PostgresStorage],
) -> None:
    async def story() -> None:
        storage = database()
        runs: list[int] = []

        async def client() -> None:
            for _ in range(25):
                await storage.reader().get("counter")
                runs.append((await until_kept(storage, add))[1])

        await asyncio.gather(*(client() for _ in range(16)))
        assert await storage.reader().get("counter") == b"x" * 400
        assert sum(runs) < 400 * 1.2, "a few lose at the beginning, and then they take turns"
        assert not storage.batches.lines._lines["counter"].taken
        await _closing(storage)

    asyncio.run(story())


def test_a_line_is_left_by_whoever_gives_up_or_fails(database: Callable[[], PostgresStorage]) -> None:
    async def story() -> None:
        storage = database()
        lines = storage.batches.lines
        lines.heat(["counter"])
        with pytest.raises(ZeroDivisionError):
            async with storage.write(optimistic=True) as tx:
                await tx.get("counter")
                waiting = [asyncio.create_task(until_kept(storage, add)) for _ in range(3)]
                await _until(lambda: len(lines._lines["counter"].waiting) == 3)
                waiting[0].cancel()
                waiting[2].cancel()
                raise ZeroDivisionError
        await asyncio.wait(waiting)
        await until_kept(storage, add)
        assert await storage.reader().get("counter") == b"xx"
        await _closing(storage)

    asyncio.run(story())


def test_who_gives_up_as_the_row_becomes_his_hands_it_on() -> None:
    async def story() -> None:
        lines = Lines()
        lines.heat(["row"])
        assert await lines.join("row")
        waiting = asyncio.create_task(lines.join("row"))
        await _until(lambda: bool(lines._lines["row"].waiting))
        lines.leave("row")
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await asyncio.wait_for(lines.join("row"), 60)

    asyncio.run(story())


def test_who_stands_in_line_waits_for_whoever_holds_the_turn(database: Callable[[], PostgresStorage]) -> None:
    async def story() -> None:
        storage = database()
        storage.batches.lines.heat(["counter"])
        async with storage.write() as tx:
            waiting = asyncio.create_task(until_kept(storage, add))
            await add(tx)
        assert await waiting == (None, 1)
        assert await storage.reader().get("counter") == b"xx"
        await _closing(storage)

    asyncio.run(story())


def test_neither_a_write_nor_a_refusal_rests_on_a_row_that_was_guessed_wrong(
    database: Callable[[], PostgresStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_RECENT", 60)
    monkeypatch.setattr(lanes, "_BRIEF", 60)  # so long the second time: it was wrong before

    async def story() -> None:
        one, other = database(), database()
        for refuses in (False, True):
            await fill(one, "row")
            assert await one.reader().get("row") == b"row"
            async with other.write() as tx:
                await tx.put("row", b"changed")
            with pytest.raises(Conflict):
                async with one.write(optimistic=True) as tx:
                    assert await tx.get("row") == b"row"
                    await tx.put("copy", b"row")
                    if refuses:
                        raise ZeroDivisionError
            async with one.write(optimistic=True) as tx:
                assert await tx.get("row") == b"changed"
        assert await one.reader().get("copy") is None
        await _closing(one, other)

    asyncio.run(story())


def test_a_list_that_was_guessed_is_checked_and_what_is_written_here_is_known(
    database: Callable[[], PostgresStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_BRIEF", 60)

    async def story() -> None:
        one, other = database(), database()
        await fill(one, "n/1")
        async with one.write(optimistic=True) as tx:
            assert await tx.list("n/") == ["1"]
            await tx.put("n/2", b"")
        async with one.write(optimistic=True) as tx:
            assert await tx.list("n/") == ["1", "2"]
        async with other.write() as tx:
            await tx.put("n/3", b"")
        with pytest.raises(Conflict):
            async with one.write(optimistic=True) as tx:
                assert await tx.list("n/") == ["1", "2"]
                await tx.put("count", b"2")
        async with one.write(optimistic=True) as tx:
            assert await tx.list("n/") == ["1", "2", "3"]
        assert await one.reader().get("count") is None
        await _closing(one, other)

    asyncio.run(story())


def test_a_refusal_that_rests_on_nothing_but_a_guess_of_the_epoch_is_not_told(
    database: Callable[[], PostgresStorage],
) -> None:
    async def story() -> None:
        one, other = database(), database()
        await invalidate(one, "before")
        await invalidate(other, "revoked")
        with pytest.raises(Conflict):
            async with one.write(optimistic=True) as tx:
                assert tx.epoch
                raise ZeroDivisionError
        await _closing(one, other)

    asyncio.run(story())


def test_what_another_node_commits_is_seen_by_the_next_statement(
    database: Callable[[], PostgresStorage],
) -> None:
    async def story() -> None:
        one, other = database(), database()
        for turn in range(50):
            await until_kept(one, add)
            assert await other.reader().get("counter") == b"x" * (turn + 1)
            moved = await invalidate(one, str(turn))
            reader = other.reader()
            await reader.get("nothing")
            assert reader.epoch == moved
        await _closing(one, other)

    asyncio.run(story())


def test_many_reads_of_one_turn_of_the_loop_are_few_statements(
    database: Callable[[], PostgresStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        storage = database()
        await fill(storage, *(f"n/{n}" for n in range(100)))
        statements = asked(monkeypatch)
        reader = storage.reader()
        found = await asyncio.gather(*(reader.get(f"n/{n}") for n in range(120)))
        assert found == [f"n/{n}".encode() for n in range(100)] + [None] * 20
        assert len([query for query in statements if "entry" in query]) <= 2
        statements.clear()

        async def write(tx: Tx, n: int) -> None:
            await tx.put(f"w/{n}", b"")

        async def put(n: int) -> None:
            await until_kept(storage, lambda tx: write(tx, n))

        await asyncio.gather(*(put(n) for n in range(100)))
        assert len([query for query in statements if "commit_batch" in query]) <= 13
        await _closing(storage)

    asyncio.run(story())


def test_a_path_of_every_length_that_is_allowed_is_stored_found_and_listed(
    database: Callable[[], PostgresStorage],
) -> None:
    longest = chr(0x10FFFF) * (LONGEST_PATH // 4)

    async def story() -> None:
        storage = database()
        assert longest < END_OF_ALL
        await fill(storage, longest, "é" * (LONGEST_PATH // 2), "x" * LONGEST_PATH)
        assert len(await storage.reader().scan("")) == 3
        assert await storage.reader().get(longest) == longest.encode()
        await _closing(storage)

    asyncio.run(story())


def test_after_it_is_closed_nothing_is_asked(database: Callable[[], PostgresStorage]) -> None:
    async def story() -> None:
        storage = database()
        reader = storage.reader()
        await reader.get("a")
        await storage.close()
        with pytest.raises(StorageFailure, match="closed"):
            await reader.get("a")

    asyncio.run(story())


def test_the_database_says_how_large_it_is(database: Callable[[], PostgresStorage]) -> None:
    async def story() -> None:
        storage = database()
        before = await storage.size()
        async with storage.write() as tx:
            for number in range(50):
                await tx.put(f"a/{number}", os.urandom(1 << 16))
        after = await storage.size()
        assert before is not None and after is not None
        assert after - before > 50 << 16
        await storage.close()

    asyncio.run(story())
