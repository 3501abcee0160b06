# SPDX-License-Identifier: EUPL-1.2
"""Requests beside searches of the log: how long a KV read, or with `--writes` a KV write, takes while nobody searches, and while others search all the time.

The server has one core; its log reader, those who search and the clock of the reads share the other. A third row has as
much other work on that core that has nothing to do with the log: what it costs is the machine's share of the second row.
Rounds of the three alternate. Run it on a machine with nothing else to do: `python -m tests.perf.log.beside`.
"""

import argparse
import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.perf import programs
from tests.perf.load import Operation, Request, Target, run_round
from tests.perf.server import Keys, Program, call, running, set_up_whole, tree

_PACE = 0.005
"""Seconds from one read to the next: what is measured is how long one takes, and not how many there can be."""
_READS = Operation("kv read", [Request("GET", f"/v1/secret/data/bench/{number}") for number in range(100)])
_BODY = '{"data":{"password":"correct horse battery staple"}}'
_SEARCHER = """
import http.client, itertools, sys
line = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for number in itertools.count():
    asked = ("", "event=esa.kv.*", f"resource=secret/bench/{number % 100}", "outcome=denied", "order=asc&limit=1000")[number % 5]
    line.request("GET", f"/v1/sys/log/records?{asked}", headers={"X-Vault-Token": sys.argv[2]})
    answer = line.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    print(flush=True)
"""
_OTHER_WORK = """
import hashlib, time
while True:
    until = time.monotonic() + 0.005
    while time.monotonic() < until:
        hashlib.sha256(bytes(1000)).digest()
    print(flush=True)
"""
_POLICY = {"policy": 'path "sys/log/*" { capabilities = ["read"] }'}


@contextmanager
def _beside(code: str, arguments: list[str], count: int) -> Iterator[list[int]]:
    """Have processes do something all the time; gives how often each did it, at the end."""
    begun = [
        subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    first = [one.stdout.readline() for one in begun if one.stdout is not None]  # each is at it
    done: list[int] = []
    try:
        yield done
        assert all(one.poll() is None for one in begun), "what is done beside has ended"
    finally:
        for line, one in zip(first, begun, strict=True):
            one.kill()
            done.append((line + one.communicate()[0]).count(b"\n"))


def _asked(program: Program, token: str, seconds: float, body: str | None) -> list[float]:
    """Read a secret, or write `body`, at a steady pace; how long each took, in milliseconds, from when it was due."""
    line, took = http.client.HTTPConnection("127.0.0.1", program.port), list[float]()
    with _first_in_line():
        _ask(line, token, seconds, took, body)
    line.close()
    return took


@contextmanager
def _first_in_line() -> Iterator[None]:
    """Let whoever measures not wait for a processor, where that may be had."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _ask(
    line: http.client.HTTPConnection, token: str, seconds: float, took: list[float], body: str | None
) -> None:
    method = "GET" if body is None else "POST"
    due = time.perf_counter()
    end = due + seconds
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        line.request(method, "/v1/secret/data/bench/7", body, {"X-Vault-Token": token})
        answer = line.getresponse()
        assert answer.status == 200
        answer.read()
        took.append((time.perf_counter() - due) * 1000)
        due += _PACE


def _row(name: str, took: list[float], done: int) -> str:
    took.sort()
    p50, p99 = took[len(took) // 2], took[-1 - len(took) // 100]
    return f"{name:28} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   {len(took):6} times   {done:6} times beside"


def measure(
    program: Program, keys: Keys, *, rounds: int, seconds: float, searchers: int, writes: bool = False
) -> Iterator[str]:
    """Yield the rows of the table."""
    body = _BODY if writes else None
    call(program, "PUT", "sys/policies/acl/log", _POLICY, keys.root)
    made = call(program, "POST", "auth/token/create", {"policies": ["log"]}, keys.root)
    searcher = [str(program.port), str(made["auth"]["client_token"])]
    kinds = {
        "nobody searches": ("", [], 0),
        f"{searchers} search": (_SEARCHER, searcher, searchers),
        f"{searchers} do something else": (_OTHER_WORK, list[str](), searchers),
    }
    took: dict[str, list[float]] = {name: [] for name in kinds}
    times = dict.fromkeys(kinds, 0)
    for _ in range(rounds):
        for name, (code, arguments, count) in kinds.items():
            with _beside(code, arguments, count) as done:
                time.sleep(0.3)
                took[name] += _asked(program, keys.reader, seconds, body)
            times[name] += sum(done)
    for name, all_ in took.items():
        yield _row(name, all_, times[name])


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fill", type=int, default=10, help="seconds of load that fill the log before")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4, help="of each part of a round")
    parser.add_argument("--searchers", type=int, default=2)
    parser.add_argument("--writes", action="store_true", help="measure KV writes, not reads")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as open_:
        folder = Path(scratch)
        program = programs.coffre(folder / "coffre", None, log=True)
        served = open_.enter_context(running(program, core=0, log=folder / "server.log"))
        keys = set_up_whole(program, secret={"password": "x" * 24}, keys=100)
        others = os.sched_getaffinity(0) - {0}
        for pid in set(tree(served.process.pid)) - {served.process.pid}:
            os.sched_setaffinity(pid, others)
        target = Target(program.address, [("X-Vault-Token", keys.reader)])
        filled = run_round(target, _READS, seconds=options.fill, connections=16, core=1, scratch=folder)
        print(f"{filled.requests} reads are in the log")
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, others)
        try:
            for row in measure(
                program,
                keys,
                rounds=options.rounds,
                seconds=options.seconds,
                searchers=options.searchers,
                writes=options.writes,
            ):
                print(row)
        finally:
            os.sched_setaffinity(0, before)


if __name__ == "__main__":
    main()
