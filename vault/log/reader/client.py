# SPDX-License-Identifier: EUPL-1.2
"""Asks the log reader, from the server's event loop, and has one running: whoever finds none starts one.

Several workers share one reader; of two that were started at the same time one ends again. A reader that has ended is
started again, ever more slowly while that does not help. One that hangs, or was stopped, is ended by whoever sees it first.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from vault.framework.concurrency.lasting import LastingTask, Told
from vault.log.reader import messages
from vault.log.reader.launch import ReaderProcess, Start, kill_listener
from vault.log.reader.messages import (
    LONGEST_WAIT,
    NONSENSE,
    SOCKET,
    VERSION,
    Ask,
    Beat,
    Cancel,
    Follow,
    Question,
    Refused,
    Stop,
    framed,
)

ANSWER_SECONDS: Final = 20.0
"""How long a question may take in all; a tail may take what it waits for besides."""
CONNECTED_SECONDS: Final = 5.0
"""How long a question waits for a connection."""
_SHORTEST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 15.0
"""Seconds between two tries at most."""
_STEADY_SECONDS: Final = 30.0
"""After so long a connection the next pause is the shortest again."""

PATIENCE: Final = 60.0
"""Seconds after which a reader that says nothing is ended."""
_BEAT: Final = 0
"""The number of the question whether a reader is there; others have larger ones, and nobody waits for its answer."""
_BEATS: Final = 12
"""Beats in that time. They are counted: a machine that stood still as a whole has let none pass."""

Reply = TypeVar("Reply", bound=msgspec.Struct)


class LogReaderAway(Exception):
    """The log reader does not answer."""

    def __init__(self) -> None:
        super().__init__("the log reader does not answer; ask again later")


class LogReader:
    """The log reader of a folder, seen from the server. Nothing here blocks the event loop."""

    def __init__(
        self,
        folder: Path,
        now: Callable[[], float],
        start: Start | None = None,
        *,
        defect: Told,
        hung: Callable[[], object] = lambda: None,
        longest_pause: float = LONGEST_PAUSE,
        patience: float = PATIENCE,
    ) -> None:
        """`now` counts seconds; `start` starts a reader, without it `python -m vault.log.reader`.

        `defect` is told of what ended the keeping of one, which is begun anew, and `hung` of a reader that said nothing
        for `patience` seconds and was ended.
        """
        self._longest_pause: Final = longest_pause
        self._hung: Final = hung
        self._patience: Final = patience
        self._folder: Final = folder
        self._now: Final = now
        self._start: Final = start or (lambda: ReaderProcess(folder))
        self._process: ReaderProcess | None = None
        self._launched = self._unheard = self._now()
        """When a reader was started from here or a line to one ended, and since when none has been heard."""
        self._line: _Line | None = None
        self._connected = asyncio.Event()
        self._keeping = LastingTask(self._keep, defect)
        self.starts = 0
        """How often a reader was started from here."""

    @property
    def connected(self) -> bool:
        """Whether a reader can be asked at once."""
        return self._line is not None

    def begin(self) -> None:
        """Have a reader running from now on: it indexes, and closes segments, whether it is asked or not."""
        self._keeping.start()

    async def close(self) -> None:
        """Leave the reader to others; without any it ends by itself."""
        await self._keeping.stop()

    async def search(self, ask: messages.Search) -> messages.SearchPage:
        """Return a page of a search. Raises `LogReaderAway`, `Refused`, as all of these do."""
        return await self._ask(ask, messages.SearchPage)

    async def follow(self, ask: messages.Follow) -> messages.TailPage:
        """Return the next records of a log. Cancelled, it leaves its place in the reader to others."""
        return await self._ask(ask, messages.TailPage, ANSWER_SECONDS + ask.wait)

    async def record(self, ask: messages.Record) -> messages.TailPage:
        """Return one record."""
        return await self._ask(ask, messages.TailPage)

    async def proof(self, ask: messages.Proof) -> messages.Text:
        """Return the proof of a record."""
        return await self._ask(ask, messages.Text)

    async def consistency(self, ask: messages.Consistency) -> messages.Hashes:
        """Return the proof that a log only grew."""
        return await self._ask(ask, messages.Hashes)

    async def tile(self, ask: messages.ReadTile) -> messages.Content:
        """Return hashes of the tree."""
        return await self._ask(ask, messages.Content)

    async def segments(self, ask: messages.ListSegments) -> messages.Segments:
        """Return a page of the segments of a log."""
        return await self._ask(ask, messages.Segments)

    async def all_segments(
        self, log: str, limit: int = messages.MOST_SEGMENTS
    ) -> list[messages.SegmentEntry]:
        """Return all segments of a log, which are asked for by pages of so many."""
        found: list[messages.SegmentEntry] = []
        begin: int | None = 0
        while begin is not None:
            page = await self.segments(messages.ListSegments(log=log, first=begin, limit=limit))
            found += page.segments
            begin = page.next
        return found

    async def segment(self, ask: messages.ReadSegment) -> messages.Content:
        """Return a part of a file of a closed segment."""
        return await self._ask(ask, messages.Content)

    async def checkpoint(self, ask: messages.NewestCheckpoint) -> messages.Text:
        """Return the newest checkpoint of a log."""
        return await self._ask(ask, messages.Text)

    async def count(self, ask: messages.Count) -> messages.OutcomeCounts:
        """Return how many records there are."""
        return await self._ask(ask, messages.OutcomeCounts)

    async def purge(self, ask: messages.Purge) -> messages.PurgeResult:
        """Remove the oldest segments of a log."""
        return await self._ask(ask, messages.PurgeResult)

    async def status(self) -> messages.ReaderStatus:
        """Return how the reader is."""
        return await self._ask(messages.Status(), messages.ReaderStatus)

    async def _ask(self, ask: Ask, form: type[Reply], seconds: float = ANSWER_SECONDS) -> Reply:
        try:
            async with asyncio.timeout(CONNECTED_SECONDS):
                await self._connected.wait()
            async with asyncio.timeout(seconds):
                if self._line is None:
                    raise LogReaderAway
                answer, pieces = await self._line.ask(ask)
                found: Reply = _DECODERS[form](answer)
                return msgspec.structs.replace(found, pieces=tuple(pieces)) if pieces else found
        except (TimeoutError, OSError, *NONSENSE):
            raise LogReaderAway from None

    # ------------------------------------------------------------------------------------------ keeping one
    async def _keep(self) -> None:
        """Stay connected, whatever becomes of the reader."""
        pause = _SHORTEST_PAUSE
        try:
            while True:
                line = await self._connect()
                if line is None:
                    self._launch()
                else:
                    began = self._now()
                    self._line = line
                    self._connected.set()
                    if await line.ended(self._patience / _BEATS):
                        self._end(line)
                    await line.close()
                    self._launched = self._unheard = self._now()
                    self._connected.clear()
                    self._line = None
                    if self._now() - began >= _STEADY_SECONDS:
                        pause = _SHORTEST_PAUSE
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._longest_pause)
        finally:
            line, self._line = self._line, None
            self._connected.clear()
            if line is not None:
                await line.close()

    def _end(self, line: _Line | None) -> None:
        """End a reader that hangs: the one at the other end of a line, or where there is none the one that was started here."""
        if line is not None:
            line.kill()
        elif self._process is not None:
            self._process.kill()
        self._launched = self._unheard = self._now()
        self._hung()

    def _launch(self) -> None:
        """Start a reader, unless one that was started here still runs; where that is heard by nobody, it hangs."""
        if self._process is None or self._process.ended:
            self._process, self._launched = self._start(), self._now()
            self.starts += 1
        elif self._now() - self._launched >= self._patience:
            self._end(None)

    async def _connect(self) -> _Line | None:
        """Return a line to the reader; None where there is none, or one that speaks otherwise, which is told to end."""
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            found.setblocking(False)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                found.connect(f"/proc/self/fd/{folder}/{SOCKET}")  # its own path may be too long for a socket
            finally:
                os.close(folder)
            reader, writer = await asyncio.open_unix_connection(sock=found)
        except OSError:
            found.close()
            return None
        line = _Line(reader, writer)
        try:
            async with asyncio.timeout(CONNECTED_SECONDS):
                if await line.version() == VERSION:
                    return line
                with suppress(Refused):
                    await line.ask(Stop())
        except TimeoutError:
            if self._now() - self._unheard >= self._patience:
                self._end(line)
        except (OSError, asyncio.IncompleteReadError, *NONSENSE):
            self._launched = self._now()  # one that has no place, or speaks nonsense, does not hang
        except asyncio.CancelledError:
            writer.close()
            raise
        await line.close()
        return None


class _PendingAnswer:
    """A question that waits for its answer, and the pieces that came of it."""

    __slots__ = ("answer", "pieces", "size")

    def __init__(self) -> None:
        self.answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self.pieces: list[bytes] = []
        self.size = 0

    def take(self, piece: bytes) -> None:
        """Keep a piece. Raises `ConnectionError` for one too many."""
        self.size += len(piece)
        if self.size > messages.LARGEST_ANSWER:
            raise ConnectionError
        self.pieces.append(piece)


class _Line:
    """A connection with any number of questions under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, _PendingAnswer] = {}
        self._number = 0
        self._frames = 0
        """How many were heard."""
        self._hearing: asyncio.Task[None] | None = None

    async def version(self) -> str:
        """Return what the reader says first, and listen to it from now on."""
        said = messages.hello(await self._frame()).version
        self._hearing = asyncio.get_running_loop().create_task(self._hear())
        return said

    async def ask(self, ask: Ask) -> tuple[msgspec.Raw, list[bytes]]:
        """Return the answer, and pieces of its content. Raises `Refused`, and `OSError` where the connection ends before it.

        What is larger than the reader takes is not sent: it would end the connection, with all that others ask over it.
        """
        self._number += 1
        number = self._number
        frame = messages.asked(Question(number, ask))
        waiting = self._waiting[number] = _PendingAnswer()
        try:
            if self._hearing is None or self._hearing.done():
                raise ConnectionError
            self._writer.write(frame)
            await self._writer.drain()
            return await waiting.answer, waiting.pieces
        except asyncio.CancelledError:
            if isinstance(ask, Follow) and not self._writer.is_closing():
                self._writer.write(framed(Question(number, Cancel(number))))
            raise
        finally:
            self._waiting.pop(number, None)

    async def ended(self, beat: float) -> bool:
        """Return when the connection has ended, or nothing has come of it for `_BEATS` of so many seconds: whether it hangs."""
        missed = 0
        while self._hearing is not None and missed <= _BEATS:
            heard = self._frames
            if (await asyncio.wait([self._hearing], timeout=beat))[0]:
                return False
            missed = missed + 1 if heard == self._frames else 0
            if missed == 1:
                self._writer.write(framed(Question(_BEAT, Beat())))
        return True

    def kill(self) -> None:
        """End the reader at once."""
        kill_listener(self._writer.get_extra_info("socket"))

    async def close(self) -> None:
        """End it."""
        if self._hearing is not None:
            self._hearing.cancel()
        self._writer.close()
        self._give_up()
        with suppress(OSError):
            await self._writer.wait_closed()

    def _give_up(self) -> None:
        """Tell all who wait that no answer will come."""
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(ConnectionError())

    async def _hear(self) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, *NONSENSE):
            while True:
                self._heard(await self._frame())
        self._give_up()

    def _heard(self, frame: bytes) -> None:
        """Hand on a piece or an answer, unless whoever asked has gone. Raises `ConnectionError`, `NONSENSE`."""
        piece = messages.piece_of(frame)
        if piece is not None:
            waiting = self._waiting.get(piece[0])
            if waiting is not None:
                waiting.take(piece[1])
            return
        said = messages.answer(frame)
        waiting = self._waiting.get(said.number)
        if waiting is None or waiting.answer.done():
            return
        if said.refusal is not None:
            waiting.answer.set_exception(Refused(said.refusal.kind, said.refusal.text, said.refusal.first))
        else:
            waiting.answer.set_result(said.answer)

    async def _frame(self) -> bytes:
        length = messages.length_of(await self._reader.readexactly(4))
        self._frames += 1
        if length > messages.LARGEST_ANSWER:
            raise ConnectionError
        return await self._reader.readexactly(length)


_DECODERS: Final[Mapping[type[msgspec.Struct], Callable[[msgspec.Raw], Any]]] = {
    form: msgspec.json.Decoder(form).decode
    for form in (
        messages.SearchPage, messages.TailPage, messages.Text, messages.Hashes, messages.Content,
        messages.Segments, messages.OutcomeCounts, messages.PurgeResult, messages.ReaderStatus,
    )
}  # fmt: skip

__all__ = ["ANSWER_SECONDS", "LONGEST_WAIT", "LogReader", "LogReaderAway", "Refused"]
