# SPDX-License-Identifier: Apache-2.0
"""Sends requests: TLS, deadlines, size limits, retries, and what a run must never send."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from esa_conformance.errors import Interrupted, NoAnswer, SafetyStop, TimedOut, UnknownOutcome, UsageError
from esa_conformance.wire.answer import Answer
from esa_conformance.wire.hello import Taken, offer
from esa_conformance.wire.pace import Pace

SAFE_VERBS: Final = frozenset({"GET", "HEAD", "LIST"})
"""All that read-only mode sends, and what is sent again after a lost answer."""
MOST_BYTES: Final = 48 << 20
"""Bytes of an answer: what is longer is an error of transport."""
_RETRIES: Final = 2
_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Request:
    """What is sent: `target` is the path and query as they stand on the request line."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


Observer = Callable[[Request, Answer, float], None]
"""Told of each exchange: request, answer, seconds."""


class Transport:
    """One server's address. Safe for threads: each request has a connection of its own."""

    def __init__(
        self,
        address: str,
        *,
        ca_file: str | None = None,
        request_s: float = 10.0,
        rps: float = 50.0,
        read_only: bool = False,
    ) -> None:
        """`request_s` is the deadline of one request in seconds. Raises UsageError for an address that is none."""
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise UsageError("target.address: give scheme and host, as https://vault.example:8200")
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = _tls(ca_file) if parts.scheme == "https" else None
        self._request_s = request_s
        self._pace = Pace(rps)
        self._read_only = read_only
        self._count = 0
        self._cuts = 0
        self._lock = threading.Lock()
        self.observer: Observer | None = None
        self.ended: Callable[[], bool] = lambda: False
        """Whether nothing more is to be sent."""

    @property
    def count(self) -> int:
        """How many requests were sent."""
        return self._count

    @property
    def cuts(self) -> int:
        """How many connections ended after a request was sent and before its answer was whole."""
        return self._cuts

    @property
    def network(self) -> str:
        """How the server is reached: `http` or `tls`."""
        return "tls" if self._tls else "http"

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self._host, self._port

    def offer(self, version: int, groups: Sequence[int]) -> Taken | None:
        """Offer one version of TLS and groups, and end the connection: see `hello`. Raises NoAnswer."""
        self._pace.wait()
        return offer(self.place, version, groups, self._request_s)

    def certificate(self) -> bytes | None:
        """The server's certificate in DER; None without TLS."""
        if self._tls is None:
            return None
        try:
            with socket.create_connection((self._host, self._port), timeout=self._request_s) as plain:
                with self._tls.wrap_socket(plain, server_hostname=self._host) as secured:
                    return secured.getpeercert(binary_form=True)
        except OSError as error:
            raise NoAnswer(f"no TLS with the server: {_said(error)}") from None

    def send(self, request: Request) -> Answer:
        """Send one request and return its answer.

        Raises SafetyStop for what must not be sent and for a redirect to another host, Interrupted when the run was
        ended, TimedOut, UnknownOutcome after a lost answer of a request that changes something, and NoAnswer otherwise.
        """
        if self._read_only and (request.method not in SAFE_VERBS or request.body is not None):
            raise SafetyStop(f"read-only mode: {request.method} is not sent")
        for attempt in range(_RETRIES + 1):
            try:
                return self._attempt(request)
            except _NotSent as error:
                if attempt == _RETRIES:
                    raise NoAnswer(f"the server cannot be reached: {error}") from None
            except UnknownOutcome:
                if attempt == _RETRIES or request.method not in SAFE_VERBS:
                    raise
            time.sleep(0.05 * (attempt + 1))
        raise AssertionError("a last attempt returns or raises")

    def _attempt(self, request: Request) -> Answer:
        self._pace.wait()
        if self.ended():
            raise Interrupted("by a signal")
        with self._lock:
            self._count += 1
        begun = time.monotonic()
        connection = self._connected()
        late = threading.Event()
        timer = threading.Timer(self._request_s, _end, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            answer = _exchange(connection, request)
        except (OSError, http.client.HTTPException) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                raise TimedOut(f"no answer within {self._request_s:g} s") from None
            with self._lock:
                self._cuts += 1
            raise UnknownOutcome(f"the connection ended before an answer: {_said(error)}") from None
        finally:
            timer.cancel()
            connection.close()
        if late.is_set():
            raise TimedOut(f"no whole answer within {self._request_s:g} s")
        if self.observer is not None:
            self.observer(request, answer, time.monotonic() - begun)
        self._refuse_another_host(answer)
        return answer

    def _connected(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._request_s)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._request_s, context=self._tls
            )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise _NotSent(_said(error)) from None
        return connection

    def _refuse_another_host(self, answer: Answer) -> None:
        to = urlsplit(answer.headers.get("location", ""))
        if 300 <= answer.status < 400 and to.netloc:
            port = to.port or (443 if to.scheme == "https" else 80)
            if (to.hostname, port) != (self._host, self._port):
                raise SafetyStop("the server redirects to another host")


class _NotSent(Exception):
    """No byte of the request has left."""


def _exchange(connection: http.client.HTTPConnection, request: Request) -> Answer:
    body = request.body
    connection.putrequest(request.method, request.target, skip_accept_encoding=True)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Connection", "close")
    early = False
    try:
        connection.endheaders()
        for start in range(0, len(body or b""), _CHUNK):
            connection.send((body or b"")[start : start + _CHUNK])
    except (BrokenPipeError, ConnectionResetError):
        if body is None:
            raise
        early = True
    try:
        return _received(connection)
    except (OSError, http.client.HTTPException):
        if early:
            return Answer(0)
        raise


def _received(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    pieces, size = [], 0
    while piece := response.read(_CHUNK):
        size += len(piece)
        if size > MOST_BYTES:
            raise NoAnswer(f"an answer has more than {MOST_BYTES} bytes")
        pieces.append(piece)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, b"".join(pieces))


def _end(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended by itself


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise UsageError(f"target.ca_file: {_said(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _said(error: Exception) -> str:
    """An error in words that hold nothing of a request."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
