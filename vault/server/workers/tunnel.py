# SPDX-License-Identifier: EUPL-1.2
"""Requests that one worker has read and another answers: what came, in ASGI's terms, from one to the other and back.

Both are of one server and have the same listeners, so a request keeps its listener, the client's address and certificate,
and meets the same limits as if the other had read it. A small body goes with its head, a long one piece by piece, each
when it is asked for, so that none is kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from vault.server.application import Answer, Message
from vault.server.config.settings import Listener

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]
Place = tuple[str, str]
"""Kind and address of a listener."""

_AT_ONCE: Final = 64 * 1024
"""Most bytes of a body that are read before its request is passed on."""
_LENGTH: Final = 4
_LOST: Final = (
    b'{"errors":["the worker that served this request has ended: it may have been done, or not"]}\n'
)
_LATE: Final = (
    b'{"errors":["the worker that serves this request does not answer: it may have been done, or not"]}\n'
)
_UNHEARD: Final = b'{"errors":["the worker that serves such requests does not answer: this one was not done, try it again"]}\n'


class Busy(Protocol):
    """Hears whether a request is being answered."""

    def __call__(self, *, now: bool) -> None:
        """Say so."""
        ...


class _Head(msgspec.Struct, frozen=True, array_like=True, tag="head"):
    number: int
    """That of the request: what answers it names it, so that no answer is taken for that of another request."""
    place: Place
    method: str
    path: str
    target: bytes
    query: bytes
    headers: Headers
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    version: str
    scheme: str
    certificate: bytes | None
    intermediates: tuple[bytes, ...]
    body: bytes
    more: bool


class _Body(msgspec.Struct, frozen=True, array_like=True, tag="body"):
    data: bytes
    more: bool


class _MoreBody(msgspec.Struct, frozen=True, array_like=True, tag="more"):
    """Asks for the next piece of the body."""

    number: int


class _Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """Says that the other end is there. What is sent before may never have arrived, and what is sent after may have."""


class _Reply(msgspec.Struct, frozen=True, array_like=True, tag="reply"):
    number: int
    status: int
    headers: Headers
    data: bytes
    more: bool


Frame = _Head | _Body | _MoreBody | _Reply | _Hello
_DECODER: Final = msgspec.msgpack.Decoder(Frame)
_encode: Final = msgspec.msgpack.Encoder().encode


class Channel:
    """One connection between two workers. A worker that is gone ends it: `EOFError` or `OSError`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests = 0
        """How many have been passed on through it."""
        self._reader = reader
        self._writer = writer

    async def say(self, frame: object) -> None:
        """Send one of the structs above."""
        encoded = _encode(frame)
        self._writer.write(len(encoded).to_bytes(_LENGTH) + encoded)
        await self._writer.drain()

    async def greeted(self) -> bool:
        """Whether the other end is there."""
        try:
            return isinstance(await self.hear(), _Hello)
        except (EOFError, OSError):
            return False

    async def hear_of(self, number: int) -> _MoreBody | _Reply:
        """Return the next one, which has to be about that request. Raises `EOFError` too."""
        frame = await self.hear()
        if isinstance(frame, _MoreBody | _Reply) and frame.number == number:
            return frame
        raise EOFError

    async def hear(self) -> Frame:
        """Return the next one."""
        length = int.from_bytes(await self._reader.readexactly(_LENGTH))
        frame: Frame = _DECODER.decode(await self._reader.readexactly(length))
        return frame

    @property
    def ended(self) -> bool:
        """Whether the other end is gone."""
        return self._reader.at_eof() or self._writer.is_closing()

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


def place_of(listener: Listener) -> Place:
    """Return what a listener is known by in all workers."""
    return listener.kind, listener.address


async def pass_on(
    channel: Channel, place: Place, scope: Message, receive: Receive, send: Send, *, patience: float
) -> bool:
    """Have the other end answer a request. Return whether the channel may be used again.

    It may take `patience` seconds to begin its answer, or to ask for more of the body. What it says later nobody hears.
    """
    started = False
    try:
        channel.requests += 1
        said: _Head | _Body | None = await _head(channel.requests, place, scope, receive)
        while True:
            async with asyncio.timeout(None if started else patience):
                if said is not None:
                    await channel.say(said)
                frame = await channel.hear_of(channel.requests)
            said = None
            if isinstance(frame, _MoreBody):
                said = _body(await receive())
                continue
            if not started:
                started = True
                headers = list(frame.headers)
                await send({"type": "http.response.start", "status": frame.status, "headers": headers})
            await send({"type": "http.response.body", "body": frame.data, "more_body": frame.more})
            if not frame.more:
                return True
    except TimeoutError:
        await _say(send, 500, _LATE)
    except (EOFError, OSError):
        if started:
            raise
        await _say(send, 500, _LOST)
    return False


async def unheard(send: Send) -> None:
    """Answer a request that could not be passed on."""
    await _say(send, 503, _UNHEARD, (b"retry-after", b"1"))


async def _say(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _head(number: int, place: Place, scope: Message, receive: Receive) -> _Head:
    state = scope.get("state", {})
    body, more = b"", True
    while more and len(body) < _AT_ONCE:
        piece = _body(await receive())
        body, more = body + piece.data, piece.more
    return _Head(
        number=number,
        place=place,
        method=scope["method"],
        path=scope["path"],
        target=scope["raw_path"],
        query=scope["query_string"],
        headers=tuple(scope["headers"]),
        client=scope.get("client"),
        server=scope.get("server"),
        version=scope["http_version"],
        scheme=scope["scheme"],
        certificate=state.get("client_certificate"),
        intermediates=tuple(state.get("client_intermediates", ())),
        body=body,
        more=more,
    )


def _body(message: Message) -> _Body:
    """Return a piece of a body. Whoever has left has sent all that there will be."""
    if message["type"] != "http.request":
        raise EOFError
    return _Body(message.get("body", b""), message.get("more_body", False))


async def answer_all(channel: Channel, answers: Mapping[Place, tuple[Listener, Answer]], busy: Busy) -> None:
    """Answer what comes through `channel`, one request after the other, until its other end is gone.

    `busy` is told of each beginning and end.
    """
    try:
        await channel.say(_Hello())
        while True:
            busy(now=False)
            asked = await channel.hear()
            busy(now=True)
            if isinstance(asked, _Head):
                listener, answer = answers[asked.place]
                await _PassedRequest(channel, asked).run(listener, answer)
    except (EOFError, OSError, KeyError):
        return
    finally:
        channel.close()


class _PassedRequest:
    """One request that came from another worker."""

    def __init__(self, channel: Channel, asked: _Head) -> None:
        self._channel = channel
        self._asked = asked
        self._next: _Body | None = _Body(asked.body, asked.more)
        self._more = True
        self._start: tuple[int, Headers] = (500, ())

    async def run(self, listener: Listener, answer: Answer) -> None:
        await answer(self._scope(listener), self._receive, self._send)

    def _scope(self, listener: Listener) -> dict[str, Any]:
        asked = self._asked
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": asked.version,
            "server": asked.server,
            "client": asked.client,
            "scheme": asked.scheme,
            "root_path": "",
            "method": asked.method,
            "path": asked.path,
            "raw_path": asked.target,
            "query_string": asked.query,
            "headers": list(asked.headers),
            "state": {
                "listener": listener,
                "client_certificate": asked.certificate,
                "client_intermediates": asked.intermediates,
            },
        }

    async def _receive(self) -> Message:
        piece, self._next = self._next, None
        if piece is None:
            if not self._more:
                await asyncio.get_running_loop().create_future()  # nobody tells that the client has left
            await self._channel.say(_MoreBody(self._asked.number))
            heard = await self._channel.hear()
            if not isinstance(heard, _Body):
                raise EOFError
            piece = heard
        self._more = piece.more
        return {"type": "http.request", "body": piece.data, "more_body": piece.more}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message["status"], tuple(message.get("headers", ()))
        else:
            body, more = message.get("body", b""), message.get("more_body", False)
            await self._channel.say(_Reply(self._asked.number, *self._start, data=body, more=more))
