# SPDX-License-Identifier: EUPL-1.2
"""Logins whose entity is remembered: whatever changes between two of them is seen by the second."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from nhi.identity.records import store
from tests.routes.driver import Application
from vault.values.ids import ROOT_ID

CHANGES: tuple[tuple[str, str, Mapping[str, object]], ...] = (
    ("POST", "identity/entity/id/{entity}", {"disabled": True}),
    ("POST", "identity/entity/id/{entity}", {"policies": ["own"]}),
    ("POST", "identity/entity/id/{entity}", {"metadata": {"team": "red"}}),
    ("POST", "identity/entity/id/{entity}", {"name": "renamed"}),
    ("DELETE", "identity/entity/id/{entity}", {}),
    ("POST", "identity/entity/merge", {"from_entity_ids": ["{entity}"], "to_entity_id": "{other}"}),
    ("POST", "identity/entity/batch-delete", {"entity_ids": ["{entity}"]}),
    ("DELETE", "identity/entity-alias/id/{alias}", {}),
    ("POST", "identity/entity-alias/id/{alias}", {"canonical_id": "{other}"}),
    ("POST", "identity/group", {"name": "new", "policies": ["new"], "member_entity_ids": ["{entity}"]}),
    ("POST", "identity/group/id/{group}", {"policies": ["grouped"], "member_entity_ids": ["{entity}"]}),
    ("POST", "identity/group", {"name": "outer", "policies": ["outer"], "member_group_ids": ["{group}"]}),
    ("DELETE", "sys/auth/approle", {}),
    ("POST", "sys/remount", {"from": "auth/approle", "to": "auth/elsewhere"}),
)


class Logins:
    """Somebody who logs in again and again."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.identities: Any = application.vault.credentials.tokens.entities
        made = self.do("POST", "auth/approle/role/x/secret-id", {"metadata": '{"a":"b"}'})["data"]
        self.proof = {"role_id": "x", "secret_id": made["secret_id"]}
        entity = self.login()["entity"]
        alias = self.do("GET", f"identity/entity/id/{entity}")["data"]["aliases"][0]["id"]
        other = self.do("POST", "identity/entity", {"name": "other", "policies": ["others"]})["data"]["id"]
        group = self.do("POST", "identity/group", {"name": "g"})["data"]["id"]
        self.names = {"entity": entity, "alias": alias, "other": other, "group": group}

    def do(self, method: str, path: str, body: object = None) -> Any:
        answer = self.application.request(method, f"/v1/{path}", body, token="root")
        assert answer.status < 300, (path, answer)
        return answer.json() if answer.body else None

    def change(self, method: str, path: str, body: Mapping[str, object]) -> None:
        """Make a change; names in braces are filled in."""
        filled = {key: self._filled(value) for key, value in body.items()}
        self.do(method, self._filled(path), filled)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return value.format(**self.names) if isinstance(value, str) else value

    def login(self) -> dict[str, Any]:
        """Log in; return what depends on who that is."""
        answer = self.application.request("POST", "/v1/auth/approle/login", self.proof)
        auth = (answer.json() or {}).get("auth") or {}
        return {
            "status": answer.status,
            "entity": auth.get("entity_id"),
            "policies": auth.get("policies"),
            "metadata": auth.get("metadata"),
        }

    def remembered(self) -> bool:
        era = self.application.vault.ground.follower.era
        return any(one.era is era for one in self.identities._entered._entries.values())


@pytest.fixture
def logins() -> Iterator[Logins]:
    with Application() as application:
        yield Logins(application)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_every_class_of_change_is_seen_by_the_very_next_login(
    logins: Logins, method: str, path: str, body: Mapping[str, object]
) -> None:
    before = [logins.login() for _ in range(3)]
    assert before == before[:1] * 3 and logins.remembered()
    logins.change(method, path, body)
    after = logins.login()
    logins.identities._entered.drop(None)
    assert after == logins.login()
    assert [logins.login() for _ in range(2)] == [after] * 2


def test_another_secret_id_says_something_else_of_the_same_entity(logins: Logins) -> None:
    first = [logins.login() for _ in range(2)][1]
    made = logins.do("POST", "auth/approle/role/x/secret-id", {"metadata": '{"a":"c"}'})["data"]
    logins.proof = {"role_id": "x", "secret_id": made["secret_id"]}
    second = [logins.login() for _ in range(2)]
    assert second[0] == second[1]
    assert (first["metadata"]["a"], second[0]["metadata"]["a"]) == ("b", "c")
    entity = logins.do("GET", f"identity/entity/id/{logins.names['entity']}")["data"]
    assert entity["aliases"][0]["metadata"]["a"] == "c"


def test_a_sealed_vault_remembers_nobody(logins: Logins) -> None:
    assert [logins.login() for _ in range(2)] and logins.remembered()
    logins.do("PUT", "sys/seal")
    logins.application.reopen()
    assert not logins.remembered()
    assert logins.login()["status"] == 200


def test_what_another_process_changes_is_seen_by_the_very_next_login(logins: Logins) -> None:
    assert [logins.login() for _ in range(2)] and logins.remembered()
    vault = logins.application.vault

    async def elsewhere() -> None:
        async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            old = await store.entity(core, logins.names["entity"])
            assert old is not None
            await store.put(core, ROOT_ID, msgspec.structs.replace(old, disabled=True), old)

    logins.application.run(elsewhere())
    assert logins.remembered()
    assert logins.login()["status"] == 403
