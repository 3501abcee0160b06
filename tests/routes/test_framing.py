# SPDX-License-Identifier: EUPL-1.2
"""Where a request begins and ends: what is cut off does nothing, and what can be read in two ways is refused.

All of it over a connection to the whole application; no socket is needed to send bytes.
"""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.routes.driver import Application
from tests.routes.test_again import Client, get, read

pytestmark = pytest.mark.in_memory("counts turns of the event loop")

HEAD = b"POST /v1/auth/token/create HTTP/1.1\r\nhost: x\r\nX-Vault-Token: root\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LIST = b"LIST /v1/sys/policies/acl HTTP/1.1\r\nhost: x\r\nX-Vault-Token: root\r\n\r\n"


@pytest.fixture
def client(application: Application) -> Client:
    return Client(application)


def tokens(application: Application) -> int:
    answer = application.request("LIST", "/v1/auth/token/accessors", token="root")
    return len(answer.json()["data"]["keys"])


def hang_up(client: Client) -> None:
    """End the connection, and let what is under way notice."""

    async def ending() -> None:
        client.reader.connection_lost(None)
        for _ in range(20):
            await asyncio.sleep(0)

    client.application.run(ending())


def pass_on(client: Client, *parts: bytes) -> bytes:
    """Send the parts; return the bytes of all answers."""

    async def turns() -> None:
        for part in parts:
            client.reader.data_received(part)
            for _ in range(20):
                await asyncio.sleep(0)

    client.written = b""
    client.application.run(turns())
    return client.written


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 20\r\n\r\n",
        b'Content-Length: 20\r\n\r\n{"ttl"',
        CHUNKED,
        CHUNKED + b"2\r\n{}\r\n",
        CHUNKED + b"ZZ\r\n",
        CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip\r\n\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", LIST], ids=["first", "behind"])
def test_a_write_whose_body_does_not_arrive_whole_does_nothing(
    application: Application, client: Client, before: bytes, rest: bytes
) -> None:
    count = tokens(application)
    if before:
        pass_on(client, before)
    sent = pass_on(client, HEAD + rest)
    hang_up(client)
    assert b" 200 " not in sent
    assert tokens(application) == count


@pytest.mark.parametrize("before", [b"", LIST], ids=["first", "behind"])
def test_trailers_are_no_headers(application: Application, before: bytes) -> None:
    application.request("POST", "/v1/sys/namespaces/inner", token="root")
    for trailer, status in ((b"X-Vault-Namespace: inner", 204), (b"X-Vault-Token: root", 403)):
        client = Client(application)
        if before:
            pass_on(client, before)
        line = b"X-Vault-Token: root\r\n" if status == 204 else b""
        write = b"POST /v1/plain/trailed HTTP/1.1\r\nhost: x\r\n" + line + CHUNKED
        sent = pass_on(client, write + b'9\r\n{"a":"b"}\r\n0\r\n' + trailer + b"\r\n\r\n")
        assert int(sent.split()[1]) == status


@pytest.mark.parametrize(
    "spoil",
    [
        lambda head: head.replace(b"host: x\r\n", b""),
        lambda head: head.replace(b"host: x\r\n", b"host: x\r\nhost: x\r\n"),
        lambda head: head.replace(b"host: x", b"host: x/y z"),
        lambda head: head.replace(b"HTTP/1.1", b"HTTP/2.0"),
        lambda head: head.replace(b"HTTP/1.1", b"HTTP/0.9"),
        lambda head: head[:-2] + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        lambda head: head[:-2] + b"Transfer-Encoding: identity\r\n\r\n",
        lambda head: head[:-2] + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        lambda head: head.replace(b"X-Vault-Token: ", b"X-Vault-Token:\r\n "),
        lambda head: head.replace(b"X-Vault-Token:", b"X-Vault-Token :"),
    ],
)  # fmt: skip
def test_a_head_that_can_be_read_in_two_ways_is_refused_and_ends_the_connection(
    application: Application, client: Client, spoil: Callable[[bytes], bytes]
) -> None:
    head = get("root")
    assert [status for status, _ in client.send(head, head, head)] == [200] * 3
    application.records()
    sent = pass_on(client, spoil(head))
    assert sent.startswith(b"HTTP/1.1 400 ") and sent.count(b"HTTP/1.1") == 1
    assert client.closing
    assert application.records() == []


def test_a_number_sign_is_a_letter_of_the_path_for_every_verb(
    application: Application, client: Client
) -> None:
    application.request("POST", "/v1/plain/a%23b", {"v": "signed"}, token="root")
    application.request("POST", "/v1/plain/a", {"v": "cut"}, token="root")
    signed = get("root", target=b"/v1/plain/a#b")
    for _ in range(4):
        assert client.send(signed)[0][1]["data"] == {"v": "signed"}
    (status, _), *_ = read(pass_on(client, signed.replace(b"GET", b"LIST")))
    assert status == 404


def test_what_stands_around_a_token_and_is_no_blank_belongs_to_it(client: Client) -> None:
    sent = pass_on(client, get("root").replace(b": root", b": root\xa0"))
    assert int(sent.split()[1]) == 403 and json.loads(sent.partition(b"\r\n\r\n")[2])["errors"]
