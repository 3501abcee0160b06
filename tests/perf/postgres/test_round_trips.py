# SPDX-License-Identifier: EUPL-1.2
"""What is to lie between a server and its database delays every question, mixes none up, and ends with either side."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.perf.postgres.round_trips import RoundTrips, delayed

_DELAY = 5.0
"""Milliseconds: long beside what a round trip takes."""


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Path]:
    """A directory with the socket of a server that sends back what it is sent."""

    def answer(client: socket.socket) -> None:
        with client:
            while data := client.recv(1 << 16):
                client.sendall(data)

    def accept() -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / ".s.PGSQL.5432"))
        door.listen()
        threading.Thread(target=accept, daemon=True).start()
        yield tmp_path
        door.shutdown(socket.SHUT_RDWR)


def _connected(folder: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(folder / ".s.PGSQL.5432"))
    return client


def test_a_question_comes_later_whole_and_to_its_own_connection(echo: Path) -> None:
    with delayed(echo, _DELAY, core=0) as folder, _connected(folder) as one, _connected(folder) as other:
        for number in range(3):
            began = time.monotonic()
            one.sendall(b"one %d" % number)
            other.sendall(b"other %d" % number)
            assert one.recv(100) == b"one %d" % number
            assert other.recv(100) == b"other %d" % number
            assert time.monotonic() - began >= _DELAY / 1000
        one.close()
        other.sendall(b"still there")
        assert other.recv(100) == b"still there"


def test_without_a_delay_nothing_lies_between(tmp_path: Path) -> None:
    with delayed(tmp_path, 0.0, core=0) as folder:
        assert folder == tmp_path


@pytest.mark.parametrize("from_client", [False, True])
def test_what_comes_for_one_who_has_gone_ends_that_connection_alone(*, from_client: bool) -> None:
    far, near = socket.socketpair()
    answering, server = socket.socketpair()
    between = RoundTrips("", 0.0)
    between.join(near, answering)
    (server if from_client else far).close()
    if from_client:
        far.sendall(b"late question")
        between.take(near)
        between.let_through()
    else:
        server.sendall(b"late answer")
        between.take(answering)
    assert not between.ends
    for one in (far, near, answering, server):
        one.close()
