# SPDX-License-Identifier: EUPL-1.2
"""Servers as processes of their own on one PostgreSQL, whose nodes have a role that may do no more than it has to."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fuzz.process import Answer, VaultProcess
from tests.pooler import pooler
from tests.postgres import Cluster
from vault.storage.postgres.administration import install
from vault.storage.postgres.connection import Address

ROLE = "node"
Nodes = tuple[VaultProcess, VaultProcess]


class Site:
    """A database with nothing else in it, and two servers on it."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *,
        role: str = ROLE,
        second: str = "",
        more: str = "",
        logged: bool = False,
    ) -> None:
        """`second` is the directory of the socket by which the second server reaches the database, if not its own.

        `more` is configured for both besides; where they are `logged`, each keeps a log in `log`, in its folder.
        """
        self.cluster, self._folder, self.role, self._more = cluster, folder, role, more
        self._logged = logged
        self.database = prepared(cluster, role)
        self.nodes = (self.node("one"), self.node("two", second))

    @property
    def address(self) -> Address:
        """How a node reaches the database."""
        return self.cluster.address(self.database, self.role)

    def node(self, name: str, host: str = "") -> VaultProcess:
        """Make a server; `host` is the directory of the socket by which it reaches the database, if not the database's own."""
        (self._folder / name).mkdir()
        storage = stanza(self.database, host or self.address.host, self.role)
        log = f'log {{ path = "{self._folder / name / "log"}" }}\n' if self._logged else ""
        # Nothing that nodes agree on may rest on the seed of Python's hashes.
        return VaultProcess(
            self._folder / name,
            storage=storage,
            more=self._more + log,
            environment={"PYTHONHASHSEED": str(len(name))},
        )

    def start(self) -> Nodes:
        """Start both; the one is initialised, and the other opened with the same share."""
        one, other = self.nodes
        one.start()
        one.initialise()
        other.root, other.key = one.root, one.key
        other.start()
        other.unseal()
        return self.nodes

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


def prepared(cluster: Cluster, role: str = ROLE) -> str:
    """Return a new database in which servers with that role can begin."""
    database = cluster.bare()
    make_role(cluster, role)
    asyncio.run(install(cluster.direct(database), role))
    return database


def stanza(database: str, host: str, role: str = ROLE) -> str:
    """Return how a server is told of a database; `host` is the directory of its socket."""
    return f'storage "postgresql" {{ connection_url = "postgresql://{role}@/{database}?host={host}" }}'


def make_role(cluster: Cluster, role: str) -> None:
    """Make a role that may connect, unless there is one."""
    cluster.run(
        "postgres", f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
    )


@contextmanager
def two_nodes(cluster: Cluster, folder: Path) -> Generator[Nodes]:
    """Start two servers on a database of their own, the second behind a pooler, and stop them in the end."""
    with pooler(cluster.folder) as socket:
        site = Site(cluster, folder, second=socket)
        try:
            yield site.start()
        finally:
            site.stop()


def ask(node: VaultProcess, method: str, path: str, body: object = None, token: str | None = None) -> Answer:
    with node.client(token) as client:
        return client.request(method, f"/v1/{path}", body)


def do(node: VaultProcess, method: str, path: str, body: object = None) -> Any:
    """Ask for what has to work, and return the answer."""
    answer = ask(node, method, path, body)
    assert answer.status < 300, (path, answer.status, answer.body)
    return answer.json() if answer.body else {}
