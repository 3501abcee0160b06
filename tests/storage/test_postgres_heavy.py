# SPDX-License-Identifier: EUPL-1.2
"""Large values on PostgreSQL: no commit has more than others can wait for, one that is heavy has the time, and failures say which."""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from tests.postgres import Cluster
from tests.storage.proxy import Moment, Proxy
from tests.storage.stores import everything, fill
from tests.storage.test_postgres_limits import Place
from vault.storage.postgres.batches import Batch
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.postgres.turn import TurnTransaction
from vault.storage.postgres.unit import Unit
from vault.storage.protocol import OutcomeUnknown, StorageFailure

_MIB = 1 << 20
_SLOW = """
    CREATE FUNCTION coffre.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
    CREATE TRIGGER wait AFTER INSERT ON coffre.entry FOR EACH STATEMENT EXECUTE FUNCTION coffre.wait();
"""
"""Lets each commit take as long as one of much more does."""


@pytest.fixture
def place(postgres: Callable[[], Cluster]) -> Place:
    """Return a database for a role with limits of its own."""
    return Place(postgres(), "heavy")


def unit(mebibytes: int, path: str, *, apart: bool = False) -> Unit:
    """Return what wrote a value of that length, which was sent before where it is `apart`."""
    wrote = Unit(0)
    wrote.put(path, bytes(mebibytes * _MIB), uuid.uuid4() if apart else None)
    return wrote


@pytest.mark.parametrize("apart", [False, True])
def test_a_batch_takes_as_many_bytes_as_others_can_wait_for_and_one_unit_of_more(*, apart: bool) -> None:
    batch = Batch()
    assert batch.takes(unit(40, "huge", apart=apart)), "alone"
    for number in range(4):
        one = unit(4, str(number), apart=apart)
        assert batch.takes(one)
        batch.add(one)
    assert batch.weight == 16 * _MIB and batch.heavy
    assert not batch.takes(unit(1, "more", apart=apart))
    assert batch.takes(unit(0, "little")), "it adds nothing"


def test_what_lost_in_a_batch_weighs_nothing() -> None:
    batch, gone = Batch(), Unit(0)
    gone.lost = True
    doomed = unit(8, "doomed")
    doomed.seen["read"] = gone
    for one in (doomed, unit(2, "kept")):
        batch.add(one)
    assert batch.drop_lost() == [doomed]
    assert batch.weight == 2 * _MIB and not batch.heavy


def test_of_many_large_values_that_come_at_once_each_commit_has_a_few(place: Place) -> None:
    async def story() -> None:
        storage = PostgresStorage(place.address)

        async def put(path: str, value: bytes) -> None:
            async with storage.write(optimistic=True) as tx:
                await tx.put(path, value)

        await asyncio.gather(
            *(put(f"large/{number}", bytes(6 * _MIB)) for number in range(6)),
            *(put(f"small/{number}", b"x") for number in range(6)),
        )
        owner = PostgresStorage(place.owner)
        rows = await owner._lanes.ask(
            lambda connection: connection.rows(
                "SELECT sum(octet_length(value)) FROM coffre.entry GROUP BY version ORDER BY 1"
            )
        )
        assert len(await everything(storage)) == 12
        assert max(bytes_ for (bytes_,) in rows) <= 16 * _MIB and len(rows) >= 3
        for each in (storage, owner):
            await each.close()

    asyncio.run(story())


def test_a_heavy_commit_has_more_time_and_one_that_takes_too_long_says_so(
    postgres: Callable[[], Cluster], place: Place
) -> None:
    """It fails where a light one does for which the commit takes as long."""

    async def story() -> None:
        await place.limit("SET statement_timeout = '2s'", "SET idle_in_transaction_session_timeout = '2s'")
        await asyncio.to_thread(postgres().run, place.database, _SLOW.format(seconds=3))
        storage = PostgresStorage(place.address, deadline=2.0)
        for optimistic in (True, False):
            with pytest.raises(
                StorageFailure, match="the commit took too long and was ended; nothing of it was kept"
            ):
                async with storage.write(optimistic=optimistic) as tx:
                    await tx.put("light", b"x")
        for optimistic in (True, False):
            async with storage.write(optimistic=optimistic) as tx:
                await tx.put(f"heavy-{optimistic}", bytes(40 * _MIB))
        assert await storage.reader().list("") == ["heavy-False", "heavy-True"]
        await asyncio.to_thread(postgres().run, place.database, "DROP TRIGGER wait ON coffre.entry")
        await fill(storage, "light")
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize("cut", ["request", "answer"])
def test_a_heavy_batch_that_breaks_off_before_its_commit_was_not_written(place: Place, cut: Moment) -> None:
    """Nobody has to be asked for that, though nobody is there: the database keeps nothing of it."""

    async def story(proxy: Proxy) -> None:
        storage = PostgresStorage(msgspec.structs.replace(place.address, host=proxy.folder))
        await _put(storage, "before", 1)
        proxy.cut, proxy.alone = cut, True
        began = time.monotonic()
        with pytest.raises(StorageFailure, match="the connection broke") as told:
            await _put(storage, "lost", 8 * _MIB)
        assert not isinstance(told.value, OutcomeUnknown) and proxy.cuts == 1
        assert time.monotonic() - began < 4
        proxy.target, proxy.alone = place.address.host, False
        await asyncio.sleep(2)  # until it is tried again
        assert await everything(storage) == {"before": b"x"}
        await storage.close()

    asyncio.run(_behind(place, story))


def test_a_heavy_batch_whose_commit_is_not_answered_is_found_out(place: Place) -> None:
    async def story(proxy: Proxy) -> None:
        storage = PostgresStorage(msgspec.structs.replace(place.address, host=proxy.folder))
        proxy.cut = "COMMIT"
        await _put(storage, "kept", 8 * _MIB)
        assert proxy.cuts == 1
        assert await storage.reader().list("") == ["kept"]
        await storage.close()

    asyncio.run(_behind(place, story))


async def _behind(place: Place, story: Callable[[Proxy], Coroutine[Any, Any, None]]) -> None:
    async with Proxy.open(place.address.host) as proxy:
        await story(proxy)


async def _put(storage: PostgresStorage, path: str, length: int) -> None:
    async with storage.write(optimistic=True) as tx:
        await tx.put(path, b"x" * length)


@pytest.mark.parametrize("session", ["", "SET statement_timeout = '4s'"])
def test_the_rest_of_a_turn_in_which_much_was_written_has_the_limits_of_any_other(
    place: Place, session: str
) -> None:
    """They are the role's, or those of the session, as a pooler may have set them."""

    async def story() -> None:
        await place.limit("SET statement_timeout = '3s'", "SET idle_in_transaction_session_timeout = '2s'")
        storage = PostgresStorage(place.address)
        async with storage.write() as tx:
            assert isinstance(tx, TurnTransaction)
            connection = tx._connection
            await connection.run(f"COMMIT; {session}; BEGIN")
            await tx.put("heavy", bytes(24 * _MIB))
            await tx.delete_prefix("other/")
            limits = await connection.row(
                "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
            )
            assert [*limits] == ["4s" if session else "3s", "2s"]
        await storage.close()

    asyncio.run(story())
