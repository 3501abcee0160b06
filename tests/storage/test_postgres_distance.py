# SPDX-License-Identifier: EUPL-1.2
"""What a node does while the database is far away: a second batch is under way beside the first, and rows are guessed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest

from tests.postgres import Cluster
from tests.storage.proxy import Moment, Proxy
from tests.storage.stores import everything, fill, invalidate, until_kept
from vault.storage.postgres import batches, lanes
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Conflict, StorageFailure, Tx

Node = Callable[[], PostgresStorage]


@pytest.fixture
def node(postgres: Callable[[], Cluster]) -> Generator[Node]:
    """Return what opens one more storage on one database."""
    cluster = postgres()
    name = cluster.empty()
    yield lambda: PostgresStorage(cluster.address(name))
    cluster.give_back(name)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the loop under test sets no event
            await asyncio.sleep(0)


async def put(storage: PostgresStorage, path: str, read: str = "", untrue: str = "") -> None:
    """Write at a path, having read another, and make something untrue."""
    async with storage.write(optimistic=True) as tx:
        if read:
            await tx.get(read)
        await tx.put(path, path.encode())
        if untrue:
            await tx.invalidate("kind", untrue)


Begin = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


async def connect(storage: PostgresStorage) -> None:
    """Have all connections that it commits by."""
    await storage.reader().get("")
    async with storage.write():
        pass
    await put(storage, "before")


@asynccontextmanager
async def held(one: PostgresStorage, other: PostgresStorage) -> AsyncIterator[Begin]:
    """Keep all that `one` commits under way, as `other` has the turn; give what begins one more transaction of `one`."""
    await connect(one)
    begun: list[asyncio.Task[None]] = []

    def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        begun.append(asyncio.create_task(work))
        return begun[-1]

    async with other.write():
        yield begin
    await asyncio.gather(*begun)


def _has_asked(proxy: Proxy, commits: int) -> bool:
    return proxy.commits > commits


def _is_sent(storage: PostgresStorage, path: str) -> bool:
    return [path] in _sent(storage)


def _sent(storage: PostgresStorage) -> list[list[str]]:
    """Return what is written by the batches that are under way."""
    return [sorted(batch.rows) for batch in storage.batches._sent]


def test_a_second_batch_is_under_way_beside_the_first_and_a_third_waits(node: Node) -> None:
    async def story() -> None:
        one, other = node(), node()
        async with held(one, other) as begin:
            for path in ("a", "b"):
                begin(put(one, path))
                await until(partial(_is_sent, one, path))
            begin(put(one, "c"))
            await until(lambda: one.batches.pending("c") is not None)
            await other.reader().get("")  # a while
            assert _sent(one) == [["a"], ["b"]]
        assert sorted(await everything(other)) == ["a", "b", "before", "c"]
        for storage in (one, other):
            await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a",), ("b", "a")),
        (("a", "b"), ("b",)),
        (("a",), ("a",)),
        (("a",), ("b", "", "facts")),
        (("a", "", "facts"), ("b",)),
    ],
    ids=["reads it", "was read by it", "writes the same", "ends facts", "facts were ended"],
)
def test_what_may_not_come_first_waits_for_what_is_under_way(
    node: Node, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    async def story() -> None:
        one, other = node(), node()
        await put(one, "before", untrue="facts")  # so that there is an epoch to rest on
        async with held(one, other) as begin:
            begin(until_done(one, *first))
            await until(lambda: bool(_sent(one)))
            begin(until_done(one, *second))
            await until(lambda: bool(one.batches._waiting))
            await other.reader().get("")  # a while
            assert _sent(one) == [["a"]]
        assert {"a", second[0]} <= set(await everything(other))
        for storage in (one, other):
            await storage.close()

    asyncio.run(story())


async def until_done(storage: PostgresStorage, path: str, read: str = "", untrue: str = "") -> None:
    """Do as `put` does, again where it lost."""
    for _ in range(3):
        try:
            await put(storage, path, read, untrue)
        except Conflict:
            continue
        return
    raise AssertionError("it lost three times")


def test_who_lists_where_something_is_under_way_waits_for_it(node: Node) -> None:
    async def story() -> None:
        one, other = node(), node()

        async def count() -> None:
            async with one.write(optimistic=True) as tx:
                await tx.put("count", str(len(await tx.list("n/"))).encode())

        async with held(one, other) as begin:
            begin(count())
            await until(lambda: bool(_sent(one)))
            adding = begin(put(one, "n/1"))
            await until(lambda: bool(one.batches._waiting))
            await other.reader().get("")  # a while
            assert _sent(one) == [["count"]]
            assert not adding.done()
        assert (await everything(other))["count"] == b"0"
        for storage in (one, other):
            await storage.close()

    asyncio.run(story())


def test_who_waits_for_the_turn_has_the_connection_before_a_second_batch(node: Node) -> None:
    async def story() -> None:
        one, other = node(), node()
        async with held(one, other) as begin:
            begin(put(one, "a"))
            await until(lambda: bool(_sent(one)))
            begin(fill(one, "in its turn"))
            await until(lambda: bool(one.batches.lines.turns))
            begin(put(one, "b"))
            await until(lambda: one.batches.pending("b") is not None)
            await other.reader().get("")  # a while
            assert _sent(one) == [["a"]]
        assert {"a", "b", "in its turn"} <= set(await everything(other))
        for storage in (one, other):
            await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize(("moment", "kept"), [("request", {"a"}), ("answer", {"a", "b"})])
def test_of_two_batches_one_whose_connection_breaks_is_found_out_and_the_other_is_kept(
    postgres: Callable[[], Cluster], moment: Moment, kept: set[str]
) -> None:
    cluster = postgres()
    name = cluster.empty()

    async def story() -> None:
        address = cluster.address(name)
        async with Proxy.open(address.host) as proxy:
            one = PostgresStorage(msgspec.structs.replace(address, host=proxy.folder))
            other = PostgresStorage(address)
            await one._writer.connection()  # nobody has the turn by it: the proxy knows a batch there too
            await one.reader().get("")
            await put(one, "before")

            async def both(first: str, second: str) -> list[object]:
                async with other.write():
                    begun = []
                    for path in (first, second):
                        proxy.cut = moment if path == "b" else ""
                        asked = partial(_has_asked, proxy, proxy.commits)
                        begun.append(asyncio.create_task(put(one, path)))
                        await until(asked)
                return await asyncio.gather(*begun, return_exceptions=True)

            assert await both("early", "late") == [None, None]  # each connection has its statement by now
            ends = await both("a", "b")
            assert [type(end) for end in ends if end is not None] == [StorageFailure] * (2 - len(kept))
            assert proxy.cuts == 1
            assert set(await everything(other)) == {"before", "early", "late", *kept}
            await put(one, "after")
            for storage in (one, other):
                await storage.close()

    asyncio.run(story())
    cluster.give_back(name)


def test_what_has_gathered_leaves_before_more_begins_that_takes_the_loops_time(node: Node) -> None:
    enough = batches._ENOUGH

    async def story() -> None:
        storage = node()
        await put(storage, "before")
        under_way: list[int] = []

        async def one(number: int) -> None:
            async with storage.write(optimistic=True) as tx:
                under_way.append(len(_sent(storage)))
                await tx.put(f"n/{number}", b"")

        await asyncio.gather(*(one(number) for number in range(2 * enough)))
        assert under_way == [0] * enough + [1] * enough
        await storage.close()

    asyncio.run(story())


def _guesses(storage: PostgresStorage, path: str) -> bytes | None:
    known = storage._lanes.recent(path)
    return None if known is None else known.value


def test_a_row_of_which_a_guess_was_wrong_is_not_guessed_for_long(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_RECENT", 60)
    monkeypatch.setattr(lanes, "_BRIEF", -1)

    async def story() -> None:
        one, other = node(), node()

        async def copy(tx: Tx) -> None:
            await tx.put("copy", await tx.get("row") or b"")

        runs = []
        for value in (b"1", b"2", b"3"):
            async with other.write() as tx:
                await tx.put("row", value)
            runs.append((await until_kept(one, copy))[1])
            assert await other.reader().get("copy") == value
        assert runs == [1, 2, 1], "it loses by its first guess, and asks from then on"
        for storage in (one, other):
            await storage.close()

    asyncio.run(story())


def test_nothing_is_guessed_by_what_was_before_a_failover_or_an_older_backup(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_RECENT", 60)

    async def story() -> None:
        storage = node()
        epoch = await invalidate(storage, "before")
        await until_kept(storage, lambda tx: tx.put("row", b"kept"))
        assert _guesses(storage, "row") == b"kept"
        assert (await storage.news(epoch + 1))[1] is None  # as one who has seen more than there is
        assert _guesses(storage, "row") is None
        await until_kept(storage, lambda tx: tx.put("row", b"kept"))
        storage._database.timeline += 1
        assert _guesses(storage, "row") is None
        storage._database.timeline -= 1
        await storage.close()

    asyncio.run(story())
