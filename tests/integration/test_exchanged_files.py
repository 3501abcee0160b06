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

from tests.fuzz.process import Client, VaultProcess, initialised, wait_until
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


def said_by(vault: VaultProcess, *texts: str) -> str:
    """Wait until a server's log has one of these texts, and return it."""
    wait_until(
        lambda: any(text in vault.log.read_text(encoding="utf-8") for text in texts),
        lambda: vault.log.read_text(encoding="utf-8")[-3000:],
    )
    return vault.log.read_text(encoding="utf-8")


def sealed(vault: VaultProcess) -> str:
    """Wait until a server has sealed itself because of its files, and return its log."""
    return said_by(vault, "or overwritten: it is sealed")


def begun_anew(vault: VaultProcess) -> list[int]:
    """Start and unseal a server, and return how it answers for the first six numbers."""
    vault.start()
    vault.unseal()
    with vault.client() as client:
        return [client.request("GET", f"/v1/secret/data/{number}").status for number in range(6)]


@pytest.mark.parametrize("change", [moved, exchanged, unlogged, emptied])
def test_nothing_is_acknowledged_that_nobody_will_find(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            change(vault.database)
            assert {write(client, number) for number in range(5, 25)} <= {500, 503}
        said = sealed(vault)
        assert "the files of the storage were moved, removed, exchanged or overwritten" in said
        assert str(vault.database) in said
        vault.stop()
        if change is moved:
            beside(vault.database, ".away").rename(vault.database)
        if change in (moved, unlogged):
            assert begun_anew(vault) == [200] * 5 + [404]


def test_a_journal_that_was_removed_is_saved_before_a_kill(tmp_path: Path) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            unlogged(vault.database)
            sealed(vault)
        vault.kill()
        assert begun_anew(vault)[:5] == [200] * 5


@pytest.mark.parametrize("how", ['cp "$1.copy" "$1"', ': > "$1"', ': > "$1-wal"'])
def test_what_is_written_over_under_its_own_name_seals_and_a_backup_brings_it_back(
    tmp_path: Path, how: str
) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            assert operator(vault, "save", beside(vault.database, ".copy")).returncode == 0
            assert [write(client, number) for number in range(5, 10)] == [200] * 5
            subprocess.run(["sh", "-euc", how, "sh", str(vault.database)], check=True)
            assert {write(client, number) for number in range(10, 20)} <= {500, 503}
        assert "something else than SQLite wrote to the file, or cut it" in sealed(vault)
        assert vault.stop() == 0
        with pytest.raises(AssertionError, match="-lost to take what is left"):
            vault.start()
        restored = operator(vault, "restore", beside(vault.database, ".copy"))
        assert restored.returncode == 0, restored.stderr
        assert begun_anew(vault) == [200] * 5 + [404]


def test_an_index_that_was_cut_ends_the_process_with_a_word_and_loses_nothing(tmp_path: Path) -> None:
    """It is memory that SQLite shares between processes, and the system ends whoever looks where nothing is any more."""
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            assert [write(client, number) for number in range(5)] == [200] * 5
            subprocess.run(["truncate", "-s0", f"{vault.database}-shm"], check=True)
            with suppress(OSError, HTTPException):
                assert write(client, 5) in {500, 503}
        said = ("Fatal Python error: Bus error", "-shm: the file that this server has open was cut")
        said_by(vault, *said)
        assert vault.stop() in {0, -signal.SIGBUS}
        assert begun_anew(vault)[:5] == [200] * 5
