# SPDX-License-Identifier: EUPL-1.2
"""One connection at the level of bytes: requests in a row, and wishes for another protocol."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from uvicorn.server import ServerState

from vault.server.listening import _uvicorn
from vault.server.protocol import Connection
from vault.server.settings import Listener
from vault.wire.http import RESPOND

INNER = b"GET /inner HTTP/1.1\r\nhost: x\r\n\r\n"


async def echo(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Answer with method, path and body."""
    body, more = b"", scope["method"] != "GET"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    text = b"<%b %b %b>" % (scope["method"].encode(), scope["raw_path"], body)
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class Wire(asyncio.Transport):
    """A transport without a network: keeps what is written, and who reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reader: Any = None
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.reader = protocol

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        """Everything is read as it comes."""

    def resume_reading(self) -> None:
        """Everything is read as it comes."""


async def exchange(*parts: bytes, until: bytes, app: Any = echo) -> bytes:
    """Send `parts`, each once what came before is answered; return all that came, which ends in `until`."""
    listener = Listener(kind="tcp")
    loop = asyncio.get_running_loop()
    wire = Wire()
    wire.reader = Connection(_uvicorn(app, listener), ServerState(), listener, loop)
    wire.reader.connection_made(wire)
    for part in parts:
        wire.reader.data_received(part)
        for _ in range(10):
            await asyncio.sleep(0)
    for _ in range(5000):
        if wire.written.endswith(until):
            break
        await asyncio.sleep(0)
    wire.reader.connection_lost(None)
    return wire.written


def answers(received: bytes) -> list[bytes]:
    """Return the bodies of the answers, in order."""
    return [piece.partition(b">")[0] for piece in received.split(b"<")[1:]]


def test_many_reads_behind_a_write_are_answered_one_after_the_other() -> None:
    write = b"POST /w HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok"
    reads = b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(1000))
    received = asyncio.run(exchange(write + reads, until=b"<GET /999 >"))
    assert answers(received) == [b"POST /w ok", *(b"GET /%d " % number for number in range(1000))]


@pytest.mark.parametrize("wish", [b"websocket", b"h2c"])
def test_the_body_of_a_request_that_wishes_for_another_protocol_is_its_body_and_no_request(
    wish: bytes,
) -> None:
    head = b"POST /w HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: %b\r\ncontent-length: %d\r\n\r\n"
    head %= (wish, len(INNER))
    last = b"GET /last HTTP/1.1\r\nhost: x\r\n\r\n"
    expected = [b"POST /w " + INNER, b"GET /last "]
    for parts in (
        (head, INNER, last),
        (head + INNER + last,),
        (head[:40], head[40:] + INNER[:9], INNER[9:] + last),
    ):
        assert answers(asyncio.run(exchange(*parts, until=b"<GET /last >"))) == expected


def test_a_read_that_wishes_for_another_protocol_is_answered_and_what_follows_too() -> None:
    head = b"GET /r HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    received = asyncio.run(exchange(head + INNER, until=b"<GET /inner >"))
    assert answers(received) == [b"GET /r ", b"GET /inner "]


async def at_once(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Answer through the connection itself, as the front does; tell by messages when that is not possible."""
    assert scope[RESPOND](200, b"x-a: b\r\n", b"<once>")
    if scope[RESPOND](200, b"", b"<twice>"):
        raise AssertionError("one request, two answers")


def test_an_answer_that_is_sent_at_once_is_whole_and_the_only_one() -> None:
    two = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n" * 2
    received = asyncio.run(exchange(two, until=b"<once><once>", app=at_once))
    one = b"HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 6\r\n\r\n<once>"
    assert received == one + one


@pytest.mark.parametrize(
    "request_",
    [b"GET /a HTTP/1.0\r\nhost: x\r\n\r\n", b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
)
def test_a_client_that_asks_for_the_end_of_the_connection_gets_it_and_is_told(request_: bytes) -> None:
    received = asyncio.run(exchange(request_, until=b"<once>", app=at_once))
    assert received.endswith(b"content-length: 6\r\nconnection: close\r\n\r\n<once>")


def test_a_verb_of_ours_behind_a_request_in_flight_ends_the_connection_and_answers_nothing_wrong() -> None:
    """Nobody pipelines LIST; whoever does must not get one request's answer for another's."""

    async def scenario() -> bytes:
        going = asyncio.Event()

        async def slow(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            await going.wait()
            await echo(scope, receive, send)

        listener, wire = Listener(kind="tcp"), Wire()
        wire.reader = Connection(
            _uvicorn(slow, listener), ServerState(), listener, asyncio.get_running_loop()
        )
        wire.reader.connection_made(wire)
        wire.reader.data_received(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n")
        wire.reader.data_received(b"LIST /second HTTP/1.1\r\nhost: x\r\n\r\n")
        refused = wire.written
        going.set()
        for _ in range(20):
            await asyncio.sleep(0)
        wire.reader.connection_lost(None)
        assert wire.closing
        return refused

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 400 ")
