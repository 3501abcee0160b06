# SPDX-License-Identifier: EUPL-1.2
"""Read-only mode: what is on the wire, what the server writes in its own log, and that it is held below the tests."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from esa_conformance.areas import all_tests
from esa_conformance.cli import main
from esa_conformance.errors import SafetyStop
from esa_conformance.run.runner import Runner
from esa_conformance.run.session import clean
from esa_conformance.wire.transport import Transport
from tests.conformance.servers import OpenBaoServer, Server
from tests.conformance_suite.judging import JudgedCoffre, artefact_places, good_server, manifest_of
from tests.conformance_suite.listing import changes, everything
from tests.conformance_suite.made import manifest, state
from tests.conformance_suite.mutants import Behind, done
from tests.conformance_suite.stub import Said, Sent, serving

_READING = re.compile(
    rb"(GET|HEAD|LIST) /\S* HTTP/1\.1\r\n((?!content-length|transfer-encoding|x-http-method)[^\r\n]+\r\n)*\r\n",
    re.IGNORECASE,
)
"""A whole request of a verb that reads: nothing announces a body or another verb, and nothing comes after the head."""


@pytest.fixture(scope="module", params=[JudgedCoffre, OpenBaoServer], ids=lambda kind: kind.kind)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A good server."""
    with good_server(request.param) as server:
        yield server


@contextmanager
def _recording(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A way to a server, and each byte that went there: what each connection sent stands by itself."""
    sent: list[bytes] = []
    threads: list[threading.Thread] = []

    def carry(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port), 30) as to:
            back = threading.Thread(target=_copied, args=(to, client))
            back.start()
            sent.append(_copied(client, to))
            back.join()

    def accept() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return  # the listener was closed
            threads.append(threading.Thread(target=carry, args=(client,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listener.getsockname()[1], sent
        listener.shutdown(socket.SHUT_RDWR)
    for thread in (accepting, *threads):
        thread.join()


def _copied(source: socket.socket, target: socket.socket) -> bytes:
    """Carry bytes until there are none; what was carried."""
    found = bytearray()
    try:
        while piece := source.recv(1 << 16):
            found += piece
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one side has gone, and what came until then stands
    return bytes(found)


def _ready(server: Server, folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in a folder with a manifest for a server that is reached at a port."""
    manifest_of(server, folder)
    text = (folder / "manifest.toml").read_text(encoding="utf-8")
    there = f"127.0.0.1:{server.port}"
    assert there in text
    (folder / "manifest.toml").write_text(text.replace(there, f"127.0.0.1:{port}"), encoding="utf-8")
    monkeypatch.setenv("ESA_TOKEN", server.root)
    monkeypatch.setenv("ESA_SEAL_KEY", server.share)
    monkeypatch.chdir(folder)


def _wait_for_a_checkpoint(server: Server) -> None:
    """Of a log that has any: what is told of it is judged by what was handed over."""
    deadline = time.monotonic() + 20
    place = artefact_places(server).get("checkpoints")
    while place is not None and not any(file.stat().st_size for file in place.rglob("*.checkpoints")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_byte_of_a_read_only_run_is_of_a_reading_request(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wait_for_a_checkpoint(server)
    log = server.directory / "audit.log"
    with _recording(server.port) as (port, sent):
        _ready(server, tmp_path, port, monkeypatch)
        before = everything(server)
        recorded = log.stat().st_size
        assert main(["run", "--manifest", "manifest.toml", "--read-only", "--report", "r.json"]) == 6
    made = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [one for one in sent if not _READING.fullmatch(one)] == []
    assert len(sent) >= sum(test["requests"] for test in made["tests"]) > 3
    with log.open("rb") as file:
        file.seek(recorded)
        assert {json.loads(line)["request"]["operation"] for line in file} <= {"read", "list", "header"}
    ran = [test for test in made["tests"] if test["outcome"] != "disabled"]
    assert {test["class"] for test in ran} == {"read-only"}
    assert {test["outcome"] for test in ran} <= {"pass", "warning", "unsupported", "skipped"}
    assert (made["run"]["mode"], made["cleanup"]["created"]) == ("read-only", 0)
    assert not (tmp_path / "esa-journal.ndjson").exists()
    assert changes(server, before) == {}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    status: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that leads elsewhere within itself: to a place that would be written to by what follows blindly."""

    def leads_away(request: Sent) -> Said:
        if request.target == "/v1/sys/health":
            return Behind.of(server).ask(request)
        return Said(status, headers={"Location": "/v1/sys/seal"})

    with serving(leads_away) as (port, seen):
        manifest_of(server, tmp_path, port=port)
        monkeypatch.setenv("ESA_TOKEN", server.root)
        monkeypatch.setenv("ESA_SEAL_KEY", server.share)
        main(["run", "--manifest", str(tmp_path / "manifest.toml"), "--read-only"])
    assert sum(one.target != "/v1/sys/health" for one in seen) > 1
    assert {one.method for one in seen} <= {"GET", "HEAD", "LIST"}
    assert all(one.target != "/v1/sys/seal" for one in seen)


@pytest.mark.parametrize("test", all_tests(), ids=lambda test: test.id)
def test_a_test_that_is_run_in_spite_of_it_sends_nothing_that_writes(test: Any, tmp_path: Path) -> None:
    """The mode is held by the transport: a test with a wrong class, and removal, are stopped there."""
    with serving(lambda _: done({"data": {"keys": [], "data": {}, "metadata": {"version": 1}}})) as (
        port,
        seen,
    ):
        made = state(tmp_path, port, admin=True)
        transport = Transport(f"http://127.0.0.1:{port}", rps=5000, read_only=True)
        made.transport, made.nobody = transport, replace(made.nobody, transport=transport)
        made.callers = {name: replace(one, transport=transport) for name, one in made.callers.items()}
        made.seal_key = "key"
        runner = Runner(
            made, manifest(tmp_path, port=port), frozenset({"read-only", "mutating", "disruptive"})
        )
        stopped = False
        try:
            list(runner.run([test]))
        except SafetyStop:
            stopped = True
        clean(made, made.callers)
    assert not stopped or test.cls != "read-only"
    assert {one.method for one in seen} <= {"GET", "HEAD", "LIST"}
    assert {one.body for one in seen} <= {b""}
