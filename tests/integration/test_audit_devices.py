# SPDX-License-Identifier: EUPL-1.2
"""Audit devices of a real server: a pipe that nobody reads stops nobody but its own, and no file is taken over."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fuzz.process import VaultProcess, wait_until


class Reader:
    """Reads a pipe until it is told to stop, and keeps it open."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._go = threading.Event()
        self._ended = False
        self.found = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.go_on()
        self._thread.start()

    def _read(self) -> None:
        while not self._ended:
            self._go.wait()
            try:
                self.found += os.read(self._fd, 1 << 16)
            except BlockingIOError:
                pass
            time.sleep(0.002)

    def go_on(self) -> None:
        self._go.set()

    def stop(self) -> None:
        self._go.clear()

    def close(self) -> None:
        self._ended = True
        self._go.set()
        self._thread.join()
        os.close(self._fd)


@contextmanager
def served(folder: Path, more: str = "", audit: Path | None = None) -> Iterator[VaultProcess]:
    vault = VaultProcess(folder, more=more, audit=audit)
    try:
        vault.start()
        vault.initialise()
        yield vault
    finally:
        vault.stop()


def _status(vault: VaultProcess) -> int:
    with vault.client() as client:
        return client.request("GET", "/v1/auth/token/lookup-self").status


def test_a_pipe_whose_reader_stops_stops_neither_health_nor_the_end_of_the_server(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = Reader(pipe)
    try:
        with served(tmp_path, audit=pipe) as vault:
            assert _status(vault) == 200
            reader.stop()
            wait_until(lambda: _status(vault) == 500, lambda: "the pipe never fills")
            with vault.client("") as client:
                assert client.request("GET", "/v1/sys/health").status == 200
            assert _status(vault) == 500
            reader.go_on()
            wait_until(lambda: _status(vault) == 200, lambda: "it does not go on")
            reader.stop()
            wait_until(lambda: _status(vault) == 500, lambda: "the pipe never fills again")
            assert vault.stop() == 0
    finally:
        reader.close()
    whole = reader.found[: reader.found.rindex(b"\n")].splitlines()
    assert len(whole) > 50 and all(line.startswith(b'{"time":"') and line.endswith(b"}") for line in whole)


def test_standard_output_that_nobody_reads_stops_neither_health_nor_the_end_of_the_server(
    tmp_path: Path,
) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    vault = VaultProcess(tmp_path, audit=Path("stdout"), output=writing)
    try:
        vault.start()
        vault.initialise()
        wait_until(lambda: _status(vault) == 500, lambda: "the pipe never fills")
        with vault.client("") as client:
            assert client.request("GET", "/v1/sys/health").status == 200
        assert vault.stop() == 0
    finally:
        vault.stop()
        os.close(reading)
        os.close(writing)


def test_a_server_whose_pipe_nobody_reads_yet_starts_and_serves_once_somebody_does(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    vault = VaultProcess(tmp_path, audit=pipe)
    try:
        vault.start()
        reader = Reader(pipe)
        vault.initialise()
        assert _status(vault) == 200
        reader.close()
        assert _status(vault) == 500
        assert vault.stop() == 0
    finally:
        vault.stop()


def test_a_slow_pipe_beside_a_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = Reader(pipe)
    reader.stop()
    try:
        with served(tmp_path, f'audit "file" "pipe" {{ options {{ file_path = "{pipe}" }} }}') as vault:
            assert {_status(vault) for _ in range(200)} == {200}
            assert vault.audit.read_bytes().count(b"\n") >= 400
    finally:
        reader.close()


class Troubled:
    """A file or pipe that records go to, with what goes wrong with it."""

    def __init__(self, folder: Path, trouble: str) -> None:
        self.path, self._trouble = folder / "device" / "audit", trouble
        self.path.parent.mkdir()
        self._reader: Reader | None = None
        if trouble == "full":
            self.path.write_bytes(b"{}\n" * (16 << 20))  # more than any other file of the server has
        elif trouble != "vanished":
            os.mkfifo(self.path)
            self._reader = Reader(self.path)

    def begin(self, vault: VaultProcess) -> None:
        if self._trouble == "full":
            vault.limit_files(self.path.stat().st_size)
        elif self._trouble == "vanished":
            shutil.rmtree(self.path.parent)
            self.path.parent.write_text("no folder")
        elif self._reader is not None:
            self._reader.stop()

    def end(self, vault: VaultProcess) -> None:
        if self._trouble == "full":
            vault.limit_files(None)
        elif self._trouble == "vanished":
            self.path.parent.unlink()
        elif self._reader is not None:
            self._reader.go_on()

    def content(self) -> bytes:
        """All that it took."""
        return self.path.read_bytes() if self._reader is None else self._reader.found

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _health(vault: VaultProcess) -> tuple[bool, int]:
    """Whether no device takes records, and how many do not."""
    with vault.client("") as client:
        found = client.request("GET", "/v1/sys/health").json()
    return found.get("audit_blocked", False), found.get("audit_failing", 0)


@pytest.mark.parametrize("trouble", ["blocked", "full", "vanished"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside another"])
def test_a_file_in_trouble_refuses_where_it_is_alone_and_what_was_answered_is_in_another(
    tmp_path: Path, trouble: str, alone: bool
) -> None:
    device, answered = Troubled(tmp_path, trouble), 0

    def status() -> int:
        nonlocal answered
        found = _status(vault)
        answered += found == 200
        return found

    other = "" if alone else f'audit "file" "other" {{ options {{ file_path = "{tmp_path}/other" }} }}'
    try:
        with served(tmp_path, other, audit=device.path) as vault:
            assert (status(), _health(vault)) == (200, (False, 0))
            device.begin(vault)
            if alone:
                wait_until(lambda: status() == 500, lambda: "requests are answered unrecorded")
            else:
                wait_until(lambda: status() == 200 and _health(vault)[1] == 1, lambda: "it is not told")
                assert {status() for _ in range(20)} == {200}
            assert _health(vault) == (alone, 1)
            device.end(vault)
            wait_until(lambda: status() == 200, lambda: "it does not go on")
            wait_until(lambda: status() == 200 and _health(vault) == (False, 0), lambda: "it is not told")
    finally:
        device.close()
    if not alone:
        assert _answers((tmp_path / "other").read_bytes()) == answered
    elif trouble != "vanished":  # which is noticed within a second
        assert _answers(device.content()) >= answered


def _answers(lines: bytes) -> int:
    """How many answers of `_status` are recorded as good."""
    found = [json.loads(line) for line in lines[: lines.rindex(b"\n")].splitlines() if b"lookup-self" in line]
    return sum(one["type"] == "response" and "error" not in one for one in found)


@pytest.fixture(scope="module")
def open_to_the_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultProcess]:
    folder = tmp_path_factory.mktemp("vault")
    pid_file = f'pid_file = "{folder}/vault.pid"\nunsafe_allow_api_audit_creation = true\n'
    with served(folder, pid_file) as vault:
        with vault.client() as client:
            assert client.request("POST", "/v1/secret/data/kept", {"data": {"a": "b"}}).status == 200
        yield vault


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal", "-turn"])
@pytest.mark.parametrize("way", ["plain", "dots", "link", "hard link", "descriptor"])
def test_no_file_of_the_database_becomes_an_audit_device(
    open_to_the_api: VaultProcess, tmp_path: Path, end: str, way: str
) -> None:
    vault = open_to_the_api
    file = Path(f"{vault.database}{end}")
    name = str(file)
    if way == "dots":
        name = f"{file.parent}/x/../{file.name}"
    elif way == "link":
        name = str(tmp_path / "link")
        Path(name).symlink_to(file)
    elif way == "hard link":
        name = str(tmp_path / "hard")
        if not file.exists():
            return
        os.link(file, name)
    elif way == "descriptor":
        opened = [
            one for one in Path(f"/proc/{vault.pid}/fd").iterdir() if os.path.realpath(one) == str(file)
        ]
        if not opened:
            return
        name = f"/proc/self/fd/{opened[0].name}"
    _refused(vault, name)


@pytest.mark.parametrize("name", ["server.hcl", "vault.pid", "new-key.pem"])
def test_no_file_that_the_server_needs_or_somebody_else_has_becomes_an_audit_device(
    open_to_the_api: VaultProcess, name: str
) -> None:
    other = open_to_the_api.folder / "new-key.pem"
    other.write_text("-----BEGIN PRIVATE KEY-----\n")
    _refused(open_to_the_api, str(open_to_the_api.folder / name))
    assert other.read_text() == "-----BEGIN PRIVATE KEY-----\n"


def _refused(vault: VaultProcess, name: str) -> None:
    with vault.client() as client:
        body = {"type": "file", "options": {"file_path": name}}
        answer = client.request("POST", "/v1/sys/audit/taken", body)
        assert answer.status == 400 and "file_path" in answer.json()["errors"][0], answer.body
        assert client.request("GET", "/v1/secret/data/kept").json()["data"]["data"] == {"a": "b"}


def test_what_was_refused_has_cost_nothing(open_to_the_api: VaultProcess) -> None:
    vault = open_to_the_api
    assert vault.stop() == 0
    vault.start()
    vault.unseal()
    with vault.client() as client:
        assert client.request("GET", "/v1/secret/data/kept").json()["data"]["data"] == {"a": "b"}
        answer = client.request(
            "POST", "/v1/sys/audit/nowhere", {"type": "file", "options": {"file_path": "/dev/null"}}
        )
        assert answer.status == 204
