# SPDX-License-Identifier: EUPL-1.2
"""A server under systemd: what it tells of its start, its reloads, its life and its end."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE, VAULT, config, running
from tests.ports import free_port


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[tuple[dict[str, str], Callable[[str], str]]]:
    """The environment that systemd gives, and what waits for a datagram that begins like this."""
    name = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(name))
        line.settimeout(PATIENCE)

        def wait(begin: str) -> str:
            while not (said := line.recv(4096).decode()).startswith(begin):
                assert said == "WATCHDOG=1"
            return said

        yield {"NOTIFY_SOCKET": str(name), "WATCHDOG_USEC": "100000"}, wait


@pytest.mark.parametrize("workers", [1, 2])
def test_start_life_reload_and_end_are_told_once_each(
    workers: int, tmp_path: Path, heard: tuple[dict[str, str], Callable[[str], str]]
) -> None:
    environment, wait = heard
    flag = config(tmp_path, free_port(), more=f"workers = {workers}")
    with running(flag, home=tmp_path, environment=environment, module=VAULT) as server:
        assert wait("READY=1")
        assert wait("WATCHDOG=1")
        server.send(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in wait("RELOADING=1")
        assert wait("READY=1")
        server.wait_for("reloaded")
        server.send(signal.SIGTERM)
        assert wait("STOPPING=1")
