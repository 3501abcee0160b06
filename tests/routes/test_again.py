# SPDX-License-Identifier: EUPL-1.2
"""Requests that come again byte for byte: answered without parsing, and as if each were the first.

Each test lets a head become known by sending it three times over one connection, then goes on with its bytes.
"""

import asyncio
import json
import os
from typing import Any

import pytest
from uvicorn.server import ServerState

from tests.routes.driver import Application
from tests.unit.server.http.test_protocol import Wire
from vault.server.config.settings import Listener
from vault.server.http.listeners import _uvicorn
from vault.server.http.protocol import Connection

pytestmark = pytest.mark.asked_alone("sends all on one connection, to one process")
READER = 'path "secret/*" { capabilities = ["read"] }'
LISTENER = Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True)


class Client(Wire):
    """One connection to the application, without a network."""

    def __init__(self, application: Application, listener: Listener = LISTENER) -> None:
        super().__init__()
        self.application = application
        self.lost = False
        application.run(self._connect(listener))

    async def _connect(self, listener: Listener) -> None:
        app = _uvicorn(self.application.vault.at(listener), listener)
        self.reader = Connection(app, ServerState(), listener, asyncio.get_running_loop())
        self.reader.connection_made(self)

    def send(self, *parts: bytes) -> list[tuple[int, Any]]:
        """Send the parts, each in a turn of its own; return status and body of each answer."""
        self.pass_on(*parts)
        return read(self.written)

    def pass_on(self, *parts: bytes) -> None:
        """Send the parts, each in a turn of its own, until what they ask is answered."""

        async def turns() -> None:
            for part in parts:
                self.reader.data_received(bytes(bytearray(part)))
                for _ in range(20):
                    await asyncio.sleep(0)
                await self.answered()

        self.written = b""
        self.application.run(turns())

    async def answered(self) -> None:
        """Wait until nothing that is there whole waits for its answer."""
        async with asyncio.timeout(60):
            while self._answering():  # noqa: ASYNC110 -- what a thread reads takes more than turns
                await asyncio.sleep(0.001)

    def _answering(self) -> bool:
        """Whether a request that is there whole waits for its answer."""
        return self.reader._busy() and not self.reader.cycle.more_body

    def passes(self, head: bytes) -> bool:
        """Whether a head is answered without anything being parsed."""
        cycle = self.reader.cycle
        self.send(head)
        return self.unread_since(cycle)

    def unread_since(self, cycle: object) -> bool:
        """Whether nothing was parsed since the connection had this cycle; who had to wait has one without headers."""
        return self.reader.cycle is cycle or "headers" not in self.reader.cycle.scope


def read(received: bytes) -> list[tuple[int, Any]]:
    """Return status and body of each answer in `received`."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        found.append((int(head.split()[1]), json.loads(rest[:length]) if length else {}))
        received = rest[length:]
    return found


def get(token: str, *lines: bytes, target: bytes = b"/v1/secret/data/x") -> bytes:
    more = b"".join(line + b"\r\n" for line in lines)
    return b"GET %b HTTP/1.1\r\nhost: x\r\nX-Vault-Token: %b\r\n%b\r\n" % (target, token.encode(), more)


@pytest.fixture
def client(application: Application) -> Client:
    return Client(application)


@pytest.fixture
def head(application: Application, client: Client) -> bytes:
    """A head that is known."""
    head = get(application.token(READER))
    assert [status for status, _ in client.send(head, head, head)] == [200] * 3
    assert client.passes(head)
    return head


def test_each_answer_and_each_record_is_that_of_a_first_request(
    application: Application, client: Client
) -> None:
    head = get(application.token(READER))
    application.records()
    answers = [body for _, body in client.send(head, head, head, head)]
    assert len({answer.pop("request_id") for answer in answers}) == 4
    assert answers == [answers[0]] * 4
    records = application.records()
    assert [record["type"] for record in records] == ["request", "response"] * 4
    assert len({record["request"]["id"] for record in records}) == 4
    for record in records:
        del record["time"], record["request"]["id"]
    assert records == records[:2] * 4


@pytest.mark.in_memory("counts turns of the event loop")
def test_no_answer_leaves_before_its_records_are_written(
    application: Application, client: Client, head: bytes
) -> None:
    others = [Client(application) for _ in range(3)]
    for each in others:
        each.reader._again = client.reader._again

    async def at_once() -> tuple[int, bytes]:
        application.records()
        client.written = b""
        for each in (client, *others):
            each.reader.data_received(head)
        return len(application.audit.read_bytes()), b"".join(each.written for each in (client, *others))

    assert application.run(at_once()) == (0, b"")
    application.run(asyncio.sleep(0))
    assert [read(each.written)[0][0] for each in (client, *others)] == [200] * 4
    assert [record["type"] for record in application.records()] == ["request", "response"] * 4


def test_what_no_device_records_is_not_answered(
    application: Application, client: Client, head: bytes
) -> None:
    (writer,) = application.vault.controls.audit._devices.values()
    device = writer._device
    other = Client(application)
    kept = os.dup(device._fd)  # type: ignore[attr-defined]  # a file that may not be written, in the device's place
    closed = os.open(application.audit, os.O_RDONLY)
    os.dup2(closed, device._fd)  # type: ignore[attr-defined]  # a file device has one
    try:
        refused = client.send(head)
        assert [status for status, _ in refused] == [500]
        assert "data" not in refused[0][1]
    finally:
        os.dup2(kept, device._fd)  # type: ignore[attr-defined]  # a file device has one
        os.close(kept)
        os.close(closed)
    assert [status for status, _ in (*client.send(head), *other.send(head))] == [200, 200]


def test_whoever_waits_for_records_is_refused_in_the_form_that_was_asked_for(
    application: Application,
) -> None:
    token = application.token(READER)
    heads = [get(token, b"accept: application/problem+json"), get(token)]
    clients = [Client(application), Client(application)]
    for client, head in zip(clients, heads, strict=True):
        client.send(head, head, head)
        assert client.passes(head)
    (device,) = application.vault.controls.audit._devices.values()
    write = device.write

    def fails(line: bytes, now: float) -> None:
        raise RuntimeError("nobody thought of it")

    async def at_once() -> None:
        for client, head in zip(clients, heads, strict=True):
            client.written = b""
            client.reader.data_received(head)
        await asyncio.sleep(0)
        for client in clients:
            await client.answered()

    device.write = fails  # type: ignore[method-assign]  # a device with a defect
    application.run(at_once())
    device.write = write  # type: ignore[method-assign]  # mended
    problem, plain = (read(client.written) for client in clients)
    assert [(status, body["title"]) for status, body in problem] == [(500, "unavailable")]
    assert b"content-type: application/problem+json" in clients[0].written
    assert [status for status, _ in plain] == [500] and "errors" in plain[0][1]
    assert [client.send(head)[0][0] for client, head in zip(clients, heads, strict=True)] == [200, 200]


@pytest.mark.in_memory("counts turns of the event loop")
def test_two_in_a_row_are_answered_in_order_before_the_first_has_left(
    application: Application, client: Client, head: bytes
) -> None:
    other = get("root", target=b"/v1/sys/policies/acl/x")

    async def in_a_row() -> None:
        for part in (head, other, head):
            client.reader.data_received(part)
        for _ in range(20):
            await asyncio.sleep(0)

    client.written = b""
    application.run(in_a_row())
    first, second, third = read(client.written)
    assert (first[1]["data"]["data"], second[1]["data"]["name"]) == ({"a": {"b": 1}}, "x")
    assert third[1]["data"] == first[1]["data"]
    assert len(client.send(head + head)) == 2
    assert len(client.send(head + head[:9], head[9:])) == 2


async def _together(client: Client, heads: list[bytes], turns: int) -> None:
    """Hand over heads, each so many turns of the loop after the one before, and wait until all are answered."""
    client.written = b""
    for head in heads:
        asyncio.get_running_loop().call_soon(
            client.reader.data_received, head
        )  # as a transport does: in no task
        for _ in range(turns):
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while client.written.count(b"HTTP/1.1 ") < len(heads) or client.reader._busy():
            await asyncio.sleep(0)
            assert not client.closing, "the connection is closed with answers to come"


@pytest.mark.parametrize("turns", range(8))
def test_requests_in_a_row_are_answered_in_order_whatever_the_first_waits_for(
    application: Application, client: Client, head: bytes, turns: int
) -> None:
    other = get("root", target=b"/v1/sys/policies/acl/x")
    client.send(other, other, other)
    assert client.passes(other)
    unknown = get("root", target=b"/v1/sys/policies/acl/default")
    for heads in ([head, other, head], [head, unknown, other], [unknown, head, head]):
        application.run(_together(client, heads, turns))
        names = [body["data"].get("name", "secret") for _, body in read(client.written)]
        assert names == [{head: "secret", other: "x", unknown: "default"}[each] for each in heads]
        assert len(client.reader.tasks) == 0


def test_a_right_that_ended_is_refused_at_once(application: Application, client: Client, head: bytes) -> None:
    token = head.partition(b"X-Vault-Token: ")[2].partition(b"\r\n")[0].decode()
    application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
    assert [status for status, _ in client.send(head)] == [403]


def test_a_sealed_vault_answers_nobody(application: Application, client: Client, head: bytes) -> None:
    application.request("PUT", "/v1/sys/seal", token="root")
    assert [status for status, _ in client.send(head)] == [503]


def test_a_token_that_expires_is_refused_at_its_time(application: Application, client: Client) -> None:
    body = {"policies": ["root"], "ttl": "1m"}
    made = application.request("POST", "/v1/auth/token/create", body, token="root").json()
    head = get(made["auth"]["client_token"])
    assert [status for status, _ in client.send(head, head, head)] == [200] * 3
    application.clock.sleep(60)
    assert client.send(head)[0][0] == 403


def test_what_was_written_since_is_what_is_read(
    application: Application, client: Client, head: bytes
) -> None:
    application.request("POST", "/v1/secret/data/x", {"data": {"a": "new"}}, token="root")
    assert client.send(head)[0][1]["data"]["data"] == {"a": "new"}
    application.request("DELETE", "/v1/secret/data/x", token="root")
    ((status, body),) = client.send(head)
    assert (status, body["data"]["data"]) == (404, None)
    application.request("DELETE", "/v1/secret/metadata/x", token="root")
    assert client.send(head, head) == [(404, {"errors": []})] * 2


def test_a_rate_limit_counts_and_tells_each_request(
    application: Application, client: Client, head: bytes
) -> None:
    body = {"rate": 2, "interval": "1h"}
    application.request("POST", "/v1/sys/quotas/rate-limit/few", body, token="root")
    application.request(
        "POST", "/v1/sys/quotas/config", {"enable_rate_limit_response_headers": True}, token="root"
    )
    assert 429 in [status for status, _ in client.send(head, head, head, head)]


def test_pages_of_other_origins_are_looked_at_as_soon_as_any_may_call(
    application: Application, client: Client
) -> None:
    head = get("root", b"origin: https://elsewhere.example")
    assert [status for status, _ in client.send(head, head, head)] == [200] * 3
    body = {"allowed_origins": "https://here.example"}
    assert application.request("POST", "/v1/sys/config/cors", body, token="root").status == 204
    assert [status for status, _ in client.send(head)] == [403]


def test_another_address_is_another_client(application: Application, client: Client) -> None:
    head = get("root")
    client.send(head, head, head)
    other = Client(application)
    other.reader.client = ("192.0.2.1", 1)
    assert not other.passes(head)


@pytest.mark.parametrize(
    "line",
    [b"content-length: 0", b"connection: close", b"expect: 100-continue", b"x-vault-wrap-ttl: 60"],
)
def test_a_head_that_says_more_than_what_is_read_is_parsed_each_time(
    application: Application, line: bytes
) -> None:
    head = get("root", line)
    for _ in range(4):
        assert not Client(application).passes(head)


def test_a_head_that_asks_to_keep_the_connection_may_be_known(client: Client) -> None:
    head = get("root", b"Connection: keep-alive")
    client.send(head, head, head)
    assert client.passes(head)


def test_a_body_is_no_head(client: Client) -> None:
    inner = get("root")
    client.send(inner, inner, inner)
    assert client.passes(inner)
    outer = (
        b"POST /v1/sys/tools/hash HTTP/1.1\r\nhost: x\r\nX-Vault-Token: root\r\ncontent-length: %d\r\n\r\n"
    )
    ((status, _),) = client.send(outer % len(inner), inner)
    assert status == 400


def test_headers_of_a_listener_stand_in_every_answer(application: Application) -> None:
    listener = Listener(
        kind="tcp",
        address="127.0.0.1:1",
        tls_disable=True,
        custom_response_headers={"default": {"X-Own": "yes"}},
    )
    client = Client(application, listener)
    client.send(*[get("root")] * 4)
    assert client.written.count(b"x-own: yes") == 4


def test_a_connection_that_ends_lets_its_answer_leave_first(client: Client, head: bytes) -> None:
    async def ending() -> None:
        client.written = b""
        client.reader.data_received(head)
        client.reader.shutdown()
        await client.answered()

    client.application.run(ending())
    assert [status for status, _ in read(client.written)] == [200] and client.closing


def test_an_idle_connection_is_waited_for_as_long_as_the_listener_says(client: Client, head: bytes) -> None:
    client.send(head)
    assert not client.reader.stalled(100.0)
    assert not client.reader.stalled(100.0 + LISTENER.http_idle_timeout)
    assert client.reader.stalled(101.0 + LISTENER.http_idle_timeout)
    client.send(head)
    assert not client.reader.stalled(102.0 + LISTENER.http_idle_timeout)


def ask(token: str, accessor: str, *lines: bytes) -> tuple[bytes, bytes]:
    """Return head and body of a request that asks for a token by its accessor."""
    body = json.dumps({"accessor": accessor}).encode()
    head = (
        b"POST /v1/auth/token/lookup-accessor HTTP/1.1\r\nhost: x\r\nX-Vault-Token: %b\r\n" % token.encode()
    )
    more = b"".join(line + b"\r\n" for line in lines)
    return b"%b%bcontent-length: %d\r\n\r\n" % (head, more, len(body)), body


ASKER = 'path "auth/token/lookup-accessor" { capabilities = ["update"] }'


@pytest.fixture
def accessors(application: Application) -> list[str]:
    """Accessors of two tokens of one length."""
    return [
        str(
            application.request("POST", "/v1/auth/token/create", {"ttl": "1h"}, token="root").json()["auth"][
                "accessor"
            ]
        )
        for _ in range(2)
    ]


def test_a_body_that_only_asks_is_not_parsed_again_and_recorded_as_ever(
    application: Application, client: Client, accessors: list[str]
) -> None:
    first, second = (b"".join(ask(application.token(ASKER), accessor)) for accessor in accessors)
    application.records()
    answers = [body for _, body in client.send(first, first, first)]
    assert client.passes(first)
    assert [answer["data"]["accessor"] for answer in answers] == [accessors[0]] * 3
    records = application.records()
    assert [record["type"] for record in records] == ["request", "response"] * 4
    for record in records:
        del record["time"], record["request"]["id"]
        record.get("response", {}).get("data", {}).pop("ttl", None)
    assert records == records[:2] * 4
    assert records[0]["request"]["data"]["accessor"].startswith("hmac-sha256:")
    assert not client.passes(second)
    assert client.send(second)[0][1]["data"]["accessor"] == accessors[1]


def test_a_body_that_comes_in_pieces_is_never_taken_for_another(
    application: Application, client: Client, accessors: list[str]
) -> None:
    token = application.token(ASKER)
    for accessor in accessors * 3:
        head, body = ask(token, accessor)
        for cut in (0, 5):
            answered = client.send(head + body[:cut], body[cut:])
            assert [found["data"]["accessor"] for _, found in answered] == [accessor]


def test_what_a_body_asked_about_is_asked_for_anew_and_what_was_revoked_is_refused(
    application: Application, client: Client, accessors: list[str]
) -> None:
    token = application.token(ASKER)
    known = b"".join(ask(token, accessors[0]))
    client.send(known, known, known)
    assert client.passes(known)
    application.request("POST", "/v1/auth/token/revoke-accessor", {"accessor": accessors[0]}, token="root")
    assert [status for status, _ in client.send(known)] == [400]
    other = b"".join(ask(token, accessors[1]))
    client.send(other, other, other)
    application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
    assert [status for status, _ in client.send(other)] == [403]


def test_two_requests_in_one_piece_are_known_as_neither(
    application: Application, client: Client, accessors: list[str]
) -> None:
    both = b"".join(part for accessor in accessors for part in ask(application.token(ASKER), accessor))
    for _ in range(4):
        assert [found["data"]["accessor"] for _, found in client.send(both)] == accessors
    assert not client.passes(both)


CAPABLE = ' path "sys/capabilities-self" { capabilities = ["update"] }'
PATHS = b'{"paths":["secret/%b"]'


def _parts(token: str) -> tuple[bytes, bytes]:
    """A read and a question in one piece, but for the end of the question's body, which is as long as that piece."""
    said = PATHS % b"x"
    line = "POST /v1/sys/capabilities-self HTTP/1.1\r\nhost: x\r\nX-Vault-Token: %s\r\ncontent-length: %d\r\n\r\n"
    length = next(n for n in range(100, 400) if len(line % (token, n)) + len(said) == n)
    rest = b" " * (length - len(said) - 1) + b"}"
    return get(token) + (line % (token, length)).encode() + said, rest


def test_what_came_before_a_request_in_one_piece_is_answered_each_time(
    application: Application, client: Client
) -> None:
    first, rest = _parts(application.token(READER + CAPABLE))
    for _ in range(4):
        assert [status for status, _ in client.send(first, rest)] == [200, 200]
    assert not client.passes(first)


def test_a_body_in_chunks_is_never_taken_for_another(application: Application, client: Client) -> None:
    line = b"POST /v1/sys/capabilities-self HTTP/1.1\r\nhost: x\r\nX-Vault-Token: %b\r\n"
    head = line % application.token(READER + CAPABLE).encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    for name in (b"q", b"q", b"q", b"r"):
        body = PATHS % name + b"}"
        size = b"%x\r\n" % len(body)
        cut = len(body) - len(size)
        sent = head + size + body[:cut]
        answer = client.send(sent, body[cut:] + b"\r\n0\r\n\r\n")[0][1]
        assert f"secret/{name.decode()}" in answer["data"]
