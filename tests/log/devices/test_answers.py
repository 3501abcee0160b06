# SPDX-License-Identifier: EUPL-1.2
"""Receivers of HTTP that answer oddly: what accepts, what does not, and that nothing keeps a device for longer than its time."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vault.log.forward.transport.address import parse_address
from vault.log.forward.transport.exchange import Receiver
from vault.log.forward.transport.failure import SendFailure
from vault.log.forward.transport.stream import Deadline, TlsFiles

pytestmark = pytest.mark.loopback

_OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answering(*parts: bytes, pause: float = 0.0) -> Iterator[Receiver]:
    """A receiver that answers every request with these parts, and then ends the connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(1 << 16)
                    for part in parts:
                        connection.sendall(part)
                        time.sleep(pause)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    receiver = Receiver(parse_address(f"http://127.0.0.1:{listening.getsockname()[1]}/in"), TlsFiles())
    try:
        yield receiver
    finally:
        receiver.close()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def post(receiver: Receiver, seconds: float = 5.0) -> tuple[int, bytes]:
    answer = receiver.post({}, b"{}\n", Deadline(time.monotonic, seconds))
    return answer.status, answer.body


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ((_OK + b"Content-Length: 0\r\n\r\n",), b""),
        ((_OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",), b"{}"),
        ((b"HTTP/1.0 200 OK\r\n\r\n", b"until it ends"), b"until it ends"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", _OK, b"Content-Length: 0\r\n\r\n"), b""),
        ((b"HTTP/1.1 200 OK\r\nContent-Len", b"gth: 1\r\n", b"\r\n", b"x"), b"x"),
    ],
)  # fmt: skip
def test_an_answer_is_read_however_it_comes(parts: tuple[bytes, ...], body: bytes) -> None:
    with answering(*parts) as receiver:
        assert post(receiver) == (200, body)
        assert post(receiver) == (200, body)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((), "ended the connection"),
        ((b"220 mail.example ESMTP\r\n",), "ended the connection"),
        ((b"220 mail.example ESMTP\r\n\r\n",), "as HTTP asks"),
        ((_OK + b"Content-Length: 5\r\n\r\nx",), "as HTTP asks"),
        ((_OK + b"Content-Length: x\r\n\r\n",), "as HTTP asks"),
        ((b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000,), "as HTTP asks"),
    ],
)
def test_what_is_no_answer_accepts_nothing(parts: tuple[bytes, ...], words: str) -> None:
    with answering(*parts) as receiver:
        with pytest.raises(SendFailure, match=words):
            post(receiver)
        with pytest.raises(SendFailure, match=words):
            post(receiver)


def test_an_answer_without_an_end_is_read_so_far() -> None:
    with answering(
        _OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"ffff\r\n" + b"x" * 65_535 + b"\r\n"] * 30
    ) as receiver:
        status, body = post(receiver)
        assert status == 200
        assert len(body) < 300_000
        assert post(receiver)[0] == 200


@pytest.mark.parametrize("drops", [[b"HTTP/1.1 100 Continue\r\n\r\n"] * 50, [b"H", b"T", b"T", b"P"] * 20])
def test_an_answer_that_comes_drop_by_drop_has_its_time_and_no_more(drops: list[bytes]) -> None:
    with answering(*drops, pause=0.1) as receiver:
        began = time.monotonic()
        with pytest.raises(SendFailure):
            post(receiver, 0.5)
        assert time.monotonic() - began < 4.5
