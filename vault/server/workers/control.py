# SPDX-License-Identifier: EUPL-1.2
"""What supervisor and worker say to each other: short texts, each whole, some with an open socket beside it.

The supervisor never reads what passes through such a socket: it hands it to the worker that it is for, which has the
other end then. So nothing of a vault is ever in its memory, and no socket between workers has a name that others know.
"""

from __future__ import annotations

import array
import socket
from typing import Final

_LONGEST: Final = 16 * 1024

JOINED: Final = "joined"
READY: Final = "ready"
LEFT: Final = "left"
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
HURRY: Final = "hurry"
"""To a worker that ends: without waiting for requests in flight."""


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


def _handed(beside: socket.socket) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [beside.fileno()]).tobytes()


def receive(control: socket.socket) -> tuple[str, socket.socket | None] | None:
    """Return what is said next, None once the other end is gone. Raises `BlockingIOError` where nothing is said."""
    try:
        said, files, _, _ = socket.recv_fds(control, _LONGEST, 1, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    beside = socket.socket(fileno=files[0]) if files else None
    if beside is not None:
        beside.setblocking(False)
    return (said.decode("utf-8", "replace"), beside) if said else None
