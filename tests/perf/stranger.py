# SPDX-License-Identifier: EUPL-1.2
"""A stranger sends the costliest requests that are known, one KB a second; how long do others wait for `sys/health`?

`python -m tests.perf.stranger` starts a server of its own on loopback, and tells the latencies without and with the
stranger. It takes about a minute and ends with 1 where others wait for more than 200 ms.
"""

import argparse
import http.client
import itertools
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.fuzz.process import VaultProcess
from tests.hostile import BODIES, FORMS, TEXTS

MOST = 0.2
"""Seconds that nobody may wait for more than, because of a stranger."""
RATE = 1000
"""Bytes a second that the stranger sends."""
_EVERY = 0.02
_HEADERS = (
    "x-vault-wrap-ttl",
    "x-vault-index",
    "x-vault-token",
    "x-vault-namespace",
    "authorization",
    "dpop",
    "cookie",
)
_PATHS = ("auth/approle/login", "sys/unseal", "sys/tools/hash", "auth/userpass/login/x")


def hostile(size: int) -> Iterator[bytes]:
    """Requests of about this size: each pattern in a header, in the path, in the query, and in a body."""
    for pattern, make in TEXTS.items():
        text = make(size).encode("utf-8", "replace")
        shown = bytes(byte if byte in range(0x20, 0x7F) else 0x2E for byte in text)
        for name in _HEADERS:
            yield b"GET /v1/sys/health HTTP/1.1\r\nhost: x\r\n%b: %b\r\n\r\n" % (name.encode(), shown)
        target = shown.replace(b" ", b"%20").replace(b"?", b"%3F")
        yield b"GET /v1/%b HTTP/1.1\r\nhost: x\r\n\r\n" % target
        yield b"GET /v1/sys/health?%b HTTP/1.1\r\nhost: x\r\n\r\n" % target
        assert pattern
    for body in (*BODIES.values(), *FORMS.values()):
        for path in _PATHS:
            yield _post(path, body(size))


def _post(path: str, body: bytes) -> bytes:
    head = b"POST /v1/%b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    return head % (path.encode(), len(body)) + body


class Other:
    """A client that asks for the server's health, again and again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self.seconds: list[float] = []
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        while not self._ended.wait(_EVERY):
            began = time.perf_counter()
            connection.request("GET", "/v1/sys/health")
            connection.getresponse().read()
            self.seconds.append(time.perf_counter() - began)
        connection.close()

    def shown(self) -> str:
        found = sorted(self.seconds)
        middle, late = found[len(found) // 2], found[len(found) * 99 // 100]
        return f"{len(found)} requests: median {middle * 1e3:.1f} ms, p99 {late * 1e3:.1f} ms, worst {found[-1] * 1e3:.1f} ms"


def send(port: int, seconds: float, rate: int, size: int) -> int:
    """Send hostile requests for so long at a rate in bytes a second; 0 for as fast as they are answered."""
    ends, sent = time.monotonic() + seconds, 0
    began = time.monotonic()
    for request in itertools.cycle(hostile(size)):
        if time.monotonic() > ends:
            break
        with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        sent += len(request)
        if rate:
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    return sent


def main() -> int:
    """Measure and tell; return 1 where others wait for too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=int, default=RATE, help="bytes a second")
    parser.add_argument("--size", type=int, default=15_000, help="bytes of a request")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        vault = VaultProcess(Path(folder))
        try:
            vault.start()
            vault.initialise()
            with Other(vault.port) as alone:
                time.sleep(min(given.seconds, 10))
            with Other(vault.port) as slow:
                few = send(vault.port, given.seconds, given.rate, given.size)
            with Other(vault.port) as fast:
                many = send(vault.port, given.seconds, 0, given.size)
        finally:
            vault.stop()
    print(f"alone: {alone.shown()}")
    print(f"beside a stranger who sent {few} bytes at {given.rate} a second: {slow.shown()}")
    print(f"beside a stranger who sent {many} bytes as fast as they were answered: {fast.shown()}")
    return 1 if max(slow.seconds) > MOST + max(alone.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
