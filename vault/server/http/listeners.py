# SPDX-License-Identifier: EUPL-1.2
"""All listeners of the process: start, exchange of certificates while running, and an end that drops nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Final

from uvicorn.config import Config as UvicornConfig
from uvicorn.server import ServerState

from vault.framework.concurrency.lasting import LastingTask, Told
from vault.server.application import Answer, Application
from vault.server.config.settings import Listener
from vault.server.http import sockets
from vault.server.http.protocol import Connection

_HANDSHAKE_SECONDS: Final = 10.0
_WATCH_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02
_HURRY_SECONDS: Final = 0.2


class _Open:
    """One listener: its settings, its socket, and the event loop's server on a duplicate of the socket."""

    def __init__(self, listener: Listener, bound: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.listener = listener
        self.bound: Final = bound
        self.tls = tls
        self.server: asyncio.AbstractServer | None = None


class Listeners:
    """The listeners of an application."""

    def __init__(self, application: Application, defect: Told) -> None:
        """`defect` is told of what ended the watch over clients that stall, which is begun anew."""
        self._application = application
        self._state = ServerState()
        self._open: list[_Open] = []
        self._watch = LastingTask(self._watch_forever, defect)
        self._hurried = False

    @property
    def addresses(self) -> list[str]:
        """Addresses listened on, with the port that was chosen where 0 was asked for."""
        return [_address(opened) for opened in self._open]

    async def start(self, listeners: Sequence[tuple[Listener, socket.socket, ssl.SSLContext | None]]) -> None:
        """Begin to accept connections on bound sockets."""
        self._tick()
        for listener, bound, tls in listeners:
            opened = _Open(listener, bound, tls)
            opened.server = await self._serve(opened)
            self._open.append(opened)
        self._watch.start()

    async def exchange(self, wanted: Sequence[tuple[Listener, ssl.SSLContext | None]]) -> None:
        """Use these settings and TLS contexts, in the order of `start`, for new connections. Nothing is dropped.

        The old server stops accepting after the new one has begun; both hold the same kernel socket, and
        connections that exist keep what they have. A `unix` listener stays as it is.
        """
        for opened, (listener, tls) in zip(self._open, wanted, strict=True):
            if listener.kind == "unix":
                continue
            opened.listener, opened.tls = listener, tls
            old, opened.server = opened.server, await self._serve(opened)
            if old is not None:
                old.close()

    async def stop(self, seconds: float) -> int:
        """Stop accepting, let requests in flight finish for up to `seconds`, and close what is left.

        Returns how many requests had to be cut off.
        """
        for opened in self._open:
            if opened.server is not None:
                opened.server.close()
            sockets.forget(opened.listener, opened.bound)
            opened.bound.close()
        self._open.clear()
        for connection in list(self._state.connections):
            connection.shutdown()
        deadline = time.monotonic() + seconds
        while self._state.tasks and not self._hurried and time.monotonic() < deadline:
            await asyncio.wait(set(self._state.tasks), timeout=_HURRY_SECONDS)
        cut = await self._cut_off()
        await self._farewell()
        await self._watch.stop()
        return cut

    def hurry(self) -> None:
        """Let a `stop` that is waiting wait no longer."""
        self._hurried = True

    async def _serve(self, opened: _Open) -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()
        listener, state = opened.listener, self._state
        config = _uvicorn(self._application.at(listener), listener)
        handshake = None if opened.tls is None else _HANDSHAKE_SECONDS
        create = loop.create_unix_server if listener.kind == "unix" else loop.create_server
        sockets.occupy(listener, opened.bound)  # its file may have become another's since the first time
        duplicate = opened.bound.dup()
        try:
            return await create(
                lambda: Connection(config, state, listener, loop),
                sock=duplicate,
                ssl=opened.tls,
                backlog=sockets.BACKLOG,
                ssl_handshake_timeout=handshake,
            )
        except OSError as error:
            duplicate.close()
            raise sockets.failure(listener, error) from error

    async def _cut_off(self) -> int:
        tasks = set(self._state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        return len(tasks)

    async def _farewell(self) -> None:
        """Give connections that are closing a moment to send what they have, then drop them."""
        deadline = time.monotonic() + 1
        while self._state.connections and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(_POLL_SECONDS)
        for connection in list(self._state.connections):
            connection.transport.abort()

    async def _watch_forever(self) -> None:
        """Renew the Date header and drop clients that stall, once a second."""
        loop = asyncio.get_running_loop()
        while True:
            self._tick()
            now = loop.time()
            for connection in list(self._state.connections):
                if isinstance(connection, Connection) and _keeps_waiting(connection, now):
                    connection.transport.abort()
            await asyncio.sleep(_WATCH_SECONDS)

    def _tick(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


def _keeps_waiting(connection: Connection, now: float) -> bool:
    """Ask a connection whether its client stalls. One that fails at that goes: else nobody behind it would be asked any more."""
    try:
        return connection.stalled(now)
    except Exception:
        connection.transport.abort()
        raise


def _uvicorn(application: Answer, listener: Listener) -> UvicornConfig:
    """Uvicorn's settings: no access log, no Server header, no trust in headers of proxies, no WebSocket."""
    logging.getLogger("uvicorn.access").propagate = False
    config = UvicornConfig(
        application,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        workers=1,
        forwarded_allow_ips="",
        timeout_keep_alive=max(1, round(listener.http_idle_timeout)),
    )
    config.load()
    return config


def _address(opened: _Open) -> str:
    if opened.listener.kind == "unix":
        return opened.listener.address
    host, port = opened.bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
