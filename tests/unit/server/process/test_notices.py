# SPDX-License-Identifier: EUPL-1.2
"""What systemd is told, as it would hear it."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault.server.process.notices import Notices


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The name of a socket as systemd gives it, and the socket."""
    name = (
        str(tmp_path / "notify") if request.param == "path" else f"@coffre-test-{os.getpid()}-{id(tmp_path)}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(name.replace("@", "\0", 1))
        line.settimeout(20)
        yield name, line


def test_each_thing_is_one_datagram(heard: tuple[str, socket.socket]) -> None:
    name, line = heard
    notices = Notices({"NOTIFY_SOCKET": name})
    notices.ready()
    assert line.recv(4096) == b"READY=1"
    notices.stopping()
    assert line.recv(4096) == b"STOPPING=1"


def test_a_reload_says_when_it_began(heard: tuple[str, socket.socket]) -> None:
    name, line = heard
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notices({"NOTIFY_SOCKET": name}).reloading()
    said = dict(part.split("=") for part in line.recv(4096).decode().splitlines())
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert said.pop("RELOADING") == "1"
    assert before <= int(said.pop("MONOTONIC_USEC")) <= after
    assert said == {}


def test_a_loop_that_goes_on_is_heard_of_again_and_again(heard: tuple[str, socket.socket]) -> None:
    name, line = heard
    notices = Notices({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())})
    assert notices.beat == 0.01

    async def work() -> list[bytes]:
        loop = asyncio.get_running_loop()
        notices.keep(loop)
        return [await loop.run_in_executor(None, line.recv, 4096) for _ in range(3)]

    assert asyncio.run(work()) == [b"WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "²"},
        {"WATCHDOG_USEC": "9" * 5000},
        {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"},
    ],
)
def test_where_nobody_waits_for_it_or_for_another_process_nothing_is_said(
    more: dict[str, str], heard: tuple[str, socket.socket]
) -> None:
    name, line = heard
    notices = Notices({"NOTIFY_SOCKET": name, **more})
    assert notices.beat == 0
    notices.alive()
    notices.ready()
    assert line.recv(4096) == b"READY=1"


@pytest.mark.parametrize(
    "name", ["", "vsock:2:1", "relative", "/gone/socket", "/" + "a" * 200, "@" + "é" * 100]
)
def test_nobody_and_a_socket_that_is_not_there_are_no_failure(name: str) -> None:
    notices = Notices({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000"})
    notices.ready()
    notices.alive()
    notices.reloading()
    notices.stopping()


def test_a_reader_who_does_not_read_holds_nobody_up(heard: tuple[str, socket.socket]) -> None:
    name, line = heard
    notices = Notices({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000"})
    for _ in range(1000):
        notices.alive()
    assert line.recv(4096) == b"WATCHDOG=1"
