# SPDX-License-Identifier: EUPL-1.2
"""The watch over all connections."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.unit.server.http.test_protocol import echo
from vault.server.application import Application
from vault.server.config.settings import Listener
from vault.server.http.listeners import Listeners
from vault.server.http.protocol import Connection


class _Echo:
    """An application that answers with what it was asked."""

    def at(self, listener: Listener) -> Callable[..., Any]:
        return echo


@pytest.mark.loopback
def test_a_connection_that_fails_at_the_watch_goes_and_the_others_are_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing: list[Connection] = []

    def stalled(connection: Connection, _now: float) -> bool:
        if connection in (failing or [connection]):
            failing.append(connection)
            raise ArithmeticError
        return True

    monkeypatch.setattr(Connection, "stalled", stalled)

    async def story() -> list[Exception]:
        told: list[Exception] = []
        listeners = Listeners(cast("Application", _Echo()), told.append)
        bound = socket.create_server(("127.0.0.1", 0))
        address = bound.getsockname()
        await listeners.start([(Listener(kind="tcp"), bound, None)])
        clients = [await asyncio.open_connection(*address) for _ in range(3)]
        async with asyncio.timeout(60):
            assert [await reader.read() for reader, _ in clients] == [b""] * 3
        for _, writer in clients:
            writer.close()
        await listeners.stop(0)
        return told

    assert [type(one) for one in asyncio.run(story())] == [ArithmeticError]
    assert len(failing) == 1
