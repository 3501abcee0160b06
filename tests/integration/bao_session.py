# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.integration.bao_session``: what `bao` shows of each scenario at the field's server, written down.

To start it is most of what comparing with it costs, and at a new server it shows the same each time. Writes
``bao-sessions.jsonl`` beside this file: the version, then each line of each scenario with what came of it.
"""

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from tests.cli.normalise import normalised
from tests.cli.tree_of_bao import version
from tests.integration import bao_scenarios
from tests.integration.coffre import BAO, Place, empty_server, open_server
from tests.integration.processes import PATIENCE

RECORDED = Path(__file__).with_name("bao-sessions.jsonl")
OPERATOR, NAMESPACES = "init, unseal, rotate and seal", "namespaces"
SCENARIOS: Mapping[str, Sequence[str]] = {
    "version 2": [*bao_scenarios.GROUND, *bao_scenarios.KV2],
    "version 1": [*bao_scenarios.GROUND, *bao_scenarios.KV1],
    "mounts": [*bao_scenarios.GROUND, *bao_scenarios.MOUNTS],
    "tokens and policies": [*bao_scenarios.GROUND, *bao_scenarios.TOKENS],
    "a narrow token": [*bao_scenarios.GROUND, *bao_scenarios.LIMITED],
    "odd requests": [*bao_scenarios.GROUND, *bao_scenarios.ODD],
    OPERATOR: bao_scenarios.OPERATOR,
    NAMESPACES: bao_scenarios.NAMESPACES,
}
"""Command lines by scenario: each has a server of its own, which is initialised but for `OPERATOR`."""
Shown = tuple[str, str, int]
"""Normalised stdout and stderr, and the exit code."""
_CAPTURE = re.compile(r"([A-Z]+)=(?![A-Z])(.*)")
_UPGRADING = "Upgrading from non-versioned"
# How long something is kept is told to the second, where the clocks of two runs differ by some.
_LEFT = re.compile(
    r"((?<!_)\bttl\"?:? +|(?:token|lease)_duration\"?:? +)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?\b"
)
_LOOSE = (
    (re.compile(r"https://127\.0\.0\.1:\d+"), "<address>"),
    (
        re.compile(r"\b(kv|ns|system|cubbyhole|identity|auth_token|token|audit_file)_[0-9a-f]{6,8}\b"),
        r"\1_<id>",
    ),
    (re.compile(r"\bvault-cluster-[0-9a-f]{8}\b"), "<cluster>"),
    (re.compile(r"(Storage Type +|\"storage_type\": |storage_type +)\S+"), r"\1<kind>"),
    (re.compile(r"((?:creation_time|last_renewal_time)\"?:? +)\d+"), r"\1<seconds>"),
    (re.compile(r"/tmp/\S+"), "<file>"),
    (re.compile(r"(Install Time +)\d\d [A-Z][a-z]{2} \d\d \d\d:\d\d UTC"), r"\1<minute>"),
    (re.compile(r"Waiting for terminal status in migration .*\n"), ""),
    (re.compile(r"(effective max_ttl of \")[0-9hms]+"), r"\1<time>"),
    # The field's refusals repeat the value; ours name the field, or what fits instead (DV-02).
    (
        re.compile(
            r"(?:type: )?(invalid capability|unsupported algorithm|unsupported encoding format|plugin not found in the catalog)"
            r"(?::? \"?(?:fly|md5|base7|no-such-engine)\"?|; must be one of [-a-z0-9, ]+)?"
        ),
        r"\1",
    ),
)


class Session:
    """One operator at one server: plays command lines, and keeps what they captured."""

    def __init__(self, place: Place, home: Path) -> None:
        self._home, self._folder = home, str(place.folder)
        self._environment = place.environment(home)
        self._kept: dict[str, str] = {}

    def play(self, line: str) -> Shown:
        """Run a line; return normalised stdout and stderr, and the exit code."""
        capture = _CAPTURE.fullmatch(line)
        command, _, text = (capture[2] if capture else line).partition(" < ")
        words = [self._filled(word) for word in shlex.split(command)]
        environment = dict(self._environment)
        if words[0].startswith("-"):
            environment["BAO_TOKEN"] = words.pop(0)[1:]
        deadline = time.monotonic() + PATIENCE
        while True:
            done = self._run(words, environment, text)
            if _UPGRADING not in done.stderr or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if words[0] == "path-help":  # each server explains itself in its own words
            return "<help>" if done.stdout else "", "", done.returncode
        if capture and done.returncode == 0:
            self._keep(capture[1], done.stdout.strip())
            return "<kept>", self._without_chance(done.stderr), done.returncode
        return self._without_chance(done.stdout), self._without_chance(done.stderr), done.returncode

    def _without_chance(self, text: str) -> str:
        text = _LEFT.sub(_to_five_minutes, normalised(text.replace(self._folder, "<folder>")))
        for pattern, word in _LOOSE:
            text = pattern.sub(word, text)
        return text

    def _run(
        self, words: list[str], environment: Mapping[str, str], text: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BAO, *words],
            env=environment,
            cwd=self._home,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _filled(self, word: str) -> str:
        return re.sub(r"\{([A-Z][A-Za-z0-9.]*)\}", lambda found: self._kept.get(found[1], "lost"), word)

    def _keep(self, name: str, text: str) -> None:
        self._kept[name] = text
        if name == "SHARES":
            made = json.loads(text)
            self._kept[f"{name}.root"] = made["root_token"]
            for number in range(len(made["unseal_keys_hex"])):
                self._kept[f"{name}.keys.{number}"] = made["unseal_keys_hex"][number]
                self._kept[f"{name}.b64.{number}"] = made["unseal_keys_b64"][number]


def played(name: str, kind: str, folder: Path) -> list[Shown]:
    """Play a scenario at a new server of a kind, in a folder that is empty."""
    with _server(name, kind, folder) as place:
        session = Session(place, folder)
        return [session.play(line) for line in SCENARIOS[name]]


def _server(name: str, kind: str, folder: Path) -> AbstractContextManager[Place]:
    return empty_server(kind, folder) if name == OPERATOR else open_server(kind, folder)


@cache
def recorded() -> tuple[str, Mapping[str, Sequence[tuple[str, Shown]]]]:
    """The version of the binary, and each line with what it showed at the field's server, by scenario."""
    said, *lines = RECORDED.read_text(encoding="utf-8").splitlines()
    found: dict[str, list[tuple[str, Shown]]] = {}
    for name, line, out, err, code in map(json.loads, lines):
        found.setdefault(name, []).append((line, (out, err, code)))
    return json.loads(said), found


def _to_five_minutes(found: re.Match[str]) -> str:
    """Up to five minutes more than what is left: it does not matter how many of them a slow machine took."""
    hours, minutes, seconds = (int(found[part] or 0) for part in (2, 3, 4))
    return f"{found[1]}{-(-(hours * 3600 + minutes * 60 + seconds) // 300) * 5} minutes"


def _lines() -> Iterator[str]:
    yield json.dumps(version())
    for name, lines in SCENARIOS.items():
        with tempfile.TemporaryDirectory() as folder:
            for line, shown in zip(lines, played(name, "openbao", Path(folder)), strict=True):
                yield json.dumps([name, line, *shown], ensure_ascii=False)


if __name__ == "__main__":
    os.environ.setdefault("GOGC", "400")
    RECORDED.write_text("".join(f"{line}\n" for line in _lines()), encoding="utf-8")
