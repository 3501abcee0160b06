# SPDX-License-Identifier: EUPL-1.2
"""Which servers share a database, and which releases may."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.postgres import Cluster
from tests.storage.stores import Store
from vault.storage.postgres import administration, schema
from vault.storage.postgres.administration import install
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Node, Storage, StorageFailure, StorageLost

ONE = Node(
    hostname="a", api_addr="https://one:8200", cluster_addr="", version="0.1", api="2.7.2", serves=False
)
OTHER = replace(ONE, api_addr="https://other:8200", cluster_addr="https://other:8201", serves=True)


def test_a_storage_knows_whoever_says_that_it_lives(store: Store) -> None:
    async def story(storage: Storage) -> None:
        assert [replace(node, seen=ONE.seen) for node in await storage.meet(ONE)] == [ONE]
        await storage.part(ONE)

    store.play(story)


def _shown(nodes: Sequence[Node]) -> list[Node]:
    assert all(node.seen > 1_500_000_000_000 for node in nodes)
    return [replace(node, seen=ONE.seen) for node in nodes]


def test_servers_see_each_other_until_one_leaves_or_is_silent(
    postgres: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = postgres()
    name = cluster.empty()

    async def story() -> None:
        one, other = (PostgresStorage(cluster.address(name)) for _ in range(2))
        assert _shown(await one.meet(ONE)) == [ONE]
        assert _shown(await other.meet(OTHER)) == [ONE, OTHER]
        opened = replace(ONE, serves=True, version="0.2")
        assert _shown(await one.meet(opened)) == [opened, OTHER]
        seen = (await one.meet(replace(opened, aside=60.0)))[0].aside
        assert 50 < seen <= 60
        assert 50 < (await other.meet(OTHER))[0].aside < seen
        assert 50 < (await one.meet(opened))[0].aside < seen
        await other.part(OTHER)
        await one.part(opened)
        assert _shown(await one.meet(opened)) == [opened]
        await other.meet(OTHER)
        monkeypatch.setattr(schema, "LIVES", timedelta(0))
        assert _shown(await one.meet(opened)) == [opened]
        for each in (one, other):
            await each.close()

    asyncio.run(story())
    cluster.give_back(name)


def _pretend(monkeypatch: pytest.MonkeyPatch, *scripts: str) -> None:
    """Give this release further migrations."""
    known = [*schema.migrations()]
    more = [(known[-1][0] + 1 + place, script) for place, script in enumerate(scripts)]
    monkeypatch.setattr(administration, "migrations", lambda: known + more)


def test_a_release_serves_on_the_next_schema_and_is_refused_by_one_that_took_away_what_it_needs(
    postgres: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = postgres()
    name = cluster.bare()
    address = cluster.address(name)
    ours = schema.newest_version()

    async def story() -> None:
        await install(address)
        storage = await PostgresStorage.open(address)
        _pretend(monkeypatch, "CREATE TABLE added ()")
        assert await install(address) == ours + 1
        await storage.check()
        again = await PostgresStorage.open(address)
        await again.meet(ONE)
        _pretend(monkeypatch, "", f"UPDATE meta SET oldest = {ours + 1}")  # noqa: S608 - a number of ours
        with pytest.raises(StorageFailure, match=r"a \(release 0\.1\).*first"):
            await install(address)
        await again.check()
        await again.part(ONE)
        await again.close()
        assert await install(address) == ours + 2
        with pytest.raises(StorageLost, match="it is too old"):
            await storage.check()
        with pytest.raises(StorageFailure, match=f"releases of schema {ours + 1} or newer") as refused:
            await PostgresStorage.open(address)
        assert type(refused.value) is StorageFailure
        await storage.close()

    asyncio.run(story())


def test_tables_that_are_older_than_the_release_are_to_be_migrated(
    postgres: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = postgres()
    address = cluster.address(cluster.bare())

    async def story() -> None:
        monkeypatch.setattr(administration, "migrations", lambda: schema.migrations()[:1])
        assert await install(address) == 1
        with pytest.raises(StorageFailure, match="run `vaultctl operator db migrate`"):
            await PostgresStorage.open(address)
        monkeypatch.undo()
        assert await install(address, fresh=False) == schema.newest_version()
        await (await PostgresStorage.open(address)).close()

    asyncio.run(story())
