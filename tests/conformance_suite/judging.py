# SPDX-License-Identifier: EUPL-1.2
"""Runs the suite in this process, on a server that a test has started."""

import json
import shutil
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from esa_conformance.areas import all_tests
from esa_conformance.manifest import Manifest, read_manifest
from esa_conformance.report.document import document
from esa_conformance.run.declare import Test
from esa_conformance.run.session import Finished, Options, run
from esa_conformance.wire.answer import Answer
from esa_conformance.wire.transport import Request
from tests.conformance.servers import CoffreServer, Server
from tests.conformance.wire import send

ARTEFACTS = "/artefacts/"
"""Below which a proxy gives what is handed over of the server behind it."""
NEEDS_TLS = frozenset({"early_data_is_not_taken", "old_tls_is_refused"})
"""Tests of what a listener takes up of TLS, which the servers here do not have: `test_tls.py` has those that do."""
CLAIM = ("kv-consume", "kv-manage", "identity", "log", "X-wrap", "X-ns", "X-transit")
_MANIFEST = """
spec = "1.0"
claim = {claim}
allow = ["read-only", "mutating", "disruptive"]
expected_failures = "expected.toml"

[implementation]
organization = "Example"
project = "{kind}"
url = "https://example.org"
version = "1"

[target]
address = "http://127.0.0.1:{port}"
expect = {{ cluster_id = "{cluster}" }}

[bindings.compat]
prefix = "team-a"

[credentials]
kv = "env:ESA_TOKEN"
admin = "env:ESA_TOKEN"

[hooks]
seal_key = "env:ESA_SEAL_KEY"
{openssl}

[artefacts]
{artefacts}

[isolation]
mode = "{mode}"

[limits]
rps = 5000
request_s = 60
settle_s = {settle_s}
"""


class JudgedCoffre(CoffreServer):
    """Our server, which says that it is there to be tested."""

    def _outbound(self) -> str:
        expires = (datetime.now(UTC) + timedelta(days=30)).date()
        return f"""{super()._outbound()}
log {{
  path   = "{self.directory}/log"
  origin = "log.example.org/coffre"
}}
discovery {{
  environment      = "test"
  security_contact = "mailto:security@example.org"
  security_expires = "{expires}"
}}"""

    def checkpoint_key(self) -> str:
        """The key by which checkpoints of the log are verified, as an operator reads it."""
        policy = json.dumps({"policy": 'path "sys/log/status" { capabilities = ["read"] }'}).encode()
        self._ask("POST", "sys/policies/acl/reads-status", policy)
        made = self._ask("POST", "auth/token/create", b'{"policies": ["reads-status"]}')
        token = made["auth"]["client_token"]
        answer: Any = send(self.port, "GET", "/v1/sys/log/status", {"X-Vault-Token": token}, None).json()
        self._ask("POST", "auth/token/revoke", json.dumps({"token": token}).encode())
        self._ask("DELETE", "sys/policies/acl/reads-status", None)
        return str(answer["data"]["key"])

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        answer = send(self.port, method, f"/v1/{path}", {"X-Vault-Token": self.root}, body)
        assert answer.status in {200, 204}
        return answer.json() if answer.body else None


@dataclass
class Judged:
    """A finished run, and its report."""

    finished: Finished
    report: Mapping[str, Any]
    asked: frozenset[tuple[str, str]] = frozenset()
    """Methods and paths of all requests."""

    def outcomes(self) -> dict[str, str]:
        """By id of a test what came of it."""
        return {result.test.id: result.outcome.value for result in self.finished.results}

    def results(self) -> dict[str, str]:
        """By profile its result."""
        return {one["name"]: one["result"] for one in self.report["profiles"]}

    def details(self) -> dict[str, str]:
        """By id of a test why it did not pass."""
        return {
            result.test.id: f"{result.outcome.value}: {result.detail}"
            for result in self.finished.results
            if result.outcome.value not in {"pass", "warning"}
        }


def prepare(server: Server) -> None:
    """Open a new server, with a mount of secrets that takes requests."""
    server.initialise()
    body = b'{"type":"kv","options":{"version":"2"}}'
    headers = {"X-Vault-Token": server.root}
    assert send(server.port, "POST", "/v1/sys/mounts/secret", headers, body).status == 204
    deadline = time.monotonic() + 20
    while send(server.port, "GET", "/v1/secret/metadata/none", headers, None).status != 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def manifest_of(
    server: Server,
    folder: Path,
    *,
    port: int = 0,
    mode: str = "prefix",
    expected: str = "",
    claim: Sequence[str] = CLAIM,
    settle_s: float = 20.0,
) -> Manifest:
    """A manifest for a server, asked at `port` where a proxy stands before it."""
    health = send(server.port, "GET", "/v1/sys/health", {}, None).json()
    assert isinstance(health, dict)
    folder.mkdir(exist_ok=True)
    (folder / "expected.toml").write_text(expected, encoding="utf-8")
    path = folder / "manifest.toml"
    text = _MANIFEST.format(
        claim=list(claim), kind=server.kind, port=port or server.port, cluster=health["cluster_id"], mode=mode,
        openssl=f'openssl = "{shutil.which("openssl")}"', artefacts=artefacts_of(server, port=port), settle_s=settle_s,
    )  # fmt: skip
    assert tomllib.loads(text)
    path.write_text(text, encoding="utf-8")
    return read_manifest(path, {"ESA_TOKEN": server.root, "ESA_SEAL_KEY": server.share})


def artefacts_of(server: Server, folder: str = "", port: int = 0) -> str:
    """What is handed over of a server: its files or, behind a proxy at `port`, the addresses where it gives them.

    `folder` is what a manifest calls the folder of the server.
    """
    handed = {
        name: [str(Path(folder or server.directory) / place.relative_to(server.directory))]
        for name, place in artefact_places(server).items()
    }
    if port:
        handed = {name: [f"http://127.0.0.1:{port}{ARTEFACTS}{name}"] for name in handed}
    if isinstance(server, JudgedCoffre):
        handed["checkpoint_keys"] = [server.checkpoint_key()]
    return "\n".join(f"{name} = {json.dumps(places)}" for name, places in handed.items())


def artefact_places(server: Server) -> dict[str, Path]:
    """Where a server keeps what is handed over: the log of ours, the file of an audit device of others."""
    if isinstance(server, JudgedCoffre):
        return {"records": server.directory / "log", "checkpoints": server.directory / "log"}
    return {"records": server.directory / "audit.log"}


def judge(manifest: Manifest, folder: Path, *, only: Sequence[str] = (), read_only: bool = False) -> Judged:
    """Run all tests, or those with these ids."""
    tests: list[Test] = [test for test in all_tests() if not only or test.id in only]
    assert not only or len(tests) == len(set(only))
    number = len(list(folder.glob("journal-*")))
    asked: set[tuple[str, str]] = set()

    def see(_test: str, request: Request, _answer: Answer, _seconds: float) -> None:
        asked.add((request.method, request.target.partition("?")[0]))

    options = Options(read_only, folder / f"journal-{number}", observer=see)
    finished = run(manifest, tests, options, show=lambda _: None, told=lambda _: None)
    report = document(manifest, finished, mode="read-only" if read_only else "mutating", narrowed=bool(only))
    return Judged(finished, report, frozenset(asked))


@contextmanager
def good_server(kind: type[Server] = JudgedCoffre) -> Iterator[Server]:
    """Have a server that is ready to be judged, by default one of ours, until the end of the block."""
    started = kind()
    try:
        prepare(started)
        yield started
    finally:
        started.stop()
