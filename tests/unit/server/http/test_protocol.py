# SPDX-License-Identifier: EUPL-1.2
"""One connection at the level of bytes: requests in a row, and wishes for another protocol."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from uvicorn.server import ServerState

from vault.server.config.settings import Listener
from vault.server.http.head_rules import LONGEST_HEAD
from vault.server.http.listeners import _uvicorn
from vault.server.http.protocol import Connection
from vault.wire.answers import RESPOND

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
        self.waiting = 0

    def get_write_buffer_size(self) -> int:
        return self.waiting

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


async def exchange(*parts: bytes, until: bytes, app: Any = echo, patience: float = 0) -> bytes:
    """Send `parts`, each once what came before is answered; return all that came, which ends in `until`.

    An application that waits for threads has `patience`, in seconds.
    """
    listener = Listener(kind="tcp")
    loop = asyncio.get_running_loop()
    wire = Wire()
    wire.reader = Connection(_uvicorn(app, listener), ServerState(), listener, loop)
    wire.reader.connection_made(wire)
    for part in parts:
        loop.call_soon(wire.reader.data_received, part)  # as a transport does: in no task
        for _ in range(10):
            await asyncio.sleep(0)
    for _ in range(int(patience * 1000) or 5000):
        if wire.written.endswith(until):
            break
        await asyncio.sleep(0.001 if patience else 0)
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


async def patient(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Use what of asyncio notes the task that it is in, first of all, so before anything has waited."""
    found = []
    task = asyncio.current_task()
    assert task is not None
    found.append(task.get_name() != "")
    try:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    except TimeoutError:
        found.append(task.cancelling() == 0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        waits = [group.create_task(asyncio.sleep(0.001, True)) for _ in range(3)]
    found += [each.result() for each in waits]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(broken())
            await asyncio.Event().wait()
    except* ValueError:
        found.append(True)
    text = b"<%b %d>" % (scope["method"].encode(), all(found) and len(found))
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def broken() -> None:
    """Fail, once others have begun."""
    await asyncio.sleep(0.001)
    raise ValueError


def test_a_read_may_use_all_of_asyncio_before_it_has_waited_for_anything() -> None:
    asked = b"GET /r HTTP/1.1\r\nhost: x\r\n\r\n"
    received = asyncio.run(exchange(asked, until=b"<GET 6>", app=patient, patience=5))
    assert received.endswith(b"<GET 6>")


def test_a_read_that_is_cancelled_by_what_it_noted_ends() -> None:
    noted: list[Any] = []

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        noted.append(asyncio.current_task())
        try:
            await asyncio.Event().wait()
        finally:
            noted.append("over")

    async def scenario() -> None:
        connection = asyncio.create_task(
            exchange(b"GET /r HTTP/1.1\r\nhost: x\r\n\r\n", until=b"nothing", app=app, patience=0.5)
        )
        await asyncio.sleep(0.05)
        assert noted[0].cancel()
        await connection
        assert noted[0].done()

    asyncio.run(scenario())
    assert noted[1] == "over"


async def at_once(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Answer through the connection itself, as the front does; tell by messages when that is not possible."""
    respond = scope[RESPOND]
    assert respond(200, b"x-a: b\r\n", b"<once>")
    if respond(200, b"", b"<twice>"):
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


@pytest.mark.parametrize("wish", [b"keep-alive", b"Keep-Alive", b"keep-alive, close"])
def test_a_client_of_http_1_0_that_asks_for_more_is_told_so_and_may(wish: bytes) -> None:
    """As OpenBao has it, which takes the wish for more before that for the end."""
    request = b"GET /a HTTP/1.0\r\nconnection: " + wish + b"\r\n\r\n"

    async def answered(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        assert not scope.get(RESPOND)  # that one says nothing of connections
        headers = [(b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": scope["path"].encode() + b"!"})

    received = asyncio.run(exchange(request + request.replace(b"/a", b"/b"), until=b"/b!", app=answered))
    head = b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\n"
    assert received == head + b"/a!" + head + b"/b!"


@pytest.mark.parametrize("wish", [b"keep-alive", b"close"])
def test_to_a_client_of_http_1_0_what_has_no_length_ends_with_the_connection_and_has_no_chunks(
    wish: bytes,
) -> None:
    """It does not know them, and would wait for more where the connection stays."""
    request = b"GET /a HTTP/1.0\r\nconnection: " + wish + b"\r\n\r\n"

    async def streamed(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece, more in ((b"first ", True), (b"second ", True), (b"last", False)):
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    received = asyncio.run(exchange(request + request, until=b"last", app=streamed))
    assert received == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfirst second last"


@pytest.mark.parametrize(("verb", "status"), [(b"GET", 204), (b"HEAD", 200)])
def test_to_a_client_of_http_1_0_a_connection_stays_where_there_is_no_body(verb: bytes, status: int) -> None:
    request = verb + b" /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"

    async def empty(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    received = asyncio.run(exchange(request, request, until=b"\r\n\r\n", app=empty))
    assert received.count(b"\r\nconnection: keep-alive\r\n\r\n") == 2 and b"chunked" not in received


class Held:
    """An application that answers each request once it may."""

    def __init__(self) -> None:
        self.going = asyncio.Event()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await self.going.wait()
        await echo(scope, receive, send)


async def behind(rest: bytes) -> tuple[bytes, bytes, bool]:
    """Send a read that has to wait, and `rest` behind it; return what was written before and after, and if it ended."""
    held, listener, wire = Held(), Listener(kind="tcp"), Wire()
    wire.reader = Connection(_uvicorn(held, listener), ServerState(), listener, asyncio.get_running_loop())
    wire.reader.connection_made(wire)
    wire.reader.data_received(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n")
    for place in range(0, len(rest), 7):
        wire.reader.data_received(rest[place : place + 7])
        await asyncio.sleep(0)
    before = wire.written
    held.going.set()
    for _ in range(50):
        await asyncio.sleep(0)
    closing = wire.closing
    wire.reader.connection_lost(None)
    return before, wire.written, closing


@pytest.mark.parametrize("verb", [b"LIST", b"SCAN", b"FOO", b"POST"])
def test_what_is_behind_a_request_in_flight_waits_and_is_answered_in_its_turn(verb: bytes) -> None:
    before, after, closing = asyncio.run(behind(verb + b" /second HTTP/1.1\r\nhost: x\r\n\r\n" + INNER))
    assert before == b"" and not closing
    assert answers(after) == [b"GET /first ", verb + b" /second ", b"GET /inner "]


class Paused(Wire):
    """A transport that knows whether it is read."""

    paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def test_an_answer_without_an_end_ends_with_its_client_whatever_was_sent_behind_the_request() -> None:
    """Who is read no more leaves unseen."""

    async def sends() -> list[bool]:
        held, listener, wire = Held(), Listener(kind="tcp"), Paused()
        wire.reader = Connection(
            _uvicorn(held, listener), ServerState(), listener, asyncio.get_running_loop()
        )
        wire.reader.connection_made(wire)
        wire.reader.data_received(INNER)
        paused = []
        for size in (1, 1000, LONGEST_HEAD):
            wire.reader.data_received(b"G" * size)
            paused.append(wire.paused)
        wire.reader.connection_lost(None)
        return paused

    assert asyncio.run(sends()) == [False, False, True]


_EXPECT = {
    b"foo": (417, 417),
    b"foo100-continue": (417, 417),
    b"foo\r\nexpect: 100-continue": (417, 417),
    b"": (200, 200),
    b"100-continue": (100, 200),
    b"foo, 100-Continue": (100, 200),
    b"100-continue\r\nexpect: foo": (100, 200),
}
"""What OpenBao answers first by HTTP/1.1 and by HTTP/1.0, whose clients know no 100 (RFC 9110, section 10.1.1)."""


@pytest.mark.parametrize("expected", _EXPECT)
@pytest.mark.parametrize("version", [1, 0])
def test_what_a_client_expects_is_met_or_it_is_told(expected: bytes, version: int) -> None:
    request = b"POST /w HTTP/1.%d\r\nhost: x\r\nexpect: %b\r\ncontent-length: 2\r\n\r\n"
    received = asyncio.run(exchange(request % (version, expected), b"ok", until=b"<POST /w ok>"))
    first = _EXPECT[expected][1 - version]
    statuses = [int(each[:3]) for each in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == ([100, 200] if first == 100 else [first])
    assert (answers(received) == []) is (first == 417)


@pytest.mark.parametrize("verb", [b"GET", b"POST"])
@pytest.mark.parametrize("framing", [b"content-length: 33", b"transfer-encoding: chunked"])
def test_a_body_that_is_expected_is_asked_for_whatever_is_answered(verb: bytes, framing: bytes) -> None:
    """Else its client may leave it out, and the next request would be taken for it."""
    head = b"%b /w HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n%b\r\n\r\n" % (verb, framing)
    assert asyncio.run(exchange(head, until=b"")).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")


def test_where_no_body_is_announced_none_is_asked_for() -> None:
    for framing in (b"", b"content-length: 0\r\n"):
        head = b"POST /w HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n%b\r\n" % framing
        received = asyncio.run(exchange(head, until=b"<POST /w >"))
        assert received.startswith(b"HTTP/1.1 200 ")


def test_what_trailers_expect_is_nothing() -> None:
    head = b"POST /w HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    sent = head + b"2\r\nok\r\n0\r\nexpect: foo\r\n\r\n"
    assert answers(asyncio.run(exchange(sent, until=b"<POST /w ok>"))) == [b"POST /w ok"]


def test_a_refusal_is_not_taken_for_the_answer_of_the_request_before_it() -> None:
    before, after, closing = asyncio.run(behind(b"GET /second HTTP/9.9\r\nhost: x\r\n\r\n" + INNER))
    assert before == b"" and closing
    assert [each.split()[0] for each in after.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]
    assert answers(after) == [b"GET /first "]


def test_what_follows_a_request_that_ends_the_connection_is_none() -> None:
    last = b"LIST /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    for parts in ((last + INNER,), (last, INNER)):
        assert answers(asyncio.run(exchange(*parts, until=b"<LIST /last >"))) == [b"LIST /last "]


def test_a_body_that_goes_wrong_once_it_was_answered_is_not_answered_again() -> None:
    head = b"GET /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    received = asyncio.run(exchange(head, b"zz\r\n", INNER, until=b"<GET /a >"))
    assert received.count(b"HTTP/1.1 ") == 1


def test_a_body_of_many_empty_lines_is_whole_and_the_last_of_its_connection() -> None:
    lines = b"\r\n" * 5000
    head = b"LIST /w HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    sent = head + b"%x\r\n" % len(lines) + lines + b"\r\n0\r\n\r\n" + INNER
    for step in (len(sent), 999, 7):
        parts = [sent[place : place + step] for place in range(0, len(sent), step)]
        received = asyncio.run(exchange(*parts, until=b" >"))
        assert received.count(b"HTTP/1.1 ") == 1 and b"connection: close" in received
        assert b"<LIST /w " + lines + b">" in received


@pytest.mark.parametrize(
    "framing",
    [b"1;a=" + b"b" * 40_000 + b"\r\na\r\n0\r\n\r\n", b"1\r\na\r\n0\r\n" + b"a: b\r\n" * 8000 + b"\r\n"],
)
def test_chunks_that_are_mostly_not_the_body_are_refused(framing: bytes) -> None:
    head = b"POST /w HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    for step in (len(framing), 1000):
        parts = [framing[place : place + step] for place in range(0, len(framing), step)]
        assert asyncio.run(exchange(head, *parts, until=b"request received.")).startswith(b"HTTP/1.1 400 ")
