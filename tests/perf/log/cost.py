# SPDX-License-Identifier: EUPL-1.2
"""What the log costs a request: `python -m tests.perf.log.cost [--beside CHECKOUT]`.

Servers without the log and with it in turns, and with `--beside` that of another checkout. Microseconds of processor time
for a request, least and median of the rounds: of the server, and of its log reader, which indexes and closes segments.
Server and load come before everything else on the machine, where that may be had, and the reader is waited for.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.perf import programs
from tests.perf.bench import KEYS, SECRET, operations
from tests.perf.load import Operation, Target, run_round
from tests.perf.server import Running, running, set_up_whole, tree

_FIRST = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
_PAUSE = 1.1
"""Longer than a reader lets records gather."""
_IDLE = 12_000_000
"""Nanoseconds that a reader without work uses in a pause, at most."""


class Cost(NamedTuple):
    """Microseconds of processor time for a request."""

    server: float
    indexing: float
    closing: float

    def row(self) -> str:
        """The parts and their sum."""
        return f"{self.server:7.1f} {self.indexing:9.1f} {self.closing:7.1f} {sum(self):7.1f}"


class Measured:
    """A server, the token that is measured, and what was measured."""

    def __init__(self, server: Running, token: str) -> None:
        self.pid, self.target = server.process.pid, Target(server.program.address, [("X-Vault-Token", token)])
        self.name = server.program.name
        self.costs: list[Cost] = []

    @property
    def readers(self) -> list[int]:
        """The processes of its log reader: one, or none."""
        return [pid for pid in tree(self.pid) if pid != self.pid]

    def used(self) -> Cost:
        """Nanoseconds of processor time that it has used."""
        readers = [(str(pid), _threads(pid)) for pid in self.readers]
        loops = sum(threads[pid] for pid, threads in readers)
        threads = sum(sum(threads.values()) for _, threads in readers) - loops
        return Cost(sum(_threads(self.pid).values()), loops, threads)

    def settle(self) -> None:
        """Wait until the reader has nothing to do."""
        with ExitStack() as stack:
            for pid in self.readers:
                stack.enter_context(_first(pid, _FIRST))
            before, now = 0.0, sum(self.used()[1:])
            while now - before > _IDLE:
                time.sleep(_PAUSE)
                before, now = now, sum(self.used()[1:])

    def measure(self, operation: Operation, seconds: int, scratch: Path) -> None:
        """One round."""
        self.settle()
        before = self.used()
        # What sends the load is a child of this process.
        with _first(self.pid, _FIRST), _first(0, os.SCHED_FIFO):
            done = run_round(self.target, operation, seconds=seconds, connections=16, core=1, scratch=scratch)
        self.settle()
        parts = zip(before, self.used(), strict=True)
        self.costs.append(Cost(*((late - early) / done.requests / 1000 for early, late in parts)))


def _threads(pid: int) -> dict[str, int]:
    """By thread, the nanoseconds of processor time of a process."""
    return {
        task.name: int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


@contextmanager
def _first(pid: int, policy: int) -> Iterator[None]:
    """Let a process not wait for a processor, where that may be had."""
    with suppress(PermissionError):
        os.sched_setscheduler(pid, policy, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def rows(servers: Sequence[Measured]) -> Iterator[str]:
    """Yield what each server's requests cost, and how much more that is than with the first one."""
    base: list[Cost] = []
    for server in servers:
        for name, choose in (("least", min), ("median", statistics.median)):
            found = Cost(*(choose(column) for column in zip(*server.costs, strict=True)))
            base.append(found)
            more = sum(found) - sum(base[name == "median"])
            yield f"{server.name:8} {name:7} {found.row()}   {more:+6.1f}"


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=1, help="of a round")
    parser.add_argument("--beside", type=Path, help="another checkout, with its .venv, as it was before")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        tls = programs.certificate(scratch)
        kinds: list[tuple[str, Path | None, bool]] = [("without", None, False), ("with", None, True)]
        if options.beside:
            kinds.insert(1, ("before", options.beside.resolve(), True))
        servers = []
        for name, checkout, log in kinds:
            program = programs.coffre(scratch / name, tls, name=name, checkout=checkout, log=log)
            served = stack.enter_context(running(program, core=0, log=scratch / f"{name}.log"))
            servers.append(Measured(served, set_up_whole(program, secret=SECRET, keys=KEYS).reader))
        for operation in operations()[:2]:
            for number in range(-1, options.rounds):
                for server in servers if number % 2 else reversed(servers):
                    server.measure(operation, options.seconds, scratch)
            print(f"{operation.name:16}  server  indexing closing     all    more", flush=True)
            for server in servers:
                del server.costs[0]  # a warm-up
            for row in rows(servers):
                print(row, flush=True)
            for server in servers:
                server.costs.clear()


if __name__ == "__main__":
    main()
