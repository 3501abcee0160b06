# SPDX-License-Identifier: EUPL-1.2
"""Two PostgreSQL servers, one of which takes the other's place: what was acknowledged is there, and no epoch comes again."""

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.pairs import Pair, paired
from tests.pooler import pooler
from tests.postgres import Cluster
from tests.storage.stores import everything, fill, invalidate, until_kept
from tests.storage.test_postgres_away import soon
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import StorageFailure


@pytest.fixture
def pair() -> Generator[Pair]:
    with paired() as pair:
        yield pair


@pytest.mark.parametrize("pooled", [False, True])
def test_a_failover_that_lost_commits_brings_no_epoch_back_however_far_it_grows(
    pair: Pair, *, pooled: bool
) -> None:
    """Behind a pooler a node's connections stay, and lead to the new primary without its knowing."""

    async def story(host: str) -> None:
        storage = pair.storage(host)
        await fill(storage, "kept")
        seen = {await invalidate(storage, "before")}
        await asyncio.to_thread(pair.primary.wait_for, pair.standby)
        await asyncio.to_thread(pair.standby.stop, signal.SIGINT)
        seen |= {await invalidate(storage, f"lost/{number}") for number in range(5)}
        await fill(storage, "lost")
        await asyncio.to_thread(pair.primary.stop)
        await asyncio.to_thread(pair.standby.start)
        await pair.replace()
        await soon(lambda: storage.reader().get("kept"))
        assert sorted(await everything(storage)) == ["kept"], "asynchronously, that is what a failover loses"
        await until_kept(storage, lambda tx: tx.put("after", b""))
        await storage.check()
        assert (await until_kept(storage, lambda tx: tx.put("after", b"")))[1] <= 2
        grown: set[int] = set()
        newest = max(seen)
        while not grown or max(grown) & ((1 << 64) - 1) <= newest & ((1 << 64) - 1):
            grown.add(await invalidate(storage, "again"))
            for old in seen:
                assert (await storage.news(old))[1] is None
        assert not seen & grown
        assert {epoch >> 64 for epoch in grown} == {2}
        await storage.close()

    with pooler(pair.link) if pooled else nullcontext("") as host:
        asyncio.run(story(host))


@pytest.mark.parametrize("pooled", [False, True])
def test_with_a_synchronous_standby_nothing_is_acknowledged_that_a_failover_loses(
    pair: Pair, *, pooled: bool
) -> None:
    async def story(host: str) -> None:
        await pair.synchronise()
        storage = pair.storage(host)
        acknowledged = []
        for number in range(20):
            await put(storage, f"n/{number:02}", optimistic=number % 2 == 0)
            acknowledged.append(f"n/{number:02}")
        await asyncio.to_thread(_freeze_sender, pair.primary)
        for optimistic in (True, False):
            with pytest.raises(StorageFailure, match=r"what was to be written may have been|does not answer"):
                await put(storage, f"unknown/{optimistic}", optimistic=optimistic)
        assert await storage.reader().get(acknowledged[0]) == b"", "reads wait for no standby"
        await asyncio.to_thread(pair.primary.kill)
        await pair.replace()
        await soon(lambda: fill(storage, "after"))
        assert {"after", *acknowledged} <= set(await everything(storage))
        await storage.close()

    with pooler(pair.link) if pooled else nullcontext("") as host:
        asyncio.run(story(host))


def _freeze_sender(primary: Cluster) -> None:
    """Stop the process that sends a standby what was committed."""
    (sender,) = [
        pid for pid in primary.children() if b"walsender" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(sender, signal.SIGSTOP)


async def put(storage: PostgresStorage, path: str, *, optimistic: bool) -> None:
    async with storage.write(optimistic=optimistic) as tx:
        await tx.put(path, b"")


def test_a_node_that_has_seen_the_new_primary_leaves_the_old_one_with_all_its_connections(pair: Pair) -> None:
    async def story() -> None:
        old, new = pair.storage(), pair.storage()
        for storage in (old, new):
            await fill(storage, "before")
            await _use_all(storage)
        await asyncio.to_thread(pair.primary.wait_for, pair.standby)
        await pair.replace()  # the old primary lives, and whoever is connected to it knows of no other
        await fill(old, "on the old one")
        assert await old.reader().get("on the old one") is not None, (
            "asynchronously, it goes on acknowledging"
        )
        new._writer._connection.abort()  # type: ignore[union-attr]  # it has one: it wrote
        await fill(new, "on the new one")
        for _ in range(20):
            assert sorted(await everything(new)) == ["before", "on the new one"], "no pool mixes timelines"
        pair.lead(pair.primary)
        new._writer._connection.abort()  # type: ignore[union-attr]  # it has one
        with pytest.raises(StorageFailure, match="was replaced by another one, which is the primary now"):
            await fill(new, "back")
        for storage in (old, new):
            await storage.close()

    asyncio.run(story())


def test_a_synchronous_primary_that_was_replaced_and_lives_acknowledges_nothing(pair: Pair) -> None:
    async def story() -> None:
        await pair.synchronise()
        storage = pair.storage()
        await fill(storage, "before")
        await asyncio.to_thread(pair.standby.promote)
        for optimistic in (True, False):
            with pytest.raises(StorageFailure):
                await put(storage, "lost", optimistic=optimistic)
        pair.lead(pair.standby)
        await asyncio.to_thread(pair.primary.kill)
        await soon(lambda: fill(storage, "after"))
        assert sorted(await everything(storage)) == ["after", "before"]
        await storage.close()

    asyncio.run(story())


async def _use_all(storage: PostgresStorage) -> None:
    """Have a storage open all connections that it may have."""
    await until_kept(storage, lambda tx: tx.put("before", b""))
    await asyncio.gather(
        storage.reader().get("before"), storage.reader().scan(""), storage.next_due(), storage.news(0)
    )
