# SPDX-License-Identifier: EUPL-1.2
"""Runs programs, in a process that is started when the first is there and ended when one takes too long (SL-95)."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from nhi.auth.jwt.cel import talk
from nhi.auth.jwt.cel.talk import Answer, Question
from vault.framework.errors import Limited, Malformed

SECONDS: Final = 5.0
"""How long a program may take. What it can be needed for takes a millisecond."""
_BEGINNING: Final = 30.0
"""Seconds until the process must be ready."""
_LARGEST: Final = 1 << 20
_MOST: Final = 64
"""Programs that run or wait for their turn; others are refused at once."""
_PROGRAM: Final = (sys.executable, "-I", "-m", "nhi.auth.jwt.cel.child")
MISSING: Final = "CEL roles are not available: the server was installed without its part `cel`"


class Ended(Exception):
    """The process has ended, or had to be."""


class Programs:
    """One process for all programs of this server; they are run in turn, and none is told of another's claims."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """`seconds` is how long a program may take."""
        self._seconds = seconds
        self._turn = ThreadPoolExecutor(1, "cel")
        self._asked = 0
        weakref.finalize(self, self._turn.shutdown, wait=False)
        self._child: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize | None = None  # type: ignore[type-arg]  # it is not generic at run time

    async def check(self, question: Question) -> None:
        """Make sure that a program can be run. Raises `Malformed`, `Limited`."""
        answer = await self._answer(question)
        if answer.refused:
            raise Malformed(answer.refused)

    async def run(self, question: Question) -> Answer:
        """Return what a program makes of a token. Raises `Malformed`, `Limited`."""
        answer = await self._answer(question)
        if answer.refused:
            raise Malformed(f"error executing cel program: {answer.refused}")
        return answer

    def close(self) -> None:
        """End the process; a later question starts another."""
        if self._end is not None:
            self._end()
        self._child = self._end = None

    async def _answer(self, question: Question) -> Answer:
        """Return what the process says, once it is this question's turn."""
        if self._asked >= _MOST:
            raise Limited("too many CEL programs wait for their turn: try again")
        turn = asyncio.get_running_loop().run_in_executor(self._turn, self._ask, question)
        self._asked += 1
        turn.add_done_callback(self._answered)
        return await turn

    def _answered(self, _: object) -> None:
        self._asked -= 1

    def _ask(self, question: Question) -> Answer:
        try:
            packed = talk.packed(question)
        except OverflowError:
            raise Malformed("error executing cel program: a claim is a number of more than 64 bits") from None
        if self._child is not None and self._child.poll() is not None:
            self.close()
        try:
            child = self._child or self._start()
            assert child.stdin is not None
            child.stdin.write(packed)
            child.stdin.flush()
            return talk.opened(_heard(child, self._seconds))
        except (Ended, OSError, msgspec.MsgspecError):
            started = self._child is not None
            self.close()
            raise Malformed(
                "error executing cel program: it takes too long or too much memory" if started else MISSING
            ) from None

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process. Raises `Ended` where the library is not there."""
        child = subprocess.Popen(
            _PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
        )
        self._end = weakref.finalize(self, _kill, child)
        if _heard(child, _BEGINNING) != talk.HELLO:
            raise Ended
        self._child = child
        return child


def _heard(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Return the next message of the process. Raises `Ended`."""
    until = time.monotonic() + seconds
    size = int.from_bytes(_read(child, 4, until), "big")
    if size > _LARGEST:
        raise Ended
    return _read(child, size, until)


def _read(child: subprocess.Popen[bytes], size: int, until: float) -> bytes:
    assert child.stdout is not None
    found = b""
    waiting = select.poll()
    waiting.register(child.stdout, select.POLLIN)
    while len(found) < size:
        left = until - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            raise Ended
        more = os.read(child.stdout.fileno(), size - len(found))
        if not more:
            raise Ended
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
