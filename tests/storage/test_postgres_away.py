# SPDX-License-Identifier: EUPL-1.2
"""A PostgreSQL that does not answer, breaks off, stops or is replaced: nothing that was acknowledged is lost, nothing hangs."""

import asyncio
import signal
import time
import uuid
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.postgres import Cluster, started
from tests.storage.proxy import Proxy, Way
from tests.storage.stores import everything, fill, invalidate, until_kept
from vault.storage.postgres import schema
from vault.storage.postgres.batches import Batch, arguments
from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.database import Database
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.postgres.unit import Unit
from vault.storage.protocol import Storage, StorageFailure, StorageLost

_DEADLINE = 2.0
Story = Callable[[PostgresStorage, Proxy], Coroutine[Any, Any, None]]
Play = Callable[[Story], None]


@pytest.fixture
def play(postgres: Callable[[], Cluster]) -> Generator[Play]:
    """Return what plays a story on an empty storage behind a proxy."""
    cluster = postgres()
    name = cluster.empty()

    async def whole(story: Story) -> None:
        address = cluster.address(name)
        async with Proxy.open(address.host) as proxy:
            storage = PostgresStorage(msgspec.structs.replace(address, host=proxy.folder), deadline=_DEADLINE)
            await story(storage, proxy)
            proxy.thaw()
            await storage.close()

    yield lambda story: asyncio.run(whole(story))
    cluster.give_back(name)


async def put(storage: Storage, path: str, *, optimistic: bool) -> None:
    async with storage.write(optimistic=optimistic) as tx:
        await tx.put(path, b"")
        await tx.invalidate("kind", path)


async def soon(work: Callable[[], Coroutine[Any, Any, object]], seconds: float = 60) -> None:
    """Do something as soon as it works."""
    until = time.monotonic() + seconds
    while True:
        try:
            await work()
            return
        except StorageFailure:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("optimistic", [True, False])
def test_a_commit_whose_answer_is_lost_is_found_out_and_told_as_done(play: Play, *, optimistic: bool) -> None:
    async def story(storage: PostgresStorage, proxy: Proxy) -> None:
        await put(storage, "before", optimistic=optimistic)
        before = storage._database.epoch
        proxy.cut = "answer"
        await put(storage, "kept", optimistic=optimistic)
        assert proxy.cuts == 1
        assert storage._database.epoch > before
        assert sorted(await everything(storage)) == ["before", "kept"]
        await put(storage, "after", optimistic=optimistic)

    play(story)


@pytest.mark.parametrize("optimistic", [True, False])
def test_a_commit_whose_request_is_lost_fails_and_nothing_of_it_is_kept(
    play: Play, *, optimistic: bool
) -> None:
    async def story(storage: PostgresStorage, proxy: Proxy) -> None:
        await put(storage, "before", optimistic=optimistic)
        proxy.cut = "request"
        with pytest.raises(StorageFailure, match="the connection broke; it is made again by itself"):
            await put(storage, "lost", optimistic=optimistic)
        assert proxy.cuts == 1
        await put(storage, "after", optimistic=optimistic)
        assert sorted(await everything(storage)) == ["after", "before"]

    play(story)


def test_a_batch_that_was_given_up_is_not_done_later(postgres: Callable[[], Cluster]) -> None:
    async def story(address: Address) -> None:
        connection = await Connection.make(address)
        batch = uuid.UUID(int=7)
        late = Batch()
        unit = Unit(0)
        unit.put("late", b"")
        late.add(unit)
        values = [batch, *list(arguments(late, Database(address)))[1:]]
        for _ in range(2):
            assert (await connection.row(schema.SETTLE, batch))[2] == 0
        with pytest.raises(StorageFailure, match="SQLSTATE 23505"):
            await connection.row(schema.COMMIT, *values)
        assert await connection.rows("SELECT FROM coffre.entry") == []
        await connection.close()

    cluster = postgres()
    name = cluster.empty()
    asyncio.run(story(cluster.address(name)))
    cluster.give_back(name)


@pytest.mark.parametrize("ways", [(), ("there",), ("back",)])
def test_one_that_does_not_answer_fails_everything_in_time_and_is_used_again(
    play: Play, ways: tuple[Way, ...]
) -> None:
    async def story(storage: PostgresStorage, proxy: Proxy) -> None:
        await fill(storage, "a")
        await until_kept(storage, lambda tx: tx.put("b", b""))
        reader = storage.reader()
        await asyncio.gather(*(reader.get("a") for _ in range(4)))
        proxy.freeze(*ways)
        began = time.monotonic()
        ends = await asyncio.gather(
            *(reader.get("a") for _ in range(10)),
            reader.scan(""),
            storage.news(0),
            fill(storage, "alone"),
            return_exceptions=True,
        )
        assert all(isinstance(end, StorageFailure) for end in ends)
        assert time.monotonic() - began < 10 * _DEADLINE
        await storage.check()  # it is not another one: nobody is sealed for that
        proxy.thaw()
        began = time.monotonic()
        await soon(lambda: reader.get("a"))
        await soon(lambda: fill(storage, "c"))
        await soon(lambda: until_kept(storage, lambda tx: tx.put("d", b"")))
        assert time.monotonic() - began < 10
        assert {"a", "b", "c", "d"} <= set(await everything(storage))

    play(story)


def test_connections_that_broke_while_nothing_was_asked_are_made_again_unnoticed(play: Play) -> None:
    async def story(storage: PostgresStorage, proxy: Proxy) -> None:
        for turn in range(5):
            await put(storage, f"alone/{turn}", optimistic=False)
            assert await storage.reader().has(f"alone/{turn}")
            proxy.break_all()
            await asyncio.sleep(0.01 * (turn % 2))  # it is known to be broken, or found to be when it is used
            assert await storage.reader().get(f"alone/{turn}") == b""
            await storage.news(0)
            proxy.break_all()
            await asyncio.sleep(0.01 * (turn % 2))
        await soon(lambda: put(storage, "optimistic", optimistic=True))
        assert len(await everything(storage)) == 6

    play(story)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_one_that_is_started_again_is_used_again_within_seconds(how: signal.Signals) -> None:
    with started() as cluster:
        name = cluster.empty()

        async def story() -> None:
            storage = PostgresStorage(cluster.direct(name))
            for turn in range(2):
                await put(storage, f"before/{turn}", optimistic=bool(turn))
                before = storage._database.epoch
                await asyncio.to_thread(cluster.stop, how)
                began = time.monotonic()
                with pytest.raises(StorageFailure):
                    await put(storage, "none", optimistic=bool(turn))
                with pytest.raises(StorageFailure):
                    await storage.reader().get("before/0")
                assert time.monotonic() - began < 4
                await asyncio.to_thread(cluster.start)
                began = time.monotonic()
                await soon(partial(put, storage, f"after/{turn}", optimistic=not turn))
                assert time.monotonic() - began < 10
                assert storage._database.epoch > before
            assert len(await everything(storage)) == 4
            await storage.close()

        asyncio.run(story())


def test_while_there_is_no_connection_everything_fails_at_once_and_few_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Address] = []
    make = Connection.make

    def counted(address: Address, deadline: float) -> Coroutine[Any, Any, Connection]:
        tried.append(address)
        return make(address, deadline)

    monkeypatch.setattr(Connection, "make", counted)

    async def story() -> None:
        storage = PostgresStorage(Address(host=str(tmp_path), user="nobody", database="none"))
        with pytest.raises(StorageFailure, match=r"no connection \(No such file or directory\)"):
            await storage.reader().get("a")
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StorageFailure):
                await storage.reader().get("a")
        assert time.monotonic() - began < 5
        assert len(tried) < 20
        await storage.close()

    asyncio.run(story())


def test_no_failure_tells_a_password(tmp_path: Path) -> None:
    address = Address(host=str(tmp_path), user="u", database="d", password=lambda: "hunter2hunter2")
    with pytest.raises(StorageFailure) as caught:
        asyncio.run(PostgresStorage.open(address))
    assert "hunter2hunter2" not in f"{caught.value!r} {address} {address!r} {caught.value.__context__!r}"


def test_another_vault_in_its_place_is_told_from_one_that_is_away(
    play: Play, postgres: Callable[[], Cluster]
) -> None:
    async def story(storage: PostgresStorage, proxy: Proxy) -> None:
        await fill(storage, "a")
        await everything(storage)
        connection = storage._lanes._slots[0]._connection or storage._lanes._slots[1]._connection
        assert connection is not None
        (name,) = await connection.row("SELECT current_database()")
        await asyncio.to_thread(postgres().run, name, "UPDATE coffre.meta SET vault = gen_random_uuid()")
        with pytest.raises(StorageLost, match="another vault is in its place"):
            await storage.check()

    play(story)


def test_an_older_backup_in_its_place_ends_what_a_node_knew_and_it_goes_on_writing(
    postgres: Callable[[], Cluster],
) -> None:
    cluster = postgres()
    name = cluster.empty()

    async def story() -> None:
        storage, other = PostgresStorage(cluster.address(name)), PostgresStorage(cluster.address(name))
        await invalidate(storage, "before")
        backup = await asyncio.to_thread(cluster.back_up, name)
        later = [await invalidate(storage, f"later/{number}") for number in range(3)]
        await fill(storage, "later")
        assert (await until_kept(other, lambda tx: tx.put("other", b"")))[1] == 1
        await asyncio.to_thread(cluster.restore, name, backup)
        for node in (storage, other):
            assert await node.reader().get("later") is None
            for epoch in later:
                assert (await node.news(epoch))[1] is None
            assert (await until_kept(node, lambda tx: tx.put("again", b"")))[1] <= 2
            assert (await until_kept(node, lambda tx: tx.put("more", b"")))[1] == 1, "it lost to nobody"
            await node.close()

    asyncio.run(story())
    cluster.give_back(name)


def test_after_a_failover_the_new_primary_is_used_and_the_old_one_never_again(tmp_path: Path) -> None:
    with started() as primary, primary.standby() as standby:
        name = primary.empty()
        primary.wait_for(standby)
        link = tmp_path / "lead"
        link.symlink_to(primary.address("").host)
        address = msgspec.structs.replace(primary.address(name), host=str(link))

        def lead(cluster: Cluster) -> None:
            link.unlink()
            link.symlink_to(cluster.address("").host)

        async def story() -> None:
            storage = PostgresStorage(address, deadline=_DEADLINE)
            before = await invalidate(storage, "before")
            await fill(storage, "kept")
            await asyncio.to_thread(primary.wait_for, standby)
            lead(standby)
            with pytest.raises(StorageFailure, match="this is a replica; name the primary"):
                await PostgresStorage.open(address)
            await asyncio.to_thread(primary.stop)
            with pytest.raises(StorageFailure):
                await fill(storage, "nowhere")
            await asyncio.to_thread(standby.promote)
            await soon(lambda: fill(storage, "after"))
            assert sorted(await everything(storage)) == ["after", "kept"]
            epoch, changes = await storage.news(before)
            assert changes is None and epoch >> 64 == 2, (
                "no epoch of the history before counts in the new one"
            )
            moved = await invalidate(storage, "again")
            assert moved > epoch > before
            await asyncio.to_thread(primary.start)
            lead(primary)
            await asyncio.to_thread(standby.stop, signal.SIGQUIT)
            with pytest.raises(StorageFailure):
                await storage.reader().get("kept")
            with pytest.raises(StorageFailure, match="was replaced by another one, which is the primary now"):
                await asyncio.sleep(2.1)
                await storage.reader().get("kept")
            await storage.close()

        asyncio.run(story())
