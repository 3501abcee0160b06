# SPDX-License-Identifier: EUPL-1.2
"""What lies between a server and its PostgreSQL and takes time: a network, as a Unix socket that lets questions through later.

`select` waits by the microsecond, where an event loop waits by the millisecond. Answers go on at once: what counts is
the sum of both ways.
"""

import argparse
import heapq
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SOCKET: Final = ".s.PGSQL.5432"
_MOST: Final = 1 << 16
_START_SECONDS: Final = 10.0


@contextmanager
def delayed(target: Path, milliseconds: float, *, core: int) -> Iterator[Path]:
    """Give the directory of a socket that leads to the one in `target`: itself, if nothing is to be added."""
    if not milliseconds:
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="px-") as folder:
        command = [sys.executable, "-m", __name__, str(target), folder, str(milliseconds)]
        process = subprocess.Popen(["taskset", "-c", str(core), *command])
        try:
            until = time.monotonic() + _START_SECONDS
            while not (Path(folder) / _SOCKET).exists():
                assert process.poll() is None and time.monotonic() < until, "what delays did not start"
                time.sleep(0.01)
            yield Path(folder)
        finally:
            process.kill()
            process.wait()


class RoundTrips:
    """Lets through what clients send `delay` seconds after it came, and what they are answered at once."""

    def __init__(self, target: str, delay: float) -> None:
        self._target, self._delay = target, delay
        self.ends: dict[socket.socket, socket.socket] = {}
        """By each end of a connection that lives: the other one."""
        self._clients: set[socket.socket] = set()
        self._held: list[tuple[float, int, socket.socket, bytes]] = []
        self._count = 0

    def serve(self, door: socket.socket) -> None:
        """Take connections at `door`, for ever."""
        while True:
            wait = max(self._held[0][0] - time.monotonic(), 0.0) if self._held else None
            readable, _, _ = select.select([door, *self.ends], [], [], wait)
            for one in readable:
                if one is door:
                    self._accept(door)
                elif one in self.ends:
                    self.take(one)
            self.let_through()

    def let_through(self) -> None:
        """Send on what has waited for long enough."""
        now = time.monotonic()
        while self._held and self._held[0][0] <= now:
            _, _, client, data = heapq.heappop(self._held)
            if client in self.ends:
                self._send(client, data)

    def _accept(self, door: socket.socket) -> None:
        client, _ = door.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        self.join(client, server)

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Stand between two."""
        self.ends |= {client: server, server: client}
        self._clients.add(client)

    def take(self, one: socket.socket) -> None:
        """Take what an end has sent."""
        try:
            data = one.recv(_MOST)
        except ConnectionError:
            data = b""
        if not data:
            self._end(one)
        elif one in self._clients:
            self._count += 1  # what came first goes first
            heapq.heappush(self._held, (time.monotonic() + self._delay, self._count, one, data))
        else:
            self._send(one, data)

    def _send(self, one: socket.socket, data: bytes) -> None:
        """Send on what an end has sent: if the other has gone meanwhile, that is the end of both."""
        try:
            self.ends[one].sendall(data)
        except ConnectionError:
            self._end(one)

    def _end(self, one: socket.socket) -> None:
        for end in (one, self.ends[one]):
            del self.ends[end]
            self._clients.discard(end)
            end.close()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, help="directory of PostgreSQL's socket")
    parser.add_argument("folder", type=Path, help="directory of the socket that is made")
    parser.add_argument("milliseconds", type=float)
    options = parser.parse_args()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(options.folder / _SOCKET))
        door.listen(128)
        RoundTrips(str(options.target / _SOCKET), options.milliseconds / 1000).serve(door)


if __name__ == "__main__":
    main()
