# SPDX-License-Identifier: EUPL-1.2
"""Ports for the servers that tests start: nothing else on the machine takes one meanwhile.

A port that the kernel gave may be given again, to another server or as the near end of any connection, before its
server listens or while that is away for a restart. These lie below what Linux gives by itself, each worker has a
range of its own, and no port is handed out twice.
"""

import os
import secrets
import socket
from collections.abc import Iterator

_FIRST, _RANGE, _RANGES = 10_000, 1_400, 16


def _pairs() -> Iterator[int]:
    """Even ports of this process's range, round and round, from anywhere in it: other runs may be here too."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = _FIRST + int(worker) % _RANGES * _RANGE
    number = secrets.randbelow(_RANGE // 2)
    while True:
        yield first + number % (_RANGE // 2) * 2
        number += 1


_PAIRS = _pairs()


def free_port() -> int:
    """A loopback port on which nothing listens, nor on the next one: OpenBao takes both."""
    for port in _PAIRS:
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("the range has no end")
