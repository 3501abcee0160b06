# SPDX-License-Identifier: EUPL-1.2
"""`operator db` as it is typed, on a real PostgreSQL: tables, a role that may do no more than it has to, and what is proven."""

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.postgres import Cluster, started
from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import StorageFailure
from vaultctl.main import run

_NODE = "node"


class Place:
    """A database with nothing in it, and a configuration that names it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self.database = cluster.bare()
        self._file = folder / "server.hcl"
        self.configure(_NODE)
        cluster.run(
            "postgres",
            f"DO $$ BEGIN CREATE ROLE {_NODE} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$",
        )

    def configure(self, user: str) -> None:
        """Write whom the configuration names."""
        url = f"postgresql://{quote(user, safe='')}@/{self.database}?host={self.address().host}"
        self._file.write_text(
            f'storage "postgresql" {{ connection_url = "{url}" }}\nlistener "tcp" {{ tls_disable = true }}\n'
        )

    def address(self, user: str = _NODE) -> Address:
        return self._cluster.address(self.database, user)

    def typed(self, *line: str, json: bool = False) -> tuple[int, str, str]:
        """Run a command; return its exit code and what it wrote."""
        stdout, stderr = io.StringIO(), io.StringIO()
        argv = ["operator", "db", *line, f"-config={self._file}", *(["-format=json"] if json else [])]
        code = run(argv, environ={}, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
        return code, stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def place(postgres: Callable[[], Cluster], tmp_path: Path) -> Place:
    return Place(postgres(), tmp_path)


def test_what_is_made_by_its_owner_serves_a_role_that_can_do_nothing_else(place: Place) -> None:
    code, out, err = place.typed("init", "-owner=owner")
    assert (code, err) == (0, "")
    assert f"role              {_NODE}\n" in out
    assert place.typed("init", "-owner=owner")[0] == 0, "a second time changes nothing"

    async def story() -> None:
        storage = await PostgresStorage.open(place.address())
        async with storage.write() as tx:
            await tx.put("a", b"1")
        async with storage.write(optimistic=True) as tx:
            await tx.put("b", await tx.get("a") or b"")
            await tx.delete_prefix("none/")
        assert await storage.reader().scan("") == ["a", "b"]
        await storage.close()
        connection = await Connection.make(place.address())
        for forbidden in (
            "INSERT INTO coffre.entry VALUES ('x', '', 1)",
            "UPDATE coffre.entry SET value = ''",
            "DELETE FROM coffre.change",
            "TRUNCATE coffre.entry",
            "SELECT nextval('coffre.seq')",
            "SELECT FROM coffre.turn FOR UPDATE",
            "CREATE TABLE coffre.mine ()",
            "DROP FUNCTION coffre.take_turn",
            "UPDATE coffre.meta SET version = 0",
        ):
            with pytest.raises(StorageFailure, match=r"lacks a privilege"):
                await connection.run(forbidden)
        await connection.close()

    asyncio.run(story())


def test_what_is_proven_and_what_is_warned_of(place: Place) -> None:
    assert place.typed("init", "-owner=owner")[0] == 0
    code, out, err = place.typed("check", json=True)
    found = {one["name"]: (one["status"], one["message"]) for one in json.loads(out)}
    assert err == ""
    assert code == 1, "the server of these tests runs without fsync"
    assert found["Durability"][0] == "failure"
    assert found["Connection"] == ("success", "the primary, timeline 1")
    assert found["Turn"] == ("success", "one at a time")
    assert found["Versions"] == ("success", "outdated transactions are refused")
    assert found["Privileges"] == ("success", "reads the tables and calls the functions, nothing else")
    assert found["Limits"] == ("success", "the role's time-outs are set")
    assert found["Plans"] == ("success", "by indexes alone")
    assert found["Standbys"][0] == "warning"
    assert found["TLS"] == ("success", "a Unix socket")
    place.configure("owner")
    _, out, _ = place.typed("check")
    assert "[ warning ] Privileges: this user is a superuser; give the nodes a role of their own" in out
    assert "[ warning ] Limits: 3 of this role's time-outs are off" in out
    assert "[ warning ] Plans: plans made while tables are small stay" in out


def test_standbys_are_told_apart_by_whether_commits_wait_for_them(tmp_path: Path) -> None:
    with started() as cluster, cluster.standby() as standby:
        place = Place(cluster, tmp_path)
        cluster.wait_for(standby)
        assert place.typed("init", "-owner=owner")[0] == 0

        def standbys() -> tuple[str, str]:
            found = json.loads(place.typed("check", json=True)[1])
            return next((one["status"], one["message"]) for one in found if one["name"] == "Standbys")

        lost = "a failover can lose what was acknowledged, revocations too"
        warning = f"1 follow, none of them synchronously: {lost}; set synchronous_standby_names"
        assert standbys() == ("warning", warning)
        cluster.synchronise()
        assert standbys() == ("success", "commits wait for synchronous standbys")


def test_rights_that_are_too_few_or_too_many_are_told_wherever_they_are(
    place: Place, postgres: Callable[[], Cluster]
) -> None:
    assert place.typed("init", "-owner=owner")[0] == 0
    few = "REVOKE EXECUTE ON FUNCTION coffre.claim FROM node; REVOKE SELECT ON coffre.node FROM node"
    many = (
        "GRANT INSERT ON coffre.change TO node",
        "GRANT UPDATE (version) ON coffre.meta TO node",
        "GRANT USAGE ON SEQUENCE coffre.seq TO node",
        "GRANT CREATE ON SCHEMA coffre TO node",
    )
    undo = (
        "REVOKE ALL ON ALL TABLES IN SCHEMA coffre FROM node; REVOKE ALL ON ALL SEQUENCES IN SCHEMA coffre FROM node; "
        "REVOKE ALL (version) ON coffre.meta FROM node; REVOKE ALL ON SCHEMA coffre FROM node"
    )
    expected = {
        few: "[ failure ] Privileges: this user may not use claim, node; run operator db init with -owner\n"
    }
    expected |= dict.fromkeys(many, "[ warning ] Privileges: this user may write past the turn")
    for change, said in expected.items():
        postgres().run(place.database, change)
        assert said in place.typed("check")[1], change
        postgres().run(place.database, undo)
        assert place.typed("init", "-owner=owner")[0] == 0
        assert "[ success ] Privileges" in place.typed("check")[1]


def test_a_role_may_have_any_name_that_there_is(place: Place, postgres: Callable[[], Cluster]) -> None:
    role = 'My-app"; DROP SCHEMA coffre; --ä'
    place.configure(role)
    code, _, err = place.typed("init", "-owner=owner")
    assert code != 0
    assert f'there is no role "{role}"; make it' in err
    quoted = role.replace('"', '""')
    postgres().run("postgres", f'CREATE ROLE "{quoted}" LOGIN')
    try:
        code, out, err = place.typed("init", "-owner=owner")
        assert (code, err) == (0, "")
        assert f"role              {role}\n" in out
        assert "[ success ] Privileges" in place.typed("check")[1]
        assert "[ success ] Limits" in place.typed("check")[1]
    finally:
        postgres().run(place.database, f'DROP OWNED BY "{quoted}"')
        postgres().run("postgres", f'DROP ROLE "{quoted}"')


def test_what_was_planned_for_small_tables_reads_none_of_them_whole(
    place: Place, postgres: Callable[[], Cluster]
) -> None:
    """A plan is kept when the tables have grown, where nobody has counted their rows meanwhile."""
    assert place.typed("init", "-owner=owner")[0] == 0

    async def commits(storage: PostgresStorage, many: int) -> None:
        for number in range(many):
            async with storage.write(optimistic=True) as tx:
                await tx.put("a", b"%d" % number + (await tx.get(f"none/{number}") or b""))
            await asyncio.gather(*(storage.reader().get(f"other/{which}") for which in range(4)))

    async def read_whole() -> int:
        connection = await Connection.make(place.address("owner"))
        (whole,) = await connection.row(
            "SELECT sum(seq_scan)::int FROM pg_stat_user_tables WHERE relname IN ('entry', 'change')"
        )
        await connection.close()
        return int(whole)

    async def story() -> None:
        storage = await PostgresStorage.open(place.address())
        await commits(storage, 16)
        postgres().run(
            place.database,
            "INSERT INTO coffre.entry SELECT 'b/' || n, '', 1 FROM generate_series(1, 20000) AS n",
        )
        await asyncio.sleep(1.1)  # for so long a connection may keep to itself what it has counted
        await commits(storage, 1)
        before = await read_whole()
        await commits(storage, 16)
        await asyncio.sleep(1.1)
        await commits(storage, 1)
        assert await read_whole() == before
        await storage.close()

    asyncio.run(story())


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_where_there_is_no_vault_that_is_said(place: Place, command: str) -> None:
    code, out, err = place.typed(command)
    assert code in {1, 2}
    assert "there is no vault in" in out + err
    assert "operator db init" in out + err


def test_what_cannot_be_reached_or_is_no_postgresql_is_said(place: Place, tmp_path: Path) -> None:
    place.configure("nobody")
    code, _, err = place.typed("init")
    assert code != 0
    assert "the server refuses this user" in err
    (tmp_path / "server.hcl").write_text('storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n')
    code, _, err = place.typed("check")
    assert code != 0
    assert 'this is for storage "postgresql"' in err


def test_a_node_does_not_start_on_tables_of_another_release(
    place: Place, postgres: Callable[[], Cluster]
) -> None:
    assert place.typed("init", "-owner=owner")[0] == 0
    for version, oldest, expected in ((0, 1, "operator db migrate"), (99, 99, "newer release")):
        changed = f"UPDATE coffre.meta SET version = {version}, oldest = {oldest}"  # noqa: S608 - numbers of this test
        postgres().run(place.database, changed)
        with pytest.raises(StorageFailure, match=expected):
            asyncio.run(PostgresStorage.open(place.address()))


def test_a_node_works_on_tables_of_a_newer_release_that_say_so(
    place: Place, postgres: Callable[[], Cluster]
) -> None:
    """So nodes are upgraded one after the other."""
    assert place.typed("init", "-owner=owner")[0] == 0

    async def story() -> None:
        storage = await PostgresStorage.open(place.address())
        await asyncio.to_thread(postgres().run, place.database, "UPDATE coffre.meta SET version = 99")
        other = await PostgresStorage.open(place.address())
        for node in (storage, other):
            async with node.write() as tx:
                await tx.put("a", b"1")
            await node.close()

    asyncio.run(story())
