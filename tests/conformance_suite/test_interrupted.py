# SPDX-License-Identifier: EUPL-1.2
"""A run that is ended by a signal removes what it has made, writes its report, and says that it was ended."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import esa_conformance
from esa_conformance.cli import main
from esa_conformance.run.interrupts import Interrupts
from esa_conformance.run.journal import read_journal
from tests.conformance.servers import Server
from tests.conformance_suite.judging import good_server, manifest_of
from tests.conformance_suite.listing import changes, everything
from tests.conformance_suite.mutants import Behind
from tests.conformance_suite.stub import Said, Sent, serving

_PACKAGES = str(Path(esa_conformance.__file__).parents[1])
_PATIENCE_S = 120


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A good server."""
    with good_server() as server:
        yield server


@dataclass
class Sender:
    """Stands before a server, and sends signals to the run when requests come that have these texts in them, each once."""

    server: Server
    at: list[tuple[str, signal.Signals]]
    process: subprocess.Popen[str] | None = None
    started: threading.Event = field(default_factory=threading.Event)

    def behave(self, request: Sent) -> Said:
        """Answer as the server does."""
        assert self.started.wait(_PATIENCE_S)
        if self.at and self.at[0][0] in f"{request.method} {request.target}":
            assert self.process is not None
            self.process.send_signal(self.at.pop(0)[1])
        return Behind.of(self.server).ask(request)


def _ended(server: Server, folder: Path, *at: tuple[str, signal.Signals]) -> tuple[int, str]:
    """The exit code, and what was said on standard error."""
    sender = Sender(server, list(at))
    with serving(sender.behave) as (port, _):
        manifest_of(server, folder, port=port)
        sender.process = subprocess.Popen(
            [sys.executable, "-m", "esa_conformance", "run", "--manifest", "manifest.toml", "--report", "r.json",
             "--transcript", "t.ndjson"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder,
            env={**os.environ, "ESA_TOKEN": server.root, "ESA_SEAL_KEY": server.share, "PYTHONPATH": _PACKAGES},
        )  # fmt: skip
        sender.started.set()
        said = sender.process.communicate(timeout=_PATIENCE_S)[1]
    assert sender.at == []
    assert "Traceback" not in said
    return sender.process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", ["POST /v1/secret/data", "/sys/policies/acl/"])
def test_what_was_made_is_removed_and_the_report_written(
    server: Server, at: str, number: signal.Signals, tmp_path: Path
) -> None:
    before = everything(server)
    assert _ended(server, tmp_path, (at, number)) == (4, "stopped: by a signal\n")
    made = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert made["run"]["stopped"] == "by a signal"
    assert made["cleanup"]["created"] > made["cleanup"]["left"] == 0
    assert read_journal(tmp_path / "esa-journal.ndjson").entries == ()
    assert changes(server, before) == {}


def test_a_second_signal_ends_the_removal_and_what_is_left_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(server)
    at = ("/sys/policies/acl/", signal.SIGINT), ("DELETE /v1/secret/metadata", signal.SIGINT)
    code, said = _ended(server, tmp_path, *at)
    assert code == 5
    assert "left behind: secret" in said
    monkeypatch.setenv("ESA_TOKEN", server.root)
    monkeypatch.setenv("ESA_SEAL_KEY", server.share)
    monkeypatch.chdir(tmp_path)
    manifest_of(server, tmp_path)
    journal = tmp_path / "esa-journal.ndjson"
    address = read_journal(journal).address
    text = journal.read_text(encoding="utf-8")
    journal.write_text(text.replace(address, f"http://127.0.0.1:{server.port}"), encoding="utf-8")
    assert main(["cleanup", "--manifest", "manifest.toml", "--journal", str(journal)]) == 0
    assert changes(server, before) == {}


def test_a_signal_before_anything_was_asked_makes_nothing(server: Server, tmp_path: Path) -> None:
    code, said = _ended(server, tmp_path, ("GET /v1/sys/health", signal.SIGTERM))
    assert (code, said) == (4, "by a signal\n")
    assert not (tmp_path / "esa-journal.ndjson").exists()


def test_other_commands_end_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("esa_conformance.commands.catalogue.show_list", interrupted)
    assert main(["list"]) == 4
    assert capsys.readouterr().err == "stopped: by a signal\n"


def test_signals_are_noted_and_their_handlers_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    interrupts = Interrupts()
    with interrupts.noticed():
        os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.came
    assert signal.getsignal(signal.SIGTERM) is before
    away = threading.Thread(target=lambda: interrupts.noticed().__enter__())
    away.start()
    away.join()
    assert signal.getsignal(signal.SIGTERM) is before
