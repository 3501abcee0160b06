# SPDX-License-Identifier: EUPL-1.2
"""Two development servers on a PostgreSQL of their own, as `make run STORAGE=postgres` starts them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fuzz.process import wait_until
from tests.integration.processes import ROOT
from tests.ports import free_port

READY = "A second server on the same PostgreSQL"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user `postgres` may enter, which none of pytest's is."""
    made = Path(tempfile.mkdtemp(prefix="coffre-dev-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@contextmanager
def started(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    program, said = folder / "vaultctl", folder / "said"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vaultctl "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"}
    with (
        said.open("wb") as sink,
        subprocess.Popen(
            [ROOT / ".ci" / "dev-postgres", folder / "data", program, str(port)],
            env=environment,
            stdout=sink,
            stderr=sink,
        ) as process,
    ):
        try:
            wait_until(lambda: READY in said.read_text() or process.poll() is not None, said.read_text)
            assert process.poll() is None, said.read_text()
            yield process, said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def ask(folder: Path, port: int, *arguments: str) -> str:
    done = subprocess.run(
        [folder / "vaultctl", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
            "VAULT_ADDR": f"http://127.0.0.1:{port}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_two_servers_share_a_database_that_the_next_start_finds_again(folder: Path) -> None:
    port, other = free_port(), 0
    while other != port + 2:
        port, other = other, free_port()
    tokens = set()
    with started(folder, port) as (_, said):
        tokens |= {*re.findall("^Root Token: (.*)$", said.read_text(), re.MULTILINE)}
        ask(folder, port, "kv", "put", "secret/hello", "who=world")
        assert ask(folder, other, "kv", "get", "-field=who", "secret/hello") == "world"
    with started(folder, port) as (process, said):
        text = said.read_text()
        assert text.count("Root Token: ") == 1
        tokens |= {*re.findall("^Root Token: (.*)$", text, re.MULTILINE)}
        assert ask(folder, other, "kv", "get", "-field=who", "secret/hello") == "world"
        postmaster = int((folder / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
        sockets = text.split("?host=")[1].split(",")[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert len(tokens) == 1
    assert not Path(f"/proc/{postmaster}").exists()
    assert not Path(sockets).exists()
