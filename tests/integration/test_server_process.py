# SPDX-License-Identifier: EUPL-1.2
"""The process around the application: how it serves, reloads and ends."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import (
    PATIENCE,
    Running,
    certificate,
    config,
    connect,
    get,
    pair,
    refused,
    running,
    starting,
)
from tests.ports import free_port

pytestmark = pytest.mark.executed


def test_answers_carry_a_date_and_no_server_header(tmp_path: Path) -> None:
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path) as server:
        status, body, headers = get(port)
        assert status == 200
        assert body == f"('127.0.0.1', '127.0.0.1:{port}', None)"
        assert headers["date"].endswith("GMT")
        assert "server" not in headers
        assert server.end() == 0
    assert [line for line in server.lines if "GET" in line or "uvicorn" in line] == []


def test_any_verb_is_served_and_the_connection_stays(tmp_path: Path) -> None:
    port = free_port()
    cert, key = certificate(tmp_path, "server")
    with running(config(tmp_path, port, pair(cert, key)), home=tmp_path):
        client = connect(port, trust=cert)
        for verb in ("GET", "LIST", "SCAN", "GET", "POST", "LIST"):
            client.request(verb, "/", body=b"{}" if verb == "POST" else None)
            answer = client.getresponse()
            assert answer.status == 200
            assert answer.read().startswith(b"('127.0.0.1', ")
        client.close()


def test_what_a_client_says_about_its_address_is_not_believed(tmp_path: Path) -> None:
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path):
        client = connect(port)
        client.request("GET", "/", headers={"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https"})
        assert client.getresponse().read().startswith(b"('127.0.0.1', ")
        client.close()


def test_an_exception_is_logged_by_type_and_place_and_never_by_its_message(tmp_path: Path) -> None:
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path) as server:
        assert get(port, "/crash")[:2] == (500, "Internal Server Error")
        line = server.wait_for("exception=ValueError")
        assert "stub_server.py:" in line
        server.end()
    assert "hunter2" not in "\n".join(server.lines)


def test_sighup_takes_the_log_level_and_keeps_what_it_cannot_change(tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "server.log"
    with running(config(tmp_path, port), home=tmp_path) as server:
        config(tmp_path, port + 1, more='log_level = "debug"')
        server.send(signal.SIGHUP)
        server.wait_for("storage and addresses of listeners change at the next start only")
        assert server.wait_for("application reloaded").endswith("level=debug")
        config(tmp_path, port, more="nonsense = 1")
        server.send(signal.SIGHUP)
        assert "unknown setting nonsense" in server.wait_for("setting=configuration")
        server.wait_for("server: reloaded in part")
        config(tmp_path, port, more=f'log_file = "{log}"')
        server.send(signal.SIGHUP)
        _wait_for(log, "server: reloaded")
        assert get(port)[0] == 200
        server.end()
    assert "server: stopped" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_sighup_names_what_waits_for_a_start(tmp_path: Path) -> None:
    port = free_port()
    audit = f'audit "file" "main" {{ options {{ file_path = "{tmp_path}/a.log" }} }}\n'
    with running(config(tmp_path, port), home=tmp_path) as server:
        config(tmp_path, port, more=audit + 'user_lockout "all" {}\nlog_level = "debug"')
        for times in (1, 2):
            server.send(signal.SIGHUP)
            server.wait_for("server: reloaded", times=times)
        assert server.end() == 0
    told = [line.partition("next start only: ")[2] for line in server.lines if "next start only" in line]
    assert told == ["setting=audit", "setting=user_lockout"] * 2


def test_sigusr2_does_not_end_the_server(tmp_path: Path) -> None:
    """OpenBao is asked by it for what it is doing."""
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path) as server:
        server.send(signal.SIGUSR2)
        assert server.wait_for("has no effect here").endswith("signal=SIGUSR2")
        assert get(port)[0] == 200
        assert server.end() == 0


def test_signals_that_come_while_the_configuration_is_read_are_acted_on_once_it_serves(
    tmp_path: Path,
) -> None:
    """A file may have been read, or opened, before whoever sends them changed it."""
    flag = config(tmp_path, free_port())
    file = tmp_path / "server.hcl"
    text = file.read_text()
    file.unlink()
    os.mkfifo(file)
    with starting(flag, home=tmp_path) as server:
        with file.open("w") as pipe:  # which waits until the server reads it
            server.send(signal.SIGHUP)
            server.send(signal.SIGUSR2)
            file.unlink()
            file.write_text(text + 'log_level = "debug"\n')
            pipe.write(text)
        server.wait_for("a signal has no effect here")
        assert server.wait_for("application reloaded").endswith("level=debug")
        assert server.end() == 0


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("first", [False, True], ids=["plain", "process 1"])
def test_a_start_that_is_asked_to_end_does_so_at_once_and_says_by_its_code_that_it_never_served(
    tmp_path: Path, which: signal.Signals, first: bool
) -> None:
    """The kernel keeps SIGTERM from a process 1 that has no handler for it."""
    flag = config(tmp_path, free_port())
    (tmp_path / "server.hcl").unlink()
    os.mkfifo(tmp_path / "server.hcl")
    inside = ("unshare", "--pid", "--fork", "--kill-child") if first else ()
    with (
        starting(flag, home=tmp_path, inside=inside) as server,
        (tmp_path / "server.hcl").open("w"),  # which waits until the server reads it
    ):
        pid = server.process.pid
        if first:
            (pid,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        os.kill(pid, which)
        assert server.process.wait(PATIENCE) == 128 + which
    assert server.lines == []


def test_sigterm_is_held_before_the_server_is_loaded() -> None:
    program = (
        "import os, signal, sys, types\n"
        "from vaultctl.main import main\n"
        "class Slow(types.ModuleType):\n"
        "    def __getattr__(self, name):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        raise AttributeError(name)\n"
        "sys.modules['vault.server.__main__'] = Slow('server')\n"
        "sys.exit(main(['server', '-dev']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert (ended.returncode, ended.stderr) == (143, b"")


def test_an_end_that_is_asked_for_again_and_again_is_one_end(tmp_path: Path) -> None:
    """Whoever waits for a server to end sends SIGTERM until it has; its code is that of an orderly end."""
    with running(config(tmp_path, free_port()), home=tmp_path) as server:
        while server.process.poll() is None:
            server.send(signal.SIGTERM)
            time.sleep(0.0002)
        assert server.process.returncode == 0
    assert sum("server: stopped" in line for line in server.lines) == 1


@contextmanager
def held_up(home: Path) -> Iterator[Running]:
    """A server that was told to stop, while a request of it takes longer than that."""
    port = free_port()
    with running(config(home, port), home=home) as server, closing(connect(port)) as stuck:
        stuck.request("GET", "/stuck")
        server.wait_for("stub: stuck began")
        server.send(signal.SIGTERM)
        server.wait_for("stopping")
        yield server


def test_sighup_while_stopping_is_nothing(tmp_path: Path) -> None:
    with held_up(tmp_path) as server:
        server.send(signal.SIGHUP)
        assert server.end() == 0
    behind = "\n".join(server.lines).partition("server: stopping")[2]
    assert behind and "reload" not in behind


def test_sighup_does_not_end_a_command_that_loads_the_server(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, types\n"
        "from vaultctl.main import main\n"
        "def at_once(argv):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    os.kill(os.getpid(), signal.SIGUSR2)\n"
        "    return 7\n"
        "sys.modules['vault.server.__main__'] = module = types.ModuleType('server')\n"
        "module.main = at_once\n"
        "sys.exit(main(['server', '-dev']))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 7


def test_sighup_during_a_reload_is_not_forgotten(tmp_path: Path) -> None:
    """A file may have been moved after the first reload opened it."""
    with running(config(tmp_path, free_port(), more='log_level = "trace"'), home=tmp_path) as server:
        server.send(signal.SIGHUP)
        server.wait_for("a slow reload began")
        server.send(signal.SIGHUP)
        server.wait_for("server: reloaded", times=2)
        assert server.end() == 0
    assert sum("application reloaded" in line for line in server.lines) == 2


def test_a_request_in_flight_is_finished_before_the_end(tmp_path: Path) -> None:
    port = free_port()
    answers: list[int] = []
    with running(config(tmp_path, port, more=f'pid_file = "{tmp_path}/pid"'), home=tmp_path) as server:
        assert (tmp_path / "pid").read_text() == f"{server.process.pid}\n"
        idle = connect(port)
        idle.connect()
        client = threading.Thread(target=lambda: answers.append(get(port, "/slow")[0]))
        client.start()
        server.wait_for("stub: slow began")
        assert server.end() == 0
        client.join()
        idle.close()
    assert answers == [200]
    assert not (tmp_path / "pid").exists()
    order = [line.rpartition("] ")[2].strip() for line in server.lines]
    assert order.index("stub: application stopped") < order.index("server: stopped")


def test_as_many_connections_are_served_as_the_hard_limit_allows(tmp_path: Path) -> None:
    port = free_port()
    with (
        running(config(tmp_path, port), home=tmp_path, inside=("prlimit", "--nofile=64:4096")),
        ExitStack() as stack,
    ):
        for _ in range(100):
            client = stack.enter_context(closing(connect(port)))
            client.request("GET", "/")
            assert client.getresponse().read()


def test_a_second_signal_ends_without_waiting(tmp_path: Path) -> None:
    with held_up(tmp_path) as server:
        assert server.end() == 0
        server.wait_for("requests took too long and were cut off: count=1")


def test_heads_that_are_too_long_and_clients_that_stall_are_turned_away(tmp_path: Path) -> None:
    port, patient = free_port(), free_port()
    listener = 'tls_disable = true\n http_read_header_timeout = "1s"\n http_read_timeout = "1s"'
    second = f'listener "tcp" {{ address = "127.0.0.1:{patient}" tls_disable = true }}'
    with running(config(tmp_path, port, listener, second), home=tmp_path):
        with socket.create_connection(("127.0.0.1", patient)) as long:
            long.sendall(b"GET / HTTP/1.1\r\n" + (b"x-filler: " + b"y" * 1000 + b"\r\n") * 65)
            assert long.recv(100).startswith(b"HTTP/1.1 431 ")
        for start in (
            b"",
            b"GET / HTTP/1.1\r\nx-a: b",
            b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as slow:
                assert _closed(slow, start)
        assert get(patient)[0] == 200


def _closed(connection: socket.socket, sent: bytes) -> bool:
    try:
        connection.sendall(sent)
        return connection.recv(10) == b""
    except (BrokenPipeError, ConnectionResetError):
        return True


def test_a_unix_socket_is_private_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    file = tmp_path / "server.hcl"
    file.write_text(f'storage "inmem" {{}}\nlistener "unix" {{ address = "{path}" }}\ndisable_mlock = true\n')
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with running(f"-config={file}", home=tmp_path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert "another process listens there" in refused(f"-config={file}", home=tmp_path)
        server.end()
    assert not path.exists()
    path.write_text("mine")
    assert "is a file, not a socket" in refused(f"-config={file}", home=tmp_path)
    assert path.read_text() == "mine"


def test_a_core_dump_is_impossible_and_new_files_are_private(tmp_path: Path) -> None:
    with running(config(tmp_path, free_port()), home=tmp_path) as server:
        limits = _limits_of(server.process.pid)
        assert limits == ["0", "0"]
        assert stat.S_IMODE((tmp_path / "vault.db").stat().st_mode) == 0o600


def _limits_of(pid: int) -> list[str]:
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4:6]
    raise AssertionError("no limit of core files")


def test_the_log_is_json_when_asked_for(tmp_path: Path) -> None:
    with running(config(tmp_path, free_port()), "-log-format=json", home=tmp_path) as server:
        assert server.lines[0].startswith(
            '{"@level":"info","@message":"application started","@module":"stub"'
        )


def test_sighup_lets_a_log_file_be_rotated_and_leaves_a_unix_socket_as_it_is(tmp_path: Path) -> None:
    port, log, place = free_port(), tmp_path / "server.log", tmp_path / "s"
    unix = f'listener "unix" {{ address = "{place}" }}'
    with running(config(tmp_path, port, more=unix), home=tmp_path) as server:
        file = place.stat().st_ino
        config(tmp_path, port, more=f'{unix}\n log_file = "{log}"')
        server.send(signal.SIGHUP)
        _wait_for(log, "server: reloaded")
        log.rename(tmp_path / "server.log.1")
        server.send(signal.SIGHUP)
        _wait_for(log, "server: reloaded")
        assert place.stat().st_ino == file
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(str(place))
            there.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert there.recv(100).startswith(b"HTTP/1.1 200 ")
        assert get(port)[0] == 200
        assert server.end() == 0
    assert not place.exists()
    assert "server: stopped" in log.read_text()
    assert "server: stopped" not in (tmp_path / "server.log.1").read_text()


def _wait_for(file: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < deadline, f"no {text!r} in {file}"
        time.sleep(0.02)
