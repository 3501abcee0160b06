# SPDX-License-Identifier: EUPL-1.2
"""`-test-config` tries certificates and directories as a start would, and leaves everything as it is."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import certificate
from vault.server.__main__ import run

STORAGE = 'storage "sqlite" { path = "HERE/x.db" }\n'
WITNESS = "witness.example.org/w1+4c9bdf99+BKiXmKhSdLwM94epf+TrbD2x0O5uUBIhueJxD/3Htn5F"
PLAIN = 'listener "tcp" { address = "127.0.0.1:8200" tls_disable = true }\n'


_WRONG = [
    ('storage "sqlite" { path = "HERE/none/x.db" }\n' + PLAIN, "HERE/none does not exist; make it"),
    ('storage "sqlite" { path = "HERE/server.hcl/x.db" }\n' + PLAIN, "server.hcl is not a directory"),
    ('storage "sqlite" { path = "HERE" }\n' + PLAIN, "path of storage HERE: is not a file"),
    (STORAGE + PLAIN + 'pid_file = "HERE"', "pid_file HERE: is not a file that can be written"),
    (
        STORAGE + PLAIN + 'pid_file = "HERE/server.hcl"',
        "pid_file HERE/server.hcl: is there and holds no process id; choose another path",
    ),
    (
        STORAGE + PLAIN + f'log_file = "HERE/{"x" * 300}"',
        f"log_file HERE/{'x' * 300}: cannot be looked at: File name too long; check the path",
    ),
    (
        'storage "sqlite" { path = "HERE/' + "x" * 300 + '/x.db" }\n' + PLAIN,
        f"path of storage HERE/{'x' * 300}/x.db: cannot be looked at: File name too long; check the path",
    ),
    (
        STORAGE + PLAIN + 'pid_file = "HERE/none/pid"',
        "pid_file HERE/none/pid: the directory HERE/none does",
    ),
    (
        STORAGE + PLAIN + 'log_file = "HERE/none/log"',
        "log_file HERE/none/log: the directory HERE/none does",
    ),
    (
        STORAGE
        + 'listener "tcp" { address = "127.0.0.1:1" tls_cert_file = "HERE/c" tls_key_file = "HERE/k" }',
        "tls_cert_file HERE/c: cannot be read",
    ),
    (
        STORAGE + PLAIN + 'audit "file" "main" { options { file_path = "HERE/server.hcl/more/audit.log" } }',
        'audit device "main/": HERE/server.hcl/more/audit.log: HERE/server.hcl is not a directory',
    ),
    (STORAGE + PLAIN + 'log { path = "/proc/none/log" }', "log path /proc/none/log: /proc is on no disk"),
    (
        STORAGE + PLAIN + 'log { path = "HERE/server.hcl" }',
        "log path HERE/server.hcl: HERE/server.hcl is not a directory; check the path",
    ),
    (
        STORAGE
        + PLAIN
        + 'log { path = "HERE/log"\ndevice "http" "siem" { address = "https://siem.example.eu"\n'
        'token_file = "HERE/none" } }',
        'log device "siem": token_file HERE/none: cannot be read: No such file or directory; check path',
    ),
    (
        STORAGE + PLAIN + 'log { path = "HERE/log"\nwitness "w1" { url = "https://witness.example.org"\n'
        f'key = "{WITNESS}"\ntls_ca_file = "HERE" }} }}',
        'witness "w1": tls_ca_file HERE: is a directory; name a file',
    ),
    (
        STORAGE + PLAIN + 'snapshot "directory" "nightly" { path = "HERE/none" }',
        'snapshot "nightly": path HERE/none: the directory HERE/none does not exist; make it',
    ),
    (
        STORAGE + PLAIN + 'snapshot "directory" "nightly" { path = "HERE"\nrecipients_file = "HERE/none" }',
        'snapshot "nightly": recipients_file: HERE/none: No such file or directory',
    ),
    (
        STORAGE
        + PLAIN
        + 'snapshot "directory" "nightly" { path = "HERE"\nrecipients_file = "HERE/server.hcl" }',
        'snapshot "nightly": recipients_file, line 1: this is no recipient',
    ),
    (
        STORAGE
        + PLAIN
        + 'snapshot "s3" "away" { path = "HERE"\nendpoint = "https://s3.example.eu"\nbucket = "b"\n'
        'credentials_file = "HERE/none" }',
        'snapshot "away": credentials_file HERE/none: cannot be read',
    ),
    (
        STORAGE
        + PLAIN
        + 'telemetry { otlp { endpoint = "https://otel.example.eu"\nheaders_file = "HERE/none" } }',
        "otlp: HERE/none: cannot be read (FileNotFoundError)",
    ),
    (
        STORAGE
        + PLAIN
        + 'telemetry { otlp { endpoint = "https://otel.example.eu"\ntls_ca_file = "HERE/none" } }',
        "otlp: tls_ca_file HERE/none: cannot be read: No such file or directory; check path, owner and mode",
    ),
    (
        'storage "postgresql" { connection_url = "postgresql://coffre@db.example.eu/coffre"\n'
        'password_file = "HERE/none" }\n' + PLAIN,
        "storage: password_file HERE/none: cannot be read: No such file or directory",
    ),
    (
        STORAGE + 'listener "unix" { address = "HERE/none/coffre.sock" }',
        "listener address HERE/none/coffre.sock: the directory HERE/none does not exist; make it",
    ),
    (
        STORAGE + 'listener "unix" { address = "HERE/server.hcl" }',
        "listener address HERE/server.hcl: is a file, not a socket; choose another path",
    ),
]


def written(folder: Path, text: str) -> str:
    file = folder / "server.hcl"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(("text", "shown"), _WRONG)
def test_the_flag_test_config_tries_what_a_start_would_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, shown: str
) -> None:
    here = str(tmp_path)
    text = text.replace("HERE", here)
    arguments = ["-test-config", f"-config={written(tmp_path, text)}"]
    assert run(arguments, {}, None) == 1
    assert shown.replace("HERE", here) in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["server.hcl"]


def test_the_flag_test_config_is_content_with_directories_that_the_start_will_make(
    tmp_path: Path,
) -> None:
    text = STORAGE.replace("HERE", str(tmp_path)) + PLAIN
    text += f'audit "file" "main" {{ options {{ file_path = "{tmp_path}/log/deep/audit.log" }} }}\n'
    text += f'log {{ path = "{tmp_path}/log/deep/records" }}'
    assert run(["-test-config", f"-config={written(tmp_path, text)}"], {}, None) == 0
    assert not (tmp_path / "log").exists()


def test_the_flag_test_config_is_content_with_credentials_that_systemd_shows_once_the_unit_runs(
    tmp_path: Path,
) -> None:
    text = STORAGE.replace("HERE", str(tmp_path)) + PLAIN
    unit = "/run/credentials/none-of-this-name.service"
    text += (
        f'log {{ path = "{tmp_path}/log"\ndevice "http" "siem" {{ address = "https://siem.example.eu"\n'
        f'token_file = "{unit}/coffre.siem" }} }}\n'
        'telemetry { otlp { endpoint = "https://otel.example.eu"\n'
        f'headers_file = "{unit}/coffre.otlp"\ntls_cert_file = "{unit}/otlp.pem"\ntls_key_file = "{unit}/otlp.key" }} }}\n'
        f'snapshot "directory" "nightly" {{ path = "{tmp_path}"\nrecipients_file = "{unit}/recipients" }}\n'
    )
    assert run(["-test-config", f"-config={written(tmp_path, text)}"], {}, None) == 0


def test_headers_that_come_with_the_unit_hide_no_file_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = STORAGE.replace("HERE", str(tmp_path)) + PLAIN
    text += (
        'telemetry { otlp { endpoint = "https://otel.example.eu"\n'
        'headers_file = "/run/credentials/none-of-this-name.service/coffre.otlp"\n'
        f'tls_ca_file = "{tmp_path}/none" }} }}\n'
    )
    assert run(["-test-config", f"-config={written(tmp_path, text)}"], {}, None) == 1
    assert f"otlp: tls_ca_file {tmp_path}/none: cannot be read" in capsys.readouterr().out


def test_a_socket_in_a_directory_that_may_not_be_searched_is_a_problem_and_no_defect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shut, real = str(tmp_path / "shut"), os.stat

    def stat(path: Any, *arguments: Any, **named: Any) -> os.stat_result:
        if str(path).startswith(shut):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", stat)  # whoever runs the tests may be root, who may search everything
    text = STORAGE.replace("HERE", str(tmp_path)) + f'listener "unix" {{ address = "{shut}/in/a.sock" }}'
    assert run(["-test-config", f"-config={written(tmp_path, text)}"], {}, None) == 1
    shown = capsys.readouterr()
    assert f"listener address {shut}/in/a.sock: cannot be looked at: Permission denied" in shown.out
    assert "unexpected" not in shown.out + shown.err


def test_what_goes_to_no_file_is_not_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stdout").mkdir()
    text = (
        STORAGE.replace("HERE", str(tmp_path))
        + PLAIN
        + 'audit "file" "main" { options { file_path = "stdout" } }\nlog_file = "/dev/null"'
    )
    assert run(["-test-config", f"-config={written(tmp_path, text)}"], {}, None) == 0
    assert capsys.readouterr().out == "The configuration is good.\n"


def test_a_certificate_that_has_expired_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cert, key = certificate(tmp_path, "old", days=(-9, -2))
    listener = f'listener "tcp" {{ address = "127.0.0.1:1" tls_cert_file = "{cert}" tls_key_file = "{key}" }}'
    text = STORAGE.replace("HERE", str(tmp_path)) + listener
    assert run(["-test-config", f"-config={written(tmp_path, text)}"], {}, None) == 1
    assert f"error: tls_cert_file {cert}: the certificate expired on" in capsys.readouterr().out


def test_a_key_that_every_user_may_read_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cert, key = certificate(tmp_path, "one")
    listener = f'listener "tcp" {{ address = "127.0.0.1:1" tls_cert_file = "{cert}" tls_key_file = "{key}" }}'
    arguments = [
        "-test-config",
        f"-config={written(tmp_path, STORAGE.replace('HERE', str(tmp_path)) + listener)}",
    ]
    key.chmod(0o640)
    assert run(arguments, {}, None) == 0
    key.chmod(0o644)
    assert run(arguments, {}, None) == 2
    assert f"warning: tls_key_file {key} can be read by every user" in capsys.readouterr().out


def test_a_flag_that_a_start_would_refuse_is_a_problem_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = STORAGE.replace("HERE", str(tmp_path)) + PLAIN
    arguments = ["-test-config", f"-config={written(tmp_path, text)}", "-log-level=hunter2"]
    assert run(arguments, {}, None) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("error: flag -log-level")
    assert "hunter2" not in shown


class _Broken(dict[str, str]):
    """An environment that cannot be asked."""

    def get(self, *key: object) -> str:
        raise ValueError("hunter2")


def test_a_defect_is_one_line_with_type_and_place_and_never_its_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["-test-config"], _Broken(), None) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("error: unexpected ValueError at ")
    assert shown.err.endswith("; please report this\n")
    assert "hunter2" not in shown.err + shown.out
