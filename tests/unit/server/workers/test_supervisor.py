# SPDX-License-Identifier: EUPL-1.2
"""What a supervisor does about workers that do not get on; those here are processes with nothing in them."""

import os
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.fuzz.process import wait_until
from vault.framework.clock import Clock
from vault.server.config.settings import Config, StorageSettings
from vault.server.process import signals
from vault.server.process.notices import Notices
from vault.server.workers import control
from vault.server.workers.supervisor import Supervisor

BEAT = 0.05
Work = Callable[[socket.socket, int], None]


@pytest.fixture(autouse=True)
def _sockets() -> None:
    """Supervisor and workers speak through them."""
    enable_socket()


def answers(end: socket.socket) -> None:
    """Be a worker whose event loop goes on, until the supervisor is gone."""
    while True:
        select.select([end], [], [])
        message = control.receive(end)
        if message is None:
            return
        if message[0] == control.BEAT:
            control.send(end, control.BEAT)


def supervised(config: Config, work: Work, patience: float) -> int:
    """Start a supervisor of such workers as a process of its own; return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:

        def child(_: Config, __: list[socket.socket], end: socket.socket, number: int, seat: int) -> int:
            assert seat in {0, 1}
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work(end, number)
            return 0

        Supervisor(
            config,
            work=child,
            reread=lambda: config,
            signals=signals.hold(),
            clock=Clock(),
            notices=Notices({}),
            beat=BEAT,
            patience=patience,
        ).run()
        code = 0
    finally:
        os._exit(code)


def test_a_worker_that_has_left_and_does_not_end_is_ended_and_replaced(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    def work(end: socket.socket, number: int) -> None:
        control.send(end, control.JOINED)
        control.send(end, control.READY)
        with begun.open("a", encoding="ascii") as file:
            file.write(f"{number}\n")
        if number == 2:
            control.send(end, control.LEFT)
            signal.pause()
        answers(end)

    log = tmp_path / "log"
    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), workers=2, log_file=str(log))
    pid = supervised(config, work, 5 * BEAT)
    try:
        wait_until(lambda: begun.exists() and len(begun.read_text().split()) == 3, log.read_text, 10)
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0
