# SPDX-License-Identifier: EUPL-1.2
"""A vault carried into another storage: all of it, or nothing, and never beside a server."""

import asyncio
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from tests.postgres import OWNER, Cluster
from tests.storage.test_nodes import ONE
from vault.server.config.settings import StorageSettings
from vault.server.offline.moves import carry
from vault.storage.copies import postgres_ends, sqlite_ends
from vault.storage.copies.move import Entry, move
from vault.storage.postgres import schema
from vault.storage.postgres.connection import LASTING
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import LONG, Storage, StorageFailure, Timer
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.times import Millis

ROOT = Path(__file__).parents[2]
ENTRIES = {
    "a": b"",
    "a/b": b"1",
    "long": os.urandom(3 * LONG + 7),
    "longest": b"x" * LONG,
    "umlaut/\u00e4/\U0010ffff": b"2",
    **{f"many/{number:05}": str(number).encode() for number in range(700)},
}
TIMERS = [
    Timer("k", "a", Millis(5)),
    Timer("k", "\u00e4", Millis(-5), 3),
    Timer("l", "a", Millis(1 << 50)),
    *(Timer("m", f"{number:05}", Millis(number)) for number in range(600)),
]


class Place:
    """Where vaults are: databases of both kinds."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._numbers = itertools.count()
        self.lent: list[str] = []

    def settings(self, kind: str) -> StorageSettings:
        """Return settings of a place where nothing is."""
        if kind == "sqlite":
            return StorageSettings(kind=kind, path=str(self._folder / f"{next(self._numbers)}.db"))
        self.lent.append(self._cluster.empty())
        address = self._cluster.address(self.lent[-1])
        return StorageSettings(
            kind=kind, connection_url=f"postgresql://{address.user}@/{address.database}?host={address.host}"
        )

    def open(self, settings: StorageSettings) -> Storage:
        if settings.kind == "sqlite":
            return SqliteStorage.open(Path(settings.path))
        name = settings.connection_url.split("@/")[1].split("?")[0]
        return PostgresStorage(self._cluster.address(name))

    def fill(self, settings: StorageSettings) -> None:
        async def story() -> None:
            storage = self.open(settings)
            async with storage.write() as tx:
                for path, value in ENTRIES.items():
                    await tx.put(path, value)
                for timer in TIMERS:
                    await tx.at(timer)
                await tx.invalidate("a", "b")
            assert len(await storage.claim(Millis(0), 10, hold=Millis(1000))) == 2
            await storage.close()

        asyncio.run(story())

    def held(self, settings: StorageSettings) -> tuple[dict[str, bytes | None], list[Timer]]:
        """Return all that can be had."""

        async def story() -> tuple[dict[str, bytes | None], list[Timer]]:
            storage = self.open(settings)
            reader = storage.reader()
            entries = {path: await reader.get(path) for path in await reader.scan("")}
            timers = [*await storage.claim(Millis(1 << 60), 10_000, hold=Millis(1))]
            await storage.close()
            return entries, timers

        return asyncio.run(story())


@pytest.fixture
def place(postgres: Callable[[], Cluster], tmp_path: Path) -> Iterator[Place]:
    place = Place(postgres(), tmp_path)
    yield place
    for name in place.lent:
        postgres().give_back(name)


def _silent(what: str, hundredths: int) -> None:
    """Tell nobody."""


def _expected() -> list[Timer]:
    """What was claimed once is so no more, but counts."""
    return [replace(timer, attempts=timer.attempts + (timer.due <= 0)) for timer in TIMERS]


BOTH_WAYS = pytest.mark.parametrize(
    ("near", "far"),
    [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite"), ("postgresql", "postgresql")],
)


@BOTH_WAYS
def test_all_that_lies_in_one_storage_lies_in_the_other_afterwards(place: Place, near: str, far: str) -> None:
    source, destination = place.settings(near), place.settings(far)
    place.fill(source)
    told: list[tuple[str, int]] = []
    moved = carry(source, destination, lambda what, hundredths: told.append((what, hundredths)))
    size = sum(map(len, ENTRIES.values()))
    assert moved == {"entries": len(ENTRIES), "timers": len(TIMERS), "bytes": size}
    assert told == sorted(told, key=lambda one: ((one[0] == "comparing"), one[1]))
    assert (("copying", 100) in told) and told[-1] == ("comparing", 100)
    entries, timers = place.held(destination)
    assert entries == ENTRIES
    assert sorted(timers, key=lambda timer: (timer.kind, timer.key)) == sorted(
        _expected(), key=lambda timer: (timer.kind, timer.key)
    )
    assert place.held(source)[0] == ENTRIES


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_destination_that_is_not_empty_and_a_source_that_is_are_refused(place: Place, kind: str) -> None:
    source, destination = place.settings("sqlite"), place.settings(kind)
    place.fill(source)
    place.fill(destination)
    with pytest.raises(StorageFailure, match=r"it is there already|there is something in it"):
        carry(source, destination, _silent)
    assert place.held(destination)[0] == ENTRIES
    empty = place.settings(kind)
    if kind == "sqlite":
        with pytest.raises(StorageFailure, match="there is no such database"):
            carry(empty, place.settings("postgresql"), _silent)
        asyncio.run(place.open(empty).close())
    with pytest.raises(StorageFailure, match="there is no vault in it"):
        carry(empty, place.settings("postgresql"), _silent)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_source_is_left_while_a_server_has_it_open(place: Place, kind: str) -> None:
    source, destination = place.settings(kind), place.settings("postgresql")
    place.fill(source)

    async def story() -> None:
        storage = place.open(source)
        await storage.meet(ONE)
        with pytest.raises(StorageFailure, match=r"stop every server that uses it first"):
            await asyncio.to_thread(carry, source, destination, _silent)
        await storage.part(ONE)
        await storage.close()

    asyncio.run(story())
    carry(source, destination, _silent)


def test_no_destination_is_filled_that_a_server_has_open(place: Place) -> None:
    source, destination = place.settings("sqlite"), place.settings("postgresql")
    place.fill(source)

    async def story() -> None:
        storage = place.open(destination)
        await storage.meet(ONE)
        with pytest.raises(StorageFailure, match="servers have it open, on a;"):
            await asyncio.to_thread(carry, source, destination, _silent)
        await storage.part(ONE)
        await storage.close()

    asyncio.run(story())


def test_a_path_that_only_sqlite_takes_is_named_and_nothing_is_kept(place: Place) -> None:
    source, destination = place.settings("sqlite"), place.settings("postgresql")
    place.fill(source)
    with closing(sqlite3.connect(source.path)) as connection, connection:
        connection.execute("INSERT INTO entry (path, value) VALUES (?, x'')", ("y" * 3000,))
    with pytest.raises(StorageFailure, match="2600 bytes; delete it"):
        carry(source, destination, _silent)
    assert place.held(destination) == ({}, [])


_KILLED = """
import os, signal, sys, msgspec
from vault.server.config.settings import StorageSettings
from vault.server.offline.moves import carry
source, destination = msgspec.json.decode(sys.argv[1], type=list[StorageSettings])
def progress(what, hundredths):
    if what == sys.argv[2] and hundredths >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
carry(source, destination, progress)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("when", [("copying", "40"), ("comparing", "100")])
def test_what_is_killed_leaves_nothing_and_begins_anew(
    place: Place, kind: str, when: tuple[str, str]
) -> None:
    source, destination = place.settings("sqlite"), place.settings(kind)
    place.fill(source)
    both = msgspec.json.encode([source, destination]).decode()
    done = subprocess.run([sys.executable, "-c", _KILLED, both, *when], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    if kind == "sqlite":
        assert not Path(destination.path).exists()
    else:
        assert place.held(destination) == ({}, [])
    carry(source, destination, _silent)
    assert place.held(destination)[0] == ENTRIES


@pytest.mark.parametrize("what", ["an entry", "one entry more", "a timer"])
def test_what_differs_in_the_end_is_not_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    source, destination = place.settings("sqlite"), place.settings("postgresql")
    place.fill(source)

    class Spoiling(postgres_ends.NewRows):
        async def put(self, entries: Sequence[Entry]) -> None:
            if what != "a timer":
                entries = [(path, b"!" if path == "a/b" else value) for path, value in entries]
            await super().put(entries)

        async def entries(self) -> AsyncIterator[Entry]:
            async for one in super().entries():
                yield (one[0], b"1") if what == "one entry more" and one[0] == "a/b" else one
            if what == "one entry more":
                yield "z", b""

        async def at(self, timers: Sequence[Timer]) -> None:
            await super().at(
                [replace(timer, attempts=9) for timer in timers] if what == "a timer" else timers
            )

    monkeypatch.setattr(postgres_ends, "NewRows", Spoiling)
    with pytest.raises(StorageFailure, match=r"differs from the source at .*; nothing was kept"):
        carry(source, destination, _silent)
    assert place.held(destination) == ({}, [])


_HASTY = ("statement_timeout", "idle_in_transaction_session_timeout")


@pytest.mark.parametrize(
    ("near", "far"), [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "postgresql")]
)
def test_what_requests_may_not_take_a_move_may(
    place: Place, near: str, far: str, postgres: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role's limits are for requests: to count a large vault takes longer, and so does a busy disk at the other end."""
    source, destination = place.settings(near), place.settings(far)
    place.fill(source)
    monkeypatch.setattr(schema, "COUNTS", f"{schema.COUNTS} FROM pg_sleep(0.4)")
    pauses = iter([0.4])
    for name in place.lent:
        for limit in _HASTY:
            postgres().run(name, f"ALTER ROLE {OWNER} IN DATABASE {name} SET {limit} = '300ms'")
    try:
        carry(source, destination, lambda _what, _hundredths: time.sleep(next(pauses, 0)))
    finally:
        for name in place.lent:
            postgres().run(name, f"ALTER ROLE {OWNER} IN DATABASE {name} RESET ALL")
    assert place.held(destination)[0] == ENTRIES


def test_a_backup_of_servers_that_go_on_may_take_its_time(
    place: Place, postgres: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = place.settings("postgresql")
    place.fill(source)
    (name,) = place.lent
    waited: list[object] = []
    fetched = asyncpg.Connection.fetchrow

    async def fetchrow(self: object, *query: object, **given: object) -> object:
        waited.append(given["timeout"])
        return await fetched(self, *query, **given)

    monkeypatch.setattr(asyncpg.Connection, "fetchrow", fetchrow)

    async def story() -> tuple[int, int]:
        async with postgres_ends.snapshot(postgres().address(name)) as rows:
            waited.clear()
            for limit in _HASTY:
                (said,) = await rows._connection.row(f"SHOW {limit}")
                assert said == "10min", limit
            return await rows.count()

    assert asyncio.run(story()) == (len(ENTRIES), len(TIMERS))
    assert waited == [LASTING] * 3, "we wait as long as the database"


@pytest.mark.parametrize("size", [0, 40, 300, 1500, 2100, 3000, 5000, 20_000])
def test_the_room_that_a_copy_takes_is_known_before(
    place: Place, postgres: Callable[[], Cluster], tmp_path: Path, size: int
) -> None:
    """And not much more, or there would be no copy where there is room."""
    place.settings("postgresql")
    (name,) = place.lent
    rows = (
        f"SELECT 'a/' || md5(i::text), decode(repeat('ab', {size}), 'hex'), 1 FROM generate_series(1, 2000) i"  # noqa: S608 - numbers of ours
    )
    postgres().run(name, f"INSERT INTO coffre.entry (path, value, version) {rows}")

    async def story() -> int:
        async with postgres_ends.snapshot(postgres().address(name)) as near:
            with sqlite_ends.new_backup(tmp_path / "b.db", over=False, progress=_silent) as (far, _):
                await move(near, far, _silent)
            return await near.size()

    wanted, taken = asyncio.run(story()), (tmp_path / "b.db").stat().st_size
    assert 0.85 * taken - 50_000 < wanted < 1.15 * taken
