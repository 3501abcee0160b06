# SPDX-License-Identifier: EUPL-1.2
"""How answers leave: at once where they are small, else in pieces, between which others are served."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from tests.turns import of_others
from vault.framework.call import Call
from vault.framework.reply import Reply
from vault.framework.request.head import Head
from vault.wire import v1
from vault.wire.answers import LARGEST_AT_ONCE, answer_in_pieces, answer_of, reply_with


def _sent(answering: Any) -> tuple[list[dict[str, Any]], list[int]]:
    """What was sent, and how many turns others had before each message."""
    sent: list[dict[str, Any]] = []
    turns: list[int] = []

    async def main() -> None:
        async with of_others() as others:

            async def send(message: Any) -> None:
                sent.append(message)
                turns.append(others.count)

            await answering(send)

    asyncio.run(main())
    return sent, turns


def _call(method: str = "GET") -> Call:
    call = Call()
    call.id, call.head = "an-id", Head(method=method)
    return call


def _whole(messages: list[dict[str, Any]]) -> bytes:
    start, *rest = messages
    body = b"".join(message["body"] for message in rest)
    assert (b"content-length", b"%d" % len(body)) in start["headers"]
    assert [message.get("more_body", False) for message in rest] == [True] * (len(rest) - 1) + [False]
    return body


@pytest.mark.parametrize("size", [0, 1, LARGEST_AT_ONCE, LARGEST_AT_ONCE + 1, 3 * LARGEST_AT_ONCE, 1 << 20])
def test_a_large_answer_leaves_in_pieces_and_others_are_served_between(size: int) -> None:
    call, body = _call(), bytes(range(256)) * (size // 256 + 1)
    answer = 200, body[:size], [(b"x-own", b"1")]
    sent, turns = _sent(lambda send: reply_with(call, answer, {}, send))
    assert _whole(sent) == body[:size]
    assert all(len(message["body"]) <= LARGEST_AT_ONCE for message in sent[1:])
    assert all(later > earlier for earlier, later in pairwise(turns[1:]))


def test_one_that_is_large_does_not_leave_at_once() -> None:
    call, reply, whole = _call(), Reply({"value": "x" * LARGEST_AT_ONCE}), list[bytes]()

    def respond(status: int, head: bytes, body: bytes) -> bool:
        whole.append(body)
        return True

    answer = answer_of(call, reply)
    sent, _ = _sent(lambda send: reply_with(call, answer, {"coffre.respond": respond}, send))
    assert not whole
    assert _whole(sent) == answer[1]
    small = answer_of(call, Reply({"value": "x"}))
    sent, _ = _sent(lambda send: reply_with(call, small, {"coffre.respond": respond}, send))
    assert (whole, sent) == ([small[1]], [])


def _pieces(many: int) -> Iterable[bytes]:
    return [b'{"a":[', *(b'"<%d>",' % number for number in range(many)), b"0]}"]


def test_pieces_are_the_data_of_an_envelope() -> None:
    """They give the body that the same data has."""
    data = msgspec.json.decode(b"".join(_pieces(9)))
    some: tuple[dict[str, Any], ...] = (
        {},
        {"warnings": ["a"]},
        {"unended": True},
        {"headers": {"X-Own": "1"}},
    )
    for more in some:
        call = _call()
        reply = Reply[object](None, pieces=_pieces(9), **more)
        sent, turns = _sent(lambda send, call=call, reply=reply: answer_in_pieces(call, reply, {}, send))
        usual = answer_of(call, Reply(data, **more))
        assert (
            _whole(sent) == usual[1] == v1.reply_body(Reply[object](None, pieces=_pieces(9), **more), call.id)
        )
        assert sent[0]["headers"][: len(usual[2])] == usual[2]
        assert turns[1] > 9


def test_pieces_of_another_type_are_the_whole_body() -> None:
    reply = Reply({"size": 3}, pieces=[b"<a", b"\n>"], content_type="text/plain", headers={"X-Own": "1"})
    sent, _ = _sent(lambda send: answer_in_pieces(_call(), reply, {}, send))
    assert _whole(sent) == b"<a\n>"
    assert {(b"content-type", b"text/plain"), (b"X-Own", b"1")} <= {*sent[0]["headers"]}


def test_who_asks_for_the_head_alone_gets_no_pieces() -> None:
    reply = Reply[object](None, pieces=_pieces(9))
    sent, _ = _sent(lambda send: answer_in_pieces(_call("HEAD"), reply, {}, send))
    assert _whole(sent) == b""
