# SPDX-License-Identifier: EUPL-1.2
"""Writes whose head came before: it is not parsed again, and everything else is as if each were the first."""

import asyncio
import json
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.routes.test_again import ASKER, Client, ask, read
from vault.repeated.head_cache import HeadCache

pytestmark = pytest.mark.asked_alone("sends all on one connection, to one process")
WRITER = 'path "secret/*" { capabilities = ["create", "update", "read"] }'


def write(token: str, data: object, *lines: bytes, target: bytes = b"/v1/secret/data/x") -> bytes:
    """Return a request that writes; without a token it shows none."""
    body = json.dumps(data).encode()
    shown = [b"X-Vault-Token: " + token.encode()] if token else []
    head = b"".join(
        line + b"\r\n" for line in (b"host: x", *shown, *lines, b"content-length: %d" % len(body))
    )
    return b"POST %b HTTP/1.1\r\n%b\r\n%b" % (target, head, body)


def put(token: str, value: str, *lines: bytes) -> bytes:
    return write(token, {"data": {"a": value}}, *lines)


@pytest.fixture
def client(application: Application) -> Client:
    return Client(application)


@pytest.fixture
def token(application: Application, client: Client) -> str:
    """A token whose writes have a head that is known."""
    token = application.token(WRITER)
    assert [status for status, _ in client.send(*(put(token, value) for value in "abc"))] == [200] * 3
    assert client.passes(put(token, "d"))
    return token


def heads_of(client: Client) -> HeadCache:
    """The heads that a client's listener knows."""
    app: Any = client.reader.app
    heads: HeadCache = app.again.__self__._heads
    return heads


def stored(application: Application) -> Any:
    return application.request("GET", "/v1/secret/data/x", token="root").json()["data"]["data"]


def test_each_writes_its_own_body_and_is_recorded_as_ever(
    application: Application, client: Client, token: str
) -> None:
    application.records()
    answers = [body for _, body in client.send(put(token, "e"), put(token, "f"))]
    records = application.records()
    first, second = (answer["data"]["version"] for answer in answers)
    assert second == first + 1
    assert stored(application) == {"a": "f"}
    assert [record["type"] for record in records] == ["request", "response"] * 2
    assert len({record["request"]["id"] for record in records}) == 2
    assert records[0]["request"]["operation"] == "update"
    hashes = [record["request"]["data"]["data"] for record in records]
    assert hashes[0] == hashes[1] != hashes[2] == hashes[3]
    for record in records:
        del record["time"], record["request"]["id"], record["request"]["data"]
    assert records[0] == records[2]


def test_a_right_that_ended_is_refused_at_once(application: Application, client: Client, token: str) -> None:
    application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
    assert client.send(put(token, "e"))[0][0] == 403
    assert stored(application) == {"a": "d"}


def test_a_policy_that_changed_counts_at_once(application: Application, client: Client) -> None:
    application.request("POST", "/v1/sys/policies/acl/w", {"policy": WRITER}, token="root")
    made = application.request("POST", "/v1/auth/token/create", {"policies": ["w"]}, token="root").json()
    token = made["auth"]["client_token"]
    client.send(*(put(token, value) for value in "abc"))
    assert client.passes(put(token, "d"))
    application.request("POST", "/v1/sys/policies/acl/w", {"policy": 'path "x" {}'}, token="root")
    assert client.send(put(token, "e"))[0][0] == 403


def test_a_path_leads_to_the_mount_of_now(application: Application, client: Client) -> None:
    client.send(*(put("root", value) for value in "abc"))
    assert client.passes(put("root", "d"))
    application.request("DELETE", "/v1/sys/mounts/secret", token="root")
    assert client.send(put("root", "e"))[0][0] == 404
    application.request("POST", "/v1/sys/mounts/secret", {"type": "cubbyhole"}, token="root")
    assert client.send(put("root", "f"))[0][0] == 404


def test_a_sealed_vault_writes_nothing(application: Application, client: Client, token: str) -> None:
    application.request("PUT", "/v1/sys/seal", token="root")
    assert client.send(put(token, "e"))[0][0] == 503


def test_a_body_that_is_not_as_long_as_its_head_says_is_read_as_it_comes(
    application: Application, client: Client, token: str
) -> None:
    request = put(token, "e")
    for cut in (len(request) - 1, request.index(b"\r\n\r\n") + 4, 9):
        assert client.send(request[:cut], request[cut:])[0][0] == 200
    first, second = (body["data"]["version"] for _, body in client.send(put(token, "f") + put(token, "g")))
    assert second == first + 1
    longer = put(token, "longer")
    assert not client.passes(longer)
    assert stored(application) == {"a": "longer"}


def test_requests_in_a_row_are_carried_out_in_order(
    application: Application, client: Client, token: str
) -> None:
    async def in_a_row() -> None:
        for value in "efg":
            client.reader.data_received(put(token, value))
        async with asyncio.timeout(60):
            while client.written.count(b"HTTP/1.1 ") < 3:  # noqa: ASYNC110 -- the next one begins a turn after an answer
                await asyncio.sleep(0.001)
        await client.answered()

    client.written = b""
    application.run(in_a_row())
    first, *others = (body["data"]["version"] for _, body in read(client.written))
    assert others == [first + 1, first + 2]
    assert stored(application) == {"a": "g"}


def test_who_shows_a_certificate_is_parsed_each_time(client: Client, token: str) -> None:
    client.reader.app_state["client_certificate"] = b"its DER"
    assert not client.passes(put(token, "e"))


def test_a_refusal_is_answered_as_the_first_was(application: Application, client: Client, token: str) -> None:
    application.records()
    refused = write(token, {"data": {"a": "e"}, "options": {"cas": 1}})
    client.send(*[write(token, {"data": {"a": value}, "options": {}}) for value in "efg"])
    for _ in range(3):
        ((status, body),) = client.send(refused)
        assert (status, body["errors"]) == (
            400,
            ["check-and-set parameter did not match the current version"],
        )
    assert stored(application) == {"a": "g"}


@pytest.mark.parametrize(
    "line",
    [
        b"connection: close",
        b"expect: 100-continue",
        b"x-vault-wrap-ttl: 60",
        b"X-Vault-Namespace: root",
        b"authorization: Bearer root",
    ],
)
def test_a_head_that_says_more_is_parsed_each_time(application: Application, line: bytes) -> None:
    for value in "abcd":
        assert not Client(application).passes(put("root", value, line))


def test_another_spelling_of_the_path_is_parsed_each_time(client: Client) -> None:
    for value in "abcd":
        assert not client.passes(write("root", {"data": {"a": value}}, target=b"/v1/secret/data/%78"))


def test_a_login_without_a_token_is_known_and_a_wrong_secret_is_not_let_in(
    application: Application, client: Client
) -> None:
    application.request("POST", "/v1/sys/auth/approle", {"type": "approle"}, token="root")
    role = "/v1/auth/approle/role/r"
    application.request("POST", role, {"token_ttl": "1h"}, token="root")
    role_id = application.request("GET", f"{role}/role-id", token="root").json()["data"]["role_id"]
    secret = application.request("POST", f"{role}/secret-id", {}, token="root").json()["data"]["secret_id"]

    def shown_by(secret_id: str) -> dict[str, str]:
        return {"role_id": role_id, "secret_id": secret_id}

    def login(secret_id: str) -> bytes:
        return write("", shown_by(secret_id), target=b"/v1/auth/approle/login")

    wrong = secret[::-1]
    for _ in range(3):
        assert not client.passes(login(wrong))
    tokens = {body["auth"]["client_token"] for _, body in client.send(*[login(secret)] * 3)}
    assert len(tokens) == 3 and client.passes(login(secret))
    assert client.send(login(wrong))[0][0] == 400
    shown = [write("s.nobodys", shown_by(secret), target=b"/v1/auth/approle/login") for _ in range(4)]
    assert [status for status, _ in client.send(*shown)] == [200] * 4
    assert [known.token.reveal() for known in heads_of(client)._writes.values()] == [""]


def test_what_only_asks_is_known_by_its_whole_body_whatever_came_there_before(
    application: Application, client: Client
) -> None:
    made = [
        application.request("POST", "/v1/auth/token/create", {"ttl": "1h"}, token="root").json()["auth"]
        for _ in range(2)
    ]
    token = application.token(ASKER)
    first, second = (b"".join(ask(token, one["accessor"])) for one in made)
    client.reader.app.asked[b"POST /v1/auth/token/lookup-accessor"] = False
    for _ in range(3):
        for request, one in ((first, made[0]), (second, made[1])):
            assert client.send(request)[0][1]["data"]["accessor"] == one["accessor"]


def test_no_token_stays_that_was_revoked(application: Application, client: Client, token: str) -> None:
    heads = heads_of(client)
    assert [known.token.reveal() for known in heads._writes.values()] == [token]
    application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
    heads._plans.tidy(application.clock.millis())
    assert not heads._writes.values()


def test_a_known_head_is_forgotten_with_its_token(application: Application, client: Client) -> None:
    made = application.request(
        "POST", "/v1/auth/token/create", {"policies": ["root"], "ttl": "1m"}, token="root"
    )
    token = made.json()["auth"]["client_token"]
    client.send(*(put(token, value) for value in "abc"))
    assert client.passes(put(token, "d"))
    heads = heads_of(client)
    assert heads._writes.values()
    application.clock.sleep(60)
    heads._plans.tidy(application.clock.millis())
    assert not heads._writes.values()
