# SPDX-License-Identifier: EUPL-1.2
"""`-test-config` tries certificates and directories as a start would, and leaves everything as it is."""

from pathlib import Path

import pytest

from tests.integration.processes import certificate
from vault.server.__main__ import run

STORAGE = 'storage "sqlite" { path = "HERE/x.db" }\n'
PLAIN = 'listener "tcp" { address = "127.0.0.1:8200" tls_disable = true }\n'


def written(folder: Path, text: str) -> str:
    file = folder / "server.hcl"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
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
            STORAGE
            + PLAIN
            + 'audit "file" "main" { options { file_path = "HERE/server.hcl/more/audit.log" } }',
            'audit device "main/": HERE/server.hcl/more/audit.log: HERE/server.hcl is not a directory',
        ),
    ],
)
def test_the_flag_test_config_tries_what_a_start_would_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, shown: str
) -> None:
    here = str(tmp_path)
    text = text.replace("HERE", here)
    arguments = ["-test-config", f"-config={written(tmp_path, text)}"]
    assert run(arguments, {}, None) == 1
    assert shown.replace("HERE", here) in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["server.hcl"]


def test_the_flag_test_config_is_content_with_an_audit_directory_that_the_start_will_make(
    tmp_path: Path,
) -> None:
    text = STORAGE.replace("HERE", str(tmp_path)) + PLAIN
    text += f'audit "file" "main" {{ options {{ file_path = "{tmp_path}/log/deep/audit.log" }} }}'
    assert run(["-test-config", f"-config={written(tmp_path, text)}"], {}, None) == 0
    assert not (tmp_path / "log").exists()


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
