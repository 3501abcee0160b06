# SPDX-License-Identifier: EUPL-1.2
"""Our server as a real process with SQLite and a file audit device, that can be killed and started again."""

import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.ports import free_port

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 60.0
TRACEBACK = re.compile(rb"Traceback|[a-z]Error\b.*line \d+|met a defect|unexpected [A-Z]\w+ at")
"""What a log holds after a defect: a traceback, the crash lines of our own log, or uvicorn's."""


@dataclass(frozen=True)
class Answer:
    """A response; `status` is 0 when the server closed the connection without one."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection that is kept alive, and opened again when it was lost."""

    def __init__(self, port: int, token: str = "") -> None:
        self.token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | object = None,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Answer:
        """Send one request. A body that is no bytes is sent as JSON. Raises what http.client raises."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        wanted = dict(headers or {})
        credential = self.token if token is None else token
        if credential:
            wanted.setdefault("X-Vault-Token", credential)
        try:
            self._connection.request(method, target, sent, wanted)
            response = self._connection.getresponse()
            answer = Answer(response.status, response.read(), dict(response.getheaders()))
        except BaseException:
            self._connection.close()
            raise
        self.heard(answer)
        return answer

    def heard(self, answer: Answer) -> None:
        """Called with each answer, for who keeps something of it."""

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


class VaultProcess:
    """The process, its files below `folder`, and what is needed to unseal it again."""

    program = "vault.server"
    """The module that is run."""
    directory = REPOSITORY
    """Where the program lies."""

    def __init__(
        self,
        folder: Path,
        *,
        database: Path | None = None,
        audit: Path | None = None,
        more: str = "",
        output: int | None = None,
        storage: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`output` is where standard output goes, if not into the log; `storage` is a stanza, if not SQLite's."""
        self._output = output
        self._environment = environment or {}
        self.port = free_port()
        self.folder = folder
        self.database = database or folder / "vault.db"
        self.audit = audit or folder / "audit.log"
        self.log = folder / "server.log"
        self.root = ""
        self.key = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.config = folder / "server.hcl"
        self.config.write_text(
            (storage or f'storage "sqlite" {{ path = "{self.database}" }}')
            + f'\nlistener "tcp" {{\n  address = "127.0.0.1:{self.port}"\n  tls_disable = true\n}}\n'
            f'audit "file" "file" {{\n  options {{ file_path = "{self.audit}" }}\n}}\n{more}'
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.program, "-config", str(self.config)],
                stdout=sink if self._output is None else self._output,
                stderr=sink,
                cwd=self.directory,
                env={**os.environ, **self._environment},
            )
        wait_until(self._answers, lambda: f"no answer:\n{self.log.read_text(errors='replace')[-3000:]}")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            with self.client("") as client:
                client.request("GET", "/v1/sys/seal-status")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def initialise(self) -> None:
        """Initialise with one share, unseal, mount KV v2 at `secret/`."""
        with self.client("") as client:
            made = client.request("PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        assert made.status == 200, made.body
        self.root = made.json()["root_token"]
        self.key = made.json()["keys"][0]
        self.unseal()
        mount = {"type": "kv", "options": {"version": "2"}}
        with self.client() as client:
            answer = client.request("POST", "/v1/sys/mounts/secret", mount)
        assert answer.status == 204, answer.body

    def unseal(self) -> None:
        with self.client("") as client:
            answer = client.request("PUT", "/v1/sys/unseal", {"key": self.key})
        assert answer.status == 200 and answer.json()["sealed"] is False, answer.body

    def seconds_of_the_loop(self) -> float:
        """Processor time that the event loop's thread has had."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9

    def client(self, token: str | None = None) -> Client:
        """A client of its own, with the root token unless another is given."""
        return Client(self.port, self.root if token is None else token)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        assert self._process.wait(PATIENCE) == -signal.SIGKILL

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def limit_files(self, size: int | None) -> None:
        """Let no file of the running server grow beyond `size` bytes, as a full disk would; None ends that."""
        hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def resident_mebibytes(self) -> float:
        """Resident memory of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def wait_until(
    condition: Callable[[], bool],
    otherwise: Callable[[], str],
    patience: float = PATIENCE,
    pause: float = 0.02,
) -> None:
    """Return once the condition holds; fail with what `otherwise` says when it does not in time.

    There are seconds of `pause` between two looks: more where a look takes long.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(pause)


@contextmanager
def initialised(folder: Path, more: str = "") -> Iterator[VaultProcess]:
    """Start a server in `folder`, which keeps a log in `folder/log`; initialise and unseal it, and stop it in the end."""
    vault = VaultProcess(folder, more=f'log {{ path = "{folder / "log"}" }}\n{more}')
    try:
        vault.start()
        vault.initialise()
        yield vault
    finally:
        vault.stop()


@contextmanager
def beside(first: VaultProcess, folder: Path) -> Iterator[VaultProcess]:
    """Start another server in `folder`, which it makes, on the same database; unseal it, and stop it in the end."""
    folder.mkdir()
    second = VaultProcess(folder, database=first.database)
    try:
        second.start()
        second.root, second.key = first.root, first.key
        second.unseal()
        yield second
    finally:
        second.stop()
