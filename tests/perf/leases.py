# SPDX-License-Identifier: EUPL-1.2
"""A million leases: `make bench-leases`. How fast a server is back, what it holds in memory, and whom it slows.

Ours is filled while it is stopped, by the product's own storage code; OpenBao through its API, with as many
tokens as it can take, and then ours with as many. Both are restarted, and then revoke by prefix under load.
"""

import argparse
import asyncio
import json
import tempfile
import time
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.perf import programs
from tests.perf.lease_report import Figures, table, verdicts
from tests.perf.lease_seed import GOING, LEASES, STAYING, TOKENS, Amount, seed
from tests.perf.load import Operation, Request, Round, Target, run_round
from tests.perf.server import Program, Running, call, running, set_up_whole

SECRET = {"username": "service-account", "password": "correct horse battery staple", "host": "db.example"}
KEYS = 256
_READS = Operation("kv read", [Request("GET", f"/v1/secret/data/bench/{key}") for key in range(KEYS)])
_SETTLED = 10.0
"""Seconds after which a server has loaded what it loads in the background."""
_ROUND = 1.0


@dataclass(slots=True)
class Prepared:
    """A stopped server that was set up: what opens it, its root token, the token that reads."""

    program: Program
    share: str
    root: str
    reader: str
    held: str = ""
    amount: Amount = field(default_factory=lambda: Amount(0, 0, 0))


class Bench:
    """The measurements of one run, with the cores that they are on."""

    def __init__(self, scratch: Path, *, connections: int, cores: tuple[int, int]) -> None:
        self._scratch = scratch
        self._connections = connections
        self._server_core, self._load_core = cores

    @contextmanager
    def live(self, program: Program) -> Iterator[Running]:
        """Run the program for a while."""
        with running(program, core=self._server_core, log=self._scratch / f"{program.name}.log") as server:
            yield server

    def prepare(self, program: Program) -> Prepared:
        """Initialise and set up a server; it is stopped again."""
        with self.live(program):
            made = set_up_whole(program, secret=SECRET, keys=KEYS)
        return Prepared(program, made.share, made.root, made.reader)

    def fill_over_the_wire(self, prepared: Prepared, amount: Amount) -> Amount:
        """Make tokens through the API until there are about as many as `amount` says; return how many there are."""
        counts = {}
        with self.live(prepared.program):
            _open(prepared)
            for name, wanted in ((STAYING, amount.tokens - amount.going), (GOING, amount.going)):
                role = {"allowed_policies": ["bench"], "orphan": True}
                call(prepared.program, "POST", f"auth/token/roles/{name}", role, prepared.root)
                body = json.dumps({"policies": ["bench"], "ttl": "720h"}, separators=(",", ":"))
                making = Operation("token create", [Request("POST", f"/v1/{TOKENS}/{name}", body)])
                made = 0.0
                while made < wanted:
                    took = self._load(prepared, making, 5.0, token=prepared.root)
                    made += took.rate * 5.0
                counts[name] = round(made)
        return Amount(0, sum(counts.values()), counts[GOING])

    def measure(self, prepared: Prepared, held: str, going: list[str]) -> Figures:
        """Start the server, read, and revoke each of the prefixes while reading."""
        with self.live(prepared.program) as server:
            began = time.perf_counter() - server.answering_after
            _open(prepared)
            serving = time.perf_counter() - began
            time.sleep(_SETTLED)
            resident = server.resident_mebibytes()
            figures = Figures(prepared.program.name, held, serving, resident)
            self._load(prepared, _READS, 2.0)
            figures.idle = [self._load(prepared, _READS, _ROUND) for _ in range(5)]
            for prefix in going:
                seconds, rounds = self._during(prepared, prefix)
                figures.revoking[prefix] = (seconds, rounds)
            figures.resident_after = server.resident_mebibytes()
        return figures

    def _during(self, prepared: Prepared, prefix: str) -> tuple[float, list[Round]]:
        """Revoke a prefix; return the seconds until the answer, and the rounds of reads that ended before it."""

        def revoke() -> float:
            began = time.perf_counter()
            path = f"sys/leases/revoke-prefix/{prefix}"
            call(prepared.program, "PUT", path, {"sync": True}, prepared.root, patience=600)
            return time.perf_counter() - began

        rounds: list[Round] = []
        with ThreadPoolExecutor(1) as pool:
            revoking = pool.submit(revoke)
            while not revoking.done():
                last = self._load(prepared, _READS, _ROUND)
                if not revoking.done() or not rounds:
                    rounds.append(last)
            return revoking.result(), rounds

    def _load(self, prepared: Prepared, operation: Operation, seconds: float, *, token: str = "") -> Round:
        target = Target(prepared.program.address, [("X-Vault-Token", token or prepared.reader)])
        return run_round(
            target,
            operation,
            seconds=seconds,
            connections=self._connections,
            core=self._load_core,
            scratch=self._scratch,
        )


def _open(prepared: Prepared) -> None:
    """Unseal, and wait for the first answer to a read."""
    _until(lambda: call(prepared.program, "PUT", "sys/unseal", {"key": prepared.share}))
    _until(lambda: call(prepared.program, "GET", "secret/data/bench/0", None, prepared.reader))


def _until(step: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            step()
        except (urllib.error.HTTPError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def main() -> int:
    """Measure, print the table and the verdicts; exit 1 when a promise is missed."""
    parser = argparse.ArgumentParser(prog="bench-leases", description=__doc__)
    parser.add_argument("--leases", type=int, default=800_000)
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--going", type=int, default=100_000, help="leases, and tokens, that are revoked")
    parser.add_argument("--beside", type=int, default=50_000, help="tokens for the comparison; 0 for none")
    parser.add_argument("--beside-going", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1), help="the server's and the load's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coffre-leases-") as folder:
        scratch = Path(folder)
        bench = Bench(scratch, connections=options.connections, cores=tuple(options.cores))
        figures = run(bench, scratch, options)
    print(table(figures))
    failed = verdicts(figures)
    print("\n".join(failed) if failed else "every promise held")
    return 1 if failed else 0


def run(bench: Bench, scratch: Path, options: argparse.Namespace) -> list[Figures]:
    """Measure an empty server, the million, and the two beside each other."""
    tls = programs.certificate(scratch)
    ours = bench.prepare(_ours(scratch / "coffre", tls))
    figures = [bench.measure(ours, "nothing", [])]
    amount = Amount(options.leases, options.tokens, options.going)
    took = asyncio.run(seed(scratch / "coffre" / "coffre.db", ours.share, amount))
    print(f"{amount.leases + amount.tokens} made in {took:.0f} s", flush=True)
    going = [f"{LEASES}/{GOING}", f"{TOKENS}/{GOING}"]
    figures.append(bench.measure(ours, f"{amount.leases} leases, {amount.tokens} tokens", going))
    if options.beside:
        theirs = bench.prepare(programs.openbao(scratch / "openbao", tls))
        made = bench.fill_over_the_wire(theirs, Amount(0, options.beside, options.beside_going))
        second = bench.prepare(_ours(scratch / "second", tls))
        asyncio.run(seed(scratch / "second" / "coffre.db", second.share, made))
        figures += [
            bench.measure(prepared, f"{made.tokens} tokens", [f"{TOKENS}/{GOING}"])
            for prepared in (second, theirs)
        ]
    return figures


def _ours(folder: Path, tls: tuple[Path, Path]) -> Program:
    made = programs.coffre(folder, tls)
    return replace(
        made, command=tuple("tests.perf.lease_server" if p == "vault.server" else p for p in made.command)
    )


if __name__ == "__main__":
    raise SystemExit(main())
