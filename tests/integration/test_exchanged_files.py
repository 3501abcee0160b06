# SPDX-License-Identifier: EUPL-1.2
"""Files of the storage that are moved, removed, exchanged or overwritten under a running server: it seals, and loses nothing more."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.fuzz.process import Client, initialised, wait_until
from tests.integration.test_backup import operator


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
            lambda: "or overwritten: it is sealed" in vault.log.read_text(encoding="utf-8"),
            lambda: vault.log.read_text(encoding="utf-8")[-3000:],
        )
        said = vault.log.read_text(encoding="utf-8")
        assert "the files of the storage were moved, removed, exchanged or overwritten" in said
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
                lambda: "or overwritten: it is sealed" in vault.log.read_text(encoding="utf-8"),
                lambda: vault.log.read_text(encoding="utf-8")[-3000:],
            )
        vault.kill()
        vault.start()
        vault.unseal()
        with vault.client() as client:
            assert [client.request("GET", f"/v1/secret/data/{number}").status for number in range(5)] == [
                200
            ] * 5


@pytest.mark.parametrize("how", ['cp "$1.copy" "$1"', ': > "$1"', ': > "$1-wal"'])
def test_what_is_written_over_under_its_own_name_seals_and_a_backup_brings_it_back(
    tmp_path: Path, how: str
) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            assert operator(vault, "backup", beside(vault.database, ".copy")).returncode == 0
            assert [write(client, number) for number in range(5, 10)] == [200] * 5
            subprocess.run(["sh", "-euc", how, "sh", str(vault.database)], check=True)
            assert {write(client, number) for number in range(10, 20)} <= {500, 503}
        wait_until(
            lambda: "or overwritten: it is sealed" in vault.log.read_text(encoding="utf-8"),
            lambda: vault.log.read_text(encoding="utf-8")[-3000:],
        )
        assert "something else than SQLite wrote to the file, or cut it" in vault.log.read_text(
            encoding="utf-8"
        )
        assert vault.stop() == 0
        with pytest.raises(AssertionError, match="-lost to take what is left"):
            vault.start()
        restored = operator(vault, "restore", beside(vault.database, ".copy"))
        assert restored.returncode == 0, restored.stderr
        vault.start()
        vault.unseal()
        with vault.client() as client:
            found = [client.request("GET", f"/v1/secret/data/{number}").status for number in range(6)]
        assert found == [200] * 5 + [404]


def test_an_index_that_was_cut_ends_the_process_with_a_word_and_loses_nothing(tmp_path: Path) -> None:
    """It is memory that SQLite shares between processes, and the system ends whoever looks where nothing is any more."""
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            subprocess.run(["truncate", "-s0", f"{vault.database}-shm"], check=True)
            with suppress(OSError, HTTPException):
                assert write(client, 5) in {500, 503}
        said = ("Fatal Python error: Bus error", "-shm: the file that this server has open was cut")
        wait_until(
            lambda: any(one in vault.log.read_text(encoding="utf-8") for one in said),
            lambda: vault.log.read_text(encoding="utf-8")[-3000:],
        )
        assert vault.stop() in {0, -signal.SIGBUS}
        vault.start()
        vault.unseal()
        with vault.client() as client:
            assert [client.request("GET", f"/v1/secret/data/{number}").status for number in range(5)] == [
                200
            ] * 5
