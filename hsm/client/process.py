# SPDX-License-Identifier: EUPL-1.2
"""One agent process, seen from the server: started, asked, watched, killed.

A thread of its own starts the process and reads its replies until the end; it must be the same one, because
the kernel kills the agent when the thread that started it ends. No more requests are under way than the agent
has sessions. A request's time counts from when it joined the queue, so its caller gets an answer or an error within it.
Whether the agent hangs, and is killed for it, is judged by the time since it could work on the request.
What does not fit the channel's buffer at once goes on its way when the agent has read some of it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import msgspec

from hsm.client.launch import PROGRAM, Launch, last_words, start
from hsm.errors import AgentDied, BadConfig, HsmError, PinBlocked, SlotUnavailable
from hsm.operations import Operation
from hsm.pin import Pin, PinMark
from hsm.protocol import FIRST, LOADED, READY, AgentReply, BadFrame, FrameReader, Request, decode, encode

__all__ = ["LOADING_SECONDS", "MOST_WAITING", "PROGRAM", "AgentProcess", "Launch"]

MOST_WAITING: Final = 1024
"""Requests that may wait for one that is under way."""
LOADING_SECONDS: Final = 30.0
"""How long the program itself may take to load, before it has touched the module."""

_RECEIVE: Final = 1 << 16
_END_SECONDS: Final = 1.0
_BUSY: Final = "the agent was too busy"
_ENDED: Final = "the agent was told to end"
_IDLE_SECONDS: Final = 1.0
"""How long the thread sleeps with nothing to watch; a request that must end before that wakes it."""


class _Job:
    """One request, waiting or under way."""

    __slots__ = ("expires", "frame", "hangs", "number", "result", "seconds")

    def __init__(self, number: int, frame: bytes, seconds: float, expires: float) -> None:
        self.number = number
        self.frame = frame
        self.seconds = seconds
        self.expires = expires
        """When it is to be looked at next: until then the caller waits, or the agent is given time."""
        self.hangs = expires
        self.result: Future[msgspec.Raw] = Future()


class AgentProcess:
    """Starts on construction, and is `dead` at some time. Thread-safe; nothing here blocks but `join`."""

    def __init__(self, launch: Launch, *, now: Callable[[], float]) -> None:
        self._launch = msgspec.structs.replace(launch, pin=self._read_pin)
        self._source = launch.pin
        self._now = now
        self._lock = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._running: dict[int, _Job] = {}
        self._outgoing = bytearray()
        self._number = FIRST
        self._loaded = self._ready = False
        self._next_look = 0.0
        self._stop = ""
        self._retiring = False
        self._ended: HsmError | None = None
        self.doubts = 0
        """How many answers in a row said that the token cannot be reached."""
        self.refused: PinBlocked | None = None
        """Why the token takes no login with this PIN."""
        self.tried: PinMark | None = None
        """The PIN that it was given; the source may say something else by now."""
        self._channel, self._far = socket.socketpair()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._reader = FrameReader()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._live, name="hsm-agent", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether its token has been opened, so that a request need not wait for that."""
        return self._ready

    @property
    def dead(self) -> bool:
        """Whether it takes no more requests."""
        return self._ended is not None

    @property
    def reason(self) -> str:
        """Why it is dead; empty while it is not."""
        return str(self._ended or "")

    @property
    def pid(self) -> int | None:
        """Number of the process, once there is one."""
        return self._child.pid if self._child else None

    def submit(self, operation: Operation, seconds: float) -> Future[msgspec.Raw]:
        """Ask for `operation`, which may take so many seconds, its wait for others included, and more until the token is open.

        The future ends in any case: with the encoded result, or with an `HsmError`. Raises `BadConfig` for a
        request that is too large, `SlotUnavailable` when too many requests wait, and when the process is dead
        what it died of: a late caller gets the same error as one that asked in time.
        """
        with self._lock:
            if self._ended is not None:
                raise _again(self._ended)
            if len(self._waiting) >= MOST_WAITING:
                raise SlotUnavailable(f"{MOST_WAITING} requests wait for the agent already")
            number, self._number = self._number, self._number + 1
            try:
                frame = encode(Request(number, operation))
            except BadFrame as error:
                raise BadConfig(f"request: {error}; sign a hash instead") from error
            patience = seconds if self._ready else seconds + LOADING_SECONDS + self._launch.opening_seconds
            now = self._now()
            job = _Job(number, frame, seconds, now + patience)
            self._waiting.append(job)
            self._dispatch(now)
            if job.expires < self._next_look:
                self._alarm()
        return job.result

    def end(self) -> None:
        """Let the process end; requests that are not answered yet fail, and then it is killed. Returns at once."""
        with self._lock:
            self._stop = _ENDED
            self._alarm()

    def retire(self) -> None:
        """Let the process end when everything that it was asked is answered, and ask it nothing more."""
        with self._lock:
            self._retiring = True
            self._alarm()

    def join(self, seconds: float) -> None:
        """Wait until the process is gone, for so many seconds at most."""
        self._thread.join(seconds)

    def _live(self) -> None:
        try:
            self._start()
            self._serve()
        except HsmError as error:
            self._end(error)
        except OSError as error:
            self._end(SlotUnavailable(f"the agent cannot be run: {error.strerror}"))
        except BadFrame as error:
            self._end(SlotUnavailable(f"the agent answers nonsense: {error}"))
        except Exception as error:  # noqa: BLE001 - callers that wait must get an error, whatever it is
            self._end(SlotUnavailable(f"the agent's thread failed with {type(error).__name__}"))

    def _read_pin(self) -> Pin:
        pin = self._source()
        self.tried = PinMark(pin)
        return pin

    def _start(self) -> None:
        """Start the process and hand over what it needs to know. Raises `HsmError` and `OSError`."""
        with start(self._launch, self._far.fileno()) as child:
            with self._lock:
                self._child = child
        self._far.close()
        self._channel.setblocking(False)
        with contextlib.suppress(OSError):  # it died already; that shows as the end of the channel
            self._channel.send(encode(self._launch.config))

    def _serve(self) -> None:
        """Read replies until the process ends, is told to end, or hangs. Raises `HsmError`."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        deadline = self._now() + LOADING_SECONDS
        while True:
            with self._lock:
                if self._retiring and not self._running and not self._waiting:
                    self._stop = _ENDED
                if self._stop:
                    raise SlotUnavailable(self._stop)
                self._next_look = self._look(deadline)
                pause = max(0.0, self._next_look - self._now())
                poll.modify(self._channel, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
            poll.poll(pause * 1000 + 1)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            with self._lock:
                self._flush()
            for reply in self._received():
                if reply.number == LOADED:
                    self._loaded = True
                    deadline = self._now() + self._launch.opening_seconds
                else:
                    self._take(reply)

    def _look(self, deadline: float) -> float:
        """Fail what waited too long; raise `SlotUnavailable` when the agent hangs. Return when to look again."""
        now = self._now()
        if not self._ready and now >= deadline:
            raise SlotUnavailable("the agent did not open the token in time and was killed")
        for job in [job for job in self._waiting if job.expires <= now]:
            self._waiting.remove(job)
            _fail(job, SlotUnavailable(_BUSY))
        for job in self._running.values():
            if job.hangs <= now:
                raise SlotUnavailable(f"no answer within {job.seconds:g} s; the agent was killed")
            if job.expires <= now:
                _fail(job, SlotUnavailable(_BUSY))
                job.expires = job.hangs
        times = [job.expires for job in (*self._running.values(), *self._waiting)]
        return min(*times, now + _IDLE_SECONDS, now + _IDLE_SECONDS if self._ready else deadline)

    def _received(self) -> list[AgentReply]:
        try:
            received = self._channel.recv(_RECEIVE)
        except BlockingIOError:
            return []
        except OSError:  # it left something unread
            received = b""
        if not received:
            raise (AgentDied if self._ready else SlotUnavailable)(self._obituary())
        return [decode(body, AgentReply) for body in self._reader.feed(received)]

    def _obituary(self) -> str:
        """Say what the process died of: by what signal or code, and by which exception where its program never loaded."""
        assert self._child is not None
        try:
            code = self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "the agent closed its channel"
        how = f" of {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}"
        said = "" if self._loaded else last_words(self._child)
        return f"the agent died{how}{said and ': ' + said}"

    def _take(self, reply: AgentReply) -> None:
        """Hand a reply to the caller that waits for it."""
        if reply.number == READY:
            if reply.failure is not None:
                raise reply.failure.error()
            with self._lock:
                self._ready = True
                self._dispatch(self._now())
            return
        with self._lock:
            job = self._running.pop(reply.number, None)
            self._dispatch(self._now())
        if job is None:
            raise BadFrame("a reply to no request")
        if reply.failure is not None:
            error = reply.failure.error()
            self._note(error)
            _fail(job, error)
        else:
            self.doubts = 0
            if not job.result.done():
                job.result.set_result(reply.result)

    def _dispatch(self, now: float) -> None:
        """Send what may be sent. Holds the lock; never blocks."""
        while self._ready and self._waiting and len(self._running) < self._launch.config.max_sessions:
            job = self._waiting.popleft()
            if not job.result.set_running_or_notify_cancel():
                continue
            if job.expires <= now:
                _fail(job, SlotUnavailable(_BUSY))
                continue
            job.hangs = now + job.seconds
            job.expires = min(job.expires, job.hangs)
            self._running[job.number] = job
            self._outgoing += job.frame
        self._flush()
        if self._outgoing:
            self._alarm()

    def _flush(self) -> None:
        """Give the channel what it takes; it may be closed at the other end, and that shows as its end. Holds the lock."""
        with contextlib.suppress(OSError):
            while self._outgoing:
                del self._outgoing[: self._channel.send(self._outgoing)]

    def _alarm(self) -> None:
        """Let the thread look again. Holds the lock."""
        if self._ended is None:
            os.eventfd_write(self._wake, 1)

    def _end(self, error: HsmError) -> None:
        """Take no more, fail what is not answered, and see the process gone."""
        self._note(error)
        with self._lock:
            self._ended = error
            jobs = [*self._running.values(), *self._waiting]
            self._running.clear()
            self._waiting.clear()
            graceful = self._stop == _ENDED and not jobs
            self._channel.close()
            self._far.close()
            os.close(self._wake)
        if self._child is not None and not graceful:
            self._child.kill()
        for job in jobs:
            _fail(job, error)
        if self._child is not None:
            self._reap(self._child)

    def _note(self, error: HsmError) -> None:
        """Remember what an error says of this agent, before the caller gets it."""
        if isinstance(error, PinBlocked):
            self.refused = error
        elif isinstance(error, SlotUnavailable):
            self.doubts += 1

    @staticmethod
    def _reap(child: subprocess.Popen[bytes]) -> None:
        if child.stderr is not None:
            child.stderr.close()
        try:
            child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _fail(job: _Job, error: HsmError) -> None:
    """End a job with an error, unless its caller has gone, or has the error already that it took too long."""
    if not job.result.done() and (job.result.running() or job.result.set_running_or_notify_cancel()):
        job.result.set_exception(_again(error))


def _again(error: HsmError) -> HsmError:
    """The same error for one more caller: an exception that is raised twice collects both tracebacks."""
    return type(error)(str(error), ckr=error.ckr)
