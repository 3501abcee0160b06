# SPDX-License-Identifier: EUPL-1.2
"""Requests that come again byte for byte, while another process changes what their answers rest on."""

import json
from collections.abc import Generator
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.routes.test_again import Client
from tests.shared import Shared


@pytest.fixture
def both(shared: Shared) -> Generator[tuple[Application, Client]]:
    """The one that changes things, and a client of the one that is not told."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, Client(other)


def _made(one: Application) -> dict[str, Any]:
    body = {"policies": ["default"], "ttl": "1h"}
    made: dict[str, Any] = one.request("POST", "/v1/auth/token/create", body, token="root").json()["auth"]
    return made


def _revoke(one: Application, token: str) -> None:
    """End a token: what any process knows of any token is then to be looked at anew."""
    assert one.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root").status == 204


def _request(method: bytes, path: bytes, body: object = None) -> bytes:
    sent = b"" if body is None else json.dumps(body).encode()
    length = b"content-length: %d\r\n" % len(sent) if sent else b""
    head = b"%b /v1/%b HTTP/1.1\r\nhost: x\r\nx-vault-token: root\r\n%b\r\n"
    return head % (method, path, length) + sent


def _asked(accessor: str) -> dict[str, bytes]:
    about = {"accessor": accessor}
    return {
        "a read": _request(b"GET", b"secret/data/x"),
        "a lookup by accessor": _request(b"POST", b"auth/token/lookup-accessor", about),
        "capabilities": _request(b"POST", b"sys/capabilities-accessor", {**about, "paths": ["sys/x"]}),
    }


@pytest.mark.parametrize("what", ["a read", "a lookup by accessor", "capabilities"])
def test_what_starts_over_as_facts_changed_is_answered_as_the_first_time(
    both: tuple[Application, Client], what: str
) -> None:
    one, client = both
    request = _asked(_made(one)["accessor"])[what]
    ((status, first),) = client.send(request)
    assert status == 200
    client.send(request)  # a body is looked at from here on: its target is known to ask
    for _ in range(3):
        client.send(request)
        cycle = client.reader.cycle
        _revoke(one, _made(one)["client_token"])
        ((status, answer),) = client.send(request)
        assert (status, answer["data"]) == (200, first["data"])
        assert client.unread_since(cycle)  # it was known by its bytes, and started over from what was kept


def test_what_another_process_revoked_is_not_told_again(both: tuple[Application, Client]) -> None:
    one, client = both
    made = _made(one)
    request = _asked(made["accessor"])["a lookup by accessor"]
    assert [client.send(request)[0][0] for _ in range(3)] == [200] * 3
    cycle = client.reader.cycle
    _revoke(one, made["client_token"])
    ((status, answer),) = client.send(request)
    assert (status, client.unread_since(cycle)) == (400, True)
    assert "invalid accessor" in answer["errors"][0]
