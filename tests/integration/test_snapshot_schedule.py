# SPDX-License-Identifier: EUPL-1.2
"""A server that backs itself up: under load, through kill -9 of who makes a backup, and told where it does not work."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from tests.fuzz.process import PATIENCE, VaultProcess, initialised, wait_until
from tests.house.tree import ROOT
from tests.integration.test_backup import Writer
from tests.storage.copies import silent
from vault.server.snapshots.names import begun_at
from vault.storage.copies.snapshot import examine, opened_backup
from vault.storage.sqlite.database import newest_schema

_PROGRAM = b"vault.server.offline.scheduled"
_KILLS = 8


def _stanza(folder: Path, more: str = "") -> str:
    return f'snapshot "directory" "n" {{\n path = "{folder}"\n interval = "1s"\n keep = 3\n {more}\n}}\n'


def children(vault: VaultProcess, program: bytes) -> list[int]:
    """Return the processes of a program that a server has started."""
    with suppress(FileNotFoundError):
        found = Path(f"/proc/{vault.pid}/task").glob("*/children")
        pids = [int(pid) for each in found for pid in each.read_text().split()]
        return [pid for pid in pids if program in _command(pid)]
    return []


def _makers(vault: VaultProcess) -> list[int]:
    return children(vault, _PROGRAM)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _good(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if begun_at("n", file.name))


def _check_whole(file: Path) -> int:
    """Look through a backup as a restore does; return its epoch."""
    with opened_backup(file) as opened:
        return examine(file, opened, newest_schema(), silent).epoch


def _health(vault: VaultProcess) -> dict[str, object]:
    with closing(vault.client("")) as client:
        found: dict[str, object] = client.request("GET", "/v1/sys/health").json()
    return found


def _failing(vault: VaultProcess) -> object:
    return _health(vault).get("snapshots_failing", 0)


def _status(vault: VaultProcess) -> subprocess.CompletedProcess[str]:
    """Run `vaultctl operator snapshot status`."""
    return subprocess.run(
        [sys.executable, "-m", "vaultctl", "operator", "snapshot", "status"],
        env={
            "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
            "VAULT_ADDR": f"http://127.0.0.1:{vault.port}",
            "VAULT_TOKEN": vault.root,
            "HOME": str(vault.folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def _events(vault: VaultProcess, name: str) -> list[dict[str, object]]:
    """Return what the log says of an event."""
    lines = [
        line for file in (vault.folder / "log").rglob("*.jsonl") for line in file.read_text().splitlines()
    ]
    return [found["fields"] for line in lines if (found := json.loads(line)).get("event_name") == name]


def test_no_kill_leaves_half_a_backup_and_the_next_one_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    chance = random.Random(21)
    with initialised(tmp_path, _stanza(folder)) as vault:
        writer = Writer(vault)
        writer.start()
        for _ in range(_KILLS):
            wait_until(lambda: bool(_makers(vault)), lambda: vault.log.read_text()[-2000:])
            time.sleep(chance.random() * 0.4)
            for pid in _makers(vault):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for file in _good(folder):
                with suppress(FileNotFoundError):  # retention took it meanwhile
                    _check_whole(file)
        writer.end()
        wait_until(lambda: bool(_makers(vault)), lambda: vault.log.read_text()[-2000:])
        (maker, *_) = _makers(vault)
        vault.kill()
        wait_until(lambda: _PROGRAM not in _command(maker), lambda: "it ends when its server does")
        made = vault.log.read_text().count("a backup was made")
        vault.start()
        vault.unseal()
        wait_until(
            lambda: vault.log.read_text().count("a backup was made") > made,
            lambda: vault.log.read_text()[-2000:],
            2 * PATIENCE,
        )
        assert vault.stop() == 0
        assert {file.name for file in folder.iterdir()} == {file.name for file in _good(folder)}
        epochs = [_check_whole(file) for file in _good(folder)]
        assert epochs == sorted(epochs)
        assert 1 <= len(epochs) <= 3
        assert _events(vault, "esa.snapshot.create")
        assert _events(vault, "esa.snapshot.failed")


def test_where_no_backup_can_be_made_everybody_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with initialised(tmp_path, _stanza(folder)) as vault:
        wait_until(lambda: _failing(vault) == 1, lambda: vault.log.read_text()[-2000:])
        told = _status(vault)
        assert told.returncode == 2
        assert "No such file or directory" in told.stdout
        assert (
            "its directory is not there" in vault.log.read_text() or "No such file" in vault.log.read_text()
        )
        folder.mkdir()
        wait_until(lambda: _failing(vault) == 0, lambda: vault.log.read_text()[-2000:])
        assert _good(folder)
        wait_until(lambda: _status(vault).returncode == 0, lambda: _status(vault).stdout)
        assert "n-2" in _status(vault).stdout
        assert vault.stop() == 0
        (said, *_) = _events(vault, "esa.snapshot.failed")
        assert said["schedule"] == "n"
