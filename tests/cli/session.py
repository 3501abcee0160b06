# SPDX-License-Identifier: EUPL-1.2
"""Golden sessions: text files that read like a terminal.

    $ vaultctl kv get secret/none
    ! No value found at secret/data/none
    [exit 2]

`$ ` starts a shell command, `> ` continues it. Below it stand its stdout, then its stderr behind `! `, then
`[no newline]` when stdout does not end with one, and `[exit N]` unless N is 0. `NAME=$(…)` keeps its value for
later commands. Placeholders: <uuid> <time> <token> <accessor> <key> <number> <text>; a line `...` is any number
of lines. Lines that start with `## ` are comments.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.servers import Server

_PLACES = {
    "uuid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| \+0000 UTC)|\d\d [A-Z][a-z]{2} \d\d \d\d:\d\d UTC",
    "token": r"[sb]\.[A-Za-z0-9_-]{20,}",
    "accessor": r"[A-Za-z0-9_]{8,}",
    "key": r"[A-Za-z0-9+/=]{40,}",
    "number": r"\d+",
    "text": r"[^\n]*",
}
_ROOT = Path(__file__).parents[2]
_UPGRADING = "Upgrading from non-versioned"
"""What the field says of a new KV version 2 for a moment, in which nothing of a command was done."""
_RELEASE = "Coffre  "
"""The row of a status that only ours has."""
_PLAIN = re.compile(r"""vaultctl(?: +(?:[\w./:=@,+%{}-]|'[^']*'|"[^"$`\\]*")+)*""")
"""A command line that a shell does nothing with but to take it apart."""
_ASSIGNMENT = re.compile(r"([A-Z_]+)=\$\((.*)\)", re.DOTALL)


@dataclass
class Step:
    """One command of a session and the lines expected after it."""

    command: str
    line: int
    expected: list[str] = field(default_factory=list)


def steps(path: Path) -> Iterator[Step]:
    """The commands of a session file."""
    step: Step | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("$ "):
            if step:
                yield step
            step = Step(line[2:], number)
        elif step is None:
            continue
        elif line.startswith("> ") and not step.expected:
            step.command += "\n" + line[2:]
        elif line.startswith("## "):
            yield step
            step = None
        else:
            step.expected.append(line)
    if step:
        yield step


class Shell:
    """Runs a session's commands in a folder of their own, with `vaultctl` on the path."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder = folder
        programs = folder / "bin"
        programs.mkdir()
        vaultctl = programs / "vaultctl"
        vaultctl.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vaultctl "$@"\n')
        vaultctl.chmod(0o755)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
        self._environment = {
            **clean,
            "HOME": str(folder),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": f"{_ROOT / 'cli'}:{_ROOT}",
            "BAO_ADDR": server.address,
            "BAO_MAX_RETRIES": "0",
        }
        if server.token:
            self._environment["BAO_TOKEN"] = server.token
        self._variables: dict[str, str] = {}

    def run(self, command: str) -> list[str]:
        """What the terminal shows after the command, as session lines."""
        assignment = _ASSIGNMENT.fullmatch(command)
        deadline = time.monotonic() + 60
        while True:
            done = self._done(assignment[2] if assignment else command)
            if _UPGRADING not in done.stderr or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        lines = []
        if assignment:
            self._variables[assignment[1]] = done.stdout.rstrip("\n")
        elif done.stdout:
            lines += done.stdout.removesuffix("\n").split("\n")
            if not done.stdout.endswith("\n"):
                lines.append("[no newline]")
        if done.stderr:
            lines += [f"! {line}".rstrip() for line in done.stderr.removesuffix("\n").split("\n")]
        return [*lines, f"[exit {done.returncode}]"] if done.returncode else lines

    def _done(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {**self._environment, **self._variables}
        plain = _PLAIN.fullmatch(command)  # it needs no shell
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(command)] if plain else ["/bin/sh", "-c", command],
            env=environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode < 0:
            done.returncode = 128 - done.returncode  # as a shell says it
        return done


def _without_release(lines: list[str]) -> list[str]:
    """The lines without the row, or the field, that only our status has."""
    return [line for line in lines if not line.strip(' "').startswith((_RELEASE, "coffre_version"))]


def difference(expected: list[str], shown: list[str]) -> str:
    """Empty when the shown lines are those expected, else both, for people."""
    wanted = list(expected)
    shown = _without_release(shown)
    while wanted and not wanted[-1]:
        wanted.pop()
    while shown and not shown[-1]:
        shown = shown[:-1]
    pattern = "".join(_line_pattern(line) for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in shown)):
        return ""
    return "expected:\n" + "\n".join(wanted) + "\nshown:\n" + "\n".join(shown)


def _line_pattern(line: str) -> str:
    if line == "...":
        return r"(?:[^\n]*\n)*"
    parts = re.split(r"<(uuid|time|token|accessor|key|number|text)>", line)
    return (
        "".join(
            re.escape(part) if index % 2 == 0 else f"(?:{_PLACES[part]})" for index, part in enumerate(parts)
        )
        + "\n"
    )
