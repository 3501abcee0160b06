# SPDX-License-Identifier: EUPL-1.2
"""The stock `bao` client cannot tell our server from the field's: equal words, equal exit codes, over TLS."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from difflib import unified_diff
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.normalise import normalised
from tests.integration import bao_scenarios
from tests.integration.coffre import BAO, KINDS, Place, empty_server, open_server
from tests.integration.processes import PATIENCE

_SHARED = {
    "version 2": bao_scenarios.KV2,
    "version 1": bao_scenarios.KV1,
    "mounts": bao_scenarios.MOUNTS,
    "tokens and policies": bao_scenarios.TOKENS,
    "a narrow token": bao_scenarios.LIMITED,
    "odd requests": bao_scenarios.ODD,
}
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
        self._home = home
        self._environment = place.environment(home)
        self._kept: dict[str, str] = {}

    def play(self, line: str) -> tuple[str, str, int]:
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
            return "<kept>", _without_chance(done.stderr), done.returncode
        return _without_chance(done.stdout), _without_chance(done.stderr), done.returncode

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


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Session]]:
    """One session at each server, both initialised and unsealed."""
    enable_socket()
    with ExitStack() as stack:
        yield [
            Session(
                stack.enter_context(open_server(kind, tmp_path_factory.mktemp(kind))),
                tmp_path_factory.mktemp("home"),
            )
            for kind in KINDS
        ]


def test_there_are_many_command_lines() -> None:
    assert sum(map(len, _SHARED.values())) + len(bao_scenarios.OPERATOR) >= 250


@pytest.mark.parametrize("name", _SHARED)
def test_a_scenario_is_answered_as_by_the_field(name: str, sessions: list[Session]) -> None:
    different = _differences(sessions, [*bao_scenarios.GROUND, *_SHARED[name]])
    assert not different, different


def test_init_unseal_rotate_and_seal_are_as_the_fields(tmp_path: Path) -> None:
    with ExitStack() as stack:
        pair = []
        for kind in KINDS:
            folder = tmp_path / kind
            folder.mkdir()
            pair.append(Session(stack.enter_context(empty_server(kind, folder)), folder))
        different = _differences(pair, bao_scenarios.OPERATOR)
        assert not different, different


def _differences(pair: list[Session], lines: list[str]) -> str:
    """Every line that the servers answer differently: from theirs to ours; empty when there is none."""
    found = []
    for line in lines:
        ours, theirs = (session.play(line) for session in pair)
        if ours != theirs:
            wanted, shown = (f"{out}{err}[exit {code}]".splitlines() for out, err, code in (theirs, ours))
            found += ["", f"$ bao {line}", *list(unified_diff(wanted, shown, lineterm="", n=1))[2:]]
    return "\n".join(found)


def _without_chance(text: str) -> str:
    text = _LEFT.sub(_to_five_minutes, normalised(text))
    for pattern, word in _LOOSE:
        text = pattern.sub(word, text)
    return text


def _to_five_minutes(found: re.Match[str]) -> str:
    """Up to five minutes more than what is left: it does not matter how many of them a slow machine took."""
    hours, minutes, seconds = (int(found[part] or 0) for part in (2, 3, 4))
    return f"{found[1]}{-(-(hours * 3600 + minutes * 60 + seconds) // 300) * 5} minutes"
