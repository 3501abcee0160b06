# SPDX-License-Identifier: EUPL-1.2
"""How a witness is asked: HTTP on one port, with limits on what strangers may send, and how long they may take."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import h11

from vault.log.witness.server.verdict import Witness, WitnessAnswer
from vault.log.witness.submission import LARGEST, PATH

_MOST_REQUESTS: Final = 1000
"""Requests on one connection."""
_HEAD_BYTES: Final = 16_384
_CHUNK: Final = 16_384
_VIEW_PATH: Final = "/checkpoint"
_HASH_DIGITS: Final = 64


class HttpLimits:
    """How long a request may take, and how long a connection may be without one, in seconds; how many there may be.

    Whoever connects when there are so many is not served.
    """

    __slots__ = ("connections", "idle", "request")

    def __init__(self, request: float = 10.0, idle: float = 60.0, connections: int = 256) -> None:
        self.request, self.idle, self.connections = request, idle, connections


class WitnessListener:
    """Answers for one witness."""

    def __init__(
        self, witness: Witness, tell: Callable[[str], None], limits: HttpLimits | None = None
    ) -> None:
        """`tell` is given what an operator should read, a line at a time."""
        self._witness, self._tell, self._limits = witness, tell, limits or HttpLimits()
        self._thread = ThreadPoolExecutor(1, "witness")
        self._conversations: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen, and return the port. Raises `OSError`."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls, limit=_CHUNK)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Listen no more, and end all connections; what is being written is on the disk before this returns."""
        if self._server is not None:
            self._server.close()
        for task in self._conversations:
            task.cancel()
        if self._conversations:
            await asyncio.wait(self._conversations)
        self._thread.shutdown()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(self._conversations) < self._limits.connections:
                self._conversations.add(task)
                await self._converse(reader, writer)
        except (OSError, TimeoutError, h11.LocalProtocolError, asyncio.CancelledError):
            pass  # whoever asked has left, was too slow, or the witness ends
        finally:
            self._conversations.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        for _ in range(_MOST_REQUESTS):
            if not connection.trailing_data[0]:
                async with asyncio.timeout(self._limits.idle):
                    connection.receive_data(await reader.read(_CHUNK))
            async with asyncio.timeout(self._limits.request):
                try:
                    answer = await self._answer(reader, connection)
                except h11.RemoteProtocolError as bad:
                    answer = _plain(bad.error_status_hint, "this is no request")
                if answer is None:
                    return
                writer.write(_framed(connection, answer))
                await writer.drain()
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _answer(self, reader: asyncio.StreamReader, connection: h11.Connection) -> WitnessAnswer | None:
        """Read one request, and return what is answered; None where the connection ends instead."""
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Request):
                request = event
                refused = _refused(request)
                if refused is not None:
                    return refused
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > LARGEST:
                    return _plain(413, "the submission is too large")
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                return await self._judged(request, bytes(body))
            else:
                return None

    async def _judged(self, request: h11.Request, body: bytes) -> WitnessAnswer:
        path = request.target.decode("ascii", "replace")
        loop = asyncio.get_running_loop()
        try:
            if path == PATH:
                answer = await loop.run_in_executor(self._thread, self._witness.add_checkpoint, body)
            else:
                answer = self._witness.checkpoint(path[1 : _HASH_DIGITS + 1])
        except OSError as failure:
            self._tell(f"a checkpoint could not be kept, and was not cosigned: {failure.strerror}")
            return _plain(500, "the witness can't keep it")
        if answer.told:
            self._tell(answer.told)
        return answer


def _refused(request: h11.Request) -> WitnessAnswer | None:
    """Return what is answered to a request of which no more is to be read."""
    path = request.target.decode("ascii", "replace")
    name = path[1:].removesuffix(_VIEW_PATH)
    if path != PATH and (len(name) != _HASH_DIGITS or path != f"/{name}{_VIEW_PATH}"):
        return _plain(404, "there is nothing here")
    if request.method != (b"POST" if path == PATH else b"GET"):
        return _plain(405, "the method is another one")
    length = dict(request.headers).get(b"content-length", b"0")
    return _plain(413, "the submission is too large") if int(length) > LARGEST else None


def _plain(status: int, text: str) -> WitnessAnswer:
    return WitnessAnswer(status, f"{text}\n".encode())


def _framed(connection: h11.Connection, answer: WitnessAnswer) -> bytes:
    """Return an answer as it is sent. A connection on which not all was read is closed after it."""
    headers = [
        ("Content-Type", answer.content_type),
        ("Content-Length", str(len(answer.body))),
        ("Cache-Control", "no-store"),
    ]
    if connection.their_state is not h11.DONE:
        headers.append(("Connection", "close"))
    parts = [
        connection.send(h11.Response(status_code=answer.status, headers=headers)),
        connection.send(h11.Data(data=answer.body)),
        connection.send(h11.EndOfMessage()),
    ]
    return b"".join(part for part in parts if part)
