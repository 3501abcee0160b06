# SPDX-License-Identifier: EUPL-1.2
"""What one node writes while the other one revokes: `make bench-storm`.

Two nodes on one PostgreSQL that writes durably. The one that is measured has a core of its own; the database, the load and
the other node share the other core. In turns, several times: in calm; in a storm, where the other node revokes; and beside
as many transactions that revoke nothing, which is what the storm costs a machine without being one. So `storm / calm`
has the work of the storm in it, and `storm / beside` is what revocations alone take.

The storm is either some clients that revoke through the other node as fast as they get answers (`--clients`), or revocations
at a rate (`--rate`), which are written to the database as a node does: no client of one core could have a node do so many.
"""

import argparse
import asyncio
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.perf import programs
from tests.perf.bench import KEYS, SECRET, note, operations
from tests.perf.load import BenchError, Operation, Target, run_round
from tests.perf.server import Keys, Program, Running, call, running, set_up_whole
from tests.postgres import Cluster, started
from vault.storage.postgres.administration import install
from vault.storage.postgres.connection import Connection

_NODE = "node"
_SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB", "autovacuum": "on"}
_REPOSITORY = Path(__file__).parents[3]
_MANY = 200
CALM, STORM, BESIDE = "calm", "storm", "beside"
_MOST = 60
"""Revocations a second and client that there are tokens for."""


@dataclass(slots=True)
class Leg:
    """What was measured of one kind of weather, a figure for each round."""

    rate: list[float] = field(default_factory=list)
    """Requests a second of the node that is measured."""
    p99: list[float] = field(default_factory=list)
    """Milliseconds."""
    processor: list[float] = field(default_factory=list)
    """Microseconds of the node for a request."""
    others: list[float] = field(default_factory=list)
    """Transactions a second of the other node."""
    lost: list[float] = field(default_factory=list)
    """Transactions that lost, of a hundred requests that were measured."""


class Others:
    """Clients of the other node, who each ask for one thing after the other, no more often than they may."""

    def __init__(
        self,
        program: Program,
        token: str,
        ask: Callable[[], tuple[str, str] | None],
        clients: int,
        rate: float = 0.0,
    ) -> None:
        """`rate` is how many requests a second they make in all at most; 0 for as many as they can."""
        self._program, self._token, self._ask, self._rate = program, token, ask, rate
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(clients)]
        self._over, self._turns, self._began = False, itertools.count(), 0.0
        self.counts: list[int] = []

    def _work(self) -> None:
        count, headers = 0, {"X-Vault-Token": self._token, "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._program.port, timeout=30)
        while not self._over:
            if self._rate:
                time.sleep(max(0.0, self._began + next(self._turns) / self._rate - time.monotonic()))
            asked = self._ask()
            if asked is None:
                message = "there are no tokens left to revoke"
                raise BenchError(message)
            connection.request("POST", *asked, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                message = f"the other node answered {answer.status}"
                raise BenchError(message)
            count += 1
        self.counts.append(count)
        connection.close()

    @contextmanager
    def running(self) -> Iterator[list[float]]:
        """Let them work; the list has how many requests a second they made, in the end."""
        found: list[float] = []
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        try:
            yield found
        finally:
            self._over = True
            lasted = time.monotonic() - self._began
            for thread in self._threads:
                thread.join()
        if len(self.counts) < len(self._threads):
            message = "a client of the other node gave up"
            raise BenchError(message)
        found.append(sum(self.counts) / lasted)


class Site:
    """A database, two nodes on it, and what is asked of them."""

    def __init__(self, cluster: Cluster, nodes: Sequence[Running], keys: Keys, scratch: Path) -> None:
        self.cluster, self.scratch = cluster, scratch
        self.other, self.measured = nodes
        self._keys = keys
        self._tokens: list[str] = []
        self._turns = itertools.count()
        write = operations()[1]
        self.write = Operation("kv write", write.requests[:_MANY])
        self._body = write.requests[0].body

    def make_tokens(self, count: int) -> None:
        """Have tokens to revoke, whose holder is nobody who is measured."""
        body = json.dumps({"policies": ["bench"], "ttl": "1h", "no_parent": True})
        connection = http.client.HTTPConnection("127.0.0.1", self.other.program.port, timeout=30)
        while len(self._tokens) < count:
            connection.request("POST", "/v1/auth/token/create", body, {"X-Vault-Token": self._keys.root})
            made = json.loads(connection.getresponse().read())
            self._tokens.append(str(made["auth"]["client_token"]))
        connection.close()

    def revocation(self) -> tuple[str, str] | None:
        """The next token to revoke."""
        return ("/v1/auth/token/revoke", json.dumps({"token": self._tokens.pop()})) if self._tokens else None

    def plain(self) -> tuple[str, str]:
        """A write that nobody else knows of."""
        return f"/v1/secret/data/other/{next(self._turns) % KEYS}", self._body

    def lost(self) -> int:
        """How many groups of transactions have lost so far, of all nodes."""

        async def ask() -> int:
            connection = await Connection.make(self.cluster.direct(_NODE))
            (count,) = await connection.row("SELECT coalesce(sum(cardinality(failed)), 0) FROM coffre.done")
            await connection.close()
            return int(count)

        return asyncio.run(ask())

    def through_node(self, clients: int, rate: float, *, calm: bool) -> Others:
        """Clients of the other node."""
        return Others(
            self.other.program, self._keys.root, self.plain if calm else self.revocation, clients, rate
        )

    @contextmanager
    def through_database(self, rate: float, *, calm: bool) -> Iterator[list[float]]:
        """What a node would write that is told of so many revocations a second, by a process of its own."""
        address = self.cluster.address(_NODE, _NODE)
        command = ["-m", "tests.integration.storm", address.host, address.user, address.database, f"{rate:g}"]
        pipe, found = subprocess.PIPE, list[float]()
        process = subprocess.Popen(
            ["taskset", "-c", "0", sys.executable, *command, *([CALM] if calm else [])],
            cwd=_REPOSITORY, stdin=pipe, stdout=pipe, text=True,
        )  # fmt: skip
        began = time.monotonic()
        try:
            yield found
            found.append(int(process.communicate(timeout=30)[0]) / (time.monotonic() - began))
        finally:
            process.kill()
            process.wait()

    def measure(self, leg: Leg, seconds: float, connections: int) -> None:
        """Write for a while."""
        target = Target(self.measured.program.address, [("X-Vault-Token", self._keys.reader)])
        lost, used = self.lost(), self.measured.processor_seconds()
        found = run_round(
            target, self.write, seconds=seconds, connections=connections, core=0, scratch=self.scratch
        )
        leg.rate.append(found.rate)
        leg.p99.append(found.p99 / 1000)
        leg.processor.append((self.measured.processor_seconds() - used) / found.requests * 1e6)
        leg.lost.append((self.lost() - lost) / found.requests * 100)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table and what it means."""
    parser = argparse.ArgumentParser(prog="bench-storm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of the three kinds of weather, in turns")
    parser.add_argument("--seconds", type=float, default=4, help="length of each")
    parser.add_argument("--connections", type=int, default=8, help="of those who write at the measured node")
    parser.add_argument("--clients", type=int, default=4, help="who revoke at the other node")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="revocations a second without clients, instead"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as folder, _site(Path(folder)) as site:
        legs = {name: Leg() for name in (CALM, STORM, BESIDE)}
        if not options.rate:
            note("making tokens")
            site.make_tokens(int(options.rounds * (options.seconds + 1) * options.clients * _MOST))
        site.measure(Leg(), 3, options.connections)
        for _ in range(options.rounds):
            site.measure(legs[CALM], options.seconds, options.connections)
            for name in (STORM, BESIDE):
                _blow(site, legs, name, options)
    for line in table(legs):
        print(line)
    return 0


def _blow(site: Site, legs: dict[str, Leg], name: str, options: argparse.Namespace) -> None:
    """Measure in a storm, or beside as many transactions as there were in the last one."""
    leg, calm = legs[name], name == BESIDE
    if options.rate:
        weather = site.through_database(options.rate, calm=calm)
    else:
        rate = legs[STORM].others[-1] if calm else 0.0
        weather = site.through_node(options.clients, rate, calm=calm).running()
    with weather as found:
        time.sleep(0.5)
        site.measure(leg, options.seconds, options.connections)
    leg.others.append(found[0])


def table(legs: dict[str, Leg]) -> Iterator[str]:
    """Yield the lines of a table, medians of all rounds, and the two ratios, medians of those of each round."""
    yield f"{'':8}{'writes/s':>10}{'p99 ms':>9}{'cpu us':>9}{'lost %':>8}{'others/s':>10}"
    for name, leg in legs.items():
        figures = (leg.rate, leg.p99, leg.processor, leg.lost, leg.others or [0.0])
        row = zip((10, 9, 9, 8, 10), (0, 1, 0, 1, 0), map(statistics.median, figures), strict=True)
        yield f"{name:8}" + "".join(f"{figure:>{width}.{digits}f}" for width, digits, figure in row)
    for name in (CALM, BESIDE):
        ratios = [mine / its for mine, its in zip(legs[STORM].rate, legs[name].rate, strict=True)]
        spread = " ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
        yield f"storm / {name}: {statistics.median(ratios):.2f} ({spread})"


@contextmanager
def _site(scratch: Path) -> Iterator[Site]:
    """Start a database and two nodes."""
    with ExitStack() as stack:
        cluster = stack.enter_context(started(_SETTINGS))
        assert cluster.process is not None
        pid = str(cluster.process.pid)
        subprocess.run(["taskset", "-apc", "0", pid], check=True, stdout=subprocess.DEVNULL)
        cluster.run("postgres", f"CREATE ROLE {_NODE} LOGIN")
        cluster.run("postgres", f"CREATE DATABASE {_NODE}")
        asyncio.run(install(cluster.direct(_NODE), _NODE))
        programs.compile_sources(_REPOSITORY)
        url = f"postgresql://{_NODE}@/{_NODE}?host={cluster.address(_NODE).host}"
        nodes = [
            stack.enter_context(
                running(
                    programs.coffre(
                        scratch / name, None, storage=f'storage "postgresql" {{ connection_url = "{url}" }}'
                    ),
                    core=core,
                    log=scratch / f"{name}.log",
                )
            )
            for core, name in enumerate(("other", "measured"))
        ]
        keys = set_up_whole(nodes[0].program, secret=SECRET, keys=KEYS)
        call(nodes[1].program, "PUT", "sys/unseal", {"key": keys.share})
        yield Site(cluster, nodes, keys, scratch)


if __name__ == "__main__":
    raise SystemExit(main())
