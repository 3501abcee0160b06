# SPDX-License-Identifier: EUPL-1.2
"""Databases that earlier commits wrote open today: each token is good, each value is read, and writes work.

`make.py` makes them. What is in them was once in somebody's vault.
"""

import json
import lzma
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.client import Client, serving
from tests.corpus.inside import Opened
from tests.house.tree import ROOT

DATABASES = sorted(Path(__file__).with_name("databases").glob("*.json"))
pytestmark = [pytest.mark.loopback]


def _placed(facts: Path, folder: Path) -> dict[str, Any]:
    database = folder / "vault.db"
    database.touch(mode=0o600)
    database.write_bytes(lzma.decompress(facts.with_suffix(".db.xz").read_bytes()))
    found: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
    return found


Asked = Opened | Client


def _unseal(client: Asked, facts: Mapping[str, Any]) -> None:
    status, answer = client("PUT", "sys/unseal", {"key": facts["key"]})
    assert (status, answer["sealed"]) == (200, False)
    if isinstance(client, Opened):
        client.root = facts["root"]
    else:
        client.token = facts["root"]


def _failed(client: Asked, checks: list[dict[str, Any]]) -> list[tuple[str, int, Any]]:
    """The checks that do not hold, with what was answered."""
    failed = []
    for check in checks:
        asked = {name: check[name] for name in ("token", "namespace") if name in check}
        status, answer = client(check["method"], check["path"], check["body"], **asked)
        data = (answer or {}).get("data") or {}
        if status >= 300 or {name: data.get(name) for name in check["data"]} != check["data"]:
            failed.append((f"{check['method']} {check['path']} {check['data']}", status, answer))
    return failed


def _write(client: Asked, facts: Mapping[str, Any]) -> None:
    """Write over what is there, and make what hangs on it."""
    for path, body in (
        ("one/a/b", {"k": "new"}),
        ("two/data/a", {"data": {"n": "new"}}),
        ("sys/policies/acl/all", {"policy": 'path "*" { capabilities = ["read"] }'}),
    ):
        assert client("POST", path, body)[0] in (200, 204)
    assert client("GET", "one/a/b")[1]["data"] == {"k": "new"}
    assert client("GET", "two/data/a")[1]["data"]["data"] == {"n": "new"}
    for token in {check.get("token") for check in facts["checks"] if "lookup-self" in check["path"]}:
        if token and not token.startswith("b."):
            assert client("POST", "auth/token/renew", {"token": token})[0] in (200, 400)
    status, _ = client("POST", "sys/rotate")
    assert status in (200, 204)


def _checks(facts: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is true as often as it is asked, and what is once."""
    once = [check for check in facts["checks"] if "unwrap" in check["path"]]
    always = [check for check in facts["checks"] if check not in once]
    assert len(always) >= 20
    assert once
    return always, once


@pytest.mark.parametrize("path", DATABASES, ids=lambda path: path.stem)
def test_what_an_earlier_commit_wrote_is_as_it_was(path: Path, tmp_path: Path) -> None:
    facts = _placed(path, tmp_path)
    always, once = _checks(facts)
    with Opened(tmp_path / "vault.db", facts.get("moment")) as client:
        _unseal(client, facts)
        assert _failed(client, [*always, *once]) == []
        assert [_used_again(client, check) for check in once] == [400] * len(once)
        assert [client("GET", "auth/token/lookup-self", token=one)[0] for one in _refused(facts)] == [
            403 for _ in _refused(facts)
        ]
        _write(client, facts)
        written = {"one/a/b", "two/metadata/a", "sys/policies/acl/all", "sys/leases/lookup"}
        assert client("PUT", "sys/seal")[0] == 204
        _unseal(client, facts)
        left = [check for check in always if check["path"] not in written and "all" not in check["path"]]
        assert _failed(client, left) == []
        assert client("GET", "one/a/b")[1]["data"] == {"k": "new"}
        made = [check["token"] for check in always if check["data"].get("path") == "auth/token/create"]
        for token in made:
            client("POST", "auth/token/revoke", {"token": token})
        good = [token for token in made if client("GET", "auth/token/lookup-self", token=token)[0] != 403]
        assert [token.startswith("b.") for token in good] in ([True], [])  # a batch token that hangs on none
        log = client.log.getvalue()
    assert [line for line in log.splitlines() if "exception" in line or "[ERROR]" in line] == []


def _used_again(client: Asked, check: Mapping[str, Any]) -> int:
    asked = {name: check[name] for name in ("token", "namespace") if name in check}
    return client(check["method"], check["path"], check["body"], **asked)[0]


def _refused(facts: Mapping[str, Any]) -> list[str]:
    """Tokens that were revoked before the database was copied."""
    found: list[str] = facts.get("refused", [])
    return found


def test_a_server_in_its_own_process_opens_what_an_earlier_commit_wrote(tmp_path: Path) -> None:
    """Of the last database that says of nothing when it was made: no Biscuit of it ends meanwhile."""
    path = [one for one in DATABASES if "moment" not in json.loads(one.read_text(encoding="utf-8"))][-1]
    facts = _placed(path, tmp_path)
    always, once = _checks(facts)
    with serving(ROOT, tmp_path) as client:
        _unseal(client, facts)
        assert _failed(client, [*always, *once]) == []
    log = (tmp_path / "server.log").read_text(encoding="utf-8")
    assert [line for line in log.splitlines() if "exception" in line or "[ERROR]" in line] == []


@pytest.mark.parametrize(
    "what",
    [
        "Biscuit",
        "child of a Biscuit",
        "audit device",
        "entity in team/",
        "wrapped in team/inner/",
        "nhi in team/",
    ],
)
def test_some_database_has_what_lasts_in_a_vault(what: str) -> None:
    made = [json.loads(path.read_text(encoding="utf-8"))["made"] for path in DATABASES]
    assert any(what in one for one in made)


def test_there_are_databases_of_at_least_ten_commits() -> None:
    assert len(DATABASES) >= 10
    assert sum(path.with_suffix(".db.xz").stat().st_size for path in DATABASES) < 1_000_000


def test_a_database_that_a_newer_release_wrote_is_refused_at_start_by_name(tmp_path: Path) -> None:
    facts = _placed(DATABASES[-1], tmp_path)
    with serving(ROOT, tmp_path) as client:
        _unseal(client, facts)
    with closing(sqlite3.connect(tmp_path / "vault.db")) as database:
        (said,) = database.execute("SELECT value FROM entry WHERE path = 'core/formats'").fetchone()
        newer = json.dumps({**json.loads(said), "token": 99}).encode()
        database.execute("UPDATE entry SET value = ? WHERE path = 'core/formats'", (newer,))
        database.commit()
        before = sorted(database.execute("SELECT path, value FROM entry"))
    with (
        pytest.raises(AssertionError, match=r"'token' version 99 \(known: 1\).*start the newer release"),
        serving(ROOT, tmp_path),
    ):
        pass
    with closing(sqlite3.connect(tmp_path / "vault.db")) as database:
        assert sorted(database.execute("SELECT path, value FROM entry")) == before
