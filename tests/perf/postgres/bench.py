# SPDX-License-Identifier: EUPL-1.2
"""Ours beside OpenBao on the same PostgreSQL, in one run: `make bench-postgres`.

Each server is alone on one core, the database and the load share the other. Plain HTTP, one audit file each, a database
each of one PostgreSQL that writes durably, on a Unix socket. With `--round-trip` each statement reaches it later, as over
a network; with `--commit` each commit takes longer, as one that waits for a standby does.

Rounds alternate between the servers. Rates are medians, processor time is the least of the rounds: that is the figure to
trust on a machine that does something else too.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.perf import programs
from tests.perf.bench import KEYS, SECRET, Figures, Run, alternate, note, operations, stoppable
from tests.perf.load import Operation, Request
from tests.perf.postgres.goals import missed
from tests.perf.postgres.round_trips import delayed
from tests.perf.report import OURS, THEIRS, header
from tests.perf.server import Program, running, set_up_logins, set_up_whole
from tests.postgres import OWNER, Cluster, started
from vault.storage.postgres.administration import install

_MANY = 200
_NODE = "node"
_BAO = "bao"
_SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB", "autovacuum": "on"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and what was missed; exit 1 when that is anything."""
    parser = argparse.ArgumentParser(prog="bench-postgres", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds of each operation")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--operations", nargs="+", metavar="NAME", help="these rows alone, as 'kv read'")
    parser.add_argument(
        "--round-trip", type=float, default=0.0, metavar="MS", help="added to each round trip"
    )
    parser.add_argument("--commit", type=float, default=0.0, metavar="MS", help="added to each commit")
    parser.add_argument("--server-core", type=int, default=1)
    parser.add_argument("--load-core", type=int, default=0, help="of the load, the database, and what delays")
    parser.add_argument("--json", type=Path, help="write all figures to this file as JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as folder, stoppable():
        run = Run(options, Path(folder))
        programs.compile_sources(Path(__file__).parents[3])
        measure(run)
    plain = run.plain()
    if options.json:
        options.json.write_text(json.dumps({"servers": plain}, indent=2) + "\n")
    short = missed(plain)
    print("\n".join(short) if short else "every goal reached")
    return 1 if short else 0


def measure(run: Run) -> None:
    """Measure everything, and print each row as soon as it is known."""
    options = run.options
    print(
        f"added to a round trip: {options.round_trip:g} ms, to a commit: {options.commit:g} ms; cpu us: of the"
        " server, for a request",
        flush=True,
    )
    with ExitStack() as stack:
        cluster = stack.enter_context(_database(options))
        socket = Path(cluster.address(_NODE).host)
        where = stack.enter_context(delayed(socket, options.round_trip, core=options.load_core))
        servers = [
            programs.openbao(run.scratch / THEIRS, None, storage=_theirs(where)),
            programs.coffre(run.scratch / OURS, None, storage=_ours(where)),
        ]
        for program in servers:
            log = run.scratch / f"{program.name}.log"
            run.live[program.name] = stack.enter_context(running(program, core=options.server_core, log=log))
            run.figures[program.name] = Figures()
        prepared = [_prepared(program) for program in servers]
        print(header(run.plain()), flush=True)
        for connections in options.connections:
            for each in zip(*(work for _, work in prepared), strict=True):
                if options.operations and each[0].name not in options.operations:
                    continue
                aims = [
                    (program, token, operation)
                    for program, (token, _), operation in zip(servers, prepared, each, strict=True)
                ]
                alternate(run, aims, connections)


@contextmanager
def _database(options: argparse.Namespace) -> Iterator[Cluster]:
    """Start a PostgreSQL that writes durably, with a database for each of the two."""
    # Whoever commits first waits, and takes along who comes meanwhile: as where a standby has to confirm.
    slow = {"commit_delay": f"{options.commit * 1000:.0f}", "commit_siblings": "0"} if options.commit else {}
    with started(_SETTINGS | slow) as cluster:
        assert cluster.process is not None
        core = str(options.load_core)
        subprocess.run(
            ["taskset", "-apc", core, str(cluster.process.pid)], check=True, stdout=subprocess.DEVNULL
        )
        cluster.run("postgres", f"CREATE ROLE {_NODE} LOGIN")
        for name in (_BAO, _NODE):
            cluster.run("postgres", f"CREATE DATABASE {name}")
        asyncio.run(install(cluster.address(_NODE), _NODE))
        yield cluster


def _theirs(folder: Path) -> str:
    url = f"postgres:///{_BAO}?host={folder}&user={OWNER}"
    return f'storage "postgresql" {{ connection_url = "{url}"  ha_enabled = "false" }}'


def _ours(folder: Path) -> str:
    return f'storage "postgresql" {{ connection_url = "postgresql://{_NODE}@/{_NODE}?host={folder}" }}'


def _prepared(program: Program) -> tuple[str, list[Operation]]:
    """Set a server up; return the token that is measured and the operations."""
    note(f"setting up {program.name}")
    keys = set_up_whole(program, secret=SECRET, keys=KEYS)
    login, _ = set_up_logins(program, keys.root, keys.reader)
    return keys.reader, work(login)


def work(login: Mapping[str, str]) -> list[Operation]:
    """The operations; `login` is what logs in to AppRole."""
    read, write, lookup, create = operations()
    path, body = "/v1/auth/approle/login", json.dumps(dict(login), separators=(",", ":"))
    return [
        read,
        Operation("kv write, one key", write.requests[:1]),
        Operation("kv write, 200 keys", write.requests[:_MANY]),
        create,
        lookup,
        Operation("approle login", [Request("POST", path, body)]),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
