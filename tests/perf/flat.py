# SPDX-License-Identifier: EUPL-1.2
"""What requests cost with ten thousand secrets and tokens, and with a million: `python -m tests.perf.flat`.

The whole application in this process, without a network, on SQLite and on a PostgreSQL of this run's own, filled by the
product's own storage code. Microseconds of processor time for a request: of the application, and of the database. Beside
it how many there were a second, one after the other, and the memory of this process.

Secrets are taken at random from all. Of a thousand a server remembers how each is read (4,096 plans), so that `--sizes 1000` is cheaper
for reads than any larger number, however large.

Rounds alternate between one with the fewest entries and the one that grows, which are both in this process: so the machine's
mood hits both, and a ratio is of the same minute.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from tests.perf.server import processor_seconds, resident_mebibytes
from tests.perf.token_entries import entry_of
from tests.postgres import OWNER, Untimed, started
from tests.routes.driver import Application
from vault.barrier.view import View
from vault.engines.kv import store
from vault.engines.kv.model import Row, Version
from vault.storage.postgres.connection import Address, Connection
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.ids import ROOT_ID

FLAT: Final = 1.5
"""How much more a request may cost with the most entries than with the fewest: a tree of pages is deeper, and less of it
is in memory."""
CONNECTIONS: Final = 4
"""That a server has to PostgreSQL, whatever it holds (docs/scale.md)."""
_SETTINGS: Final = {"shared_buffers": "128MB", "autovacuum": "on", "autovacuum_naptime": "1s"}
"""Statistics come soon: what a connection has planned for a few rows is planned again by them."""
_AT_ONCE: Final = 2000
_PAGE: Final = 100
"""Names on a page of a list."""
_SAMPLE: Final = 512
"""Tokens of which requests know."""
_SECRET: Final = (
    b'{"host":"db.example","password":"correct horse battery staple","username":"service-account"}'
)


class Asked(NamedTuple):
    """One request."""

    method: str
    target: str
    body: object
    token: str


class Holdings:
    """So many secrets at `secret/many/` of an application, and so many tokens."""

    def __init__(self, application: Application, *, page: int = _PAGE) -> None:
        """`page` is how many names a list has."""
        self.application = application
        self._page = page
        self.size = 0
        self.tokens: list[str] = []
        self._random = random.Random(1)
        self._turn = 0

    def fill(self, size: int) -> None:
        """Have `size` of each."""
        self.application.run(self._fill(size))

    async def _fill(self, size: int) -> None:
        vault = self.application.vault
        mount = vault.mounts.router.root.find("secret/x")
        assert mount is not None
        while self.size < size:
            more = min(_AT_ONCE, size - self.size)
            async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
                secrets = core.mount(mount.entry.uuid)
                for number in range(self.size, self.size + more):
                    await self._add(core, secrets, number)
            self.size += more

    async def _add(self, core: View, secrets: View, number: int) -> None:
        tokens, now = self.application.vault.credentials.tokens, self.application.clock.nanos()
        row = Row(created=now, updated=now, current=1, newest=Version(1, now), data=_SECRET)
        await store.save(secrets, f"many/{number}", row)
        entry = replace(entry_of(tokens, now), orphan=True)
        token = tokens.new_token()
        await tokens.create(core, token, entry)
        if len(self.tokens) < _SAMPLE:
            self.tokens.append(token)
        elif self._random.randrange(number + 1) < _SAMPLE:
            self.tokens[self._random.randrange(_SAMPLE)] = token

    def _read(self) -> Asked:
        return Asked("GET", f"/v1/secret/data/many/{self._random.randrange(self.size)}", None, "root")

    def _write(self) -> Asked:
        target = f"/v1/secret/data/many/{self._random.randrange(self.size)}"
        return Asked("POST", target, {"data": {"a": "b"}}, "root")

    def _list(self) -> Asked:
        after = f"1{self._random.randrange(5)}{self._random.randrange(self.size)}"  # a full page follows
        target = f"/v1/secret/metadata/many/?after={after}&limit={self._page}"
        return Asked("LIST", target, None, "root")

    def _lookup(self) -> Asked:
        self._turn += 1
        return Asked("GET", "/v1/auth/token/lookup-self", None, self.tokens[self._turn % len(self.tokens)])

    def _create(self) -> Asked:
        return Asked("POST", "/v1/auth/token/create", {"policies": ["default"], "ttl": "1h"}, "root")

    @property
    def operations(self) -> dict[str, Callable[[], Asked]]:
        """What is measured, by name: each gives another request each time."""
        return {
            "kv read": self._read,
            "kv write": self._write,
            "kv list": self._list,
            "token lookup": self._lookup,
            "token create": self._create,
        }

    def ask(self, operation: str, times: int) -> None:
        """Send so many requests, one after the other."""
        make = self.operations[operation]

        async def all_of_them() -> None:
            for _ in range(times):
                asked = make()
                answer = await self.application.ask(asked.method, asked.target, asked.body, token=asked.token)
                assert answer.status == 200, answer.body

        self.application.run(all_of_them())


class Cost(NamedTuple):
    """Microseconds of processor time for a request, and requests a second."""

    ours: float
    database: float
    rate: float = 0.0

    @property
    def whole(self) -> float:
        """Processor time of both."""
        return self.ours + self.database


def _spent(database: int | None) -> tuple[float, float, float]:
    """Return the time, and the processor time of this process and of a database, in seconds."""
    theirs = processor_seconds(database) if database else 0.0
    return time.monotonic(), time.process_time(), theirs


def costs(
    both: Sequence[Holdings], database: int | None, *, rounds: int, times: int
) -> list[dict[str, Cost]]:
    """Return the least cost of each operation, for each; `database` is the process of a PostgreSQL, if there is one."""
    found: list[dict[str, Cost]] = [{} for _ in both]
    for operation in both[0].operations:
        for number in range(rounds + 1):
            for holdings, costs in zip(both, found, strict=True):
                spent = _spent(database)
                holdings.ask(operation, times)
                took, ours, theirs = (
                    (late - early) / times for early, late in zip(spent, _spent(database), strict=True)
                )
                best = costs.get(operation) or Cost(inf, inf)
                if number:  # the first is to warm up
                    costs[operation] = Cost(
                        min(best.ours, ours * 1e6), min(best.database, theirs * 1e6), max(best.rate, 1 / took)
                    )
    return found


def grown(first: dict[str, Cost], last: dict[str, Cost]) -> list[str]:
    """One line for each operation that costs more than it may."""
    return [
        f"{operation}: {last[operation].whole / first[operation].whole:.2f} x, at most {FLAT} x"
        for operation in first
        if last[operation].whole > FLAT * first[operation].whole
    ]


async def connections(address: Address) -> int:
    """Return how many connections there are to a database."""
    asking = await Connection.make(address)
    try:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int((await asking.row(counted))[0])
    finally:
        asking.abort()


class _Place(NamedTuple):
    """Where it is measured: what keeps the fewest and what grows, of PostgreSQL its process, and how each is reached."""

    kind: str
    applications: tuple[Application, Application]
    database: int | None = None
    addresses: Sequence[Address] = ()


@contextmanager
def _storages(kinds: Sequence[str]) -> Iterator[Iterator[_Place]]:
    with tempfile.TemporaryDirectory() as folder, started(_SETTINGS) as cluster:
        assert cluster.process is not None
        process = cluster.process.pid

        def each() -> Iterator[_Place]:
            for kind in kinds:
                if kind == "sqlite":
                    files = [SqliteStorage.open(Path(folder) / name) for name in ("few.db", "many.db")]
                    with Application(files[0]) as few, Application(files[1]) as many:
                        yield _Place(kind, (few, many))
                else:
                    places = [cluster.address(cluster.empty()) for _ in range(2)]
                    with Application(Untimed(places[0])) as few, Application(Untimed(places[1])) as many:
                        yield _Place(kind, (few, many), process, places)

        yield each()


async def _clean(address: Address) -> None:
    """Do at once what filling leaves for a database to do, which it would do while others are measured."""
    owner = await Connection.make(replace(address, user=OWNER))
    for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
        await owner.run(statement)
    await owner.close()


def main() -> int:
    """Fill, measure, print; exit 1 where something grows."""
    parser = argparse.ArgumentParser(prog="flat", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--storages", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=300, help="requests in a round")
    options = parser.parse_args()
    short = []
    with _storages(options.storages) as storages:
        for place in storages:
            both = few, many = Holdings(place.applications[0]), Holdings(place.applications[1])
            few.fill(options.sizes[0])
            for size in options.sizes:
                many.fill(size)
                for address in place.addresses:
                    many.application.run(_clean(address))
                first, now = costs(both, place.database, rounds=options.rounds, times=options.times)
                for holdings, of_one in zip(both, (first, now), strict=True):
                    print(_row(place.kind, holdings.size, of_one), flush=True)
                print(f"{'':<11}{resident_mebibytes(os.getpid()):>9.0f} MiB", flush=True)
                short += [f"{place.kind}, {size}, {line}" for line in grown(first, now)]
            for address in place.addresses:
                held = many.application.run(connections(address))
                print(f"{place.kind:<11}{held} connections")
                if held > CONNECTIONS:
                    short.append(f"{place.kind}: {held} connections, at most {CONNECTIONS}")
    print("\n".join(short) if short else "flat")
    return 1 if short else 0


def _row(kind: str, size: int, found: dict[str, Cost]) -> str:
    shown = "  ".join(
        f"{name} {cost.ours:.0f} + {cost.database:.0f} ({cost.rate:.0f}/s)" for name, cost in found.items()
    )
    return f"{kind:<11}{size:>9}  {shown}"


if __name__ == "__main__":
    raise SystemExit(main())
