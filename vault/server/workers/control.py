# SPDX-License-Identifier: EUPL-1.2
"""What supervisor and worker say to each other: short texts, each whole, some with an open socket beside it.

The supervisor never reads what passes through such a socket: it hands it to the worker that it is for, which has the
other end then. So nothing of a vault is ever in its memory, and no socket between workers has a name that others know.
"""

from __future__ import annotations

import array
import socket
from collections import deque
from typing import Final, Protocol

_LONGEST: Final = 16 * 1024

JOINED: Final = "joined"
READY: Final = "ready"
LEFT: Final = "left"
RELOADED: Final = "reloaded"
"""Of a worker that has done all reloads that it was asked for."""
FAILED: Final = "failed"
"""Of a worker that cannot start, with the reason."""
TO: Final = "to"
"""With the number of a colleague, a verb, and the end of a socket for it."""
SILENT: Final = "silent"
"""With the number of a colleague that does not answer, and has to be ended."""
CREW: Final = "crew"
"""With the numbers of all who have joined, the one that has served for longest first."""
TAKE: Final = "take"
"""With a verb, and the end of a socket whose other end a colleague has."""
REQUEST: Final = "request"
"""The verb of a socket through which requests are passed on."""
HURRY: Final = "hurry"
"""To a worker that ends: without waiting for requests in flight."""
BEAT: Final = "beat"
"""To a worker, whose event loop says the same back."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection between supervisor and worker."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def send(control: socket.socket, text: str, beside: socket.socket | None = None) -> None:
    """Say `text`, and hand over the socket `beside`. Raises `OSError`, `BlockingIOError` for who does not listen."""
    more = [] if beside is None else [_handed(beside)]
    control.sendmsg([text.encode()[:_LONGEST]], more)


class Wait(Protocol):
    """Has an outbox flushed as soon as its other end listens again, or no more."""

    def __call__(self, *, listening: bool) -> None:
        """Do so."""
        ...


class Outbox:
    """What is said to one end, in order. Who listens late hears it late, and nothing of it is lost."""

    def __init__(self, control: socket.socket, wait: Wait) -> None:
        self._control = control
        self._wait = wait
        self._waits = False
        self._unsaid: deque[tuple[str, socket.socket | None]] = deque()

    def __len__(self) -> int:
        """Return how much has still to be said."""
        return len(self._unsaid)

    def say(self, text: str, beside: socket.socket | None = None) -> None:
        """Say `text`, and hand over the socket `beside`, which is closed here then. One that is gone is told nothing."""
        self._unsaid.append((text, beside))
        if not self._waits:
            self.flush()

    def flush(self) -> None:
        """Say as much as the other end takes."""
        try:
            while self._unsaid:
                send(self._control, *self._unsaid[0])
                self._said()
        except BlockingIOError:
            pass
        except OSError:
            self.drop()
        if self._waits != bool(self._unsaid):
            self._waits = not self._waits
            self._wait(listening=self._waits)

    def drop(self) -> None:
        """Say no more of it."""
        while self._unsaid:
            self._said()

    def _said(self) -> None:
        _, beside = self._unsaid.popleft()
        if beside is not None:
            beside.close()


def _handed(beside: socket.socket) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [beside.fileno()]).tobytes()


def receive(control: socket.socket) -> tuple[str, socket.socket | None] | None:
    """Return what is said next, None once the other end is gone. Raises `BlockingIOError` where nothing is said."""
    try:
        said, files, _, _ = socket.recv_fds(control, _LONGEST, 1, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    beside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=files[0]) if files else None
    if beside is not None:
        beside.setblocking(False)
    return (said.decode("utf-8", "replace"), beside) if said else None
