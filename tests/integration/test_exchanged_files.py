# SPDX-License-Identifier: EUPL-1.2
"""Files of the storage that are moved, removed or exchanged under a running server: it seals, and loses nothing more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.process import Client, initialised, wait_until


def beside(database: Path, end: str) -> Path:
    """Return the name of a file beside the database."""
    return Path(f"{database}{end}")


def moved(database: Path) -> None:
    """Move the database away."""
    database.rename(beside(database, ".away"))


def exchanged(database: Path) -> None:
    """Put a copy in its place."""
    shutil.copy(database, beside(database, ".copy"))
    beside(database, ".copy").replace(database)


def unlogged(database: Path) -> None:
    """Remove the journal."""
    beside(database, "-wal").unlink()


def emptied(database: Path) -> None:
    """Put an empty journal in the place of the journal."""
    beside(database, ".new").touch(0o600)
    beside(database, ".new").replace(beside(database, "-wal"))


def write(client: Client, number: int) -> int:
    return client.request("POST", f"/v1/secret/data/{number}", {"data": {"value": str(number)}}).status


@pytest.mark.parametrize("change", [moved, exchanged, unlogged, emptied])
def test_nothing_is_acknowledged_that_nobody_will_find(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            change(vault.database)
            assert {write(client, number) for number in range(5, 25)} <= {500, 503}
        wait_until(
            lambda: "or exchanged: it is sealed" in vault.log.read_text(encoding="utf-8"),
            lambda: vault.log.read_text(encoding="utf-8")[-3000:],
        )
        said = vault.log.read_text(encoding="utf-8")
        assert "the files of the storage were moved, removed or exchanged" in said
        assert str(vault.database) in said
        vault.stop()
        if change is moved:
            beside(vault.database, ".away").rename(vault.database)
        if change in (moved, unlogged):
            vault.start()
            vault.unseal()
            with vault.client() as client:
                found = [client.request("GET", f"/v1/secret/data/{number}").status for number in range(6)]
            assert found == [200] * 5 + [404]


def test_a_journal_that_was_removed_is_saved_before_a_kill(tmp_path: Path) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            unlogged(vault.database)
            wait_until(
                lambda: "or exchanged: it is sealed" in vault.log.read_text(encoding="utf-8"),
                lambda: vault.log.read_text(encoding="utf-8")[-3000:],
            )
        vault.kill()
        vault.start()
        vault.unseal()
        with vault.client() as client:
            assert [client.request("GET", f"/v1/secret/data/{number}").status for number in range(5)] == [
                200
            ] * 5
