# SPDX-License-Identifier: EUPL-1.2
"""A request that one worker read and another answers is, for both ends, as if nobody stood between them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from vault.server.application import Answer
from vault.server.config.settings import Listener
from vault.server.workers import tunnel
from vault.server.workers.tunnel import Channel

LISTENER = Listener(kind="tcp", address="127.0.0.1:1")
PLACE = tunnel.place_of(LISTENER)
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/v1/sys/unseal",
    "raw_path": b"/v1/sys/unse%61l",
    "query_string": b"a=b",
    "headers": [(b"x-vault-token", b"s.x"), (b"x-vault-token", b"s.y")],
    "client": ("192.0.2.1", 4711),
    "server": ("127.0.0.1", 1),
    "http_version": "1.1",
    "scheme": "https",
    "state": {"listener": LISTENER, "client_certificate": b"DER", "client_intermediates": (b"CA",)},
}
LONG = 3 * tunnel._AT_ONCE
Asked = Callable[[list[bytes], Answer], Awaitable[list[Any]]]


async def channels() -> tuple[Channel, Channel]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    near, far = [await asyncio.open_unix_connection(sock=end) for end in ends]
    return Channel(*near), Channel(*far)


def asked(
    pieces: list[bytes], answer: Answer, times: int = 1, patience: float = 60
) -> tuple[list[Any], list[bool]]:
    """Pass a request on whose body comes in pieces; return what the client got, and what was said of each end."""
    sent: list[Any] = []
    again: list[bool] = []

    async def scenario() -> None:
        near, far = await channels()
        serving = asyncio.create_task(tunnel.answer_all(far, {PLACE: (LISTENER, answer)}, _nobody))
        assert await near.greeted()
        for _ in range(times):
            left = list(pieces)

            async def receive(left: list[bytes] = left) -> Any:
                return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

            async def send(message: Any) -> None:
                sent.append(message)

            again.append(await tunnel.pass_on(near, PLACE, SCOPE, receive, send, patience=patience))
        near.close()
        await serving

    asyncio.run(scenario())
    return sent, again


def _nobody(*, now: bool) -> None:
    del now


async def whole(receive: Any) -> list[bytes]:
    found, more = [], True
    while more:
        message = await receive()
        found.append(message["body"])
        more = message["more_body"]
    return found


async def done(send: Any, status: int = 200, *bodies: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"a", b"b")]})
    for number, body in enumerate(bodies, 1):
        await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})


def test_everything_that_decides_about_a_request_arrives_as_it_was() -> None:
    seen: list[Any] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, await whole(receive)))
        await done(send, 201, b"yes")

    sent, again = asked([b"{", b"}"], answer, times=2)
    assert again == [True, True]
    for scope, body in seen:
        assert body == [b"{}"]
        assert {name: scope[name] for name in SCOPE} == SCOPE
    assert [message.get("status", message.get("body")) for message in sent] == [201, b"yes"] * 2


def test_a_long_body_and_a_long_answer_go_piece_by_piece() -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        pieces = await whole(receive)
        assert len(pieces) > 2
        await done(send, 200, *pieces)

    sent, _ = asked([b"x" * 50_000] * 4, answer)
    assert b"".join(message.get("body", b"") for message in sent) == b"x" * 200_000
    assert [message["type"] for message in sent].count("http.response.start") == 1
    assert sent[-1]["more_body"] is False


def test_who_is_refused_before_the_body_was_read_hears_it_and_the_rest_is_not_asked_for() -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await done(send, 413, b"too large")

    sent, again = asked([b"x" * LONG, b"y"], answer)
    assert (sent[0]["status"], again) == (413, [True])


def test_a_worker_that_ends_before_it_answered_leaves_it_open_whether_it_was_done() -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionResetError

    sent, again = asked([b""], answer)
    assert (sent[0]["status"], again) == (500, [False])
    assert b"it may have been done, or not" in sent[1]["body"]


def test_a_worker_that_does_not_answer_in_time_leaves_it_open_and_what_it_says_later_is_nobodys() -> None:
    said: list[int] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body = await whole(receive)
        said.append(len(body))
        await asyncio.sleep(0.8)
        await done(send, 200, b"too late")

    for pieces in ([b"x"], [b"x" * LONG, b"y"]):
        sent, again = asked(pieces, answer, patience=0.4)
        assert [message.get("status") for message in sent] == [500, None]
        assert b"it may have been done, or not" in sent[1]["body"]
        assert again == [False]
    assert len(said) == 2


def test_a_client_may_take_longer_over_its_body_than_a_worker_over_its_answer() -> None:
    async def scenario() -> None:
        near, far = await channels()
        sent: list[Any] = []

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await done(send, 200, *await whole(receive))

        serving = asyncio.create_task(tunnel.answer_all(far, {PLACE: (LISTENER, answer)}, _nobody))
        left = [b"x" * LONG, b"y"]

        async def receive() -> Any:
            await asyncio.sleep(0.3)
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message: Any) -> None:
            sent.append(message)

        assert await near.greeted()
        assert await tunnel.pass_on(near, PLACE, SCOPE, receive, send, patience=0.25)
        assert sent[0]["status"] == 200
        near.close()
        await serving

    asyncio.run(scenario())


def test_a_client_that_leaves_in_the_middle_of_a_body_is_heard_of() -> None:
    async def scenario() -> None:
        near, far = await channels()
        seen: list[Any] = []

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            seen.append(await whole(receive))

        serving = asyncio.create_task(tunnel.answer_all(far, {PLACE: (LISTENER, answer)}, _nobody))
        messages: list[Any] = [
            {"type": "http.request", "body": b"x" * LONG, "more_body": True},
            {"type": "http.disconnect"},
        ]

        assert await near.greeted()

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            del message

        assert await tunnel.pass_on(near, PLACE, SCOPE, receive, send, patience=60) is False
        near.close()
        await serving
        assert seen == []

    asyncio.run(scenario())


def test_an_end_that_is_gone_greets_nobody() -> None:
    async def scenario() -> None:
        near, far = await channels()
        far.close()
        assert await near.greeted() is False
        near.close()

    asyncio.run(scenario())


def test_an_answer_to_another_request_is_nobodys() -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await done(send, 200, b"of this one")
        await done(send, 200, b"of no request")

    sent, again = asked([b""], answer, times=2)
    assert again == [True, False]
    assert [message["status"] for message in sent if "status" in message] == [200, 500]
    assert b"of no request" not in b"".join(message.get("body", b"") for message in sent)
