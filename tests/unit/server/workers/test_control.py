# SPDX-License-Identifier: EUPL-1.2
"""What supervisor and worker say to each other arrives, whole and in order, however late the other end listens."""

import socket

import pytest
from pytest_socket import enable_socket

from vault.server.workers import control


@pytest.fixture(autouse=True)
def _sockets() -> None:
    """A socket that was handed over is made of its number, which only real ones are."""
    enable_socket()


class Heard:
    """What an outbox asked to be told of."""

    def __init__(self) -> None:
        self.waits = [False]

    def wait(self, *, listening: bool) -> None:
        self.waits.append(listening)


def heard(end: socket.socket) -> list[str]:
    """All that is said by now; each socket beside it says the same."""
    found: list[str] = []
    while True:
        try:
            message = control.receive(end)
        except BlockingIOError:
            return found
        assert message is not None
        text, beside = message
        if beside is not None:
            with beside:
                assert beside.recv(64).decode() == text
        found.append(text)


def test_who_listens_late_hears_all_of_it_in_order() -> None:
    mine, theirs = control.pair()
    told = Heard()
    outbox = control.Outbox(mine, told.wait)
    said = [f"take {number}" for number in range(1000)]
    with mine, theirs:
        for text in said:
            near, far = socket.socketpair()
            with near:
                near.sendall(text.encode())
                outbox.say(text, far)
        assert len(outbox) > 0
        assert told.waits[-1]
        found = heard(theirs)
        while len(outbox):
            outbox.flush()
            found += heard(theirs)
        assert found == said
        assert told.waits == [False, True, False]
        outbox.say("crew 1")
        assert heard(theirs) == ["crew 1"]


def test_one_that_is_gone_is_told_nothing_and_what_was_for_it_is_closed() -> None:
    mine, theirs = control.pair()
    outbox = control.Outbox(mine, Heard().wait)
    near, far = socket.socketpair()
    with mine, near:
        theirs.close()
        outbox.say("take request", far)
        assert len(outbox) == 0
        assert near.recv(1) == b""
