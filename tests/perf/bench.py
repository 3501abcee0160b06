# SPDX-License-Identifier: EUPL-1.2
"""Ours beside OpenBao: same core, TLS, durable storage, an audit file, same token and policy.

Rounds alternate between the servers, so that a change of the machine's mood hits all. A figure is the
median of its rounds. A refused or lost request stops the run: its figures would mean nothing. Each row is printed
as soon as it is measured; a run that is stopped (SIGINT, SIGTERM) says what it has measured until then.

`--beside CHECKOUT` adds a third server, made from another checkout with an environment of its own in `.venv`: what a
change costs is read from the column `/before`, measured in the same rounds.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.perf import biscuits, engines, programs
from tests.perf.cli import cli_seconds
from tests.perf.load import Operation, Request, Round, Target, median_of, run_round
from tests.perf.report import BEFORE, OURS, THEIRS, footer, header, rows, verdicts
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


@dataclass(slots=True)
class Run:
    """What is measured, and where: it holds what there is at any time, so that a run that is stopped can say it."""

    options: argparse.Namespace
    scratch: Path
    figures: dict[str, Figures] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Whole-process seconds of the command line clients."""
    live: dict[str, Running] = field(default_factory=dict)
    """The servers whose processor time is measured."""

    def processor_seconds(self, server: str) -> float:
        """Processor time that a server has used so far."""
        return self.live[server].processor_seconds() if server in self.live else 0.0

    def plain(self) -> dict[str, dict[str, Any]]:
        """The figures by server name, as they are written to JSON."""
        return {name: asdict(of_server) for name, of_server in self.figures.items()}


def measure(run: Run) -> None:
    """Measure everything, and print each row as soon as it is known."""
    options, scratch, figures = run.options, run.scratch, run.figures
    tls = programs.certificate(scratch)
    servers = [programs.openbao(scratch / THEIRS, tls)]
    if options.beside:
        servers.append(programs.coffre(scratch / BEFORE, tls, name=BEFORE, checkout=options.beside))
    if options.log:
        servers.append(programs.coffre(scratch / BEFORE, tls, name=BEFORE))
    if OURS in options.only:
        servers.append(programs.coffre(scratch / OURS, tls, log=options.log))
    for program in servers:
        figures[program.name] = _started(program, scratch, options.server_core)
    with ExitStack() as stack:
        for program in servers:
            run.live[program.name] = _enter(stack, program, scratch, options.server_core)
        fresh = int((options.rounds + 1) * options.seconds * biscuits.COLD_A_SECOND)
        tokens, work = _prepared(servers, fresh)
        size = answer_bytes(servers[-1], "secret/data/bench/0", tokens[servers[-1].name])
        ceiling = programs.bare(tls, body_bytes=size)
        figures[ceiling.name] = _started(ceiling, scratch, options.server_core)
        run.live[ceiling.name] = _enter(stack, ceiling, scratch, options.server_core)
        print(header(run.plain()), flush=True)
        for connections in options.connections:
            for each in zip(*work.values(), strict=True):
                if options.operations and each[0].name not in options.operations:
                    continue
                aims = [(p, tokens[p.name], operation) for p, operation in zip(servers, each, strict=True)]
                if each[0].name == "kv read":
                    aims.append((ceiling, "s.ignored-by-the-bare-server", each[0]))
                alternate(run, aims, connections)
        for server in run.live.values():
            figures[server.program.name].resident = server.resident_mebibytes()
        note("kv get with each command line client")
        run.seconds |= cli_seconds({p.name: p for p in servers}, tokens, tls[0], scratch)


def note(doing: str) -> None:
    """Say on standard error what comes now, so that nobody looks at a run that seems to stand still."""
    print(f"... {doing}", file=sys.stderr, flush=True)


def _prepared(servers: Sequence[Program], fresh: int) -> tuple[dict[str, str], dict[str, list[Operation]]]:
    """Set every server up; returns the token that is measured and the operations, by server name.

    `fresh` is how many Biscuits are read with that are new to the server.
    """
    tokens, work = {}, {}
    for program in servers:
        note(f"setting up {program.name}")
        keys = set_up_whole(program, secret=SECRET, keys=KEYS)
        tokens[program.name] = keys.reader
        login, accessor = set_up_logins(program, keys.root, keys.reader)
        usual = [*operations(), *credentials(login, accessor, set_up_jwt(program, keys.root))]
        reads = usual[0].requests
        if program.name != THEIRS:
            key, proof = set_up_biscuits(program, keys.root)
            usual += biscuits.ours(program, key, proof, reads, fresh)
        else:
            usual += biscuits.theirs(reads, next(one for one in usual if one.name == "approle login"))
        work[program.name] = usual + engines.operations(engines.set_up_engines(program, keys.root), reads[0])
    return tokens, work


def _started(program: Program, scratch: Path, core: int) -> Figures:
    """Figures that hold the median seconds from start to the first answer, of a few starts."""
    note(f"starting {program.name} {_STARTS} times")
    times = []
    for _ in range(_STARTS):
        with running(program, core=core, log=scratch / f"{program.name}.log") as server:
            times.append(server.answering_after)
    return Figures(answering_after=statistics.median(times))


def _enter(stack: ExitStack, program: Program, scratch: Path, core: int) -> Running:
    return stack.enter_context(running(program, core=core, log=scratch / f"{program.name}.log"))


def alternate(run: Run, aims: Sequence[tuple[Program, str, Operation]], connections: int) -> None:
    """A short warm-up of each server, which does not count, then the rounds in turn, forth and back.

    The medians are in the figures after every round of all servers, the rows printed after the last, or where stopped.
    """
    options, name = run.options, f"{aims[0][-1].name} c={connections}"
    taken: dict[str, list[Round]] = {program.name: [] for program, *_ in aims}
    try:
        for number in range(-1, options.rounds):
            note(f"{name}: " + (f"round {number + 1} of {options.rounds}" if number >= 0 else "warm-up"))
            for program, token, operation in aims if number % 2 else reversed(aims):
                before = run.processor_seconds(program.name)
                measured = run_round(
                    Target(program.address, [("X-Vault-Token", token)]),
                    operation.part(number + 1, options.rounds + 1),
                    seconds=min(1.0, options.seconds) if number < 0 else options.seconds,
                    connections=connections,
                    core=options.load_core,
                    scratch=run.scratch,
                )
                used = run.processor_seconds(program.name) - before
                taken[program.name].append(
                    replace(measured, processor=used * 1e6 / max(measured.requests, 1))
                )
            if number >= 0:
                for server, rounds in taken.items():
                    run.figures[server].rounds[name] = median_of(rounds[1 : number + 2])
    finally:
        print(rows(name, run.plain()), end="", flush=True)


class Stopped(KeyboardInterrupt):
    """SIGTERM has come, as SIGINT may."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it SIGTERM is an exception, so that servers are ended and figures said."""

    def stop(_signal: int, _frame: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def report(run: Run, *, whole: bool) -> int:
    """Write and print what is left to say of a run; the exit status is 1 when it is whole and a promise is broken."""
    plain = run.plain()
    if run.options.json:
        run.options.json.write_text(
            json.dumps({"servers": plain, "cli_seconds": run.seconds}, indent=2) + "\n"
        )
    print(footer(plain, run.seconds), flush=True)
    if not whole:
        print("stopped: the figures above are what was measured until then")
        return 0
    failed = verdicts(plain, run.seconds)
    if OURS in plain:
        print("\n".join(failed) if failed else "every promise held")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the verdicts; exit 1 when a promised ratio is missed, 128 and the signal if stopped."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds of each operation")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round")
    parser.add_argument("--connections", type=int, nargs="+", default=[16])
    parser.add_argument("--operations", nargs="+", metavar="NAME", help="these rows alone, as 'kv read'")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[THEIRS, OURS], choices=[THEIRS, OURS])
    parser.add_argument(
        "--beside", type=_checkout, help="another checkout of ours, with its .venv, as it was before"
    )
    parser.add_argument("--log", action="store_true", help="ours keeps the log; beside it, as it is without")
    parser.add_argument("--json", type=Path, help="write all figures to this file as JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as folder, stoppable():
        run = Run(options, Path(folder))
        try:
            for checkout in filter(None, (_REPOSITORY, options.beside)):
                programs.compile_sources(checkout)
            measure(run)
        except KeyboardInterrupt as stopped:
            report(run, whole=False)
            return 128 + (signal.SIGTERM if isinstance(stopped, Stopped) else signal.SIGINT)
        return report(run, whole=True)


def _checkout(path: str) -> Path:
    """The folder of another checkout, which must have an environment."""
    folder = Path(path).resolve()
    if not programs.interpreter(folder).exists():
        message = f"{folder} has no environment: run `make compiled` in it"
        raise argparse.ArgumentTypeError(message)
    return folder


if __name__ == "__main__":
    raise SystemExit(main())
