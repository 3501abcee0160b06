# SPDX-License-Identifier: EUPL-1.2
"""A delivery has one deadline whatever the receiver does, follows nobody, and says whether the same may be sent again."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.integration.processes import certificate
from tests.otlp_receiver import receiving
from tests.served import served
from vault.framework.clock import Clock
from vault.log.forward.transport.stream import TlsFiles
from vault.server.otlp.delivery import Delivery
from vault.server.otlp.outbox import NotTaken

Play = Callable[[socket.socket], None]
SECOND = 1.0


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def hostile(play: Play) -> Iterator[str]:
    """Play with each connection, once its request has come; yield the address."""
    enable_socket()
    ended = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += self.request.recv(4096)
            with suppress(OSError):
                play(self.request)
                ended.wait(60)

    with served(_Server(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/logs"
        ended.set()


def delivery(endpoint: str, *, files: TlsFiles | None = None, patience: float = 20.0) -> Delivery:
    return Delivery(
        endpoint, files or TlsFiles(), {"Authorization": "hunter2"}, len, Clock(), patience=patience
    )


def drip(start: bytes) -> Play:
    """Begin an answer, and send a byte more of it again and again."""

    def play(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(b"a")
            time.sleep(0.02)

    return play


@pytest.mark.parametrize(
    "play",
    [
        drip(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nx: "),
        drip(b""),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        lambda _: None,
        lambda connection: [connection.sendall(b"HTTP/1.1 103 Early\r\n\r\n") for _ in iter(int, 1)],
    ],
    ids=["a dripping body", "a dripping header", "a dripping status", "half an answer", "none", "no end of them"],
)  # fmt: skip
def test_a_receiver_that_is_slow_is_left_when_the_time_is_over(play: Play) -> None:
    with hostile(play) as endpoint:
        began = time.monotonic()
        with pytest.raises(NotTaken) as failure:
            delivery(endpoint, patience=SECOND).send(b"x")
        assert time.monotonic() - began < 20 * SECOND
    assert failure.value.again


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_refusal_and_nobody_else_is_told_the_headers(status: int) -> None:
    with receiving() as elsewhere, receiving() as receiver:
        receiver.status, receiver.answer_headers = status, {"location": f"{elsewhere.endpoint}/v1/logs"}
        with pytest.raises(NotTaken, match=f"answers with status {status}") as failure:
            delivery(f"{receiver.endpoint}/v1/logs").send(b"")
        assert not failure.value.again
        assert elsewhere.requests == 0


@pytest.mark.parametrize(
    ("status", "again"),
    [(429, True), (502, True), (503, True), (504, True), (408, True), (400, False), (401, False), (404, False), (413, False), (500, False), (204, False)],
)  # fmt: skip
def test_what_may_be_sent_again_is_told_apart(status: int, again: bool) -> None:
    with receiving() as receiver:
        receiver.status = status
        with pytest.raises(NotTaken) as failure:
            delivery(f"{receiver.endpoint}/v1/logs").send(b"")
        assert failure.value.again is again
        assert failure.value.wait == 0
        assert receiver.requests == 1


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("99999999", 300, 300),
        ("9" * 500, 0, 0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 300, 300),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0),
        ("soon", 0, 0),
        ("-3", 0, 0),
    ],
)
def test_how_long_a_receiver_wants_to_be_left_alone_is_bounded(said: str, least: float, most: float) -> None:
    with receiving() as receiver:
        receiver.status, receiver.answer_headers = 429, {"retry-after": said}
        with pytest.raises(NotTaken) as failure:
            delivery(f"{receiver.endpoint}/v1/logs").send(b"")
        assert least <= failure.value.wait <= most


def test_what_a_receiver_will_not_have_is_told_and_a_message_comes_in_our_form() -> None:
    with receiving() as receiver:
        receiver.answer = b"12345"
        one = delivery(f"{receiver.endpoint}/v1/logs")
        assert one.send(b"") == 5
        receiver.answer = b""
        assert one.send(b"") == 0
        assert receiver.headers[0]["content-type"] == "application/x-protobuf"
        assert receiver.headers[0]["content-encoding"] == "gzip"
        assert receiver.headers[0]["authorization"] == "hunter2"


def test_a_huge_answer_is_not_read() -> None:
    sent = [0]

    def play(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while sent[0] < 1_000_000_000:
            sent[0] += connection.send(bytes(1 << 16))

    with hostile(play) as endpoint:
        assert 1 << 16 < delivery(endpoint).send(b"x") < 1 << 18
    assert sent[0] < 100_000_000


def test_headers_without_end_are_not_read() -> None:
    def play(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"a: b\r\n" * 1000)

    with hostile(play) as endpoint, pytest.raises(NotTaken, match="does not answer as HTTP asks"):
        delivery(endpoint).send(b"x")


def test_a_receiver_with_another_name_or_a_strange_authority_is_sent_nothing(tmp_path: Path) -> None:
    own, other = certificate(tmp_path, "own"), certificate(tmp_path, "other")
    with receiving(own) as receiver:
        named = receiver.endpoint.replace("127.0.0.1", "localhost")
        for endpoint, authority, why in (
            (named, own[0], "for another name"),
            (receiver.endpoint, other[0], "not from an authority that is trusted"),
        ):
            files = TlsFiles(ca_file=str(authority))
            with pytest.raises(NotTaken, match=why):
                delivery(f"{endpoint}/v1/logs", files=files).send(b"")
        assert receiver.requests == 0
        assert delivery(f"{receiver.endpoint}/v1/logs", files=TlsFiles(ca_file=str(own[0]))).send(b"") == 0


def test_the_end_of_it_wakes_who_waits() -> None:
    asked = threading.Event()
    with hostile(lambda _: asked.set()) as endpoint:
        one = delivery(endpoint, patience=600)
        failures: list[NotTaken] = []

        def send() -> None:
            try:
                one.send(b"x")
            except NotTaken as failure:
                failures.append(failure)

        thread = threading.Thread(target=send)
        thread.start()
        assert asked.wait(60)
        one.end()
        thread.join(60)
        assert len(failures) == 1
