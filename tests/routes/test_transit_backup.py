# SPDX-License-Identifier: EUPL-1.2
"""Backups in the whole application: who gets one, what is noted of it, and that a restore is whole or is not."""

import base64
import json
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.routes.test_transit import TEXT, Transit, transit
from tests.shared import Shared
from vault.engines.transit.keys.model import KEYS, VERSIONS
from vault.framework.concurrency.offload import Pool

__all__ = ["transit"]
LET = {"exportable": True, "allow_plaintext_backup": True}


def backup(transit: Transit, name: str = "k") -> str:
    answer = transit.ask("GET", f"backup/{name}")
    assert answer.status == 200, answer.body
    found: str = answer.json()["data"]["backup"]
    return found


def stored(transit: Transit) -> tuple[int, int]:
    return len(transit.stored(KEYS)), len(transit.stored(VERSIONS))


def test_a_key_that_was_removed_comes_back_with_all_it_opens(transit: Transit) -> None:
    transit.data("keys/k", {**LET, "auto_rotate_period": "1h"})
    texts = []
    for _ in range(3):
        texts.append(transit.encrypt("k"))
        transit.data("keys/k/rotate", {})
    transit.data("keys/k/config", {"deletion_allowed": True})
    before = stored(transit)
    text = backup(transit)
    assert transit.ask("GET", "keys/k").json()["data"]["backup_info"]["version"] == 4
    transit.ask("DELETE", "keys/k")
    assert transit.ask("POST", "restore", {"backup": text}).status == 204
    assert stored(transit) == before
    for each in texts:
        assert transit.data("decrypt/k", {"ciphertext": each})["plaintext"] == TEXT
    transit.application.clock.sleep(3601)
    transit.application.work()
    assert transit.ask("GET", "keys/k").json()["data"]["latest_version"] == 5


def test_a_key_with_the_name_gives_way_by_force_alone_and_leaves_nothing(transit: Transit) -> None:
    transit.data("keys/k", LET)
    text = backup(transit)
    old = transit.encrypt("k")
    transit.data("keys/k/config", {"deletion_allowed": True})
    transit.ask("DELETE", "keys/k")
    transit.data("keys/k", {"auto_rotate_period": "1h"})
    for _ in range(5):
        transit.data("keys/k/rotate", {})
    assert transit.refused("restore", {"backup": text}) == 'key "k" already exists'
    assert "invalid ciphertext" not in transit.refused("decrypt/k", {"ciphertext": old})
    assert transit.ask("POST", "restore", {"backup": text, "force": True}).status == 204
    assert stored(transit) == (1, 1)
    assert transit.data("decrypt/k", {"ciphertext": old})["plaintext"] == TEXT
    transit.application.clock.sleep(7200)
    transit.application.work()
    assert transit.ask("GET", "keys/k").json()["data"]["latest_version"] == 1


def test_the_other_server_uses_the_restored_key_at_its_next_request(shared: Shared) -> None:
    with Application(shared.open()) as first, Application(shared.open(), beside=first) as second:
        here, there = Transit(first), Transit(second)
        here.data("keys/k", LET)
        text, old = backup(here), here.encrypt("k")
        here.data("keys/k/config", {"deletion_allowed": True})
        here.ask("DELETE", "keys/k")
        here.data("keys/k", {})
        other = there.encrypt("k")
        assert here.ask("POST", "restore", {"backup": text, "force": True}).status == 204
        assert there.data("decrypt/k", {"ciphertext": old})["plaintext"] == TEXT
        assert "authentication failed" in there.refused("decrypt/k", {"ciphertext": other})


def test_who_may_not_be_backed_up_is_not(transit: Transit) -> None:
    transit.data("keys/k", {})
    before = transit.ask("GET", "keys/k").json()["data"]
    assert transit.refused("backup/k", None, "GET") == "exporting is disallowed on the policy"
    transit.data("keys/k/config", {"exportable": True})
    assert transit.refused("backup/k", None, "GET") == "plaintext backup is disallowed on the policy"
    transit.data("keys/k/config", {"allow_plaintext_backup": True})
    transit.ask("DELETE", "keys/k/soft-delete")
    assert transit.refused("backup/k", None, "GET") == "refusing to use soft-deleted key"
    after = transit.ask("GET", "keys/k").json()["data"]
    assert "backup_info" not in before.keys() | after.keys()


def test_a_backup_is_of_the_key_as_it_is_when_it_is_noted(
    transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who rotates while it is written out makes it be written anew."""
    transit.data("keys/k", LET)
    run = Pool.run
    went: list[int] = []

    async def meanwhile(self: Any, *job: Any, **more: Any) -> Any:
        went.append(1)
        if len(went) == 1:
            path = "/v1/transit/keys/k/rotate"
            assert (await transit.application.ask("POST", path, {}, token="root")).status == 200
        return await run(self, *job, **more)

    monkeypatch.setattr(Pool, "run", meanwhile)
    policy = json.loads(base64.b64decode(backup(transit)))["policy"]
    assert policy["latest_version"] == 2
    assert len(policy["keys"]) == 2


def test_a_refused_restore_changes_nothing(transit: Transit) -> None:
    transit.data("keys/k", LET)
    whole = base64.b64decode(backup(transit))
    before = stored(transit)
    for size in range(0, len(whole) - 1, 97):
        text = base64.b64encode(whole[:size]).decode()
        assert transit.ask("POST", "restore/new", {"backup": text}).status == 400
    for path, body in (
        ("restore", {}),
        ("restore", {"backup": "%"}),
        ("restore/a/b", {"backup": base64.b64encode(whole).decode()}),
        ("restore/-a", {"backup": base64.b64encode(whole).decode()}),
        ("restore", {"backup": base64.b64encode(whole).decode()}),
    ):
        assert transit.ask("POST", path, body).status == 400
    assert stored(transit) == before


def test_no_write_waits_while_a_backup_is_read(transit: Transit, monkeypatch: pytest.MonkeyPatch) -> None:
    transit.data("keys/k", LET)
    text = backup(transit)
    run = Pool.run
    went: list[int] = []

    async def slow(self: Any, *job: Any, **more: Any) -> Any:
        path = f"/v1/transit/keys/other{len(went)}"
        assert (await transit.application.ask("POST", path, {}, token="root")).status == 200
        went.append(1)
        return await run(self, *job, **more)

    monkeypatch.setattr(Pool, "run", slow)
    assert transit.ask("POST", "restore/new", {"backup": text}).status == 204
    assert went
    assert transit.encrypt("new")


def test_a_wrapped_key_comes_to_another_mount(transit: Transit) -> None:
    application = transit.application
    assert (
        application.request("POST", "/v1/sys/mounts/other", {"type": "transit"}, token="root").status == 204
    )
    wrapping = application.request("GET", "/v1/other/wrapping_key", token="root").json()["data"]["public_key"]
    body = {"type": "rsa-4096", "public_key": wrapping}
    assert transit.ask("POST", "keys/way/import", body).status == 204
    transit.data("keys/k", {"exportable": True})
    text = transit.encrypt("k")
    wrapped = transit.ask("GET", "byok-export/way/k").json()["data"]["keys"]["1"]
    body = {"ciphertext": wrapped}
    assert application.request("POST", "/v1/other/keys/k/import", body, token="root").status == 204
    opened = application.request("POST", "/v1/other/decrypt/k", {"ciphertext": text}, token="root")
    assert opened.json()["data"]["plaintext"] == TEXT
