# SPDX-License-Identifier: EUPL-1.2
"""What fails while others go on: a step of a reload, a file of development mode, a library that complains."""

import asyncio
import io
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.server.config.settings import Config, Listener, StorageSettings
from vault.server.dev.server import _write_private
from vault.server.failure import StartFailure
from vault.server.process.logs import open_log
from vault.server.process.run import Server
from vault.server.process.signals import Signals

CONFIG = Config(listeners=(Listener(kind="tcp"),), storage=StorageSettings(kind="inmem"))


def test_a_step_of_a_reload_that_meets_a_defect_is_logged_by_its_place_and_the_next_ones_follow() -> None:
    async def defect() -> str:
        raise ValueError("hunter2")

    async def refusal() -> str:
        raise StartFailure("log_file /x: cannot be written")

    async def good() -> str:
        return "done"

    async def scenario() -> None:
        stream = io.StringIO()
        log = Log(stream=stream)

        async def build(*arguments: object, **more: object) -> object:
            raise AssertionError("a reload builds nothing")

        server: Any = Server(
            CONFIG,
            reread=lambda: CONFIG,
            build=build,  # type: ignore[arg-type]  # never called
            clock=Clock(),
            entropy=Entropy(),
            signals=Signals(),
        )
        assert await server._kept(log, "good", good()) == "done"
        assert not server._held_back
        assert await server._kept(log, "application", defect()) is None
        assert await server._kept(log, "log_file", refusal()) is None
        assert await server._kept(log, "good", good()) == "done"
        assert server._held_back
        first, second = stream.getvalue().splitlines()
        assert "setting=application" in first
        assert "ValueError" in first
        assert "test_run.py" in first
        assert "cannot be written" in second
        assert "hunter2" not in first + second

    asyncio.run(scenario())


def test_a_private_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    _write_private(tmp_path / "token", "s.first")
    _write_private(tmp_path / "token", "s.second")
    assert (tmp_path / "token").read_text() == "s.second"
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    (tmp_path / "folder").mkdir()
    for place, why in (("folder", "Is a directory"), ("none/token", "No such file or directory")):
        with pytest.raises(StartFailure, match=f"{place}: cannot be written: {why}; check the directory"):
            _write_private(tmp_path / place, "s.hunter2")
    assert sorted(os.listdir(tmp_path)) == ["folder", "token"]


def test_what_a_library_complains_of_is_told_by_its_place_and_not_by_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    file = tmp_path / "server.log"
    log = open_log(
        Config(listeners=CONFIG.listeners, storage=CONFIG.storage, log_file=str(file), log_format="standard"),
        Clock(),
    )
    library = logging.getLogger("some.library")
    library.warning("the client sent %s", "hunter2")
    library.info("hunter2")
    try:
        dict[str, str]()["hunter2"]
    except KeyError:
        library.exception("failed on hunter2")
    log.stream.close()
    warning, error = file.read_text().splitlines()
    assert "[WARN]" in warning
    assert "library=some.library exception=none at=test_run.py:" in warning
    assert "[ERROR]" in error
    assert "exception=KeyError" in error
    assert "hunter2" not in warning + error
