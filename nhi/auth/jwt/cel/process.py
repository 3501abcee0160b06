# SPDX-License-Identifier: EUPL-1.2
"""A process that programs run in, as the server sees it: started with the first question, ended when one costs too much."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from nhi.auth.jwt.cel import protocol
from nhi.auth.jwt.cel.protocol import Answer

_BEGINNING: Final = 30.0
"""Seconds until the process must be ready."""
_LARGEST: Final = 1 << 20
_PROGRAM: Final = (sys.executable, "-I", "-m", "nhi.auth.jwt.cel.child")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USED: Final = slice(11, 13)
"""Where `/proc/PID/stat` has the ticks of processor time, after the name."""


class ProgramStopped(Exception):
    """The process has ended, or had to be: the question costs too much."""


class LibraryMissing(Exception):
    """No process can be started: the library is not there."""


class Cost(msgspec.Struct, frozen=True):
    """What one question may cost, in seconds: of processor time, and until it must be answered."""

    used: float
    passed: float


class ProgramProcess:
    """Asks one question at a time, in whichever thread; what one costs, no other one pays for."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize | None = None  # type: ignore[type-arg]  # it is not generic at run time

    @property
    def pid(self) -> int:
        """The number of the process; 0 while there is none."""
        return self._child.pid if self._child is not None else 0

    def ask(self, packed: bytes, most: Cost) -> Answer:
        """Return the answer to a question. Raises `ProgramStopped`, `LibraryMissing`.

        What others have left behind in the process may have ended it: so it is asked again in a new one.
        """
        if self._child is not None:
            try:
                return self._ask(self._child, packed, most)
            except _ProcessGone:
                self.close()
        try:
            return self._ask(self._start(), packed, most)
        except _ProcessGone:
            self.close()
            raise ProgramStopped from None

    def close(self) -> None:
        """End the process; a later question starts another."""
        if self._end is not None:
            self._end()
        self._child = self._end = None

    def _ask(self, child: subprocess.Popen[bytes], packed: bytes, most: Cost) -> Answer:
        """Ask a process. Raises `_ProcessGone` where it has ended by itself, and `ProgramStopped`."""
        assert child.stdin is not None
        try:
            spent = _Spent(child.pid, most)
            child.stdin.write(packed)
            child.stdin.flush()
            return protocol.opened(_heard(child, spent.left))
        except (OSError, msgspec.MsgspecError):
            raise _ProcessGone from None
        except ProgramStopped:
            self.close()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process. Raises `LibraryMissing`."""
        try:
            child = subprocess.Popen(
                _PROGRAM,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
            )
        except OSError:
            raise LibraryMissing from None
        self._end = weakref.finalize(self, _kill, child)
        until = time.monotonic() + _BEGINNING
        try:
            said = _heard(child, lambda: until - time.monotonic())
        except (ProgramStopped, _ProcessGone):
            said = b""
        if said != protocol.HELLO:
            self.close()
            raise LibraryMissing
        self._child = child
        return child


class _ProcessGone(Exception):
    """The process has ended, and not for what it was asked, as far as one knows."""


class _Spent:
    """How much of what a question may cost is left. A machine that is busy with something else costs it nothing."""

    def __init__(self, pid: int, most: Cost) -> None:
        self._pid = pid
        self._most = most
        self._began = time.monotonic()
        self._before = _processor(pid)

    def left(self) -> float:
        """Return for how many seconds at least it may go on. Raises `OSError` where the process is gone."""
        passed = time.monotonic() - self._began
        used = passed if passed < self._most.used else _processor(self._pid) - self._before
        return min(self._most.used - used, self._most.passed - passed)


def _processor(pid: int) -> float:
    """Return the seconds of processor time that a process has taken. Raises `OSError` for one that is gone."""
    told = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return sum(map(int, told[_USED])) / _TICKS


def _heard(child: subprocess.Popen[bytes], left: Callable[[], float]) -> bytes:
    """Return the next message of the process. Raises `ProgramStopped` once no time is left, `_ProcessGone` where there will be none."""
    size = int.from_bytes(_read(child, 4, left), "big")
    if size > _LARGEST:
        raise ProgramStopped
    return _read(child, size, left)


def _read(child: subprocess.Popen[bytes], size: int, left: Callable[[], float]) -> bytes:
    assert child.stdout is not None
    found = b""
    waiting = select.poll()
    waiting.register(child.stdout, select.POLLIN)
    while len(found) < size:
        if not waiting.poll(0):
            patience = left()
            if patience <= 0:
                raise ProgramStopped
            if not waiting.poll(max(patience * 1000, 1)):
                continue
        more = os.read(child.stdout.fileno(), size - len(found))
        if not more:
            raise _ProcessGone
        found += more
    return found


def _kill(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue  # what was still to be written to it goes nowhere
    child.wait()
