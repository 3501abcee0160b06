# SPDX-License-Identifier: EUPL-1.2
"""Clients that keep a connection waiting: for a head, for a body, for a reader; and work that may take its time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from tests.unit.server.http.test_protocol import Wire, echo
from vault.server.config.settings import Listener
from vault.server.http.listeners import _uvicorn
from vault.server.http.protocol import Connection

HEAD, BODY, IDLE = 3.0, 20.0, 300.0
GET = b"GET /r HTTP/1.1\r\nhost: x\r\n\r\n"
LIST = b"LIST /r HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /w HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
OWN = b"SCAN /w HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"


async def never(scope: Any, receive: Any, send: Any) -> None:
    """Works for ever."""
    await asyncio.Event().wait()


def patience(*parts: bytes, app: Callable[..., Any] = echo, paused: bool = False) -> float | None:
    """How long (s) the watch waits for a client that has sent `parts` and then nothing; None for as long as it takes."""

    async def scenario() -> float | None:
        listener = Listener(
            kind="tcp", http_read_header_timeout=HEAD, http_read_timeout=BODY, http_idle_timeout=IDLE
        )
        wire = Wire()
        wire.reader = Connection(_uvicorn(app, listener), ServerState(), listener, asyncio.get_running_loop())
        wire.reader.connection_made(wire)
        for part in parts:
            wire.reader.data_received(part)
            for _ in range(10):
                await asyncio.sleep(0)
        reader: Connection = wire.reader
        if paused:
            reader.pause_writing()
        assert not reader.stalled(100.0)
        waited = next(
            (
                seconds
                for seconds in (HEAD, BODY, IDLE)
                if not reader.stalled(100.0 + seconds) and reader.stalled(100.0 + seconds + 0.001)
            ),
            None,
        )
        if waited is None:
            assert not reader.stalled(100_000.0)
        for task in reader.tasks:
            task.cancel()
        reader.connection_lost(None)
        return waited

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), HEAD),
        ((GET[:9],), HEAD),
        ((GET[:-2],), HEAD),
        ((GET, GET[:9]), HEAD),
        ((POST,), BODY),
        ((POST + b"part",), BODY),
        ((GET,), IDLE),
        ((LIST, LIST[:9]), HEAD),
        ((OWN,), BODY),
        ((OWN + b"part",), BODY),
    ],
)
def test_a_client_is_waited_for_as_long_as_the_listener_says(
    parts: tuple[bytes, ...], expected: float
) -> None:
    assert patience(*parts) == expected


@pytest.mark.parametrize("request_", [GET, POST + b"the body!", LIST, OWN + b"the body!"])
def test_work_on_a_request_that_is_complete_may_take_as_long_as_it_takes(request_: bytes) -> None:
    assert patience(request_, app=never) is None


@pytest.mark.parametrize("request_", [GET, LIST])
def test_a_client_that_does_not_read_its_answer_is_not_waited_for_longer_than_for_a_body(
    request_: bytes,
) -> None:
    assert patience(request_, app=never, paused=True) == BODY


class Knowing:
    """Knows every request by its bytes."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it is parsed")

    def again(self, _digest: bytes, _client: object, outlet: Connection, _body: bytes | None) -> Any:
        async def answer() -> None:
            outlet.respond(200, b"", b"x" * 100)

        return answer()


def test_an_answer_that_was_known_by_its_bytes_is_waited_for_as_long_as_any_other() -> None:
    """Also the first one of a connection, for which there is nothing yet but the connection."""

    async def scenario() -> None:
        listener = Listener(kind="tcp", http_read_header_timeout=HEAD, http_read_timeout=BODY)
        wire = Wire()
        wire.reader = reader = Connection(
            _uvicorn(Knowing(), listener), ServerState(), listener, asyncio.get_running_loop()
        )
        reader.connection_made(wire)
        reader.data_received(GET)
        assert b"x" * 100 in wire.written
        reader.pause_writing()
        assert not reader.stalled(100.0)
        assert not reader.stalled(100.0 + BODY)
        assert reader.stalled(100.001 + BODY)
        reader.connection_lost(None)

    asyncio.run(scenario())


def test_each_request_of_a_busy_client_has_its_own_time() -> None:
    async def scenario() -> None:
        listener = Listener(kind="tcp", http_read_timeout=BODY)
        wire = Wire()
        loop = asyncio.get_running_loop()
        wire.reader = Connection(_uvicorn(echo, listener), ServerState(), listener, loop)
        wire.reader.connection_made(wire)
        for number in range(10):
            wire.reader.data_received(OWN)
            assert not wire.reader.stalled(number * BODY)
            wire.reader.data_received(b"the body!")
            for _ in range(50):
                await asyncio.sleep(0)
            assert wire.written.count(b"<SCAN") == number + 1
        wire.reader.connection_lost(None)

    asyncio.run(scenario())
