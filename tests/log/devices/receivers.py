# SPDX-License-Identifier: EUPL-1.2
"""Receivers of devices on loopback, which take records, or do what receivers do in a bad hour. Standard library alone."""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_SMALL = 4096
"""Bytes of a socket's buffer, so that one who does not read is noticed soon."""
_SIP = 256
"""Bytes that a slow reader takes at a time."""


def wait_until(condition: Callable[[], bool], otherwise: Callable[[], object], patience: float = 30) -> None:
    """Return once the condition holds; fail with what `otherwise` says when it does not in time."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.01)


class StreamReceiver:
    """Listens on a port or a path, and keeps what comes by each connection."""

    def __init__(self, port: int = 0, path: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.mode = "takes"
        """`takes`, `blocked` (accepts and never reads), `slow` (a sip now and then) or `full` (ends each connection)."""
        self.received: list[bytearray] = []
        self._port, self._path, self._tls = port, path, tls
        self._connections: list[socket.socket] = []
        self._listening: socket.socket | None = None
        self.listen()

    def listen(self) -> None:
        """Be there, at the same address as before."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            made = socket.socket(socket.AF_UNIX)
            made.bind(str(self._path))
        else:
            made = socket.socket()
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
            made.bind(("127.0.0.1", self._port))
            self._port = made.getsockname()[1]
        made.listen()
        self._listening = made
        threading.Thread(target=self._accept, args=(made,), daemon=True).start()

    def vanish(self) -> None:
        """Be gone: nobody listens, and every connection is reset."""
        listening, self._listening = self._listening, None
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._connections.append(connection)
            mine = bytearray()
            self.received.append(mine)
            self._read(connection, mine)
            connection.close()

    def _read(self, connection: socket.socket, mine: bytearray) -> None:
        while self.mode != "full":
            if self.mode == "blocked":
                time.sleep(0.01)
                continue
            if self.mode == "slow":
                time.sleep(0.05)
            data = connection.recv(_SIP if self.mode == "slow" else 1 << 16)
            if not data:
                return
            mine += data

    @property
    def port(self) -> int:
        return self._port


class HttpReceiver:
    """Takes posts, and keeps those that it answered with 2xx."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.mode = "takes"
        """`takes`, `blocked` (reads and never answers), `slow` (answers late) or `full` (507)."""
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        """What is answered instead, if anything."""
        self.delay = 0.3
        """Seconds until a slow one answers."""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Path, headers and body of those that were taken."""
        self.refused: list[tuple[str, dict[str, str], bytes]] = []
        self._port, self._tls = port, tls
        self._server: ThreadingHTTPServer | None = None
        self._connections: list[socket.socket] = []
        self.listen()

    def listen(self) -> None:
        """Be there, at the same address as before."""
        server = self._server = _Server(("127.0.0.1", self._port), _handler(self))
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True)
        self._port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def vanish(self) -> None:
        """Be gone: nobody listens, and every connection is reset."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def opened(self, connection: socket.socket) -> None:
        """Note a connection."""
        self._connections.append(connection)

    def answer_to(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Take a request, or not."""
        if self.answer is None:
            while self.mode == "blocked" and self._server is not None:
                time.sleep(0.01)
            if self.mode == "slow":
                time.sleep(self.delay)
        status, more, said = self.answer or ((507 if self.mode == "full" else 200), {}, b"")
        (self.requests if 200 <= status < 300 else self.refused).append((path, headers, body))
        return status, more, said

    @property
    def port(self) -> int:
        return self._port

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self._connections)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: devices end connections."""


def _handler(receiver: HttpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver.opened(self.connection)

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size)
            if len(body) < size:
                return
            status, headers, said = receiver.answer_to(self.path, dict(self.headers.items()), body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *said: Any) -> None:
            """Print nothing."""

    return Handler


def frames(data: bytes) -> Iterator[bytes]:
    """The whole messages of a stream with octet counting (RFC 6587, section 3.4.1); a torn last one is left out."""
    at = 0
    while found := re.compile(rb"([1-9][0-9]*) ").match(data, at):
        end = found.end() + int(found[1])
        if end > len(data):
            return
        yield data[found.end() : end]
        at = end
    assert len(data) - at < 16, data[at : at + 50]
