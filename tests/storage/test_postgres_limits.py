# SPDX-License-Identifier: EUPL-1.2
"""A PostgreSQL that gives too little: connections, room on its disk, time. What is acknowledged stays, and it goes on by itself."""

import asyncio
import os
import time
from collections.abc import Callable, Generator

import msgspec
import pytest

from tests.nodes import make_role
from tests.postgres import Cluster, give_to_user, started
from tests.storage.proxy import Proxy
from tests.storage.stores import add, everything, fill, until_kept
from tests.storage.test_postgres_away import soon
from vault.storage.postgres.administration import install
from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import Node, Storage, StorageBusy, StorageFailure
from vault.values.times import Millis

_MANY = 500
_WAITING = 1024
"""How many may wait."""


class Place:
    """A database for a role that has limits of its own."""

    def __init__(self, cluster: Cluster, role: str) -> None:
        self._cluster, self.role = cluster, role
        self.database = cluster.bare()
        make_role(cluster, role)
        cluster.run("postgres", f"ALTER ROLE {role} CONNECTION LIMIT -1; ALTER ROLE {role} RESET ALL")
        asyncio.run(install(cluster.direct(self.database), role))

    @property
    def address(self) -> Address:
        return self._cluster.direct(self.database, self.role)

    @property
    def owner(self) -> Address:
        return self._cluster.direct(self.database)

    async def limit(self, *settings: str) -> None:
        """Change the role, for connections that are made from now on."""
        for setting in settings:
            await asyncio.to_thread(self._cluster.run, "postgres", f"ALTER ROLE {self.role} {setting}")

    async def end_all(self) -> None:
        """End the role's connections."""
        ends = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{self.role}'"  # noqa: S608 - our own
        await asyncio.to_thread(self._cluster.run, "postgres", ends)
        while await self.connections():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)

    async def connections(self) -> int:
        """Count what the role has."""
        owner = await Connection.make(self._cluster.direct(self.database))
        (count,) = await owner.row("SELECT count(*) FROM pg_stat_activity WHERE usename = $1", self.role)
        await owner.close()
        return int(count)


@pytest.fixture
def few(postgres: Callable[[], Cluster]) -> Place:
    return Place(postgres(), "few")


@pytest.fixture
def hasty(postgres: Callable[[], Cluster]) -> Place:
    return Place(postgres(), "hasty")


async def _load(storage: Storage, name: str) -> None:
    """Have many read and write at once, in every way."""

    async def one(number: int) -> None:
        path = f"{name}/{number:03}"
        if number % 10 == 0:
            await fill(storage, path)
        else:
            await until_kept(storage, lambda tx: tx.put(path, path.encode()))
        assert await storage.reader().get(path) == path.encode()

    await asyncio.gather(*(one(number) for number in range(_MANY)))
    assert len(await storage.reader().scan(f"{name}/")) == _MANY


def test_a_node_works_with_two_connections_and_takes_more_when_it_can(few: Place) -> None:
    async def story() -> None:
        await few.limit("CONNECTION LIMIT 2")
        storage = await PostgresStorage.open(few.address)
        await _load(storage, "two")
        assert await few.connections() == 2
        await few.end_all()  # reads come first, and leave one for writes
        for _ in range(3):
            await asyncio.gather(
                *(storage.reader().scan("two/") for _ in range(5)), storage.news(0), return_exceptions=True
            )
        await soon(lambda: fill(storage, "written"))
        await _load(storage, "again")
        await few.limit("CONNECTION LIMIT 10")
        began = time.monotonic()
        while await few.connections() < 4:
            await _load(storage, "more")
            assert time.monotonic() - began < 20
        await few.limit("CONNECTION LIMIT 1")
        await _load(storage, "kept")  # what it has it keeps
        with pytest.raises(StorageFailure, match="takes no more connections; raise max_connections"):
            await PostgresStorage.open(few.address)
        await storage.close()

    asyncio.run(story())


def test_of_more_than_may_wait_each_is_refused_at_once_and_those_who_wait_are_served(few: Place) -> None:
    async def story() -> None:
        await few.limit("CONNECTION LIMIT -1")
        async with Proxy.open(few.address.host) as proxy:
            storage = await PostgresStorage.open(msgspec.structs.replace(few.address, host=proxy.folder))
            await fill(storage, "a")
            proxy.freeze()
            reader = storage.reader()
            reads = [asyncio.create_task(reader.get("a")) for _ in range(3 * _WAITING)]
            writes = [asyncio.create_task(fill(storage, str(number))) for number in range(_WAITING + 10)]
            refused, _ = await asyncio.wait([*reads, *writes], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.05)
            refused = {task for task in [*reads, *writes] if task.done()}
            assert {type(task.exception()) for task in refused} == {StorageBusy}
            assert len(refused.intersection(writes)) == 10
            waiting = [task for task in reads if not task.done()]
            assert _WAITING <= len(waiting) <= _WAITING + 2 * 128, "and what was sent"
            proxy.thaw()
            assert await asyncio.gather(*waiting) == [b"a"] * len(waiting)
            await asyncio.gather(*(task for task in writes if task not in refused))
            await storage.close()

    asyncio.run(story())


def test_who_waits_for_the_turn_too_long_is_told_and_loses_nothing_else(hasty: Place) -> None:
    async def story() -> None:
        await hasty.limit("SET lock_timeout = '200ms'", "SET idle_in_transaction_session_timeout = '5s'")
        one, other = PostgresStorage(hasty.address), PostgresStorage(hasty.address)
        await fill(other, "before")
        async with one.write() as tx:
            began = time.monotonic()
            for optimistic in (True, False):
                with pytest.raises(StorageFailure, match="another node held the turn to write for too long"):
                    async with other.write(optimistic=optimistic) as late:
                        await late.put("late", b"")
            assert 0.4 <= time.monotonic() - began < 10
            assert await other.reader().get("before") == b"before", "reads wait for nobody"
            await tx.put("held", b"")
        await until_kept(other, lambda tx: tx.put("after", b""))
        assert sorted(await everything(one)) == ["after", "before", "held"]
        for storage in (one, other):
            await storage.close()

    asyncio.run(story())


def test_a_node_that_holds_the_turn_and_hangs_is_put_out_and_keeps_nothing(hasty: Place) -> None:
    async def story() -> None:
        await hasty.limit("SET lock_timeout = '3s'", "SET idle_in_transaction_session_timeout = '300ms'")
        hanging, other = PostgresStorage(hasty.address), PostgresStorage(hasty.address)
        with pytest.raises(StorageFailure):
            async with hanging.write() as tx:
                await tx.put("lost", b"")
                began = time.monotonic()
                await until_kept(other, add)
                assert time.monotonic() - began < 3
        assert sorted(await everything(other)) == ["counter"]
        await fill(hanging, "again")
        assert sorted(await everything(hanging)) == ["again", "counter"]
        for storage in (hanging, other):
            await storage.close()

    asyncio.run(story())


def test_a_statement_that_takes_too_long_is_ended_by_the_database(hasty: Place) -> None:
    async def story() -> None:
        await hasty.limit("SET statement_timeout = '2s'")
        storage = PostgresStorage(hasty.address)
        with pytest.raises(StorageFailure, match="the statement took too long and was ended"):
            await storage._lanes.ask(lambda connection: connection.row("SELECT pg_sleep(10)"))
        await fill(storage, "a")
        assert await storage.reader().get("a") == b"a"
        await storage.close()
        await hasty.limit("RESET ALL")

    asyncio.run(story())


@pytest.fixture
def small() -> Generator[Cluster]:
    """Return a server with a small disk, on which its databases are."""
    with started(disk=32) as cluster:
        place = cluster.small / "place"
        place.mkdir()
        give_to_user(place)
        cluster.run("postgres", f"CREATE TABLESPACE small LOCATION '{cluster.folder}/small/place'")
        yield cluster


def test_on_a_full_disk_writes_fail_reads_go_on_and_once_there_is_room_all_does(small: Cluster) -> None:
    name = small.bare()
    small.run("postgres", f"ALTER DATABASE {name} SET TABLESPACE small")
    asyncio.run(install(small.direct(name)))

    async def story() -> None:
        storage = PostgresStorage(small.direct(name))
        acknowledged: list[str] = []

        async def grow(most: int) -> None:
            for _ in range(most):
                path = f"n/{len(acknowledged):04}"
                async with storage.write(optimistic=True) as tx:
                    await tx.put(path, bytes(7000))
                acknowledged.append(path)

        await grow(10)
        ballast = small.small / "ballast"
        room = os.statvfs(small.small)
        ballast.write_bytes(bytes(room.f_bavail * room.f_bsize - (1 << 20)))
        for optimistic in (True, False):
            with pytest.raises(StorageFailure, match="the disk of the database is full; free some space"):
                while True:
                    await grow(1)
            with pytest.raises(StorageFailure, match="disk of the database is full"):
                async with storage.write(optimistic=optimistic) as tx:
                    await tx.put("big", bytes(200_000))
        assert await storage.reader().get(acknowledged[0]) == bytes(7000)
        assert len(await storage.reader().scan("n/")) == len(acknowledged) > 50
        ballast.unlink()
        await grow(10)
        assert sorted(await everything(storage)) == acknowledged
        await storage.close()

    asyncio.run(story())


def test_what_waits_for_its_commit_leaves_a_connection_to_those_who_read(few: Place) -> None:
    """As everything does that is written while a synchronous standby is away; here somebody holds the tables."""

    async def story() -> None:
        storage = PostgresStorage(few.address)
        await fill(storage, "a")
        holder = await Connection.make(few.owner)
        await holder.run("BEGIN; LOCK TABLE coffre.node, coffre.timer IN EXCLUSIVE MODE")
        node = Node(hostname="a", api_addr="one", cluster_addr="", version="0", api="2", serves=True)
        writing = [
            asyncio.ensure_future(written)
            for written in (
                storage.meet(node),
                storage.claim(Millis(0), 10, hold=Millis(1000)),
                storage.meet(node),
            )
        ]
        for _ in range(20):
            assert await storage.reader().get("a") == b"a"
            assert not any(each.done() for each in writing)
        await holder.run("ROLLBACK")
        await asyncio.gather(*writing)
        await holder.close()
        await storage.close()

    asyncio.run(story())
