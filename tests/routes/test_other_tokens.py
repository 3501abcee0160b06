# SPDX-License-Identifier: EUPL-1.2
"""Reads whose head came before with another token: they are not parsed, and each is asked everything that a first one is."""

import json
from typing import Any

import pytest

from tests.routes.issuer import DB, OTHER, READS, TO_DB, Issuer
from tests.routes.test_again import Client, get
from vault.repeated.head_cache import cut_token

pytestmark = pytest.mark.asked_alone("sends all on one connection, to one process")
TARGET = f"/v1/{DB}".encode()


@pytest.fixture
def client(issuer: Issuer) -> Client:
    return Client(issuer.application)


@pytest.fixture
def token(issuer: Issuer) -> str:
    issuer.root(DB, {"data": {"a": "b"}})
    return issuer.issue()


def chains(issuer: Issuer, token: str, count: int) -> list[str]:
    """Return chains made from a token, no two alike."""
    return [issuer.narrow(token, f"hop({number}); {READS}") for number in range(count)]


def asks(token: str, *lines: bytes, target: bytes = TARGET) -> bytes:
    return get(token, *lines, target=target)


def _ends(record: Any) -> Any:
    """What a record says of any chain and call alike."""
    told = json.loads(json.dumps(record))
    del told["time"], told["request"]["id"]
    for part in (told["auth"], told["request"]):
        for name in ("client_token", "accessor", "client_token_accessor"):
            part.pop(name, None)
    told.get("response", {}).pop("sighting", None)
    return told


def test_another_chain_is_answered_and_recorded_as_the_first_and_nothing_is_parsed(
    issuer: Issuer, client: Client, token: str
) -> None:
    first, *others, last = chains(issuer, token, 5)
    assert client.send(asks(first))[0][1]["data"]["data"] == {"a": "b"}
    issuer.application.records()
    for other in others:
        assert client.passes(asks(other))
        assert b"HTTP/1.1 200" in client.written and b'"a":"b"' in client.written
    fresh = Client(issuer.application)
    assert not fresh.passes(asks(last, b"x-own: 1"))
    records = issuer.application.records()
    assert len({record["request"]["id"] for record in records}) == 4
    assert len({record["auth"]["client_token"] for record in records}) == 4
    assert len({record["response"]["sighting"]["chain"][-1] for record in records[1::2]}) == 4
    assert all(_ends(record) == _ends(records[-2]) for record in records[::2])
    assert all(_ends(record) == _ends(records[-1]) for record in records[1::2])


def test_one_chain_that_comes_again_gets_a_plan(issuer: Issuer, client: Client, token: str) -> None:
    first, second = chains(issuer, token, 2)
    client.send(asks(first))
    for _ in range(4):
        assert client.passes(asks(second))
    assert len(client.reader.app.again.__self__._heads._kept) == 1


@pytest.mark.parametrize("wrong", ["signature", "checks", "expired", "revoked"])
def test_who_has_no_good_token_is_refused(issuer: Issuer, client: Client, token: str, wrong: str) -> None:
    first, second = chains(issuer, token, 2)
    assert client.send(asks(first))[0][0] == 200
    if wrong == "signature":
        second = second[:-20] + ("A" if second[-20] != "A" else "B") + second[-19:]
    elif wrong == "checks":
        second = issuer.narrow(token, TO_DB.replace("app/db", "app/else"))
    elif wrong == "expired":
        issuer.application.clock.sleep(3_000_000)
    else:
        issuer.root("nhi/revoke", {"token": token})
    assert client.passes(asks(second)) is (wrong != "revoked")
    assert client.written.startswith(b"HTTP/1.1 403")


def test_a_policy_or_mount_that_changed_counts_at_once(issuer: Issuer, client: Client, token: str) -> None:
    first, second, third = chains(issuer, token, 3)
    assert client.send(asks(first))[0][0] == 200
    issuer.root("sys/policies/acl/app", {"policy": 'path "x" {}'})
    assert client.send(asks(second))[0][0] == 403
    issuer.root("sys/mounts/secret", method="DELETE")
    assert client.send(asks(third))[0][0] == 403


def test_a_sealed_vault_answers_nobody(issuer: Issuer, client: Client, token: str) -> None:
    first, second = chains(issuer, token, 2)
    client.send(asks(first))
    issuer.root("sys/seal", method="PUT")
    assert client.send(asks(second))[0][0] == 503
    issuer.application.reopen()
    assert client.send(asks(second))[0][0] == 200


def test_what_says_more_is_parsed_each_time(issuer: Issuer, client: Client, token: str) -> None:
    first, second = chains(issuer, token, 2)
    client.send(asks(first))
    twice = asks(first, b"X-Vault-Token: " + second.encode())
    for head in (
        asks(second, b"x-vault-namespace: ns"),
        asks(second, b"x-own: 1"),
        asks(second, target=f"/v1/{OTHER}".encode()),
        asks(second, target=TARGET + b"?version=1"),
        asks(f" {second}"),
        asks(f"biscuit:{second}"),
        twice,
        asks(second).replace(b"HTTP/1.1", b"HTTP/1.0"),
        asks(second) + asks(second),
        asks(second, b"content-length: 3") + b"abc",
    ):
        assert not Client(issuer.application).passes(head), head
    for _ in range(2):
        assert not Client(issuer.application).passes(twice)
        assert not client.passes(asks(second, b"x-vault-wrap-ttl: 60"))
    client.reader.app_state["client_certificate"] = b"its DER"
    assert not client.passes(asks(second))


def test_what_is_cut_is_one_plain_value_of_one_line() -> None:
    token = "E" + "x" * 300
    cut = cut_token(asks(token))
    assert cut is not None and cut.token == token
    assert cut == cut_token(asks(token)) and cut.rest == getattr(cut_token(asks(token + "y")), "rest", None)
    for other in (token[:100], token + "%", token + " ", " " + token):
        assert cut_token(asks(other)) is None


def test_no_token_is_among_what_is_kept(issuer: Issuer, client: Client, token: str) -> None:
    (first,) = chains(issuer, token, 1)
    client.send(asks(first, b"x-own: 2"))
    forms: Any = client.reader.app.again.__self__._heads._forms
    (form,) = forms.values()
    kept = repr([form._before, form._after, form._head.headers, form.target, form.destination])
    assert "x-own" in kept and first not in kept
