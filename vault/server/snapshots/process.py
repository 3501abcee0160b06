# SPDX-License-Identifier: EUPL-1.2
"""Starts a process that makes a backup, in a thread of its own: starting one takes longer than the event loop may wait."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from vault.server.snapshots.messages import LONGEST, Outcome, Task

PROGRAM: Final = (sys.executable, "-I", "-m", "vault.server.offline.scheduled")
_HANDED_ON: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "TMPDIR",
)
"""What of the server's environment such a process is for."""
PATIENCE: Final = 5.0
"""Seconds in which one that is told to end does, before it is killed."""
FAREWELL: Final = 1.0
"""Seconds for which whoever gives up waits for that: a vault that seals does not wait for object storage."""
_STOPPED: Final = "the server ended it"


class BackupProcess:
    """A process that was started for one task."""

    def __init__(
        self, task: Task, environment: Mapping[str, str] = os.environ, program: Sequence[str] = PROGRAM
    ) -> None:
        """Start it; what it says ends in `outcome`."""
        self.pid = 0
        """The number of the process; 0 before there is one."""
        self._environment = environment
        self._program: Final = program
        self._line: Final = msgspec.json.encode(task) + b"\n"
        self._lock: Final = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._loop: Final = asyncio.get_running_loop()
        self._done: Final[asyncio.Future[Outcome]] = self._loop.create_future()
        threading.Thread(target=self._live, name="backup", daemon=True).start()

    async def outcome(self) -> Outcome:
        """Return what became of it, once it has ended. Whoever is cancelled meanwhile ends it."""
        try:
            return await asyncio.shield(self._done)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait({self._done}, timeout=FAREWELL)
            raise

    def stop(self) -> None:
        """Have it end, and leave nothing behind; it is killed where it does not."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.terminate()
        self._loop.call_later(PATIENCE, self._kill)

    def _kill(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def _live(self) -> None:
        try:
            said = self._ended()
        except OSError as error:
            said = Outcome(failure=f"the process that makes a backup cannot be started: {error.strerror}")
        self._loop.call_soon_threadsafe(self._tell, said)

    def _ended(self) -> Outcome:
        with opened(self._program, self._environment) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stderr is not None
            with self._lock:
                self._child, self.pid = child, child.pid
                if self._stopped:
                    child.terminate()
            with suppress(BrokenPipeError):  # its exit status says so
                child.stdin.write(self._line)
                child.stdin.flush()
            said, complaint = child.stdout.read(LONGEST), child.stderr.read(LONGEST)
            child.wait()
            with suppress(BrokenPipeError):
                child.stdin.close()
            with self._lock:
                self._child = None
        if self._stopped:
            return Outcome(failure=_STOPPED)
        try:
            return msgspec.json.decode(said, type=Outcome)
        except msgspec.DecodeError:
            last = last_words(complaint)
            return Outcome(failure=f"the process that makes a backup ended with {child.returncode}{last}")

    def _tell(self, said: Outcome) -> None:
        if not self._done.done():
            self._done.set_result(said)


def opened(program: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program with pipes, and with what of an environment it is for. Raises `OSError`."""
    return subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: environment[name] for name in _HANDED_ON if name in environment},
        start_new_session=True,
    )


def last_words(said: bytes) -> str:
    """Return the name of the exception that a traceback ends in, and nothing of what it says."""
    lines = said.decode("utf-8", "replace").strip().split("\n")
    name = lines[-1].partition(":")[0].rpartition(".")[2]
    return f", {name}" if name.isidentifier() else ""
