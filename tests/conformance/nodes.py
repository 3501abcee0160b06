# SPDX-License-Identifier: EUPL-1.2
"""Our server on PostgreSQL, alone and as two nodes; the database is started with the first of them."""

import atexit
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tests.conformance.servers import CoffreServer, OpenBaoServer, Server, WorkersServer
from tests.nodes import prepared, stanza
from tests.postgres import Cluster, started


@cache
def _cluster() -> Cluster:
    """The PostgreSQL of this process, which ends with it."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(started())


class PostgresServer(CoffreServer):
    """Our server on PostgreSQL."""

    kind = "coffre-postgres"
    stanza = ""

    def _storage(self) -> str:
        if not self.stanza:
            database = prepared(_cluster())
            self.stanza = stanza(database, _cluster().address(database).host)
        return self.stanza


class _Node(PostgresServer):
    """One of several, with two workers."""

    def __init__(self, first: PostgresServer | None, listener: str) -> None:
        """With `first` it is another node beside that one, by whose address clients know both."""
        self._first = first
        self.stanza = first.stanza if first is not None else ""
        super().__init__(listener=listener)

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
    kind.kind: kind for kind in (OpenBaoServer, CoffreServer, WorkersServer, PostgresServer, NodesServer)
}
