# SPDX-License-Identifier: EUPL-1.2
"""Statements, SQLite's steps and connections do not grow with what is stored.

`python -m tests.perf.flat` measures a million of each.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.perf.flat import CONNECTIONS, Cost, Holdings, connections, grown
from tests.postgres import Cluster, Untimed
from tests.routes.driver import Application
from vault.storage.postgres.connection import Address
from vault.storage.sqlite.storage import SqliteStorage

_FEW, _MANY = 20, 1000
_TIMES = 4
_TRIES = 3
"""How often it is counted before the least counts: what goes on in the background only adds to it."""
_STEPS = 10
"""SQLite's steps that are counted as one."""
_DEEPER = 1.5
"""How much more of them there may be: rows of the list of changes, and what is no longer in memory."""

Counted = dict[str, Counter[str]]


def _counted(holdings: Holdings, seen: list[str]) -> Counted:
    """Return by operation how often each statement is made."""
    found = {}
    for operation in holdings.operations:
        holdings.ask(operation, 1)
        each = []
        for _ in range(_TRIES):
            seen.clear()
            holdings.ask(operation, _TIMES)
            each.append(Counter(seen))
        found[operation] = min(each, key=Counter.total)
    return found


def _few_and_many(application: Application, seen: list[str]) -> tuple[Counted, Counted]:
    holdings = Holdings(application, page=_FEW // 2)
    holdings.fill(_FEW)
    few = _counted(holdings, seen)
    holdings.fill(_MANY)
    return few, _counted(holdings, seen)


def test_a_request_takes_as_many_statements_on_sqlite_however_much_is_stored(tmp_path: Path) -> None:
    seen: list[str] = []
    with Application(SqliteStorage.open(tmp_path / "vault.db", on_statement=seen.append)) as application:
        few, many = _few_and_many(application, seen)
    assert few == many and all(few.values())


def test_a_request_takes_as_many_steps_of_sqlite_however_much_is_stored(tmp_path: Path) -> None:
    steps: list[str] = []
    with Application(SqliteStorage.open(tmp_path / "vault.db")) as application:
        for connection in (application.storage._reader, application.storage._group.connection):  # type: ignore[attr-defined]  # SQLite's own
            connection.raw.set_progress_handler(lambda: steps.append("step"), _STEPS)
        few, many = _few_and_many(application, steps)
    for operation in few:
        assert many[operation]["step"] <= _DEEPER * few[operation]["step"] + _TIMES, operation


@pytest.fixture
def address(postgres: Callable[[], Cluster]) -> Iterator[Address]:
    """A database that holds an empty vault."""
    cluster = postgres()
    name = cluster.empty()
    yield cluster.address(name)
    cluster.give_back(name)


def test_a_request_takes_as_many_statements_and_connections_on_postgresql_however_much_is_stored(
    address: Address,
) -> None:
    seen: list[str] = []
    before = asyncio.run(connections(address))  # of who emptied it for us
    with Application(Untimed(address, seen.append)) as application:
        few, many = _few_and_many(application, seen)
        assert asyncio.run(connections(address)) - before <= CONNECTIONS
    assert few == many and all(few.values())


def test_what_grows_is_said() -> None:
    first = {"kv read": Cost(100.0, 20.0), "kv write": Cost(300.0, 100.0)}
    assert grown(first, {"kv read": Cost(150.0, 30.0), "kv write": Cost(400.0, 200.0)}) == []
    assert grown(first, {"kv read": Cost(100.0, 81.0), "kv write": Cost(400.0, 200.0)}) == [
        "kv read: 1.51 x, at most 1.5 x"
    ]
