# SPDX-License-Identifier: EUPL-1.2
"""What a supervisor does about workers that do not get on; those here are processes with nothing in them."""

import contextlib
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.fuzz.process import wait_until
from vault.framework.clock import Clock
from vault.server.config.settings import Config, StorageSettings
from vault.server.process import signals
from vault.server.process.notices import Notices
from vault.server.workers import control
from vault.server.workers.supervisor import Supervisor, pause_after

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


def told(end: socket.socket, ask: Path) -> str | None:
    """Be a worker whose event loop goes on, until it is told something else or is to `ask`; None: the supervisor is gone."""
    while True:
        if ask.exists():
            ask.unlink()
            return ""
        if not select.select([end], [], [], 0.02)[0]:
            continue
        message = control.receive(end)
        if message is None:
            return None
        if message[0] != control.BEAT:
            return message[0]
        control.send(end, control.BEAT)


@contextlib.contextmanager
def no_descriptors_left(pid: int) -> Iterator[None]:
    """Let a process open nothing more: as many as it closes meanwhile."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    free = min(set(range(len(taken) + 1)) - taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def supervised(config: Config, work: Work, patience: float, told: str = "", start: float = 600) -> int:
    """Start a supervisor of such workers as a process of its own; return its number.

    It tells of itself at the socket `told`, as to who wants to hear of it each 0.1 s. `start` is how long a worker may take
    until it serves.
    """
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
            notices=Notices({"NOTIFY_SOCKET": told, "WATCHDOG_USEC": "100000"} if told else {}),
            beat=BEAT,
            patience=patience,
            start=start,
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


@pytest.mark.parametrize("joins", [False, True])
def test_a_worker_that_never_gets_to_serve_is_ended_and_replaced_and_others_go_on(
    joins: bool, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"

    def work(end: socket.socket, number: int) -> None:
        with begun.open("a", encoding="ascii") as file:
            file.write(f"{number}\n")
        if number == 2:
            if joins:
                control.send(end, control.JOINED)
                answers(end)
            while True:
                time.sleep(1)
        control.send(end, control.JOINED)
        control.send(end, control.READY)
        answers(end)

    log = tmp_path / "log"
    log.touch()
    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), workers=2, log_file=str(log))
    pid = supervised(config, work, 60, start=40 * BEAT)
    try:
        wait_until(lambda: log.read_text().count("a worker serves") == 2, log.read_text, 60)
        assert "a worker does not get to serve and is ended" in log.read_text()
        assert begun.read_text().split()[:3] == ["1", "2", "3"]
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0


def test_the_very_first_worker_may_take_long_and_it_is_said(tmp_path: Path) -> None:
    """It may be bringing a large database up to this release: ended each time, it would never get there."""
    let, log = tmp_path / "let", tmp_path / "log"
    log.touch()

    def work(end: socket.socket, number: int) -> None:
        assert number == 1
        while not let.exists():
            time.sleep(0.01)
        control.send(end, control.JOINED)
        control.send(end, control.READY)
        answers(end)

    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), workers=1, log_file=str(log))
    pid = supervised(config, work, 60, start=5 * BEAT)
    try:
        wait_until(lambda: "the first worker does not serve yet" in log.read_text(), log.read_text, 60)
        time.sleep(10 * BEAT)
        let.touch()
        wait_until(lambda: "a worker serves" in log.read_text(), log.read_text, 60)
        assert log.read_text().count("does not serve yet") == 1
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0


@pytest.fixture
def line(tmp_path: Path) -> Iterator[socket.socket]:
    """Where a supervisor tells of itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "told"))
        line.settimeout(60)
        yield line


def hear(line: socket.socket, begin: str) -> None:
    """Wait for something that is told, beside that it lives."""
    while not (said := line.recv(4096).decode()).startswith(begin):
        assert said == "WATCHDOG=1"


def is_silent(line: socket.socket, word: str, seconds: float) -> bool:
    """Whether a word is not told for so long."""
    line.setblocking(False)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if select.select([line], [], [], 0.01)[0] and line.recv(4096).decode() == word:
                return False
        return True
    finally:
        line.settimeout(60)


def reloads_when(end: socket.socket, let: Path) -> None:
    """Be a worker that has reloaded once a file is there, and until then answers all the same."""
    asked: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: asked.append(number))
    control.send(end, control.JOINED)
    control.send(end, control.READY)
    while True:
        if select.select([end], [], [], 0.02)[0]:
            message = control.receive(end)
            if message is None:
                return
            if message[0] == control.BEAT:
                control.send(end, control.BEAT)
        if asked and let.exists():
            asked.clear()
            control.send(end, control.RELOADED)


@pytest.mark.parametrize("patience", [60, 10 * BEAT])
def test_a_reload_is_over_once_all_workers_have_reloaded_or_are_waited_for_no_more(
    patience: float, tmp_path: Path, line: socket.socket
) -> None:
    let, log = tmp_path / "let", tmp_path / "log"
    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), workers=2, log_file=str(log))
    pid = supervised(config, lambda end, _: reloads_when(end, let), patience, str(tmp_path / "told"))
    try:
        hear(line, "READY=1")
        wait_until(lambda: log.read_text().count("a worker serves") == 2, log.read_text, 60)
        os.kill(pid, signal.SIGHUP)
        hear(line, "RELOADING=1")
        if patience == 60:
            assert is_silent(line, "READY=1", 1)
            let.touch()
        hear(line, "READY=1")
        assert ("workers have not reloaded yet" in log.read_text()) == (patience < 60)
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0


def test_a_server_of_which_no_worker_answers_is_not_said_to_live(tmp_path: Path, line: socket.socket) -> None:
    let, log = tmp_path / "let", tmp_path / "log"

    def work(end: socket.socket, number: int) -> None:
        del number
        control.send(end, control.JOINED)
        control.send(end, control.READY)
        while not let.exists():
            time.sleep(0.01)
        answers(end)

    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), workers=2, log_file=str(log))
    pid = supervised(config, work, 60, str(tmp_path / "told"))
    try:
        hear(line, "READY=1")
        wait_until(lambda: "no worker answers" in log.read_text(), log.read_text, 60)
        while select.select([line], [], [], 0)[0]:
            line.recv(4096)
        assert is_silent(line, "WATCHDOG=1", 1)
        let.touch()
        assert line.recv(4096) == b"WATCHDOG=1"
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0


def test_where_the_system_has_no_room_for_a_worker_it_is_tried_again_and_others_go_on(tmp_path: Path) -> None:
    """Nor does one leave the others that asked for a socket which did not arrive."""
    said = tmp_path / "said"
    said.touch()

    def work(end: socket.socket, number: int) -> None:
        control.send(end, control.JOINED)
        control.send(end, control.READY)
        with said.open("a", encoding="ascii", buffering=1) as file:
            while (message := told(end, tmp_path / f"ask{number}")) is not None:
                if not message:
                    near, far = socket.socketpair()
                    control.send(end, f"{control.TO} 1 {control.REQUEST}", far)
                    far.close()
                    message = repr(near.recv(1))
                file.write(f"{number} {message}\n")

    log = tmp_path / "log"
    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), workers=2, log_file=str(log))
    pid = supervised(config, work, 60)

    def soon(text: str, file: Path = said) -> None:
        wait_until(lambda: text in file.read_text(), lambda: log.read_text() + said.read_text(), 60)

    try:
        soon("2 crew 1 2")
        with no_descriptors_left(pid):
            (tmp_path / "ask2").touch()
            soon("2 b''")
            first = int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])
            os.kill(first, signal.SIGKILL)
            soon("no worker can be started", log)
            soon("2 crew 2\n")
        soon("2 crew 2 3")
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0


def test_one_that_says_no_more_and_does_not_end_is_not_waited_for(tmp_path: Path) -> None:
    """As a worker does that the system lets end only once a hung disk has taken what it wrote."""

    def work(end: socket.socket, number: int) -> None:
        control.send(end, control.JOINED)
        control.send(end, control.READY)
        if number == 2:
            end.close()
            while True:
                signal.pause()
        answers(end)

    log = tmp_path / "log"
    log.touch()
    config = Config(listeners=(), storage=StorageSettings(kind="inmem"), workers=2, log_file=str(log))
    pid = supervised(config, work, 60)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        # Whether it was heard that it serves, before it closed its end, is a matter of chance.
        wait_until(
            lambda: "a worker serves" in log.read_text().partition("by signal 9")[2], log.read_text, 60
        )
        wait_until(lambda: len(children.read_text(encoding="ascii").split()) == 2, log.read_text, 60)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0


def test_pauses_between_starts_grow_and_have_an_end() -> None:
    assert [pause_after(deaths) for deaths in (0, 1, 2, 3)] == [0, 0, 1, 2]
    assert pause_after(10) == pause_after(100_000) == 30
