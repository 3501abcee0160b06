# SPDX-License-Identifier: EUPL-1.2
"""PgBouncer in transaction mode before PostgreSQL: many share few connections, and nothing of ours rests on whose it is."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.fuzz.process import REPOSITORY
from tests.nodes import ROLE, make_role
from tests.pooler import SERVERS, pooler
from tests.postgres import Cluster
from tests.storage.stores import add, invalidate, until_kept
from vault.storage.postgres.administration import install
from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import StorageFailure
from vaultctl.main import run

_NODES = 8
_OF_ITS_OWN = {
    "application_name",
    "client_encoding",
    "DateStyle",
    "IntervalStyle",
    "jit",
    "standard_conforming_strings",
    "TimeZone",
}
"""Settings that PgBouncer itself sets for each client, and one that asyncpg turns off while it learns of types."""


@pytest.fixture
def address(postgres: Callable[[], Cluster]) -> Iterator[Address]:
    """How nodes reach a database behind a pooler."""
    cluster = postgres()
    database = cluster.bare()
    make_role(cluster, ROLE)
    asyncio.run(install(cluster.direct(database), ROLE))
    with pooler(cluster.folder) as folder:
        yield Address(host=folder, user=ROLE, database=database)


def test_more_nodes_than_connections_read_and_write_at_once(address: Address) -> None:
    async def story() -> None:
        nodes = [await PostgresStorage.open(address) for _ in range(_NODES)]

        async def work(node: PostgresStorage, number: int) -> None:
            for turn in range(10):
                await until_kept(node, add)
                async with node.write() as tx:
                    await add(tx)
                await node.reader().scan("")
                if turn % 5 == 0:
                    await invalidate(node, str(number))

        async with asyncio.timeout(60):
            await asyncio.gather(*(work(node, number) for number, node in enumerate(nodes) for _ in range(2)))
        assert len(await nodes[0].reader().get("counter") or b"") == _NODES * 2 * 20
        for node in nodes:
            await node.close()

    asyncio.run(story())


def test_they_have_no_more_connections_than_it_gives_and_leave_no_setting_in_them(
    address: Address, postgres: Callable[[], Cluster]
) -> None:
    async def story() -> None:
        nodes = [await PostgresStorage.open(address) for _ in range(_NODES)]
        await asyncio.gather(*(until_kept(node, add) for node in nodes for _ in range(4)))
        direct = await Connection.make(postgres().direct(address.database))
        (count,) = await direct.row(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = $2",
            address.database,
            ROLE,
        )
        assert 1 <= count <= SERVERS
        await direct.close()
        shared = [await Connection.make(address) for _ in range(SERVERS)]
        for connection in shared:
            changed = await connection.rows("SELECT name FROM pg_settings WHERE source = 'session'")
            assert {name for (name,) in changed} <= _OF_ITS_OWN
        for connection in shared:
            await connection.close()
        for node in nodes:
            await node.close()

    asyncio.run(story())


def test_a_commit_whose_server_connection_is_ended_is_found_out(
    address: Address, postgres: Callable[[], Cluster]
) -> None:
    async def story() -> None:
        storage = await PostgresStorage.open(address)
        acknowledged = 0
        for turn in range(10):
            work = asyncio.ensure_future(until_kept(storage, add))
            if turn % 2:
                await asyncio.sleep(0)
            await asyncio.to_thread(
                postgres().run,
                "postgres",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{address.database}'",  # noqa: S608 - our own name
            )
            try:
                await work
                acknowledged += 1
            except StorageFailure:
                await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            while True:
                try:
                    found = len(await storage.reader().get("counter") or b"")
                    break
                except StorageFailure:
                    await asyncio.sleep(0.05)
        assert acknowledged <= found <= 10
        await storage.close()

    asyncio.run(story())


def examined(address: Address, folder: Path) -> dict[str, tuple[str, str]]:
    """Return what `operator db check` has found, by name."""
    url = f"postgresql://{address.user}@/{address.database}?host={address.host}"
    config = folder / "server.hcl"
    config.write_text(
        f'storage "postgresql" {{ connection_url = "{url}" }}\nlistener "tcp" {{ tls_disable = true }}\n'
    )
    stdout = io.StringIO()
    run(
        ["operator", "db", "check", f"-config={config}", "-format=json"],
        environ={},
        stdin=io.StringIO(),
        stdout=stdout,
        stderr=io.StringIO(),
    )
    return {one["name"]: (one["status"], one["message"]) for one in json.loads(stdout.getvalue())}


def test_what_servers_rest_on_is_proven_through_it(address: Address, tmp_path: Path) -> None:
    found = {name: status for name, (status, _) in examined(address, tmp_path).items()}
    assert found["Durability"] == "failure", "the server of these tests runs without fsync"
    del found["Durability"], found["Standbys"]
    assert set(found.values()) == {"success"}, found
    assert {"Connection", "Turn", "Versions", "Prepared statements", "Privileges", "Limits"} <= found.keys()


def test_one_that_loses_prepared_statements_is_no_way_to_a_database(
    address: Address, tmp_path: Path, postgres: Callable[[], Cluster]
) -> None:
    """So is PgBouncer before 1.24 as it comes."""
    with pooler(postgres().folder, "max_prepared_statements = 0") as folder:
        found = examined(msgspec.structs.replace(address, host=folder), tmp_path)
    status, message = found["Prepared statements"]
    assert status == "failure"
    assert message.endswith("PgBouncer needs max_prepared_statements above 0")


@pytest.mark.soak
def test_the_storage_suite_and_two_nodes_pass_through_it() -> None:
    suites = ["tests/storage", "tests/integration/test_two_nodes.py", "tests/integration/test_node_races.py"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--pooled",
        "-m",
        "not soak",
        "-p",
        "no:cacheprovider",
        *suites,
    ]
    done = subprocess.run(
        [*command, "-k", "postgres or node"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
