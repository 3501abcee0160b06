# SPDX-License-Identifier: EUPL-1.2
"""`operator upgrade-check` on files: what would change, and nothing does. On PostgreSQL: tests/integration/test_rolling_upgrade.py."""

import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.storage.copies import make
from vault.barrier.formats import FORMATS_PATH
from vault.barrier.stored import KINDS
from vault.server.compose import app
from vaultctl.main import run

_SERVER = app.Vault
"""Whoever imports the server knows all kinds."""


def checked(database: Path) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the exit code, and what is said of each thing."""
    stdout, stderr = io.StringIO(), io.StringIO()
    argv = ["operator", "upgrade-check", f"-database={database}", "-format=json"]
    code = run(argv, environ={}, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
    assert stderr.getvalue() == ""
    return code, {one["name"]: (one["status"], one["message"]) for one in json.loads(stdout.getvalue())}


def say(database: Path, formats: dict[str, int]) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT OR REPLACE INTO entry (path, value) VALUES (?, ?)",
            (FORMATS_PATH, msgspec.json.encode(formats)),
        )


@pytest.fixture
def database(tmp_path: Path) -> Path:
    make(tmp_path / "vault.db", "old")
    say(tmp_path / "vault.db", {name: kind.version for name, kind in KINDS.items()})
    (tmp_path / "vault.db-turn").unlink()  # what a server leaves; it says nothing of what a check makes
    return tmp_path / "vault.db"


def test_where_nothing_changes_it_says_so(database: Path) -> None:
    before = database.read_bytes()
    code, said = checked(database)
    assert code == 0
    assert {name: status for name, (status, _) in said.items()} == dict.fromkeys(
        ("Tables", "Records", "Way back"), "success"
    )
    assert said["Way back"][1] == "the release that uses the database now can go on with it"
    assert database.read_bytes() == before
    assert sorted(found.name for found in database.parent.iterdir()) == ["vault.db"]


def test_records_of_newer_versions_leave_no_way_back_but_a_backup(database: Path) -> None:
    formats = {name: kind.version for name, kind in KINDS.items()}
    del formats["namespace"]
    formats["transit key"] -= 1
    say(database, formats)
    code, said = checked(database)
    assert code == 2
    assert said["Records"] == (
        "success",
        f"the first unseal allows these of newer versions: 'namespace' (none now), 'transit key' ({formats['transit key']} now)",
    )
    assert said["Way back"] == ("warning", "from the first unseal on only by a backup of before: make one")


def test_a_database_of_a_newer_release_is_not_to_be_started_on(database: Path) -> None:
    say(database, {"of later": 1})
    code, said = checked(database)
    assert (code, said["Records"][0]) == (1, "failure")
    assert "'of later' version 1 (known: none)" in said["Records"][1]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA user_version=99")
    code, said = checked(database)
    assert (code, said["Tables"]) == (
        1,
        ("failure", "a newer release wrote them (schema 99, this one knows 4)"),
    )


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "status"), [(1 << 40, "success"), (1 << 10, "failure")])
def test_older_tables_are_changed_by_the_first_start_which_needs_room(
    database: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    usage: Callable[[Path], _Usage] = lambda _: _Usage(0, 0, free)
    monkeypatch.setattr("vault.server.upgrade.shutil.disk_usage", usage)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA user_version=3")
    code, said = checked(database)
    assert said["Tables"][0] == "warning"
    assert "from schema 3 to 4; stop every other program before" in said["Tables"][1]
    assert said["Disk"][0] == status
    assert code == (2 if status == "success" else 1)


@pytest.mark.parametrize("content", [None, b"", b"SQLite format 3\x00", b"no database at all" * 100])
def test_what_is_no_vault_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "vault.db").write_bytes(content)
    stderr = io.StringIO()
    argv = ["operator", "upgrade-check", f"-database={tmp_path}/vault.db"]
    assert run(argv, environ={}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=stderr) == 1
    assert f"storage {tmp_path}/vault.db: " in stderr.getvalue()
