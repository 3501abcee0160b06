# SPDX-License-Identifier: EUPL-1.2
"""Four workers start at once on logs that a power cut damaged: each has a log of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.unit.log.folders import draft, opened, wrote

WORKERS = 4
ROUNDS = 25
"""One of fourteen met, before each process looked again at what there is under its lock."""


def _damaged(folder: Path) -> None:
    """A log for each worker, all with a record in the middle that does not chain."""
    logs = [opened(folder) for _ in range(WORKERS)]
    for log in logs:
        wrote(log, *[draft() for _ in range(5)])
        log.writer.close()
        segment = next((folder / log.id).glob("*.jsonl"))
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.write_bytes(b"".join([lines[0], lines[1].replace(b"kv.read", b"kv.list"), *lines[2:]]))


@contextmanager
def _worker() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.log.starter"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        yield process
        process.stdin.close()


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_workers_that_start_at_once_on_damaged_logs_write_one_each(tmp_path: Path) -> None:
    _damaged(tmp_path / "log")
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker()) for _ in range(WORKERS)]
        for number in range(ROUNDS):
            folder = tmp_path / f"{number}"
            shutil.copytree(tmp_path / "log", folder)
            moment = time.time() + 0.02
            for worker in workers:
                _say(worker, f"{moment} {folder}")
            found = [_answer(worker) for worker in workers]
            for worker in workers:
                _say(worker, "")
            assert len(set(found)) == WORKERS, (number, sorted(found))
            assert "" not in found
