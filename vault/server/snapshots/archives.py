# SPDX-License-Identifier: EUPL-1.2
"""Archives of backups for clients of the API: made by a process of its own, and passed on piece by piece.

No more than a few pieces are in memory: the process waits while the client does.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from vault.server.config.settings import StorageSettings
from vault.server.snapshots.messages import ARCHIVE, LONGEST, ArchiveResult
from vault.server.snapshots.process import PATIENCE, last_words, opened
from vault.storage.copies.archive import last_part
from vault.storage.copies.workplace import clear_workplaces
from vault.storage.protocol import StorageFailure

PROGRAM: Final = (sys.executable, "-I", "-m", "vault.server.offline.archived")
_PIECE: Final = 1 << 18
_WAITING: Final = 4
"""Pieces that wait for the client."""


class _Feed:
    """A process that makes an archive, and the thread that reads it; the last piece is None."""

    def __init__(self, line: bytes, environment: Mapping[str, str], program: Sequence[str]) -> None:
        self.pieces: Final[asyncio.Queue[bytes | None]] = asyncio.Queue(_WAITING)
        self.result = ArchiveResult()
        self._line, self._environment, self._program = line, environment, program
        self._loop: Final = asyncio.get_running_loop()
        self._lock: Final = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False
        threading.Thread(target=self._live, name="archive", daemon=True).start()

    async def end(self) -> None:
        """Have the process end, and wait until it has; it is killed where it does not."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.terminate()
        killing = self._loop.call_later(PATIENCE, self._kill)
        while await self.pieces.get() is not None:
            pass
        killing.cancel()

    def _kill(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def _live(self) -> None:
        try:
            self.result = self._passed_on()
        except OSError as error:
            self.result = ArchiveResult(
                failure=f"the process that makes it cannot be started: {error.strerror}"
            )
        with suppress(RuntimeError):  # the loop has ended with the server
            self._put(None)

    def _put(self, piece: bytes | None) -> None:
        asyncio.run_coroutine_threadsafe(self.pieces.put(piece), self._loop).result()

    def _passed_on(self) -> ArchiveResult:
        with opened(self._program, self._environment) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stderr is not None
            with self._lock:
                self._child = child
                if self._stopped:
                    child.terminate()
            with suppress(BrokenPipeError):
                child.stdin.write(self._line)
                child.stdin.flush()
            while piece := os.read(child.stdout.fileno(), _PIECE):
                self._put(piece)
            said = child.stderr.read(LONGEST)
            child.wait()
            with self._lock:
                self._child = None
            with suppress(BrokenPipeError):
                child.stdin.close()
        try:
            return msgspec.json.decode(said, type=ArchiveResult)
        except msgspec.DecodeError:
            return ArchiveResult(
                failure=f"the process that makes it ended with {child.returncode}{last_words(said)}"
            )


async def clear(storage: StorageSettings) -> None:
    """Remove what archives left beside the database whose processes were killed; whose lives stay."""
    if not storage.is_file:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        with suppress(OSError):  # the next one tells
            clear_workplaces(Path(os.path.realpath(storage.path)), ARCHIVE)
        with suppress(RuntimeError):  # the loop has ended with the server
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=work, name="archive", daemon=True).start()
    await done.wait()


async def archive(
    storage: StorageSettings,
    seal: Callable[[bytes], bytes],
    environment: Mapping[str, str] = os.environ,
    program: Sequence[str] = PROGRAM,
) -> AsyncGenerator[bytes, None]:
    """Yield nothing once it has begun, and then the archive, whose sums `seal` seals. Raises `StorageFailure`."""
    feed = _Feed(msgspec.json.encode(storage) + b"\n", environment, program)
    ended = False
    try:
        piece = await feed.pieces.get()
        if piece is not None:
            yield b""
        while piece is not None:
            yield piece
            piece = await feed.pieces.get()
        ended = True
        if not feed.result.sums:
            raise StorageFailure(feed.result.failure or "the process that makes it said nothing")
        yield last_part(seal(feed.result.sums.encode()))
    finally:
        if not ended:
            await feed.end()
