# SPDX-License-Identifier: EUPL-1.2
"""Answers questions about the logs of a folder over a Unix socket that only this user may open.

Each question is a task of its own, and long ones give way to others every few milliseconds. What is not as it should
be ends its connection, and so does a frame that is larger than any question is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from vault.log.reader import proofs
from vault.log.reader.counts import count
from vault.log.reader.folder import LogFolder
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.store import IndexDamaged, IndexFull
from vault.log.reader.messages import (
    LARGEST_ANSWER,
    LARGEST_QUESTION,
    NONSENSE,
    VERSION,
    Alive,
    Answer,
    Ask,
    Beat,
    Cancel,
    Consistency,
    Count,
    Follow,
    Hello,
    ListSegments,
    NewestCheckpoint,
    Proof,
    Purge,
    Question,
    ReadSegment,
    ReadTile,
    Record,
    Refusal,
    Refused,
    Search,
    Status,
    Stop,
    framed,
    length_of,
    question,
    replied,
)
from vault.log.reader.search import SECONDS, Page
from vault.log.reader.tail import follow


class ServiceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken on at once, and for how long."""

    connections: int = 64
    in_flight: int = 256
    """Questions of one connection that may be unanswered."""
    tails: int = 128
    """Tails among them: what waits for a minute must not keep out what is answered at once."""
    searches: int = 8
    """Searches that go on at the same time; others wait for their turn."""
    search_seconds: float = SECONDS
    frame_seconds: float = 10.0
    """How long a frame may take from its first byte to its last."""


_UNFIT: Final = "a value is too long or too large, or there are too many"


class _QuestionNumber(msgspec.Struct):
    number: int


_question_number: Final = msgspec.json.Decoder(_QuestionNumber).decode


class Service:
    """Serves one folder."""

    def __init__(
        self,
        folder: LogFolder,
        now: Callable[[], float],
        stop: Callable[[], None],
        limits: ServiceLimits = ServiceLimits(),  # noqa: B008 -- it is frozen
    ) -> None:
        """`stop` is called when a client asks for the end."""
        self._limits: Final = limits
        self._folder, self._now, self._stop = folder, now, stop
        self._searching = asyncio.Semaphore(limits.searches)
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes over one connection, until it ends."""
        if self.connections >= self._limits.connections:
            writer.close()
            return
        self.connections += 1
        tasks: set[asyncio.Task[None]] = set()
        tails: dict[asyncio.Task[None], int] = {}
        turn = asyncio.Lock()
        try:
            writer.write(framed(Hello(VERSION)))
            while (body := await self._frame(reader)) is not None:
                asked = _question(body)
                if asked is None:
                    break
                if isinstance(asked, Question) and _cancelled(tails, asked.ask):
                    continue
                tail = _is_tail(asked)
                if isinstance(asked, Question) and len(tasks) >= self._limits.in_flight:
                    asked = Answer(asked.number, refusal=_busy("too many questions are unanswered"))
                elif tail and len(tails) >= self._limits.tails:
                    asked = Answer(asked.number, refusal=_busy("too many wait for records; ask again later"))
                task = asyncio.get_running_loop().create_task(self._reply(asked, writer, turn))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                if tail:
                    tails[task] = asked.number
                    task.add_done_callback(tails.pop)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # it has gone
        finally:
            self.connections -= 1
            for task in tasks:
                task.cancel()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _reply(
        self, asked: Question | Answer, writer: asyncio.StreamWriter, turn: asyncio.Lock
    ) -> None:
        answer = asked if isinstance(asked, Answer) else await self._answer(asked)
        frames = [framed(answer)] if isinstance(answer, Answer) else [*replied(asked.number, answer)]
        if sum(map(len, frames)) > LARGEST_ANSWER:
            frames = [framed(Answer(asked.number, refusal=_busy("the answer is too large; ask for less")))]
        with suppress(OSError):
            for frame in frames:
                async with turn:
                    writer.write(frame)
                    await writer.drain()

    async def _answer(self, asked: Question) -> msgspec.Struct:
        rebuilds = self._folder.rebuilds
        try:
            return await self._found(asked.ask)
        except Refused as refused:
            return Answer(asked.number, refusal=refused.refusal)
        except IndexDamaged:
            if self._folder.rebuilds == rebuilds:
                self._folder.rebuild()
            return Answer(
                asked.number, refusal=Refusal(kind="rebuilding", text="the index is made anew; ask again")
            )
        except (IndexFull, OSError) as error:
            said = getattr(error, "strerror", None) or str(error)
            return Answer(asked.number, refusal=_busy(f"the log reader cannot read: {said}"))
        except Exception as error:  # noqa: BLE001 -- whoever asked would wait for an answer that never comes
            said = f"the log reader failed with {type(error).__name__}"
            return Answer(asked.number, refusal=Refusal(kind="failed", text=said))

    async def _found(self, ask: Ask) -> msgspec.Struct:
        folder = self._folder
        if isinstance(ask, Search | Count | Record | Proof):
            await folder.catch_up()
        elif not isinstance(
            ask, Follow | Status | Beat
        ):  # the first does itself, how it is tells of no record
            folder.wake()
        match ask:
            case Search():
                async with self._searching:
                    return await Page(folder.logs.values(), folder.lines, ask).read(
                        self._now, self._now() + self._limits.search_seconds
                    )
            case Count():
                async with self._searching:
                    until = self._now() + self._limits.search_seconds
                    return await count([*folder.logs.values()], folder.lines, ask, self._now, until)
            case Follow():
                await folder.wait(ask)
                return await follow(self._log(ask.log), folder.lines, ask)
            case Purge():
                return await folder.purge(self._log(ask.log), ask)
            case Status():
                return folder.status()
            case Beat():
                return Alive()
            case Cancel():
                raise Refused("missing", "no tail of this number waits")
            case Stop():
                self._stop()
                return folder.status()
            case Record():
                return proofs.record(self._log(ask.log), folder.lines, ask)
            case Proof():
                return proofs.proof(self._log(ask.log), folder.lines, ask)
            case Consistency():
                return proofs.consistency(self._log(ask.log), ask)
            case ReadTile():
                return proofs.tile(self._log(ask.log), ask)
            case ListSegments():
                return await proofs.segments(self._log(ask.log), ask)
            case ReadSegment():
                return proofs.segment(self._log(ask.log), ask)
            case NewestCheckpoint():
                return proofs.checkpoint(self._log(ask.log), ask)

    async def _frame(self, reader: asyncio.StreamReader) -> bytes | None:
        """Return the body of the next frame; None where there is none, or one that is too large."""
        first = await reader.read(1)
        if not first:
            return None
        async with asyncio.timeout(self._limits.frame_seconds):
            length = length_of(first + await reader.readexactly(3))
            return await reader.readexactly(length) if length <= LARGEST_QUESTION else None

    def _log(self, name: str) -> FollowedLog:
        log = self._folder.logs.get(name)
        if log is None:
            raise Refused("missing", "there is no such log")
        return log


def _question(body: bytes) -> Question | Answer | None:
    """Return what is asked, or the answer to what cannot be; None where nobody can say to which question."""
    try:
        return question(body)
    except NONSENSE:
        try:
            number = _question_number(body).number
        except NONSENSE:
            return None
        return Answer(number, refusal=Refusal(kind="malformed", text=_UNFIT))


def _cancelled(tails: Mapping[asyncio.Task[None], int], ask: Ask) -> bool:
    """Whether what is asked is to end a tail that waits; it is ended then, and neither has an answer."""
    if not isinstance(ask, Cancel):
        return False
    found = [task for task, number in tails.items() if number == ask.tail]
    for task in found:
        task.cancel()
    return bool(found)


def _is_tail(asked: Question | Answer) -> bool:
    """Whether it may wait for records."""
    return isinstance(asked, Question) and isinstance(asked.ask, Follow) and asked.ask.wait > 0


def _busy(text: str) -> Refusal:
    return Refusal(kind="busy", text=text)
