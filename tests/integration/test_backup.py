# SPDX-License-Identifier: EUPL-1.2
"""A backup of a server under load, brought back: the vault opens, and holds what it held."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.fuzz.process import PATIENCE, VaultProcess, initialised, wait_until
from tests.house.tree import ROOT

_SLOTS = 8


def operator(vault: VaultProcess, *line: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `vaultctl operator snapshot` on the server's machine."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    verb, *rest = map(str, line)
    return subprocess.run(
        [sys.executable, "-m", "vaultctl", "operator", "snapshot", verb, f"-config={vault.config}", *rest],
        env={**clean, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Writer(threading.Thread):
    """Writes an ever larger number to a few secrets in turn; `acknowledged` is the last one that was answered."""

    def __init__(self, vault: VaultProcess) -> None:
        super().__init__(daemon=True)
        self.acknowledged = 0
        self.problem = ""
        self._vault = vault
        self._ends = threading.Event()

    def run(self) -> None:
        with self._vault.client() as client:
            while not self._ends.is_set() and not self.problem:
                number = self.acknowledged + 1
                target = f"/v1/secret/data/{number % _SLOTS}"
                answer = client.request("POST", target, {"data": {"number": number}})
                self.problem = "" if answer.status == 200 else f"{answer.status} for {number}"
                self.acknowledged = number

    def end(self) -> None:
        self._ends.set()
        self.join(PATIENCE)
        assert not self.is_alive()
        assert not self.problem


def numbers(vault: VaultProcess) -> list[int]:
    """Every number that can be read."""
    with vault.client() as client:
        answers = [client.request("GET", f"/v1/secret/data/{slot}") for slot in range(_SLOTS)]
    assert all(answer.status == 200 for answer in answers)
    return sorted(answer.json()["data"]["data"]["number"] for answer in answers)


def made_token(vault: VaultProcess) -> str:
    with vault.client() as client:
        made = client.request("POST", "/v1/auth/token/create", {"policies": ["default"]})
    assert made.status == 200
    return str(made.json()["auth"]["client_token"])


def valid(vault: VaultProcess, token: str) -> bool:
    with vault.client(token) as client:
        return client.request("GET", "/v1/auth/token/lookup-self").status == 200


def test_what_a_busy_server_held_is_back(tmp_path: Path) -> None:
    with initialised(tmp_path) as vault:
        writer = Writer(vault)
        writer.start()
        wait_until(lambda: writer.acknowledged > 5 * _SLOTS, lambda: writer.problem)
        early = made_token(vault)
        before = writer.acknowledged
        made = operator(vault, "save", tmp_path / "b.db")
        after = writer.acknowledged
        assert made.returncode == 0, made.stderr
        assert after > before, "nobody waits for a backup"
        writer.end()
        with vault.client() as client:
            assert client.request("POST", "/v1/auth/token/revoke", {"token": early}).status == 204
            assert client.request("POST", "/v1/sys/rotate/root", {}).status in (200, 204)
        late = made_token(vault)

        refused = operator(vault, "restore", tmp_path / "b.db")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "has it open" in refused.stderr
        assert valid(vault, late)

        assert vault.stop() == 0
        done = operator(vault, "restore", tmp_path / "b.db")
        assert done.returncode == 0, done.stderr
        assert "is valid again" in done.stderr
        vault.start()
        assert "has it open" in operator(vault, "restore", tmp_path / "b.db").stderr, (
            "a sealed server holds it"
        )
        vault.unseal()
        found = numbers(vault)
        assert found == list(range(found[0], found[0] + _SLOTS)), "not one commit"
        assert before <= found[-1] <= after + 1
        assert valid(vault, early)
        assert not valid(vault, late)
        with vault.client() as client:
            assert client.request("POST", "/v1/secret/data/0", {"data": {"number": 0}}).status == 200
        assert vault.stop() == 0
        vault.start()
        vault.unseal()
        assert numbers(vault)[0] == 0


@pytest.mark.parametrize("moment", ["keeping what was there", "restoring"])
def test_a_server_started_after_a_restore_was_killed_opens(tmp_path: Path, moment: str) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            for number in range(30):
                secret = {"data": {"text": "x" * 500_000, "number": number}}
                assert client.request("POST", f"/v1/secret/data/{number % _SLOTS}", secret).status == 200
        assert operator(vault, "save", tmp_path / "b.db").returncode == 0
        token = made_token(vault)
        assert vault.stop() == 0
        command = [sys.executable, "-m", "vaultctl", "operator", "snapshot", "restore", "-progress"]
        with subprocess.Popen(
            [*command, f"-config={vault.config}", str(tmp_path / "b.db")],
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"},
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stderr is not None
            said = next(line for line in child.stderr if line.startswith(moment))
            child.kill()
            said += child.stderr.read()
        vault.start()
        vault.unseal()
        assert valid(vault, token) or "restoring: 100 %" in said, "what was there before is there"
        assert len(numbers(vault)) == _SLOTS
