# SPDX-License-Identifier: EUPL-1.2
"""`operator diagnose` tells what a start would meet, and by its exit code how bad that is."""

import json
import resource
import socket
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.integration.processes import certificate
from tests.ports import free_port
from vault.server.offline import diagnosis
from vault.server.offline.diagnosis import USUAL_ROOM, Room

STORAGE = 'storage "sqlite" { path = "HERE/x.db" }\n'


@pytest.fixture(autouse=True)
def sockets() -> None:
    enable_socket()


def diagnosed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, *skip: str, room: Room = USUAL_ROOM
) -> tuple[int, list[str]]:
    file = tmp_path / "server.hcl"
    file.write_text(text.replace("HERE", str(tmp_path)))
    code = diagnosis.main([str(file)], {}, skip=skip, room=room)
    return code, capsys.readouterr().out.splitlines()


def listener(tmp_path: Path, *, days: tuple[int, int] = (-1, 300), port: int | None = None) -> str:
    cert, key = certificate(tmp_path, "one", days=days)
    address = f"127.0.0.1:{port or free_port()}"
    return f'listener "tcp" {{ address = "{address}" tls_cert_file = "{cert}" tls_key_file = "{key}" }}\n'


def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit = 'audit "file" "main" { options { file_path = "HERE/audit.log" } }\n'
    code, lines = diagnosed(tmp_path, capsys, STORAGE + listener(tmp_path) + audit)
    assert code == 0, lines
    assert all(line.startswith("[ success ] ") for line in lines)
    assert not (tmp_path / "x.db").exists()


def test_what_is_doubtful_warns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = f'listener "tcp" {{ address = "127.0.0.1:{free_port()}" tls_disable = true }}\n'
    code, lines = diagnosed(tmp_path, capsys, STORAGE + plain)
    assert code == 2
    assert any("tls_disable is set" in line for line in lines)
    code, lines = diagnosed(tmp_path, capsys, STORAGE + listener(tmp_path, days=(-1, 5)))
    assert code == 2
    assert any("its certificate ends in" in line for line in lines)
    audit = 'audit "file" "main" { options { file_path = "HERE/logs/audit.log" } }\n'
    code, lines = diagnosed(tmp_path, capsys, STORAGE + listener(tmp_path) + audit, room=Room(little=1 << 62))
    assert code == 2
    assert any(
        line.startswith("[ warning ] Audit: ") and line.endswith(f"MiB free in {tmp_path}") for line in lines
    )
    code, lines = diagnosed(
        tmp_path, capsys, STORAGE + listener(tmp_path) + audit, room=Room(nothing=1 << 62)
    )
    assert (code, sum(line.startswith(("[ failure ] Audit: ", "[ failure ] Disk: ")) for line in lines)) == (
        1,
        2,
    )
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 10))
    code, lines = diagnosed(
        tmp_path, capsys, STORAGE + listener(tmp_path), room=Room(little=1 << 62, nothing=0)
    )
    assert [line.split("]")[0] for line in lines if "Disk" in line or "Open files" in line] == [
        "[ warning "
    ] * 2


def test_a_key_that_every_user_may_read_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = STORAGE + listener(tmp_path)
    (key,) = tmp_path.glob("*.key")
    for mode, code in ((0o600, 0), (0o640, 0), (0o644, 2)):
        key.chmod(mode)
        assert diagnosed(tmp_path, capsys, text)[0] == code
    assert any(f"chmod o-rwx {key}" in line for line in diagnosed(tmp_path, capsys, text)[1])


def test_each_key_slot_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "static.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    static = f'seal "static" {{ current_key = "file://{key}" current_key_id = "1" }}\n'
    token = f'seal "pkcs11" {{ name = "hsm-b" lib = "{tmp_path}/none.so" token_label = "a" key_label = "b" pin = "file://{key}" }}\n'
    code, lines = diagnosed(tmp_path, capsys, STORAGE + listener(tmp_path) + static)
    assert (code, next(line for line in lines if "Seal" in line).split("Seal ")[0]) == (0, "[ success ] ")
    code, lines = diagnosed(tmp_path, capsys, STORAGE + listener(tmp_path) + static + token)
    (said,) = [line for line in lines if "hsm-b" in line]
    assert (code, said.startswith("[ failure ] Seal hsm-b: ")) == (1, True)
    assert diagnosed(tmp_path, capsys, STORAGE + listener(tmp_path) + static + token, "autounseal")[0] == 0


def test_what_a_start_would_fail_on_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = STORAGE + listener(tmp_path, port=taken.getsockname()[1])
        code, lines = diagnosed(tmp_path, capsys, text)
        assert code == 1
        assert any("Address already in use; while the server runs" in line for line in lines)
        code, lines = diagnosed(tmp_path, capsys, text, "listener", "storage", "autounseal")
        assert code == 0
        assert sum(line.startswith("[ skipped ]") for line in lines) == 3
    code, lines = diagnosed(tmp_path, capsys, STORAGE.replace("x.db", "none/x.db") + listener(tmp_path))
    assert code == 1
    assert any("does not exist; make it" in line for line in lines)
    more = (
        'log { path = "HERE/server.hcl" }\npid_file = "HERE/none/pid"\n'
        'snapshot "directory" "nightly" { path = "HERE/none" }\n'
        'telemetry { otlp { endpoint = "https://otel.example.eu"\nheaders_file = "HERE/none" } }\n'
    )
    code, lines = diagnosed(tmp_path, capsys, STORAGE + listener(tmp_path) + more)
    assert code == 1
    failed = {line.split(":")[0] for line in lines if line.startswith("[ failure ]")}
    assert failed == {f"[ failure ] {name}" for name in ("Log", "Server files", "Snapshots", "Telemetry")}
    code, lines = diagnosed(tmp_path, capsys, "nonsense = 1\n")
    assert (code, lines[-1].startswith("[ failure ] Configuration")) == (1, True)
    code, lines = diagnosed(
        tmp_path,
        capsys,
        STORAGE
        + listener(tmp_path)
        + 'seal "static" { current_key = "file://HERE/none" current_key_id = "1" }',
    )
    assert code == 1


def test_programs_get_json_and_without_a_configuration_there_is_nothing_to_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "server.hcl").write_text(STORAGE.replace("HERE", str(tmp_path)) + listener(tmp_path))
    assert diagnosis.main([], {"BAO_CONFIG_PATH": str(tmp_path / "server.hcl")}, json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["status"] == "ok"
    assert {"name": "Configuration", "status": "ok", "message": ""} in shown["children"]
    assert diagnosis.main([], {}) == 3
