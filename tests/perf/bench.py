# SPDX-License-Identifier: EUPL-1.2
"""Ours beside OpenBao: same core, TLS, durable storage, an audit file, same token and policy.

Rounds alternate between the servers, so that a change of the machine's mood hits both. A figure is the
median of its rounds. A refused or lost request stops the run: its figures would mean nothing.
"""

import argparse
import compileall
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.perf import biscuits, programs
from tests.perf.cli import cli_seconds
from tests.perf.load import Operation, Request, Round, Target, median_of, run_round
from tests.perf.report import table, verdicts
from tests.perf.server import (
    Program,
    Running,
    answer_bytes,
    running,
    set_up_biscuits,
    set_up_jwt,
    set_up_logins,
    set_up_whole,
)

KEYS = 256
SECRET = {"username": "service-account", "password": "correct horse battery staple", "host": "db.example"}
_STARTS = 3
_REPOSITORY = Path(__file__).parents[2]


@dataclass(slots=True)
class Figures:
    """All that one run measured of one server. Seconds, MiB, and rounds by connections and operation."""

    answering_after: float = 0.0
    resident: float = 0.0
    rounds: dict[str, Round] = field(default_factory=dict)


def operations() -> list[Operation]:
    """The operations that are the same everywhere, the writes over many keys so that no single row is the bottleneck."""
    body = json.dumps({"data": SECRET}, separators=(",", ":"))
    paths = [f"/v1/secret/data/bench/{number}" for number in range(KEYS)]
    token = json.dumps({"policies": ["bench"], "ttl": "1h"}, separators=(",", ":"))
    return [
        Operation("kv read", [Request("GET", path) for path in paths]),
        Operation("kv write", [Request("POST", path, body) for path in paths]),
        Operation("token lookup", [Request("GET", "/v1/auth/token/lookup-self")]),
        Operation("token create", [Request("POST", "/v1/auth/token/create", token)]),
    ]


def credentials(login: Mapping[str, str], accessor: str, jwt: Mapping[str, str]) -> list[Operation]:
    """The operations that need what only one server knows: logging in, wrapping and unwrapping, a look by accessor."""
    wrapped = json.dumps(SECRET, separators=(",", ":"))
    asked = json.dumps({"accessor": accessor}, separators=(",", ":"))
    body = json.dumps(dict(login), separators=(",", ":"))
    return [
        Operation("approle login", [Request("POST", "/v1/auth/approle/login", body)]),
        Operation("jwt login", [Request("POST", "/v1/auth/jwt/login", json.dumps(dict(jwt)))]),
        Operation("wrap, unwrap", [Request("POST", "/v1/sys/wrapping/wrap", wrapped)], unwrapped=True),
        Operation("lookup accessor", [Request("POST", "/v1/auth/token/lookup-accessor", asked)]),
    ]


def measure(options: argparse.Namespace, scratch: Path) -> tuple[dict[str, Figures], dict[str, float]]:
    """Run everything; returns the figures by server name, and whole-process CLI seconds by command."""
    tls = programs.certificate(scratch)
    servers = [programs.openbao(scratch / "openbao", tls)]
    if "coffre" in options.only:
        servers.append(programs.coffre(scratch / "coffre", tls))
    figures = {program.name: _started(program, scratch, options.server_core) for program in servers}
    with ExitStack() as stack:
        live = [_enter(stack, program, scratch, options.server_core) for program in servers]
        tokens, work = _prepared(
            servers, int((options.rounds + 1) * options.seconds * biscuits.COLD_A_SECOND)
        )
        size = answer_bytes(servers[-1], "secret/data/bench/0", tokens[servers[-1].name])
        ceiling = programs.bare(tls, body_bytes=size)
        figures[ceiling.name] = _started(ceiling, scratch, options.server_core)
        live.append(_enter(stack, ceiling, scratch, options.server_core))
        for connections in options.connections:
            for each in zip(*work.values(), strict=True):
                aims = [(p, tokens[p.name], operation) for p, operation in zip(servers, each, strict=True)]
                if each[0].name == "kv read":
                    aims.append((ceiling, "s.ignored-by-the-bare-server", each[0]))
                taken = _alternate(options, scratch, aims, connections)
                for name, rounds in taken.items():
                    figures[name].rounds[f"{each[0].name} c={connections}"] = median_of(rounds)
        for server in live:
            figures[server.program.name].resident = server.resident_mebibytes()
        seconds = cli_seconds({p.name: p for p in servers}, tokens, tls[0], scratch)
    return figures, seconds


def _prepared(servers: Sequence[Program], fresh: int) -> tuple[dict[str, str], dict[str, list[Operation]]]:
    """Set every server up; returns the token that is measured and the operations, by server name.

    `fresh` is how many Biscuits are read with that are new to the server.
    """
    tokens, work = {}, {}
    for program in servers:
        keys = set_up_whole(program, secret=SECRET, keys=KEYS)
        tokens[program.name] = keys.reader
        login, accessor = set_up_logins(program, keys.root, keys.reader)
        usual = [*operations(), *credentials(login, accessor, set_up_jwt(program, keys.root))]
        reads = usual[0].requests
        if program.name == "coffre":
            key, proof = set_up_biscuits(program, keys.root)
            usual += biscuits.ours(program, key, proof, reads, fresh)
        else:
            usual += biscuits.theirs(reads, next(one for one in usual if one.name == "approle login"))
        work[program.name] = usual
    return tokens, work


def _started(program: Program, scratch: Path, core: int) -> Figures:
    """Figures that hold the median seconds from start to the first answer, of a few starts."""
    times = []
    for _ in range(_STARTS):
        with running(program, core=core, log=scratch / f"{program.name}.log") as server:
            times.append(server.answering_after)
    return Figures(answering_after=statistics.median(times))


def _enter(stack: ExitStack, program: Program, scratch: Path, core: int) -> Running:
    return stack.enter_context(running(program, core=core, log=scratch / f"{program.name}.log"))


def _alternate(
    options: argparse.Namespace,
    scratch: Path,
    aims: Sequence[tuple[Program, str, Operation]],
    connections: int,
) -> dict[str, list[Round]]:
    """A short warm-up of each server, which does not count, then the rounds in turn."""
    taken: dict[str, list[Round]] = {program.name: [] for program, *_ in aims}
    for number in range(-1, options.rounds):
        for program, token, operation in aims:
            measured = run_round(
                Target(program.address, [("X-Vault-Token", token)]),
                operation.part(number + 1, options.rounds + 1),
                seconds=min(1.0, options.seconds) if number < 0 else options.seconds,
                connections=connections,
                core=options.load_core,
                scratch=scratch,
            )
            if number >= 0:
                taken[program.name].append(measured)
    return taken


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
    for package in ("vault", "nhi", "hsm", "cli"):  # as when installed: else each start compiles its sources
        compileall.compile_dir(_REPOSITORY / package, quiet=1)
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as folder:
        figures, seconds = measure(options, Path(folder))
    plain = {name: asdict(of_server) for name, of_server in figures.items()}
    if options.json:
        options.json.write_text(json.dumps({"servers": plain, "cli_seconds": seconds}, indent=2) + "\n")
    print(table(plain, seconds))
    failed = verdicts(plain, seconds)
    if "coffre" in plain:
        print("\n".join(failed) if failed else "every promise held")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
