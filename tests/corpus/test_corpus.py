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
from tests.house.tree import ROOT

DATABASES = sorted(Path(__file__).with_name("databases").glob("*.json"))
pytestmark = [pytest.mark.loopback]


def _placed(facts: Path, folder: Path) -> dict[str, Any]:
    database = folder / "vault.db"
    database.touch(mode=0o600)
    database.write_bytes(lzma.decompress(facts.with_suffix(".db.xz").read_bytes()))
    found: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
    return found


def _unseal(client: Client, facts: Mapping[str, Any]) -> None:
    status, answer = client("PUT", "sys/unseal", {"key": facts["key"]})
    assert (status, answer["sealed"]) == (200, False)
    client.token = facts["root"]


def _failed(client: Client, checks: list[dict[str, Any]]) -> list[tuple[str, int, Any]]:
    """The checks that do not hold, with what was answered."""
    failed = []
    for check in checks:
        asked = {name: check[name] for name in ("token", "namespace") if name in check}
        status, answer = client(check["method"], check["path"], check["body"], **asked)
        data = (answer or {}).get("data") or {}
        if status >= 300 or {name: data.get(name) for name in check["data"]} != check["data"]:
            failed.append((f"{check['method']} {check['path']} {check['data']}", status, answer))
    return failed


def _write(client: Client, facts: Mapping[str, Any]) -> None:
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


@pytest.mark.parametrize("path", DATABASES, ids=lambda path: path.stem)
def test_what_an_earlier_commit_wrote_is_as_it_was(path: Path, tmp_path: Path) -> None:
    facts = _placed(path, tmp_path)
    once = [check for check in facts["checks"] if "unwrap" in check["path"]]
    always = [check for check in facts["checks"] if check not in once]
    assert len(always) >= 20
    with serving(ROOT, tmp_path) as client:
        _unseal(client, facts)
        assert _failed(client, [*always, *once]) == []
        _write(client, facts)
        written = {"one/a/b", "two/metadata/a", "sys/policies/acl/all"}
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
    log = (tmp_path / "server.log").read_text(encoding="utf-8")
    assert [line for line in log.splitlines() if "exception" in line or '"error"' in line] == []


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
