# SPDX-License-Identifier: EUPL-1.2
"""Ours beside OpenBao: same core, TLS, durable storage, an audit file, same token and policy.

Rounds alternate between the servers, so that a change of the machine's mood hits both. A figure is the
median of its rounds. A refused or lost request stops the run: its figures would mean nothing.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.perf import programs
from tests.perf.cli import cli_seconds
from tests.perf.load import Operation, Request, Round, Target, median_of, run_round
from tests.perf.report import table, verdicts
from tests.perf.server import Program, Running, running, set_up

_KEYS = 256
_SECRET = {"username": "service-account", "password": "correct horse battery staple", "host": "db.example"}
_STARTS = 3


@dataclass(slots=True)
class Figures:
    """All that one run measured of one server. Seconds, MiB, and rounds by connections and operation."""

    listening_after: float = 0.0
    resident: float = 0.0
    rounds: dict[str, Round] = field(default_factory=dict)


def operations() -> list[Operation]:
    """The four measured operations, the writes over many keys so that no single row is the bottleneck."""
    body = json.dumps({"data": _SECRET}, separators=(",", ":"))
    paths = [f"/v1/secret/data/bench/{number}" for number in range(_KEYS)]
    token = json.dumps({"policies": ["bench"], "ttl": "1h"}, separators=(",", ":"))
    return [
        Operation("kv read", [Request("GET", path) for path in paths]),
        Operation("kv write", [Request("POST", path, body) for path in paths]),
        Operation("token lookup", [Request("GET", "/v1/auth/token/lookup-self")]),
        Operation("token create", [Request("POST", "/v1/auth/token/create", token)]),
    ]


def measure(options: argparse.Namespace, scratch: Path) -> tuple[dict[str, Figures], dict[str, float]]:
    """Run everything; returns the figures by server name, and whole-process CLI seconds by command."""
    tls = programs.certificate(scratch)
    servers = [programs.openbao(scratch / "openbao", tls)]
    if "coffre" in options.only:
        servers.append(programs.coffre(scratch / "coffre", tls))
    ceiling = programs.bare(tls)
    figures = {program.name: Figures() for program in [*servers, ceiling]}
    for program in [*servers, ceiling]:
        figures[program.name].listening_after = _median_start(program, scratch, options.server_core)
    with ExitStack() as stack:
        started: dict[str, Running] = {}
        for program in [*servers, ceiling]:
            log = scratch / f"{program.name}.log"
            started[program.name] = stack.enter_context(running(program, core=options.server_core, log=log))
        tokens = {p.name: set_up(p, secret=_SECRET, keys=_KEYS) for p in servers}
        for connections in options.connections:
            _measure_rounds(options, scratch, [*servers, ceiling], tokens, figures, connections)
        for name, server in started.items():
            figures[name].resident = server.resident_mebibytes()
        seconds = cli_seconds({p.name: p for p in servers}, tokens, tls[0], scratch)
    return figures, seconds


def _median_start(program: Program, scratch: Path, core: int) -> float:
    """Median seconds from start to listening, of a few starts."""
    times = []
    for _ in range(_STARTS):
        with running(program, core=core, log=scratch / f"{program.name}.log") as server:
            times.append(server.listening_after)
    return sorted(times)[len(times) // 2]


def _measure_rounds(
    options: argparse.Namespace,
    scratch: Path,
    servers: Sequence[Program],
    tokens: Mapping[str, str],
    figures: Mapping[str, Figures],
    connections: int,
) -> None:
    for operation in operations():
        taken: dict[str, list[Round]] = {program.name: [] for program in servers}
        for number in range(-1, options.rounds):
            seconds = min(1.0, options.seconds) if number < 0 else options.seconds
            for program in servers:
                if program.name == "bare ASGI" and operation.name != "kv read":
                    continue
                token = tokens.get(program.name, "s.unused-by-the-bare-server")
                measured = run_round(
                    Target(program.address, [("X-Vault-Token", token)]),
                    operation,
                    seconds=seconds,
                    connections=connections,
                    core=options.load_core,
                    scratch=scratch,
                )
                if number >= 0:
                    taken[program.name].append(measured)
        for name, rounds in taken.items():
            if rounds:
                figures[name].rounds[f"{operation.name} c={connections}"] = median_of(rounds)


def main() -> int:
    """Measure, print the table and the verdicts; exit 1 when a promised ratio is missed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds of each operation")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round")
    parser.add_argument("--connections", type=int, nargs="+", default=[16])
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=["openbao", "coffre"], choices=["openbao", "coffre"])
    parser.add_argument("--json", type=Path, help="write all figures to this file as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as folder:
        figures, seconds = measure(options, Path(folder))
    plain = {name: asdict(of_server) for name, of_server in figures.items()}
    if options.json:
        options.json.write_text(json.dumps({"servers": plain, "cli_seconds": seconds}, indent=2) + "\n")
    print(table(plain, seconds))
    failed = verdicts(plain, seconds)
    print("\n".join(failed) if failed else "every promised ratio held")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
