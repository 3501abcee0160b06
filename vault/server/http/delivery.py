# SPDX-License-Identifier: EUPL-1.2
"""Whether a client takes what waits for it: a slow one does, and one that has gone to sleep does not."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import sys
import termios
from typing import Final

LEAST: Final = 4096
"""Bytes that a client takes to count as one that does: who takes less holds on to an answer for nothing."""
_NUMBER: Final = bytes(4)
_ACKNOWLEDGED: Final = slice(120, 128)
"""Where `tcp_info` has the bytes that the other end has acknowledged (RFC 4898, section 4.2, tcpEStatsAppHCThruOctetsAcked)."""


class Delivery:
    """How far a client is with what waits for it, since more of it waits than is good."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._place = _place(transport)
        self._taken = 0
        self._stage = object()

    def stage(self) -> object:
        """Return what stands for how far the client is: another object once it has taken enough."""
        place = _place(self._transport)
        self._taken += max(0, place - self._place)  # it goes back where something is written
        self._place = place
        if self._taken >= LEAST:
            self._taken, self._stage = 0, object()
        return self._stage


def _place(transport: asyncio.Transport) -> int:
    """Return a number that grows with each byte that the client's machine takes: what it has acknowledged.

    Where the kernel does not count that, as for a Unix socket, it is what still waits, here and in the kernel, below zero.
    """
    line = transport.get_extra_info("socket")
    waiting = b""
    if line is not None:
        with contextlib.suppress(OSError):  # it is closed, or of another kind
            if line.family != socket.AF_UNIX:
                told = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.stop)
                if len(told) == _ACKNOWLEDGED.stop:
                    return int.from_bytes(told[_ACKNOWLEDGED], sys.byteorder)
            waiting = fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, _NUMBER)
    return -transport.get_write_buffer_size() - int.from_bytes(waiting, sys.byteorder)
