# SPDX-License-Identifier: EUPL-1.2
"""A server of any commit, on loopback, and what asks it."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_port

PATIENCE = 60.0
"""Seconds that a server has to start or to answer: whether a machine is slow is no test's question."""


class Client:
    """Asks one server, with `token` unless another one is given."""

    def __init__(self, address: str, log: Path) -> None:
        self.address = address
        self.log = log
        self.token = ""

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        namespace: str = "",
        wrap: str = "",
    ) -> tuple[int, Any]:
        """Status and answer of one request; None for an answer without a body."""
        headers = {"X-Vault-Token": self.token if token is None else token}
        headers |= {"X-Vault-Namespace": namespace} if namespace else {}
        headers |= {"X-Vault-Wrap-TTL": wrap} if wrap else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/v1/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, _json(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, _json(refusal.read())


def _json(data: bytes) -> Any:
    return json.loads(data) if data else None


@contextmanager
def serving(tree: Path, folder: Path, **settings: str) -> Iterator[Client]:
    """Start the server of a tree of sources with `folder/vault.db`; end it in order."""
    port = free_port()
    more = "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    config = folder / "server.hcl"
    config.write_text(
        f'storage "sqlite" {{ path = "{folder}/vault.db" }}\n'
        f'listener "tcp" {{\n  address = "127.0.0.1:{port}"\n  tls_disable = true\n}}\n'
        f'audit "file" "own" {{\n  options {{ file_path = "{folder}/own.log" }}\n}}\n{more}'
    )
    client = Client(f"http://127.0.0.1:{port}", folder / "server.log")
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    with client.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vault.server", f"-config={config}"],
            cwd=tree,
            env={**clean, "HOME": str(folder), "PYTHONPATH": f"{tree}:{tree / 'cli'}"},
            stdout=log,
            stderr=log,
        )
        try:
            _await(client, process)
            yield client
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _await(client: Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client("GET", "sys/init")
        except OSError:  # nobody listens yet
            time.sleep(0.03)
        else:
            return
    raise AssertionError(f"the server did not start:\n{client.log.read_text(errors='replace')[-2000:]}")
