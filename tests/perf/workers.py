# SPDX-License-Identifier: EUPL-1.2
"""What each worker more adds, on SQLite: `python -m tests.perf.workers`.

A server of one process and one of several workers are asked in turn over plain HTTP. Each may use the cores of
`--cores`; the load has one of its own where the machine has a third, and shares them where it has not. So what counts is the
processor time of all workers for a request: with W workers on W cores the rate is W times that of one, times what one
process needs for a request divided by what W need.

It ends with 1 where two workers are not to read `GOAL` times as much as one process.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.perf import programs
from tests.perf.bench import KEYS, SECRET, Figures, Run, alternate, operations, stoppable
from tests.perf.load import Operation
from tests.perf.report import header
from tests.perf.server import Program, running, set_up, tree

GOAL = 1.8
"""How many times as much two workers are to read as one process, each with a core."""
_READ = "kv read"


def program(scratch: Path, workers: int, cores: str) -> Program:
    """A server with so many workers, which may use these cores."""
    name = f"{workers} worker{'s' if workers > 1 else ''}"
    folder = scratch / str(workers)
    storage = f'workers = {workers}\nstorage "sqlite" {{ path = "{folder / "coffre.db"}" }}'
    made = programs.coffre(folder, None, storage=storage, name=name)
    return replace(made, command=("taskset", "-c", cores, *made.command))


def work() -> Sequence[Operation]:
    """Reads and writes of many keys, and the read of one."""
    read, write, *_ = operations()
    return [replace(read, name="kv read, one key", requests=read.requests[:1]), read, write]


def share_mebibytes(pid: int) -> float:
    """Memory of a process and all its descendants in MiB, pages that several share counted once."""
    rollups = [Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii") for each in tree(pid)]
    lines = [line for rollup in rollups for line in rollup.splitlines() if line.startswith("Pss:")]
    return sum(int(line.split()[1]) for line in lines) / 1024


def times_as_much(workers: int, one: float, several: float) -> float:
    """How many times as much so many workers do as one process, each with a core, by processor time for a request."""
    return workers * one / several


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the rows and what they come to."""
    parser = argparse.ArgumentParser(prog="workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each operation, in turn")
    parser.add_argument("--seconds", type=int, default=2, help="length of a round")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="beside one process")
    parser.add_argument("--cores", default="0,1", help="of the servers")
    parser.add_argument("--load-core", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as folder, stoppable(), ExitStack() as stack:
        run = Run(options, Path(folder))
        programs.compile_sources(Path(__file__).parents[2])
        servers = {each: program(run.scratch, each, options.cores) for each in (1, *options.workers)}
        tokens = {}
        for each in servers.values():
            log = run.scratch / f"{each.name}.log"
            run.live[each.name] = stack.enter_context(running(each, core=options.load_core, log=log))
            run.figures[each.name] = Figures()
            tokens[each.name] = set_up(each, secret=SECRET, keys=KEYS)
        for server in run.live.values():
            print(f"{server.program.name}: {share_mebibytes(server.process.pid):.0f} MiB with little data")
        print(header(run.plain()))
        for connections in options.connections:
            for operation in work():
                alternate(
                    run, [(each, tokens[each.name], operation) for each in servers.values()], connections
                )
        return judged(run, servers)


def judged(run: Run, servers: dict[int, Program]) -> int:
    one, short = run.figures[servers[1].name].rounds, False
    for workers, server in servers.items():
        for name, measured in run.figures[server.name].rounds.items() if workers > 1 else ():
            times = times_as_much(workers, one[name].processor, measured.processor)
            print(f"{server.name}, each with a core, {name}: {times:.2f} times as much as one process")
            short |= workers == 2 and name.startswith(_READ) and times < GOAL
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())
