# SPDX-License-Identifier: EUPL-1.2
"""What goes wrong around the server: a clear answer, nothing lost, and it goes on when the cause is gone.

Settings, certificates, ports and files that are wrong before the start are in `test_server_process`.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fuzz.process import (
    PATIENCE,
    REPOSITORY,
    TRACEBACK,
    Client,
    VaultProcess,
    initialised,
    wait_until,
)

INTERNAL = {"errors": ["internal error"]}


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultProcess]:
    with initialised(tmp_path) as vault:
        yield vault


def write(client: Client, name: str, size: int = 1) -> int:
    body = {"data": {"value": name * size}}
    return client.request("POST", f"/v1/secret/data/{name}", body).status


def read(client: Client, name: str, size: int = 1) -> bool:
    answer = client.request("GET", f"/v1/secret/data/{name}")
    return answer.status == 200 and answer.json()["data"]["data"] == {"value": name * size}


def no_traceback(vault: VaultProcess) -> None:
    log = vault.log.read_bytes()
    assert not TRACEBACK.search(log), log[-3000:]


def swell_audit(vault: VaultProcess, size: int) -> None:
    """Let the audit file outgrow everything else: its lines are written to it again and again."""
    lines = vault.audit.read_bytes()
    with vault.audit.open("ab") as file:
        while file.tell() < size:
            file.write(lines)


def test_a_wrong_unseal_key_is_refused_and_the_right_one_still_opens(vault: VaultProcess) -> None:
    with vault.client() as client:
        assert write(client, "kept") == 200
        assert client.request("PUT", "/v1/sys/seal").status == 204
        for key, words in (
            ("ab" * 32, "invalid key"),
            (vault.key[:-2] + ("00" if vault.key[-2:] != "00" else "01"), ""),
            ("no key at all", "key"),
            ("", "key"),
        ):
            answer = client.request("PUT", "/v1/sys/unseal", {"key": key})
            assert answer.status == 400
            assert words in str(answer.json()["errors"])
            assert not key or key not in answer.body.decode()
            assert client.request("GET", "/v1/sys/seal-status").json()["sealed"] is True
        assert client.request("GET", "/v1/secret/data/kept").status == 503
        vault.unseal()
        assert read(client, "kept")
    no_traceback(vault)


def test_a_full_disk_under_the_database_refuses_writes_and_serves_reads(vault: VaultProcess) -> None:
    with vault.client() as client:
        for number in range(6):
            assert write(client, f"before{number}", 50_000) == 200
        assert vault.audit.stat().st_size < 200_000
        vault.limit_files(300_000)
        refused = [name for name in ("a", "b", "c") if write(client, name, 100_000) != 200]
        assert refused == ["a", "b", "c"]
        answer = client.request("POST", "/v1/secret/data/d", {"data": {"value": "d" * 100_000}})
        assert (answer.status, answer.json()) == (500, INTERNAL)
        assert all(read(client, f"before{number}", 50_000) for number in range(6))
        assert client.request("GET", "/v1/secret/data/a").status == 404
        assert client.request("GET", "/v1/sys/health").status == 200
        vault.limit_files(None)
        assert write(client, "after") == 200
        assert read(client, "after") and not read(client, "a", 100_000)
    no_traceback(vault)
    assert f'reason="storage {vault.database}: the disk ' in vault.log.read_text()
    vault.kill()
    vault.start()
    vault.unseal()
    with vault.client() as client:
        assert all(read(client, f"before{number}", 50_000) for number in range(6))
        assert read(client, "after")
    with closing(sqlite3.connect(vault.database)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_full_disk_under_the_audit_file_refuses_everything_and_changes_nothing(vault: VaultProcess) -> None:
    with vault.client() as client:
        assert write(client, "before") == 200
        token = client.request("POST", "/v1/auth/token/create", {}).json()["auth"]["client_token"]
        swell_audit(vault, 6_000_000)
        vault.limit_files(vault.audit.stat().st_size)
        for method, path, body in (
            ("POST", "secret/data/during", {"data": {"value": "x"}}),
            ("POST", "secret/data/before", {"data": {"value": "changed"}}),
            ("DELETE", "secret/metadata/before", None),
            ("POST", "auth/token/revoke", {"token": token}),
            ("POST", "sys/mounts/new", {"type": "kv"}),
            ("PUT", "sys/policies/acl/new", {"policy": ""}),
            ("PUT", "sys/seal", None),
            ("GET", "secret/data/before", None),
        ):
            answer = client.request(method, f"/v1/{path}", body)
            assert (answer.status, answer.json()) == (500, INTERNAL), path
        assert client.request("GET", "/v1/sys/health").status == 200
        vault.limit_files(None)
        assert read(client, "before")
        assert client.request("GET", "/v1/secret/data/during").status == 404
        assert client.request("GET", "/v1/auth/token/lookup-self", token=token).status == 200
        assert "new/" not in client.request("GET", "/v1/sys/mounts").json()["data"]
        assert client.request("GET", "/v1/sys/policies/acl/new").status == 404
        assert write(client, "after") == 200
    with vault.audit.open("rb") as file:
        assert all(json.loads(line)["type"] in {"request", "response"} for line in file)
    no_traceback(vault)


@pytest.mark.parametrize("room", [1500, 2200, 2900])
def test_a_disk_that_fills_between_request_and_response_changes_nothing(
    vault: VaultProcess, room: int
) -> None:
    with vault.client() as client:
        swell_audit(vault, 6_000_000)
        vault.limit_files(vault.audit.stat().st_size + room)
        done = [number for number in range(4) if write(client, f"s{number}") == 200]
        vault.limit_files(None)
        assert [number for number in range(4) if read(client, f"s{number}")] == done
        assert len(done) < 4
    with vault.audit.open("rb") as file:
        assert all(json.loads(line)["type"] in {"request", "response"} for line in file)


def test_an_audit_file_is_rotated_by_renaming_it_and_sighup(vault: VaultProcess) -> None:
    old = vault.audit.with_suffix(".old")
    with vault.client() as client:
        vault.audit.rename(old)
        before = old.stat().st_size
        assert write(client, "rotated") == 200
        assert old.stat().st_size > before and not vault.audit.exists()
        os.kill(vault.pid, signal.SIGHUP)
        wait_until(vault.audit.exists, lambda: "SIGHUP did not open the audit file again")
        before = old.stat().st_size
        assert write(client, "after") == 200
        assert old.stat().st_size == before and vault.audit.stat().st_size > 0
    no_traceback(vault)


def refused(vault: VaultProcess) -> str:
    """Start a server that cannot start; return its one line."""
    done = subprocess.run(
        [sys.executable, "-m", "vault.server", "-config", str(vault.config)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in done.stderr, done.stderr
    return errors[0]


def test_an_audit_file_that_cannot_be_opened_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("in the way")
    line = refused(VaultProcess(tmp_path, audit=tmp_path / "plain" / "audit.log"))
    assert 'audit device "file/"' in line and "plain/audit.log" in line
    (tmp_path / "folder").mkdir()
    line = refused(VaultProcess(tmp_path, audit=tmp_path / "folder"))
    assert line.endswith("it is a directory; name a file")


def test_a_database_that_was_cut_off_is_named_and_left_alone(vault: VaultProcess) -> None:
    with vault.client() as client:
        assert all(write(client, f"s{number}", 20_000) == 200 for number in range(20))
    assert vault.stop() == 0
    whole = vault.database.read_bytes()
    vault.database.write_bytes(whole[:100] + b"\xff" * 4000 + whole[4100:])
    spoilt = vault.database.read_bytes()
    line = refused(vault)
    assert str(vault.database) in line
    assert vault.database.read_bytes() == spoilt
    vault.database.write_bytes(whole)
    vault.start()
    vault.unseal()
    with vault.client() as client:
        assert all(read(client, f"s{number}", 20_000) for number in range(20))


def test_a_value_that_was_tampered_with_or_moved_is_refused_and_the_rest_is_served(
    vault: VaultProcess,
) -> None:
    with vault.client() as client:
        assert all(write(client, name) == 200 for name in ("good", "one", "two"))
    assert vault.stop() == 0
    with closing(sqlite3.connect(vault.database)) as database:
        rows = dict(database.execute("SELECT path, value FROM entry").fetchall())
        paths = {name: path for path in rows for name in ("one", "two") if path.endswith(f"/{name}")}
        value = rows[paths["one"]]
        changed = [(value[:-1] + bytes([value[-1] ^ 1]), paths["one"]), (rows[paths["one"]], paths["two"])]
        database.executemany("UPDATE entry SET value = ? WHERE path = ?", changed)
        database.commit()
    vault.start()
    vault.unseal()
    with vault.client() as client:
        for name in ("one", "two"):
            answer = client.request("GET", f"/v1/secret/data/{name}")
            assert (answer.status, answer.json()) == (500, INTERNAL)
        assert read(client, "good")
        assert write(client, "new") == 200
    no_traceback(vault)
    assert 'reason="stored entry fails its integrity check"' in vault.log.read_text()
