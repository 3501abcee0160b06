# SPDX-License-Identifier: EUPL-1.2
"""Starts a log reader, in a thread of its own: starting a process takes longer than the event loop may wait.

And ends one that hangs, whoever started it. It loses nothing: a reader may end at any time.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

PROGRAM: Final = (sys.executable, "-I", "-m", "vault.log.reader")
_MOST_WORDS: Final = 1 << 16
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group, as `unix(7)` has them."""


class ReaderProcess:
    """A process that was started. It serves every worker of the node, and may end at any time."""

    def __init__(self, folder: Path, program: Sequence[str] = PROGRAM) -> None:
        """Start it for a folder; `program` gets the folder as its last word."""
        self.pid = 0
        """The number of the process; 0 before there is one."""
        self.ended = False
        self.last_words = ""
        """What it ended of, by the name of an exception; empty where it ended as it should."""
        self._child: subprocess.Popen[bytes] | None = None
        self._arguments: Final = [*program, str(folder)]
        self._thread: Final = threading.Thread(target=self._live, name="log-reader", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until it has ended, for so many seconds at most."""
        self._thread.join(seconds)

    def kill(self) -> None:
        """End it at once, if it has begun and not ended."""
        if self._child is not None:
            self._child.kill()

    def _live(self) -> None:
        """Start it, and take its exit status when it ends."""
        try:
            with subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={},
                cwd="/",
                start_new_session=True,
            ) as child:
                self._child, self.pid = child, child.pid
                assert child.stderr is not None
                said = b""
                while part := os.read(child.stderr.fileno(), _MOST_WORDS):
                    said = (said + part)[-_MOST_WORDS:]
                if child.wait():
                    self.last_words = _last_words(said)
        except OSError as error:
            self.last_words = type(error).__name__
        self.ended = True


def kill_listener(line: socket.socket) -> None:
    """End at once the process that listens at the other end of a Unix socket, unless it is this one."""
    pid: int = _CREDENTIALS.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[
        0
    ]
    if pid not in {0, os.getpid()}:
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or is none of ours
            os.kill(pid, signal.SIGKILL)


def _last_words(said: bytes) -> str:
    """Return the name of the exception that a traceback ends in; what it says may be of a record."""
    lines = said.decode("utf-8", "replace").strip().split("\n")
    name = lines[-1].partition(":")[0].rpartition(".")[2]
    return name if name.isidentifier() else ""


Start = Callable[[], ReaderProcess]
"""Starts a reader."""
