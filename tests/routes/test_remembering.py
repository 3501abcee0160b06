# SPDX-License-Identifier: EUPL-1.2
"""Whatever changes between two equal reads is seen by the second: it is answered as by a server that remembers nothing.

The subject reads the same heads over one connection, so that it answers them without parsing. Beside it, after each
change, a server begins anew on a copy of the storage and is asked the same.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.routes.driver import Application
from tests.routes.test_again import Client, get

READ = 'path "{path}" {{ capabilities = ["read"] }}'
POLICIES = {
    "own": READ.format(path="secret/data/x"),
    "personal": READ.format(path="secret/data/{{identity.entity.metadata.team}}"),
    "grouped": READ.format(path="plain/x"),
    "none": 'path "nowhere" { capabilities = ["read"] }',
}


@dataclass(frozen=True)
class Change:
    """One request that changes something; names in braces are filled in."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    token: str = "root"
    namespace: str = ""


def policy(name: str, text: str) -> Change:
    return Change("PUT", f"sys/policies/acl/{name}", {"policy": text})


CHANGES = (
    Change("POST", "secret/data/x", {"data": {"a": "changed"}}),
    Change("DELETE", "secret/data/x"),
    Change("POST", "secret/undelete/x", {"versions": [1, 2, 3]}),
    Change("POST", "secret/destroy/x", {"versions": [2, 3]}),
    Change("DELETE", "secret/metadata/x"),
    Change("POST", "secret/metadata/x", {"custom_metadata": {"a": "b"}}),
    Change("POST", "secret/data/red", {"data": {"team": "red"}}),
    Change("POST", "plain/x", {"a": "changed"}),
    Change("DELETE", "plain/x"),
    Change("POST", "cubbyhole/x", {"a": "changed"}, token="{plain}"),
    policy("own", POLICIES["none"]),
    policy("own", POLICIES["own"]),
    policy("own", 'path "secret/data/x" { capabilities = ["deny"] }'),
    Change("DELETE", "sys/policies/acl/own"),
    policy("grouped", POLICIES["none"]),
    policy("grouped", POLICIES["grouped"]),
    policy("personal", POLICIES["own"]),
    policy("default", 'path "secret/data/x" { capabilities = ["read"] }'),
    Change("POST", "auth/token/revoke", {"token": "{plain}"}),
    Change("POST", "auth/token/revoke", {"token": "{parent}"}),
    Change("POST", "auth/token/revoke-orphan", {"token": "{parent}"}),
    Change("POST", "auth/token/revoke-accessor", {"accessor": "{accessor}"}),
    Change("POST", "auth/token/revoke-self", {}, token="{person}"),
    Change("POST", "auth/token/renew", {"token": "{plain}", "increment": "2h"}),
    Change("POST", "auth/token/tidy", {}),
    Change("POST", "identity/entity/id/{entity}", {"disabled": True}),
    Change("POST", "identity/entity/id/{entity}", {"disabled": False}),
    Change("POST", "identity/entity/id/{entity}", {"metadata": {"team": "red"}}),
    Change("POST", "identity/entity/id/{entity}", {"metadata": {"team": "x"}}),
    Change("POST", "identity/entity/id/{entity}", {"policies": ["own"]}),
    Change("POST", "identity/entity/id/{entity}", {"policies": []}),
    Change("DELETE", "identity/entity/id/{entity}"),
    Change("POST", "identity/entity/merge", {"from_entity_ids": ["{entity}"], "to_entity_id": "{other}"}),
    Change("POST", "identity/group", {"name": "g", "policies": ["grouped"], "member_entity_ids": ["{entity}"]}),
    Change("POST", "identity/group", {"name": "g", "policies": ["grouped"], "member_entity_ids": []}),
    Change("POST", "identity/group", {"name": "outer", "policies": ["grouped"], "member_group_ids": ["{group}"]}),
    Change("DELETE", "identity/group/name/outer"),
    Change("DELETE", "identity/group/name/g"),
    Change("DELETE", "sys/mounts/plain"),
    Change("POST", "sys/mounts/plain", {"type": "kv"}),
    Change("POST", "sys/mounts/plain/tune", {"options": {"version": "2"}}),
    Change("POST", "sys/remount", {"from": "plain", "to": "elsewhere"}),
    Change("POST", "sys/remount", {"from": "elsewhere", "to": "plain"}),
    Change("DELETE", "sys/auth/userpass"),
    Change("POST", "sys/rotate", {}),
    Change("PUT", "sys/config/auditing/request-headers/x-extra", {"hmac": True}),
    Change("POST", "kv/x", {"a": "changed"}, namespace="inner"),
    Change("PUT", "sys/policies/acl/inside", {"policy": POLICIES["none"]}, namespace="inner"),
    Change("DELETE", "sys/mounts/kv", namespace="inner"),
    Change("POST", "sys/namespaces/api-lock/lock/inner", {}),
    Change("POST", "sys/namespaces/api-lock/unlock/inner", {}),
    Change("DELETE", "sys/namespaces/inner"),
    Change("POST", "sys/namespaces/inner", {}),
    Change("PUT", "sys/seal", {}),
)  # fmt: skip


class World:
    """An application with somebody of every kind in it, and the heads that they send again and again."""

    def __init__(self, application: Application) -> None:
        self.names: dict[str, str] = {"root": "root"}
        self.application = application
        for name, text in POLICIES.items():
            self.do("PUT", f"sys/policies/acl/{name}", {"policy": text})
        self.do("POST", "sys/namespaces/inner", {})
        self.do("POST", "sys/mounts/kv", {"type": "kv"}, namespace="inner")
        self.do("POST", "kv/x", {"a": "inner"}, namespace="inner")
        self.do("PUT", "sys/policies/acl/inside", {"policy": READ.format(path="kv/x")}, namespace="inner")
        self.do("POST", "secret/data/red", {"data": {"team": "red"}})
        auth = self.do("POST", "auth/token/create", {"policies": ["own"], "ttl": "1h"})["auth"]
        self.names |= {"plain": auth["client_token"], "accessor": auth["accessor"]}
        self.names["parent"] = self.do("POST", "auth/token/create", {"policies": ["root"]})["auth"][
            "client_token"
        ]
        self.names["child"] = self.token({"policies": ["own"]}, by="{parent}")
        self.names["inner"] = self.token({"policies": ["inside"]}, namespace="inner")
        self.do("POST", "auth/userpass/users/x", {"password": "x", "token_policies": ["personal"]})
        auth = self.do("POST", "auth/userpass/login/x", {"password": "x"})["auth"]
        self.names |= {"person": auth["client_token"], "entity": auth["entity_id"]}
        self.names["other"] = self.do("POST", "identity/entity", {"name": "other"})["data"]["id"]
        self.do("POST", f"identity/entity/id/{auth['entity_id']}", {"metadata": {"team": "x"}})
        self.names["group"] = self.do(
            "POST", "identity/group", {"name": "g", "member_entity_ids": [auth["entity_id"]]}
        )["data"]["id"]
        self.do("POST", "cubbyhole/x", {"a": "mine"}, token="{plain}")

    def token(self, body: Mapping[str, object], *, by: str = "root", namespace: str = "") -> str:
        made: str = self.do("POST", "auth/token/create", body, token=by, namespace=namespace)["auth"][
            "client_token"
        ]
        return made

    def do(
        self, method: str, path: str, body: object = None, *, token: str = "root", namespace: str = ""
    ) -> Any:
        """Make one change that must work; return the answer."""
        status, answer = self.change(self.application, Change(method, path, body, token, namespace))  # type: ignore[arg-type]  # a mapping
        assert status < 300, (path, answer)
        return answer

    def change(self, application: Application, change: Change) -> tuple[int, Any]:
        """Make one change, which may be refused."""
        headers = {"x-vault-namespace": change.namespace} if change.namespace else {}
        path, token = f"/v1/{self._filled(change.path)}", self._filled(change.token)
        answer = application.request(
            change.method, path, self._filled(change.body), token=token, headers=headers
        )
        return answer.status, answer.json() if answer.body else None

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            for name, text in self.names.items():
                value = value.replace(f"{{{name}}}", text)
            return value
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if isinstance(value, Mapping) and "policy" not in value:
            return {key: self._filled(item) for key, item in value.items()}
        return value

    def heads(self) -> list[bytes]:
        """The reads that come again."""
        places = [
            *((who, path) for who in ("plain", "child", "person") for path in ("secret/data/x", "plain/x")),
            ("person", "secret/data/red"),
            ("plain", "cubbyhole/x"),
            ("plain", "auth/token/lookup-self"),
            ("parent", "sys/policies/acl/own"),
            ("inner", "inner/kv/x"),
            ("root", "inner/kv/x"),
            ("root", "secret/metadata/x"),
        ]
        asked = [
            ("plain", "sys/capabilities-self", {"paths": ["secret/data/x", "plain/x"]}),
            ("person", "sys/capabilities-self", {"path": "secret/data/red"}),
            ("root", "auth/token/lookup-accessor", {"accessor": "{accessor}"}),
            ("root", "sys/capabilities-accessor", {"accessor": "{accessor}", "path": "secret/data/x"}),
            ("root", "identity/lookup/entity", {"id": "{entity}"}),
        ]
        return [
            *(get(self.names[who], target=f"/v1/{path}".encode()) for who, path in places),
            *(post(self.names[who], path, self._filled(body)) for who, path, body in asked),
        ]


def post(token: str, path: str, body: object) -> bytes:
    """The bytes of a request whose body only asks."""
    sent = json.dumps(body).encode()
    head = f"POST /v1/{path} HTTP/1.1\r\nhost: x\r\nX-Vault-Token: {token}\r\ncontent-length: {len(sent)}\r\n\r\n"
    return head.encode() + sent


@pytest.fixture(scope="module")
def world(memory: str) -> Iterator[World]:
    with Application() as application:
        yield World(application)


def told(answers: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """What two servers must agree on."""
    for _, body in answers:
        body.pop("request_id", None)
        data = body.get("data")
        if isinstance(data, dict):
            data.pop("ttl", None)  # whole seconds, and one may have begun
    return answers


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=6))
def test_each_change_is_seen_by_the_very_next_of_equal_reads(world: World, changes: list[Change]) -> None:
    check(world, changes)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.method} {change.path}")
def test_every_class_of_change_is_seen_by_the_very_next_of_equal_reads(world: World, change: Change) -> None:
    check(world, [change])


def end_of(subject: Application, change: Change) -> None:
    """Wait for what goes on in the background once a change was answered, for a copy would go on with it."""
    if change.method == "DELETE" and change.path.startswith("sys/namespaces/"):
        deadline = time.monotonic() + 60
        while subject.request("GET", f"/v1/{change.path}", token="root").status != 404:
            assert time.monotonic() < deadline


def check(world: World, changes: list[Change]) -> None:
    heads = world.heads()
    with Application(like=world.application) as subject:
        client = Client(subject)
        for head in heads:
            client.send(
                head
            )  # the first reads policies, in a thread: nothing is kept of whoever waits for that
        for head in heads:
            client.send(head, head, head)
        assert sum(client.passes(head) for head in heads) >= 14
        for change in changes:
            world.change(subject, change)
            end_of(subject, change)
            again = told([answer for head in heads for answer in client.send(head, head)])
            with Application(like=subject) as forgetful:
                if change.path == "sys/seal":
                    assert {status for status, _ in again} == {503}
                    subject.reopen()
                    continue
                first = Client(forgetful)
                anew = told([answer for head in heads for answer in first.send(head)])
            assert again[::2] == anew, change
            assert again[1::2] == anew, change
