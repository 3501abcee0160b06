# SPDX-License-Identifier: EUPL-1.2
"""One worker among others: how it reaches them, and what it does on their word.

What lives in memory over several requests (shares that were given, sessions of the page) is in the first worker, the one
that has served for longest. Which others there are is said by the supervisor, which also hands over a socket for each thing
that one worker asks of another.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final

from vault.framework.telemetry.log import Log
from vault.quota.tally import Tally
from vault.server.application import Answer, Member, Message
from vault.server.config.settings import Listener
from vault.server.workers import control, tunnel
from vault.server.workers.tunnel import Channel, Place, Receive, Send

_OPEN_PATIENCE: Final = 30.0
"""Seconds that a worker may take to open, which may include waiting for a slow token."""
PATIENCE: Final = 5.0
"""Seconds that a worker may take to do what another asks; after that it is ended. Sealing waits 2 for storage by itself, twice."""
_CHANNEL_PATIENCE: Final = 30.0
"""Seconds that a request waits for a first worker: longer than it takes until one that stands still is replaced."""
_GRACE: Final = 5.0
"""Seconds that it may take longer than a request may: it answers by itself one that takes too long."""
_MOST_WAITING: Final = 1024
"""Requests that wait for it; whoever comes then is told so at once."""
_PAUSE: Final = 0.05
_DRAIN_SECONDS: Final = 10.0
_LENGTH: Final = 4
_LONGEST: Final = 64 << 20
_MOST_IDLE: Final = 64
_SHOW, _TAKE, _SEAL, _MEASURES = "show", "take", "seal", "measures"

_IN_MEMORY: Final = re.compile(
    r"/sys/(?:init|unseal|seal(?!-status)|rekey|rotate|generate-root|namespaces)|^/ui(?:/|$)"
    r"|/oidc/(?:auth_url|callback|poll)|/failures$"
)
"""Paths below which something lives in memory over several requests. Any other that looks like one may go along."""
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods of requests that may write."""
_STATUS: Final = re.compile(r"/sys/seal-status")


def is_for_first(scope: Message, *, one_writes: bool, sealed: bool) -> bool:
    """Whether the first of several workers has to answer a request, of a vault that may be sealed.

    With `one_writes` it answers whatever may write.
    """
    if one_writes and scope["method"] in _WRITES:
        return True
    path = scope["path"]
    return _IN_MEMORY.search(path) is not None or (sealed and _STATUS.search(path) is not None)


class Worker:
    """See `Colleagues`."""

    def __init__(
        self,
        end: socket.socket,
        number: int,
        log: Log,
        *,
        one_writes: bool = False,
        longest: float,
        tally: Tally | None = None,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        """`end` leads to the supervisor. With `one_writes` the first worker answers whatever may write.

        `longest` is how many seconds a request may take where its listener says nothing of that; `most_waiting` may
        wait for the first worker.
        """
        self.number = number
        self.tally = tally
        self._control = end
        self._outbox = control.Outbox(end, self._wait)
        self._log = log
        self._one_writes = one_writes
        self._longest = longest
        self._most_waiting = most_waiting
        self._waiting = 0
        self._crew: tuple[int, ...] = ()
        self._crew_changed = asyncio.Event()
        self._member: Member | None = None
        self._hurry: Callable[[], None] = lambda: None
        self._seals = 0
        self._answers: dict[Place, tuple[Listener, Answer]] = {}
        self._served: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._idle: tuple[int, list[Channel]] = (0, [])

    @property
    def first(self) -> bool:
        """Whether this is the worker that keeps what lives in memory over several requests."""
        return not self._crew or self._crew[0] == self.number

    def on_hurry(self, hurry: Callable[[], None]) -> None:
        """Call `hurry` when the supervisor is asked a second time to end."""
        self._hurry = hurry

    def before(self, answer: Answer, listener: Listener) -> Answer:
        """See `Colleagues`."""
        place = tunnel.place_of(listener)
        self._answers[place] = (listener, answer)
        return _Before(self, answer, place, listener.max_request_duration or self._longest)

    def passes(self, scope: Message) -> bool:
        """Whether the first worker has to answer a request, and this is another one."""
        if self.first:
            return False
        sealed = self._member is not None and self._member.sealed
        return is_for_first(scope, one_writes=self._one_writes, sealed=sealed)

    async def join(self, member: Member) -> None:
        """See `Colleagues`."""
        self._member = member
        asyncio.get_running_loop().add_reader(self._control.fileno(), self._heard)
        self._outbox.say(control.JOINED)
        while self.number not in self._crew:
            await self._moved()
        await self.look()

    async def look(self) -> None:
        """See `Colleagues`."""
        member = self._member
        assert member is not None, "it has joined"
        for other in self._others():
            before = self._seals
            state = await self._ask(other, _SHOW)
            if self._seals != before:
                return
            if state is not None:
                await member.take(state)
                if not member.sealed:
                    return

    async def leave(self) -> None:
        """See `Colleagues`. What others passed on is answered first."""
        self._outbox.say(control.LEFT)
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=_DRAIN_SECONDS)
        for task in list(self._served):
            task.cancel()
        self._forget_idle(0)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control.fileno())
        loop.remove_writer(self._control.fileno())
        self._member = None

    async def seal(self) -> None:
        """See `Colleagues`."""
        await self._all(_SEAL)

    async def share(self, state: bytes) -> None:
        """See `Colleagues`."""
        await self._all(_TAKE, state)

    async def states(self) -> Sequence[bytes]:
        """See `Colleagues`."""
        shown = await asyncio.gather(*(self._ask(other, _SHOW) for other in self._others()))
        return [state for state in shown if state is not None]

    async def measures(self) -> Sequence[tuple[str, bytes]]:
        """See `Colleagues`."""
        others = self._others()
        found = await asyncio.gather(*(self._ask(other, _MEASURES) for other in others))
        return [(str(other), told) for other, told in zip(others, found, strict=True) if told is not None]

    async def pass_on(self, before: _Before, scope: Message, receive: Receive, send: Send) -> None:
        """Have the first worker answer a request; who answers behind `before` does where that is this one by now."""
        channel = None
        try:
            first, channel = await self._channel(before.longest)
            if channel is None:
                await (before.inner(scope, receive, send) if self.first else tunnel.unheard(send))
                return
            patience = before.longest + _GRACE
            again = await tunnel.pass_on(channel, before.place, scope, receive, send, patience=patience)
        except BaseException:
            if channel is not None:
                channel.close()
            raise
        number, idle = self._idle
        if again and number == first and len(idle) < _MOST_IDLE:
            idle.append(channel)
        else:
            channel.close()

    async def _channel(self, longest: float) -> tuple[int, Channel | None]:
        """Return the first worker and a connection to it, None where there is none, or it is this one.

        One that has died, or stands still, takes no request: the supervisor soon names another.
        """
        until = monotonic() + min(longest, _CHANNEL_PATIENCE)
        while not self.first:
            first = self._crew[0]
            if self._idle[0] != first:
                self._forget_idle(first)
            while self._idle[1]:
                channel = self._idle[1].pop()
                if not channel.ended:
                    return first, channel
                channel.close()
            left = until - monotonic()
            if left <= 0 or self._waiting >= self._most_waiting:
                break
            self._waiting += 1
            try:
                found = await self._new_channel(first, left)
            finally:
                self._waiting -= 1
            if found is not None:
                return first, found
        return 0, None

    async def _new_channel(self, first: int, seconds: float) -> Channel | None:
        """Return a new connection to a worker once it is there, None where it is not within so many seconds."""
        channel = Channel(*await asyncio.open_unix_connection(sock=self._connect(first, control.REQUEST)))
        greeted = False
        try:
            greeted = await self._greeted(channel, seconds)
        finally:
            if not greeted:
                channel.close()
        return channel if greeted else None

    async def _greeted(self, channel: Channel, seconds: float) -> bool:
        """Whether the other end is there, before the supervisor names the crew anew, as it does where it is not."""
        loop = asyncio.get_running_loop()
        greeted, moved = loop.create_task(channel.greeted()), loop.create_task(self._moved())
        try:
            await asyncio.wait((greeted, moved), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if greeted.done() and greeted.result():
                return True
            await asyncio.wait((moved,), timeout=_PAUSE)
            return False
        finally:
            greeted.cancel()
            moved.cancel()

    def _forget_idle(self, first: int) -> None:
        for channel in self._idle[1]:
            channel.close()
        self._idle = (first, [])

    def _others(self) -> list[int]:
        return [number for number in self._crew if number != self.number]

    def _wait(self, *, listening: bool) -> None:
        loop = asyncio.get_running_loop()
        if listening:
            loop.add_writer(self._control.fileno(), self._outbox.flush)
        else:
            loop.remove_writer(self._control.fileno())

    def _connect(self, number: int, verb: str) -> socket.socket:
        """Return the near end of a socket to a colleague."""
        near, far = socket.socketpair()
        near.setblocking(False)
        self._outbox.say(f"{control.TO} {number} {verb}", far)
        return near

    async def _all(self, verb: str, said: bytes = b"") -> None:
        """Have all others do something, those too who join meanwhile. Whoever does not answer is ended."""
        told: set[int] = set()
        while left := [number for number in self._others() if number not in told]:
            told.update(left)
            done = await asyncio.gather(*(self._ask(number, verb, said) for number in left))
            silent = {number for number, answer in zip(left, done, strict=True) if answer is None}
            for number in silent:
                self._outbox.say(f"{control.SILENT} {number}")
            while silent.intersection(self._crew):
                await self._moved()

    async def _moved(self) -> None:
        """Wait until the supervisor names the crew anew."""
        self._crew_changed.clear()
        await self._crew_changed.wait()

    async def _ask(self, number: int, verb: str, said: bytes = b"") -> bytes | None:
        """Return what a colleague answers, None where it does not."""
        try:
            async with asyncio.timeout(_OPEN_PATIENCE if verb == _TAKE else PATIENCE):
                with self._connect(number, verb) as near:
                    await _write(near, said)
                    return await _read(near)
        except (TimeoutError, OSError, EOFError):
            return None

    def _heard(self) -> None:
        while True:
            try:
                message = control.receive(self._control)
            except BlockingIOError:
                return
            if message is None:  # the supervisor has ended, and with it the system ends this process
                asyncio.get_running_loop().remove_reader(self._control.fileno())
                return
            text, beside = message
            word, _, rest = text.partition(" ")
            if word == control.CREW:
                self._crew = tuple(map(int, rest.split()))
                self._crew_changed.set()
            elif word == control.HURRY:
                self._hurry()
            elif word == control.BEAT:
                self._outbox.say(control.BEAT)
            elif beside is not None:
                self._serve(rest, beside)

    def _serve(self, verb: str, near: socket.socket) -> None:
        task = asyncio.get_running_loop().create_task(self._served_by(verb, near))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _served_by(self, verb: str, near: socket.socket) -> None:
        """Do what a colleague asks. Without an answer it knows that it was not done."""
        try:
            if verb == control.REQUEST:
                await self._answer(Channel(*await asyncio.open_unix_connection(sock=near)))
                return
            with near:
                said = await _read(near)
                await _write(near, await self._do(verb, said))
        except (OSError, EOFError):
            return
        except Exception as error:  # noqa: BLE001 -- a colleague's question must not end this worker
            self._log.crash("server", "what another worker asked for failed", error)

    async def _do(self, verb: str, said: bytes) -> bytes:
        member = self._member
        if member is None:
            raise EOFError
        if verb == _SHOW:
            return await member.show()
        if verb == _MEASURES:
            return await member.measures()
        if verb == _SEAL:
            self._seals += 1
            await member.seal()
        elif verb == _TAKE:
            await member.take(said)
        return b""

    async def _answer(self, channel: Channel) -> None:
        """Answer requests that a colleague passes on."""
        task = asyncio.current_task()
        assert task is not None

        def busy(*, now: bool) -> None:
            (self._busy.add if now else self._busy.discard)(task)

        try:
            await tunnel.answer_all(channel, self._answers, busy)
        finally:
            busy(now=False)


class _Before:
    """Stands before what answers on a listener; the inner one's own ways for what came before are kept."""

    def __init__(self, worker: Worker, inner: Answer, place: Place, longest: float) -> None:
        """`longest` is how many seconds a request may take."""
        self._worker = worker
        self.inner: Final = inner
        self.place: Final = place
        self.longest: Final = longest
        self.again = getattr(inner, "again", None)
        self.asked = getattr(inner, "asked", ())
        self.refused = getattr(inner, "refused", None)

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if self._worker.passes(scope):
            return self._worker.pass_on(self, scope, receive, send)
        return self.inner(scope, receive, send)


async def _write(near: socket.socket, said: bytes) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(near, len(said).to_bytes(_LENGTH) + said)


async def _read(near: socket.socket) -> bytes:
    """Return what the other end says. Raises `EOFError`."""
    length = int.from_bytes(await _exactly(near, _LENGTH))
    if length > _LONGEST:
        raise EOFError
    return await _exactly(near, length)


async def _exactly(near: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    found = bytearray()
    while len(found) < count:
        piece = await loop.sock_recv(near, count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)
