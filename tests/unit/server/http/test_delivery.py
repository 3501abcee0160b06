# SPDX-License-Identifier: EUPL-1.2
"""Clients that take an answer slowly are waited for, and those that take nothing are not."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import uvloop
from uvicorn.server import ServerState

from tests.integration.processes import certificate
from tests.unit.server.http.test_protocol import Wire
from vault.server.config.settings import Listener
from vault.server.http.delivery import LEAST, Delivery
from vault.server.http.listeners import _uvicorn
from vault.server.http.protocol import Connection
from vault.server.http.tls import context_for

_PATIENCE = 30.0
_PIECE = 2 << 20
_STEP = 128 << 10
_GET = b"GET /r HTTP/1.1\r\nhost: x\r\n\r\n"
_KINDS = ("tcp", "tls", "unix")


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Send large pieces."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(10):
        await send({"type": "http.response.body", "body": bytes(_PIECE), "more_body": True})


class _Site:
    """A listener, whose connections are kept, and a client that reads when it is told to."""

    def __init__(self, kind: str, folder: Path) -> None:
        pair = certificate(folder, "server") if kind == "tls" else ("", "")
        self.listener = Listener(
            kind="tcp", http_read_timeout=_PATIENCE, tls_cert_file=str(pair[0]), tls_key_file=str(pair[1])
        )
        self.made: list[Connection] = []
        self._far = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        self._far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        self._far.bind(str(folder / "s") if kind == "unix" else ("127.0.0.1", 0))
        self._far.listen()
        self._tls = context_for(self.listener) if kind == "tls" else None

    def _connected(self) -> socket.socket:
        near = socket.socket(self._far.family)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        near.settimeout(60)
        near.connect(self._far.getsockname())
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            near = context.wrap_socket(near)
        near.sendall(_GET)
        return near

    async def waiting(self, near: list[socket.socket]) -> Connection:
        """Connect a client, and return the server's end once more waits for it than is good."""
        loop = asyncio.get_running_loop()
        config = _uvicorn(large, self.listener)
        state = ServerState()

        def make() -> Connection:
            self.made.append(Connection(config, state, self.listener, loop))
            return self.made[-1]

        self.server = await loop.create_server(make, sock=self._far, ssl=self._tls)
        near.append(await loop.run_in_executor(None, self._connected))
        async with asyncio.timeout(60):
            while not self.made[0].flow.write_paused:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        return self.made[0]


def _take(near: socket.socket, size: int) -> None:
    while size > 0:
        size -= len(near.recv(min(size, 1 << 16)))


async def _check_patience(end: Connection, near: socket.socket) -> None:
    loop, now = asyncio.get_running_loop(), 100.0
    assert not end.stalled(now)
    for _ in range(12):  # less than one piece: nothing new is written meanwhile
        await loop.run_in_executor(None, _take, near, _STEP)
        await asyncio.sleep(0.1)
        now += _PATIENCE * 0.2
        assert not end.stalled(now)
    await asyncio.sleep(0.5)
    assert not end.stalled(now + 1), "it may have taken something"
    assert end.stalled(now + 1.1 + _PATIENCE)


@pytest.mark.loopback
@pytest.mark.parametrize("kind", _KINDS)
def test_a_slow_client_is_waited_for_and_one_that_sleeps_is_not(kind: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        near: list[socket.socket] = []
        site = _Site(kind, tmp_path)
        try:
            await _check_patience(await site.waiting(near), near[0])
        finally:
            site.made[0].transport.abort()
            site.server.close()
            near[0].close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_who_takes_less_than_is_worth_it_takes_nothing() -> None:
    wire = Wire()
    wire.waiting = 1 << 20
    told = Delivery(wire)
    first = told.stage()
    for _ in range(LEAST - 1):
        wire.waiting -= 1
        assert told.stage() is first
    wire.waiting += 1000
    assert told.stage() is first, "what is written is nothing that was taken"
    wire.waiting -= 1
    assert told.stage() is not first
