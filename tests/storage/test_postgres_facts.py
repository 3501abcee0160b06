# SPDX-License-Identifier: EUPL-1.2
"""A transaction that only a newer epoch keeps from its commit is sent once more, if what it rests on is true there too."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

from tests.postgres import Cluster
from tests.storage.stores import everything, invalidate
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Conflict, Facts

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


def _believed(asked: list[int], *, true: bool = True) -> Facts:
    """Facts that are true, or not, and note at which epochs that was asked."""

    async def facts(epoch: int) -> bool:
        asked.append(epoch)
        await asyncio.sleep(0)
        return true

    return facts


async def _put(storage: PostgresStorage, path: str) -> None:
    async with storage.write(optimistic=True) as tx:
        await tx.put(path, b"other")


async def _write(
    storage: PostgresStorage, facts: Facts | None, meanwhile: Callable[[], Awaitable[object]]
) -> int:
    """Read "read", list "list/" and write "written", with something done before the commit; return the epoch that it saw."""
    async with storage.write(optimistic=True) as tx:
        await tx.get("read")
        await tx.list("list/")
        await tx.put("written", b"mine")
        if facts is not None:
            tx.rest_on(facts)
        await meanwhile()
    return tx.committed


def test_what_rests_on_facts_that_last_commits_at_the_newest_epoch(play: Callable[..., None]) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        asked: list[int] = []
        committed = await _write(one, _believed(asked), lambda: invalidate(other, "key"))
        reader = other.reader()
        await reader.get("")
        assert (committed, asked) == (reader.epoch, [reader.epoch])
        assert (await everything(other))["written"] == b"mine"

    play(story)


def test_it_is_sent_as_often_as_others_change_facts_up_to_a_limit(play: Callable[..., None]) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        for times, fits in ((8, True), (9, False)):
            asked: list[int] = []

            async def facts(epoch: int, asked: list[int] = asked, times: int = times) -> bool:
                asked.append(epoch)
                if len(asked) < times:
                    await invalidate(other, "key")
                return True

            writing = _write(one, facts, lambda: invalidate(other, "key"))
            if fits:
                await writing
            else:
                with pytest.raises(Conflict):
                    await writing
            assert len(asked) == 8
            assert asked == sorted({*asked})

    play(story)


@pytest.mark.parametrize("true", [False, None])
def test_what_rests_on_facts_that_changed_or_on_none_that_it_tells_is_lost(
    play: Callable[..., None], true: bool | None
) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        asked: list[int] = []
        facts = None if true is None else _believed(asked, true=true)
        with pytest.raises(Conflict):
            await _write(one, facts, lambda: invalidate(other, "key"))
        assert len(asked) == (true is not None)
        assert "written" not in await everything(other)

    play(story)


@pytest.mark.parametrize("path", ["read", "list/more"])
def test_what_was_read_is_compared_again(play: Callable[..., None], path: str) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        async def change() -> None:
            await _put(other, path)
            await invalidate(other, "key")

        async def later(epoch: int) -> bool:
            await _put(other, path)
            return True

        with pytest.raises(Conflict):
            await _write(one, _believed([]), change)
        with pytest.raises(Conflict):
            await _write(one, later, lambda: invalidate(other, "key"))
        assert "written" not in await everything(other)

    play(story)


def test_who_read_from_one_that_is_sent_again_commits_after_it_or_not_at_all(
    play: Callable[..., None],
) -> None:
    """What another one had read of it is as it was, or that one loses: nobody commits what rests on nothing."""

    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        reached, going_on = asyncio.Event(), asyncio.Event()

        async def facts(_: int) -> bool:
            reached.set()
            await going_on.wait()
            return True

        async def copy() -> None:
            async with one.write(optimistic=True) as tx:
                assert await tx.get("written") == b"mine"
                await tx.put("copy", b"mine")
                tx.rest_on(_believed([]))

        async with other.write() as turn:  # nothing else commits until this is over, which outdates both
            writing = asyncio.create_task(_write(one, facts, lambda: asyncio.sleep(0)))
            while one.batches.pending("written") is None:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0)
            copying = asyncio.create_task(copy())
            while one.batches.pending("copy") is None:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0)
            await turn.invalidate("kind", "key")
        async with asyncio.timeout(20):
            await reached.wait()
            with pytest.raises(Conflict):
                await copying  # what it read is not stored, and not under way either
            assert "copy" not in await everything(other)
            going_on.set()
            await writing
        assert sorted(await everything(other)) == ["written"]

    play(story)
