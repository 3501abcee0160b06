# SPDX-License-Identifier: EUPL-1.2
"""A run that was killed anywhere, and cleaned up after: the server lists what it listed before, on Coffre and OpenBao."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import esa_conformance
from esa_conformance.cli import main
from esa_conformance.run.journal import read_journal
from tests.conformance.servers import OpenBaoServer, Server
from tests.conformance_suite.judging import JudgedCoffre, good_server, manifest_of
from tests.conformance_suite.listing import changes, everything
from tests.conformance_suite.mutants import Behind
from tests.conformance_suite.stub import Said, Sent, serving

_PACKAGES = str(Path(esa_conformance.__file__).parents[1])
_KILLS = 50
"""Of each server, in tens."""
_PATIENCE_S = 600


@pytest.fixture(scope="module", params=[JudgedCoffre, OpenBaoServer], ids=lambda kind: kind.kind)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A good server."""
    with good_server(request.param) as server:
        yield server


@dataclass
class Killer:
    """Stands before the server, and kills the run at one request: before the server gets it, or when it has done it."""

    server: Server
    text: str
    at: int
    before: bool
    process: subprocess.Popen[bytes] | None = None
    started: threading.Event = field(default_factory=threading.Event)
    count: int = 0
    _idle: threading.Condition = field(default_factory=threading.Condition)
    _under_way: int = 0

    def behave(self, request: Sent) -> Said:
        """Answer as the server does, but once."""
        assert self.started.wait(_PATIENCE_S)
        with self._idle:
            self.count += self.text in f"{request.method} {request.target} {request.headers}"
            mine = self.count == self.at
            self.count += mine
            self._under_way += 1
        try:
            if mine and self.before:
                self._kill()
                return Said(cut=True)
            answer = Behind.of(self.server).ask(request)
            if mine:
                self._kill()
            return answer
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def _kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(_PATIENCE_S)

    def wait(self) -> int:
        """Wait until the run has ended and nothing of it is under way; its exit code."""
        assert self.process is not None
        code = self.process.wait(_PATIENCE_S)
        with self._idle:
            assert self._idle.wait_for(lambda: not self._under_way, _PATIENCE_S)
        return code


def _killed(server: Server, folder: Path, killer: Killer, mode: str, *words: str) -> int:
    """Begin a run, have it killed, clean up after it, and compare all that the server lists. The run's exit code."""
    before = everything(server)
    with serving(killer.behave) as (port, _):
        manifest_of(server, folder, port=port, mode=mode)
        manifest, journal = str(folder / "manifest.toml"), folder / "journal"
        environment = {"ESA_TOKEN": server.root, "ESA_SEAL_KEY": server.share}
        killer.process = subprocess.Popen(
            [sys.executable, "-m", "esa_conformance", "run", "--manifest", manifest, "--journal", str(journal), *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **environment, "PYTHONPATH": _PACKAGES},
        )  # fmt: skip
        killer.started.set()
        code = killer.wait()
        if journal.exists():
            with pytest.MonkeyPatch.context() as patched:
                for name, value in environment.items():
                    patched.setenv(name, value)
                assert main(["cleanup", "--manifest", manifest, "--journal", str(journal)]) == 0, code
    assert changes(server, before) == {}, code
    return code


_POINTS = {
    "a secret": ("ESA-KV-001", "POST /v1/secret/data"),
    "a policy": ("ESA-POL-007", "/sys/policies/acl/"),
    "a credential": ("ESA-AUT-002", "/auth/token/create"),
    "a log-in": ("ESA-AUT-008", "/login"),
    "a wrapped answer": ("ESA-WRP-001", "x-vault-wrap-ttl"),
    "a namespace": ("ESA-NSP-002", "/sys/namespaces/"),
    "a mount": ("ESA-ERR-007", "/sys/mounts/"),
    "a limit": ("ESA-ERR-007", "/sys/quotas/"),
    "sealing": ("ESA-GEN-010", "/sys/seal"),
    "removal": ("ESA-KV-001", "DELETE"),
}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("point", _POINTS.values(), ids=_POINTS)
def test_a_run_killed_while_it_makes_a_thing_leaves_none(
    server: Server, point: tuple[str, str], before: bool, tmp_path: Path
) -> None:
    killer = Killer(server, point[1], 1, before)
    assert _killed(server, tmp_path, killer, "prefix", "--only", point[0]) == -signal.SIGKILL
    journal = tmp_path / "journal"
    assert '"make"' in journal.read_text(encoding="utf-8") and read_journal(journal).entries == ()


def _anywhere(server: Server, folder: Path, seed: int, longest: Mapping[str, int]) -> int:
    chance = random.Random(seed)
    mode = chance.choice(sorted(longest))
    killer = Killer(server, "", chance.randrange(4, longest[mode]), chance.random() < 0.5)
    return _killed(server, folder, killer, mode)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_early_leaves_nothing(server: Server, seed: int, tmp_path: Path) -> None:
    """The sample of those below."""
    assert _anywhere(server, tmp_path, seed, {"namespace": 300, "prefix": 300}) == -signal.SIGKILL


@pytest.fixture(scope="module")
def longest(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, int]:
    """By mode how many requests a run makes that is spared."""
    counts = {}
    for mode in ("namespace", "prefix"):
        spared = Killer(server, "", 0, before=False)
        assert _killed(server, tmp_path_factory.mktemp(mode), spared, mode) == 0
        counts[mode] = spared.count
    return counts


@pytest.mark.soak
@pytest.mark.parametrize("ten", range(_KILLS // 10))
def test_a_run_killed_anywhere_leaves_nothing(
    server: Server, longest: Mapping[str, int], ten: int, tmp_path: Path
) -> None:
    """As far as its own removal, which is the last part of a run below a prefix."""
    seeds = range(1000 + 10 * ten, 1010 + 10 * ten)
    codes = [_anywhere(server, tmp_path / str(seed), seed, longest) for seed in seeds]
    assert codes.count(-signal.SIGKILL) >= 9, "one whose last requests are fewer than before may end first"
