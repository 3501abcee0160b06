# SPDX-License-Identifier: EUPL-1.2
"""One round of load: wrk, on a core of its own, and what it measured."""

import json
import os
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

_SCRIPT = Path(__file__).with_name("load.lua")


class BenchError(Exception):
    """A round whose figures would mean nothing: a refused request, a broken connection, a dead server."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of an operation; `body` is JSON without newlines, or empty; `token` is the target's unless given."""

    method: str
    path: str
    body: str = ""
    token: str = ""

    @property
    def line(self) -> str:
        """The request as the load's file has it."""
        return " ".join(part for part in (self.method, self.path, self.token or "-", self.body) if part)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is measured: a name for the table and the requests that are sent in turn."""

    name: str
    requests: Sequence[Request]
    unwrapped: bool = False
    """Whether each answer is asked for wrapped, and every other request fetches what waits behind the last."""
    once: bool = False
    """Whether each request is to be sent once: its token must be new to the server."""
    beside: Request | None = None
    """What one more client sends meanwhile, over and over, which is not measured."""

    def part(self, number: int, of: int) -> "Operation":
        """The operation of one round, the first being 0: with `once`, a share of the requests that no other has."""
        if not self.once:
            return self
        size = len(self.requests) // of
        return replace(self, requests=self.requests[number * size : (number + 1) * size])


@dataclass(frozen=True, slots=True)
class Round:
    """One round's figures: requests per second, and latencies in microseconds."""

    rate: float
    p50: float
    p99: float
    requests: int = 0
    processor: float = 0.0
    """Microseconds of the server's processor time for a request; 0 where that was not measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes: base address and the header lines that every request carries."""

    address: str
    headers: Sequence[tuple[str, str]]


def run_round(
    target: Target, operation: Operation, *, seconds: float, connections: int, core: int, scratch: Path
) -> Round:
    """Send the operation over kept-alive TLS connections for `seconds`, from `core`.

    Raises `BenchError` when any request was refused or lost.
    """
    measured = _Load(target, operation.requests, scratch / "load.txt", core, operation.unwrapped)
    with ExitStack() as stack:
        if operation.beside is not None:
            other = _Load(target, [operation.beside], scratch / "beside.txt", core)
            stack.enter_context(other.running(1, seconds))
        with measured.running(connections, seconds) as process:
            output, error = process.communicate()
    if process.returncode != 0:
        message = f"wrk failed on {operation.name}: {error.strip()}"
        raise BenchError(message)
    sent = len(operation.requests) if operation.once else None
    return round_of(output, operation.name, most=sent)


@dataclass(frozen=True, slots=True)
class _Load:
    """Requests that wrk sends in turn, from a file of their own."""

    target: Target
    requests: Sequence[Request]
    file: Path
    core: int
    unwrapped: bool = False

    @contextmanager
    def running(self, connections: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
        """Have wrk send them for `seconds`, or until the end of the block where that is before."""
        lines = [f"{name}: {value}" for name, value in self.target.headers]
        lines += ["", *(request.line for request in self.requests)]
        self.file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = ["taskset", "-c", str(self.core), "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s"]
        command += ["--timeout", "10s", "-s", str(_SCRIPT), self.target.address]
        environment = {**os.environ, "LOAD_FILE": str(self.file)}
        if self.unwrapped:
            environment["LOAD_UNWRAP"] = "1"
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.terminate()


def median_of(rounds: Sequence[Round]) -> Round:
    """The median of each figure on its own, and the least processor time: what disturbs only ever makes it longer."""
    return Round(
        rate=statistics.median(r.rate for r in rounds),
        p50=statistics.median(r.p50 for r in rounds),
        p99=statistics.median(r.p99 for r in rounds),
        requests=sum(r.requests for r in rounds),
        processor=min(r.processor for r in rounds),
    )


def round_of(output: str, name: str, *, most: int | None = None) -> Round:
    """The figures in what wrk printed; raises `BenchError` when any request was refused or lost, or came twice."""
    figures = json.loads(output.strip().splitlines()[-1])
    if most is not None and figures["requests"] > most:
        message = f"{name}: {figures['requests']} requests in a round that has {most}: some came twice"
        raise BenchError(message)
    if figures["bad_status"] or figures["broken"] or not figures["requests"]:
        message = (
            f"{name}: {figures['bad_status']} refused and {figures['broken']} broken"
            f" of {figures['requests']} requests"
        )
        raise BenchError(message)
    rate = figures["requests"] / (figures["microseconds"] / 1_000_000)
    return Round(rate=rate, p50=figures["p50"], p99=figures["p99"], requests=figures["requests"])
