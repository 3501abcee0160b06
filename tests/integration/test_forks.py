# SPDX-License-Identifier: EUPL-1.2
"""Whether a program that is forked for a test is as one that is executed (`tests/forks.py`)."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forks

_ROOT = Path(__file__).parents[2]
_SLEEPING = [sys.executable, "-m", "vault.server", "-dev", "-dev-listen-address=127.0.0.1:0"]


def _done(words: list[str], folder: Path, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vaultctl", *words],
        input="value",
        env={"HOME": str(folder), "PYTHONPATH": f"{_ROOT / 'cli'}:{_ROOT}", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["version"],
        ["kv", "get"],
        ["kv", "get", "secret/x"],
        ["kv", "put", "-output-curl-string", "secret/x", "y=-", "z=@file"],
        ["operator", "validate-config", "-config=missing.hcl"],
        ["server", "-config=missing.hcl"],
    ],
    ids=" ".join,
)
def test_a_forked_command_takes_says_and_exits_as_one_that_is_executed(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("what it says")
    nowhere = {"BAO_ADDR": "http://127.0.0.1:1", "BAO_MAX_RETRIES": "0"}
    forked = _done(words, tmp_path, **nowhere)
    forks.execute(always=True)
    assert forked == _done(words, tmp_path, **nowhere)


def test_a_forked_program_is_a_child_of_the_test_and_ends_by_signals(tmp_path: Path) -> None:
    with subprocess.Popen(_SLEEPING, stdout=subprocess.PIPE, cwd=tmp_path, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        told = dict(
            line.split(":\t")
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert int(told["PPid"]) == os.getpid()
        assert os.getsid(process.pid) == process.pid
        assert Path(f"/proc/{process.pid}/cwd").readlink() == tmp_path
        process.kill()
        assert process.wait() == -signal.SIGKILL


def _forked(command: list[str], **environment: str) -> bool:
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment}) as process:
        assert process.stdout is not None
        process.stdout.readline()
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        process.kill()
    return b"tests.forks" in words


def test_programs_of_ours_are_forked_and_not_where_their_start_would_differ() -> None:
    assert _forked(_SLEEPING)
    assert not _forked(_SLEEPING, OPENSSL_CONF="/dev/null")
    assert not _forked(_SLEEPING, PYTHONHASHSEED="1")
    assert not _forked(_SLEEPING, PYTHONPATH=f"/elsewhere:{_ROOT}")


@pytest.mark.executed
def test_no_program_is_forked_for_a_test_of_how_it_starts() -> None:
    assert not _forked(_SLEEPING)


def test_a_start_that_is_interrupted_or_fails_gives_its_answer_to_nobody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unknown = _done(["kv", "get"], tmp_path)
    assert unknown[0] == 1

    def interrupted(*_: object) -> int:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "recv", interrupted)
        with pytest.raises(TimeoutError):
            _done(["version"], tmp_path)
    assert _done(["kv", "get"], tmp_path) == unknown
