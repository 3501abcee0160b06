# SPDX-License-Identifier: EUPL-1.2
"""Our server on PostgreSQL, alone and as two nodes, the second behind PgBouncer; both are started with the first of them."""

import atexit
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tests.conformance.servers import CoffreServer, MemoryServer, OpenBaoServer, Server, WorkersServer
from tests.nodes import prepared, stanza
from tests.pooler import pooler
from tests.postgres import Cluster, started


@cache
def _stack() -> ExitStack:
    """What ends with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack


@cache
def _cluster() -> Cluster:
    """The PostgreSQL of this process."""
    return _stack().enter_context(started())


@cache
def _pooler() -> str:
    """The directory of the socket of a PgBouncer before it."""
    return _stack().enter_context(pooler(_cluster().folder))


class PostgresServer(CoffreServer):
    """Our server on PostgreSQL."""

    kind = "coffre-postgres"
    database = ""

    def _storage(self) -> str:
        self.database = self.database or prepared(_cluster())
        return stanza(self.database, self._host())

    def _host(self) -> str:
        """The directory of the socket by which it reaches the database."""
        return _cluster().address(self.database).host


class _Node(PostgresServer):
    """One of several, with two workers."""

    def __init__(self, first: PostgresServer | None, listener: str) -> None:
        """With `first` it is another node beside that one, by whose address clients know both."""
        self._first = first
        self.database = first.database if first is not None else ""
        super().__init__(listener=listener)

    def _host(self) -> str:
        return super()._host() if self._first is None else _pooler()

    @property
    def public_port(self) -> int:
        return self._first.port if self._first is not None else self.port

    def _config(self) -> str:
        return f"workers = 2\n{super()._config()}"


class NodesServer(_Node):
    """Two nodes of two workers each, asked in turn, as behind a balancer that sends each request elsewhere."""

    kind = "coffre-nodes"
    opens_as_one = False

    def __init__(self, *, seal: str = "", lasting: bool = False, listener: str = "") -> None:
        assert not seal and not lasting, "it is not started again"
        self._asked = 0
        super().__init__(None, listener)
        self._other = _Node(self, listener)

    def initialise(self) -> None:
        super().initialise()
        self._other.unseal(self.share)

    @property
    def directories(self) -> tuple[Path, ...]:
        return self.directory, self._other.directory

    def next_port(self) -> int:
        self._asked += 1
        return (self.port, self._other.port)[self._asked % 2]

    def stop(self) -> None:
        self._other.stop()
        super().stop()


KINDS: dict[str, type[Server]] = {
    kind.kind: kind
    for kind in (OpenBaoServer, CoffreServer, MemoryServer, WorkersServer, PostgresServer, NodesServer)
}
