# SPDX-License-Identifier: EUPL-1.2
"""What never becomes a request is counted by its class, with who sent it."""

import asyncio

import pytest
from uvicorn.server import ServerState

from tests.unit.server.http.test_protocol import Wire, echo
from vault.framework.telemetry.refusals import Reason
from vault.server.config.settings import Listener
from vault.server.http.listeners import _uvicorn
from vault.server.http.protocol import Connection

CHUNKS = b"POST /w HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
OPEN = b"POST /w HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"


class Application:
    """Echoes, and notes what it is told of."""

    def __init__(self) -> None:
        self.told: list[Reason] = []

    __call__ = staticmethod(echo)

    def refused(self, reason: Reason, address: str) -> None:
        assert isinstance(address, str)
        self.told.append(reason)


def told(*parts: bytes, after: float = 0.0) -> list[Reason]:
    """What the application is told of a connection that sends this, and nothing more for so many seconds."""

    async def scenario() -> list[Reason]:
        application, listener = Application(), Listener(kind="tcp")
        config = _uvicorn(application, listener)
        wire = Wire()
        wire.reader = Connection(config, ServerState(), listener, asyncio.get_running_loop())
        wire.reader.connection_made(wire)
        for part in parts:
            wire.reader.data_received(part)
            for _ in range(10):
                await asyncio.sleep(0)
        reader: Connection = wire.reader
        reader.stalled(100.0)
        reader.stalled(100.0 + after)
        for task in reader.tasks:
            task.cancel()
        reader.connection_lost(None)
        return application.told

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((b"GET /r HTTP/1.1\r\nhost: x\r\n\r\n",), []),
        ((b"GET /r HTTP/9.9\r\nhost: x\r\n\r\n",), ["head"]),
        ((b"GET /r HTTP/1.1\r\n\r\n",), ["head"]),
        ((b"\x16\x03\x01 no HTTP\r\n\r\n",), ["head"]),
        ((b"GET /r HTTP/1.1\r\nhost: x\r\na: " + b"a" * 70_000 + b"\r\n\r\n",), ["size"]),
        ((b"GET /" + b"a" * 40_000, b"a" * 40_000), ["size"]),
        ((CHUNKS + b"zz\r\n",), ["body"]),
        ((CHUNKS + b"1\r\na\r\n", b"zz\r\n", b"zz\r\n"), ["body"]),
    ],
)
def test_bytes_that_are_refused_are_counted_once(parts: tuple[bytes, ...], expected: list[Reason]) -> None:
    assert told(*parts) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), []),
        ((b"GET /r HTTP/1.1\r\nhost: x\r\n\r\n",), []),
        ((b"GET /r HTTP/1.1\r\nho",), ["time"]),
        ((OPEN + b"half",), ["time"]),
        ((CHUNKS + b"zz\r\n",), ["body"]),
        ((CHUNKS + b"1\r\na\r\n", b"zz\r\n"), ["body"]),
        ((b"GET /" + b"a" * 40_000, b"a" * 40_000), ["size"]),
    ],
)
def test_a_client_that_is_given_up_amid_a_request_is_counted_and_an_idle_one_is_not(
    parts: tuple[bytes, ...], expected: list[Reason]
) -> None:
    assert told(*parts, after=100_000.0) == expected
