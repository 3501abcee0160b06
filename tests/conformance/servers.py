# SPDX-License-Identifier: EUPL-1.2
"""Starts the reference, and our server on SQLite, on loopback: the same configuration but for the storage stanza."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conformance.wire import send
from tests.ports import free_port

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 60.0
REQUEST_LIMIT = 1 << 21
"""``max_request_size`` of the listener, so that a 413 costs little."""


class NotStartedError(RuntimeError):
    """A server did not come up; the message ends with its log."""


class Server:
    """A running server process; `root` is its root token once `initialise` has been called."""

    kind = ""
    opens_as_one = True
    """Whether who opens it through one address has opened it: else there is nothing to play that opens or seals."""

    def __init__(self, *, seal: str = "", lasting: bool = False, listener: str = "") -> None:
        """`seal` is a stanza with ``{directory}`` in it; with `lasting` the storage outlives a restart.

        `listener` holds more settings of the listener.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="conformance-"))
        for name, first in (("one", 0), ("two", 100)):
            (self.directory / f"{name}.key").write_bytes(bytes(range(first, first + 32)))
        self.port = free_port()
        self.root = ""
        self._lasting = lasting
        self._listener = listener
        self._start(seal)

    def _start(self, seal: str) -> None:
        config = self.directory / "server.hcl"
        config.write_text(self._config() + seal.replace("{directory}", str(self.directory)))
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(config),
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env=dict(os.environ, HOME=str(self.directory)),
            )
        self._wait()

    def log_tail(self) -> str:
        """Return the end of what the server has logged."""
        return (self.directory / "server.log").read_text(errors="replace")[-3000:]

    def restart(self, seal: str) -> None:
        """Ends the process and starts it again on the same storage, with another `seal` stanza."""
        self._end()
        self._start(seal)

    def _command(self, config: Path) -> list[str]:
        """The process to start."""
        raise NotImplementedError

    def _storage(self) -> str:
        """The storage stanza."""
        raise NotImplementedError

    def _outbound(self) -> str:
        """What lets the server ask others on loopback."""
        return ""

    def _config(self) -> str:
        return f"""
{self._storage()}
listener "tcp" {{
  address          = "127.0.0.1:{self.port}"
  tls_disable      = true
  max_request_size = {REQUEST_LIMIT}
{self._listener}
}}
audit "file" "file" {{
  description = "conformance"
  options {{
    file_path = "{self.directory}/audit.log"
    hmac_names_and_numbers = "false"
  }}
}}
api_addr = "http://127.0.0.1:{self.public_port}"
ui       = false
{self._outbound()}
"""

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                send(self.port, "GET", "/v1/sys/init", {}, None)
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.03)
        said = self.log_tail()
        self.stop()
        raise NotStartedError(f"{self.kind} did not start:\n{said}")

    def initialise(self) -> None:
        """One share, threshold one, then unsealed; sets `root`."""
        keys = self._post("init", {"secret_shares": 1, "secret_threshold": 1})
        self.root = keys["root_token"]
        self.share = keys["keys"][0]
        self.unseal(self.share)

    def unseal(self, share: str) -> None:
        """Open it; one share is enough."""
        self._post("unseal", {"key": share})

    @property
    def public_port(self) -> int:
        """By which clients know it."""
        return self.port

    @property
    def directories(self) -> tuple[Path, ...]:
        """Where it keeps what is its own."""
        return (self.directory,)

    def next_port(self) -> int:
        """Where the next request goes."""
        return self.port

    def _post(self, name: str, body: dict[str, object]) -> dict[str, str]:
        answer = send(self.port, "POST", f"/v1/sys/{name}", {}, json.dumps(body).encode())
        if answer.status != 200:
            raise NotStartedError(f"{self.kind}: sys/{name} answered {answer.status}: {answer.body!r}")
        found: dict[str, str] = json.loads(answer.body)
        return found

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ends the process and removes its files."""
        self._end()
        shutil.rmtree(self.directory, ignore_errors=True)


class OpenBaoServer(Server):
    """The reference: the real binary, beside the interpreter or on the search path."""

    kind = "openbao"

    def _command(self, config: Path) -> list[str]:
        beside = Path(sys.executable).parent / "bao"
        binary = str(beside) if beside.exists() else shutil.which("bao")
        if binary is None:
            raise NotStartedError("no bao binary: install OpenBao 2.7.2 beside the interpreter or in PATH")
        return [binary, "server", f"-config={config}"]

    def _storage(self) -> str:
        if not self._lasting:
            return 'storage "inmem" {}'
        folder = self.directory / "raft"
        folder.mkdir(exist_ok=True)
        cluster = f'cluster_addr = "http://127.0.0.1:{free_port()}"'
        # By itself it waits five times as long, and a node that is alone need not.
        soon = 'performance_multiplier = "1"'
        return f'storage "raft" {{\n  path = "{folder}"\n  node_id = "one"\n  {soon}\n}}\n{cluster}'


class CoffreServer(Server):
    """Our server."""

    kind = "coffre"

    def _command(self, config: Path) -> list[str]:
        return [sys.executable, "-m", "vault.server", "-config", str(config)]

    def _outbound(self) -> str:
        return 'outbound_allow = ["127.0.0.0/8"]'

    def _storage(self) -> str:
        return f'storage "sqlite" {{\n  path = "{self.directory}/vault.db"\n}}'


class MemoryServer(CoffreServer):
    """Our server in memory, but where the storage has to outlive a restart."""

    kind = "coffre-memory"

    def _storage(self) -> str:
        return super()._storage() if self._lasting else 'storage "inmem" {}'


class WorkersServer(CoffreServer):
    """Our server with two workers: each request has a connection of its own, which either may have accepted."""

    kind = "coffre-workers"

    def _config(self) -> str:
        return f"workers = 2\n{super()._config()}"
