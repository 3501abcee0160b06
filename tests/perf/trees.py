# SPDX-License-Identifier: EUPL-1.2
"""How soon the servers of several trees listen, and how many KV reads and writes each answers, measured in turn.

A tree is a checkout, with an environment of its own in `.venv` or run by this one's.
"""

import io
import os
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.perf import programs
from tests.perf.bench import KEYS, SECRET, operations
from tests.perf.load import BenchError, Target, run_round
from tests.perf.server import Program, running, set_up
from tests.ports import free_port

_ROOT: Final = Path(__file__).parents[2]
_STARTS: Final = 7
_ROUNDS: Final = 5
_SECONDS: Final = 2
_MOST_SECONDS: Final = 60.0
_SERVER_CORE: Final = 0
_LOAD_CORE: Final = 1
_CONNECTIONS: Final = 16


@contextmanager
def checked_out(name: str) -> Iterator[Path]:
    """Give the folder of this name, or one with the files of the commit of this name, which then goes again."""
    if Path(name).is_dir():
        yield Path(name).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="tree-") as folder:
        archive = subprocess.run(
            ["git", "archive", "--format=tar", name], cwd=_ROOT, capture_output=True, check=False
        )
        if archive.returncode:
            raise BenchError(f"{name} is no folder and no commit: {archive.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def measured(trees: Sequence[Path]) -> list[Mapping[str, str]]:
    """Return for each tree its rows, by what they say."""
    for tree in trees:
        programs.compile_sources(tree)
    starts = _starts(trees)
    rates = _rates(trees)
    return [
        {"dev server listens after": f"{1000 * start:.0f} ms"}
        | {name: f"{rate:,.0f}/s" for name, rate in each.items()}
        for start, each in zip(starts, rates, strict=True)
    ]


def _starts(trees: Sequence[Path]) -> list[float]:
    """The medians of a few starts of the development server, in seconds."""
    taken: list[list[float]] = [[] for _ in trees]
    for number in range(_STARTS + 1):
        for tree, times in zip(trees, taken, strict=True):
            seconds = listening_after(tree)
            if number:  # the first has the files read from the disk
                times.append(seconds)
    return [statistics.median(times) for times in taken]


def listening_after(tree: Path) -> float:
    """Return how many seconds a development server of a tree takes from its start until it listens."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="home-") as home, (Path(home) / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [_python(tree), "-m", "vaultctl", "server", "-dev", f"-dev-listen-address=127.0.0.1:{port}"],
            env={**_environment(tree), "HOME": home},
            cwd=tree,
            stdout=log,
            stderr=log,
        )
        try:
            while not _listens(port):
                if process.poll() is not None or time.perf_counter() > began + _MOST_SECONDS:
                    raise BenchError(
                        f"no server of {tree}: {Path(log.name).read_text(errors='replace')[-2000:]}"
                    )
                time.sleep(0.001)
            return time.perf_counter() - began
        finally:
            process.terminate()
            process.wait(timeout=_MOST_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _rates(trees: Sequence[Path]) -> list[Mapping[str, float]]:
    """The medians of a few rounds of each operation, in requests per second."""
    work = operations()[:2]
    taken: list[dict[str, list[float]]] = [{one.name: [] for one in work} for _ in trees]
    with tempfile.TemporaryDirectory(prefix="rates-") as folder, ExitStack() as stack:
        scratch = Path(folder)
        tls = programs.certificate(scratch)
        servers = [_program(tree, scratch / str(number), tls) for number, tree in enumerate(trees)]
        for program in servers:
            stack.enter_context(running(program, core=_SERVER_CORE, log=scratch / "log"))
        tokens = [set_up(program, secret=SECRET, keys=KEYS) for program in servers]
        for operation in work:
            for number in range(_ROUNDS + 1):
                turn = list(zip(servers, tokens, taken, strict=True))
                for program, token, rates in turn if number % 2 else reversed(turn):
                    found = run_round(
                        Target(program.address, [("X-Vault-Token", token)]),
                        operation,
                        seconds=_SECONDS if number else 1,
                        connections=_CONNECTIONS,
                        core=_LOAD_CORE,
                        scratch=scratch,
                    )
                    if number:  # the first is the warm-up
                        rates[operation.name].append(found.rate)
    return [{name: statistics.median(rates) for name, rates in each.items()} for each in taken]


def _program(tree: Path, folder: Path, tls: tuple[Path, Path]) -> Program:
    program = programs.coffre(folder, tls, checkout=tree)
    _, *arguments = program.command
    environment = {**program.environment, "PYTHONPATH": _environment(tree)["PYTHONPATH"]}
    return replace(program, command=(_python(tree), *arguments), environment=environment)


def _python(tree: Path) -> str:
    own = programs.interpreter(tree)
    return str(own) if own.exists() else sys.executable


def _environment(tree: Path) -> Mapping[str, str]:
    """One in which the tree's modules are found, whatever else is installed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    return {**inherited, "PYTHONPATH": f"{tree / 'cli'}:{tree}"}
