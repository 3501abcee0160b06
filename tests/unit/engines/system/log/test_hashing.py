# SPDX-License-Identifier: EUPL-1.2
"""What stands for a value: under each key that there was, of which the newest hashes from its making on, on every node."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.routes.driver import Answer, Application
from tests.unit.log.folders import records
from vault.framework.limits import AT_ONCE
from vault.log import keys
from vault.log.values import ValueHasher
from vault.storage.sqlite.storage import SqliteStorage

_KEEPER = 'path "sys/log/hash*" { capabilities = ["update", "sudo"] }'
_READER = 'path "sys/log/hash*" { capabilities = ["update"] }'


@pytest.fixture
def here() -> Iterator[Application]:
    application = Application()
    yield application
    application.close()


def _token(here: Application, policy: str) -> str:
    here.request("POST", "/v1/sys/policies/acl/hashes", {"policy": policy}, token="root")
    made = here.request("POST", "/v1/auth/token/create", {"policies": ["hashes"]}, token="root")
    token: str = made.json()["auth"]["client_token"]
    return token


def _rotated(here: Application, token: str) -> Answer:
    return here.request("POST", "/v1/sys/log/hash/rotate", token=token)


def _hashes(here: Application, token: str, value: str) -> list[str]:
    answer = here.request("POST", "/v1/sys/log/hash", {"input": value}, token=token)
    hashes: list[str] = answer.json()["data"]["hashes"]
    return hashes


def _written(here: Application, value: str) -> Any:
    """What the log says of a secret with this value."""
    here.request("POST", "/v1/secret/data/y", {"data": {"a": value}}, token="root")
    return records(here.history)[-1]["fields"]["request"]["data"]


def test_a_new_key_hashes_from_now_on_and_old_hashes_are_found(here: Application) -> None:
    token = _token(here, _KEEPER)
    before = _written(here, "hunter2")
    assert _rotated(here, token).json()["data"] == {"key": "h2"}
    changed = records(here.history)[-1]
    assert (changed["event_name"], changed["fields"]["changed"]) == (
        "esa.log.hash.rotate",
        {"new": "h2", "old": "h1"},
    )
    after = _written(here, "hunter2")
    old, new = _hashes(here, token, "hunter2")
    assert (old.partition(":")[0], new.partition(":")[0]) == ("h1", "h2")
    assert ([*before.values()], [*after.values()]) == ([{"$h": old}], [{"$h": new}])
    assert [name.split(":")[1] for name in (*before, *after)] == ["h1", "h2"]


def test_a_read_that_comes_again_is_hashed_with_the_new_key(here: Application) -> None:
    token = _token(here, _KEEPER)

    def said() -> str:
        here.request("GET", "/v1/secret/data/x", token="root")
        return json.dumps(records(here.history)[-1]["fields"])

    assert "h1:" in said() == said()
    _rotated(here, token)
    assert "h1:" not in said() == said()


def test_every_node_hashes_with_it_and_a_start_does(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    with Application(SqliteStorage.open(path)) as one:
        with Application(SqliteStorage.open(path), beside=one) as other:
            token = _token(one, _KEEPER)
            _rotated(one, token)
            (said,) = _written(other, "hunter2").values()
            assert (
                said
                == {"$h": _hashes(one, token, "hunter2")[1]}
                == {"$h": _hashes(other, token, "hunter2")[1]}
            )
        one.request("POST", "/v1/sys/seal", token="root")
        one.request("POST", "/v1/sys/unseal", {"key": one.key})
        assert [*_written(one, "hunter2").values()] == [said]


def test_both_keys_are_in_the_inventory_with_the_time_of_their_making(here: Application) -> None:
    token = _token(here, _KEEPER)
    here.clock.sleep(3600)
    _rotated(here, token)
    answer = here.request("GET", "/v1/sys/crypto/inventory?limit=1000", token="root").json()
    known = {
        one["id"]: (one["state"], one["created"])
        for one in answer["data"]["inventory"]
        if one["purpose"] == "log-hash"
    }
    assert {name: state for name, (state, _) in known.items()} == {
        "log/hash/h1": "retired",
        "log/hash/h2": "active",
    }
    assert known["log/hash/h1"][1] < known["log/hash/h2"][1]


@pytest.mark.parametrize("policy", [_READER, 'path "*" { capabilities = ["update", "sudo"] }'])
def test_who_may_not_is_refused(here: Application, policy: str) -> None:
    token = _token(here, policy)
    assert _rotated(here, token).status == 403
    assert next(iter(_written(here, "hunter2"))).startswith("$h:h1:")


def test_there_is_an_end_to_keys(here: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_HASHING", 2)
    token = _token(here, _KEEPER)
    assert [_rotated(here, token).status for _ in range(2)] == [200, 400]


def test_a_quota_makes_trying_values_slow(here: Application) -> None:
    token = _token(here, _READER)
    few = {"path": "sys/log/hash", "rate": 2, "interval": "10m"}
    assert here.request("POST", "/v1/sys/quotas/rate-limit/log-hash", few, token="root").status == 204
    tried = [here.request("POST", "/v1/sys/log/hash", {"input": "a"}, token=token).status for _ in range(4)]
    assert tried == [200, 200, 429, 429]
    assert here.request("GET", "/v1/secret/data/x", token="root").status == 200


def test_a_long_value_is_hashed_apart_with_every_key_and_one_that_is_too_long_is_not(
    here: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _token(here, _KEEPER)
    for _ in range(4):
        _rotated(here, token)
    value = "a" * (AT_ONCE // 4)
    threads: list[str] = []
    hash_value = ValueHasher.hash

    def hashed(hasher: ValueHasher, value: str) -> str:
        if len(value) >= 1 << 14:
            threads.append(threading.current_thread().name)
        return hash_value(hasher, value)

    monkeypatch.setattr(ValueHasher, "hash", hashed)
    assert len(_hashes(here, token, value)) == 5
    assert sum(name.startswith("work") for name in threads) == 5, (
        "and records hash it on the loop: it is not that long"
    )
    answer = here.request("POST", "/v1/sys/log/hash", {"input": "a" * ((1 << 20) + 1)}, token=token)
    assert answer.status == 400
    assert answer.json()["errors"] == ["field 'input' may have at most 1048576 characters"]
