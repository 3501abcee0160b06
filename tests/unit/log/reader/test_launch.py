# SPDX-License-Identifier: EUPL-1.2
"""A process that was started is taken note of when it ends, with nothing of what it said but a name."""

import sys
import threading
from pathlib import Path

import pytest

from vault.log.reader.launch import ReaderProcess


@pytest.mark.parametrize(
    ("program", "last_words"),
    [
        ("raise ValueError('a secret')", "ValueError"),
        ("import sys; sys.stderr.write('a secret\\n'); sys.exit(1)", ""),
        (
            "import sys; sys.stderr.write('x' * 300_000 + '\\nmodule.KeyError: a secret\\n'); sys.exit(1)",
            "KeyError",
        ),
        ("import sys; sys.exit(3)", ""),
        ("pass", ""),
    ],
)
def test_how_it_ended_is_known_by_name(tmp_path: Path, program: str, last_words: str) -> None:
    process = ReaderProcess(tmp_path, (sys.executable, "-c", program))
    process.join(60)
    assert (process.ended, process.last_words) == (True, last_words)
    assert process.pid > 0


def test_a_program_that_is_not_there_has_ended(tmp_path: Path) -> None:
    process = ReaderProcess(tmp_path, (str(tmp_path / "none"),))
    process.join(60)
    assert (process.ended, process.last_words, process.pid) == (True, "FileNotFoundError", 0)


def test_it_inherits_nothing_and_gets_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAO_TOKEN", "a secret")
    program = f"""
import os, sys
found = [sys.argv[1], os.getcwd(), dict(os.environ), os.getsid(0) == os.getpid(), sys.stdin.read()]
open({str(tmp_path / "told")!r}, "w").write(repr(found))
"""
    process = ReaderProcess(tmp_path, (sys.executable, "-I", "-c", program))
    process.join(60)
    told = (tmp_path / "told").read_text()
    assert told.startswith(f"[{str(tmp_path)!r}, '/', ")
    assert told.endswith(", True, '']")
    assert "a secret" not in told


def test_the_thread_that_waits_keeps_nobody_from_ending() -> None:
    process = ReaderProcess(Path("/"), (sys.executable, "-c", "pass"))
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "log-reader")
    process.join(60)
