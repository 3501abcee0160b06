# SPDX-License-Identifier: EUPL-1.2
"""What the process refuses to start with: one line that names the setting, the file and the fix."""

import os
import socket
from pathlib import Path

from tests.integration.processes import certificate, config, get, pair, refused, running
from tests.ports import free_port
from vault.server.process.resources import pid_file


def test_a_wrong_key_in_the_configuration_is_one_line_with_the_nearest_key(tmp_path: Path) -> None:
    line = refused(config(tmp_path, free_port(), more='log_levle = "info"'), home=tmp_path)
    assert line == f"{tmp_path}/server.hcl:5: unknown setting log_levle; did you mean log_level?"


def test_an_occupied_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(config(tmp_path, port), home=tmp_path)
    assert (
        line
        == f"listener address 127.0.0.1:{port}: another process listens there; stop it or choose another port"
    )


def test_two_servers_on_one_port_do_not_share_it(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path):
        assert "another process listens there" in refused(config(tmp_path / "second", port), home=tmp_path)


def test_a_second_server_that_cannot_start_leaves_the_process_id_of_the_first(tmp_path: Path) -> None:
    flag = config(tmp_path, free_port(), more=f'pid_file = "{tmp_path}/pid"')
    with running(flag, home=tmp_path) as server:
        assert "another process listens there" in refused(flag, home=tmp_path)
        assert (tmp_path / "pid").read_text() == f"{server.process.pid}\n"
        assert server.end() == 0
    assert not (tmp_path / "pid").exists()


def test_of_two_that_start_at_once_the_process_id_is_of_the_one_that_listens(tmp_path: Path) -> None:
    """Both may have bound the address. Nobody can take it any more from the one that has written its number."""
    port = free_port()
    flag = config(tmp_path, port, more=f'pid_file = "{tmp_path}/pid"')
    with running(flag, home=tmp_path, module="tests.integration.rival_server") as server:
        server.wait_for("server: started")
        assert (tmp_path / "pid").read_text() == f"{server.process.pid}\n"
        assert get(port)[0] == 200
        assert server.end() == 0


def test_a_process_id_file_that_was_made_anew_stays_whatever_number_it_holds(tmp_path: Path) -> None:
    """In containers that share a directory two servers may have one number."""
    file = tmp_path / "pid"
    with pid_file(str(file)):
        other = tmp_path / "other"
        other.write_text(file.read_text())
        other.replace(file)
    assert file.exists()


def test_a_process_id_file_that_another_server_has_by_now_and_a_device_stay(tmp_path: Path) -> None:
    """A server that takes the place of one which still finishes requests."""
    with pid_file(f"{tmp_path}/pid"):
        (tmp_path / "pid").write_text("123456\n")
    assert (tmp_path / "pid").read_text() == "123456\n"
    nowhere = tmp_path / "nowhere"
    nowhere.symlink_to(os.devnull)
    with pid_file(str(nowhere)):
        pass
    assert nowhere.is_symlink()


def test_a_file_that_holds_no_process_id_is_not_lost(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("8200 is what matters")
    os.mkfifo(tmp_path / "pipe")
    for file, told in (
        (precious, "is there and holds no process id"),
        (tmp_path / "pipe", "cannot be written"),
    ):
        line = refused(config(tmp_path, free_port(), more=f'pid_file = "{file}"'), home=tmp_path)
        assert line.startswith(f"pid_file {file}: {told}")
        assert file.exists()
    assert precious.read_text() == "8200 is what matters"
    flag = config(tmp_path, free_port(), more=f'pid_file = "{tmp_path}/pid"')
    (tmp_path / "pid").write_text("123456\n")
    with running(flag, home=tmp_path) as server:
        assert (tmp_path / "pid").read_text() == f"{server.process.pid}\n"


def test_unusable_certificates_are_named_with_the_reason(tmp_path: Path) -> None:
    port = free_port()
    good, good_key = certificate(tmp_path, "good")
    _, other_key = certificate(tmp_path, "other")
    old, old_key = certificate(tmp_path, "old", days=(-9, -1))
    early, early_key = certificate(tmp_path, "early", days=(2, 9))
    locked, locked_key = certificate(tmp_path, "locked", password=b"hunter2")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    missing = tmp_path / "nope.crt"
    cases = [
        (pair(missing, good_key), f"tls_cert_file {missing}: cannot be read: No such file or directory"),
        (pair(good, missing), f"tls_key_file {missing}: cannot be read: No such file or directory"),
        (pair(good, other_key), f"tls_key_file {other_key}: does not belong to the certificate in tls_cert_file {good}"),
        (pair(old, old_key), f"tls_cert_file {old}: the certificate expired on "),
        (pair(early, early_key), f"tls_cert_file {early}: the certificate is not valid before "),
        (pair(locked, locked_key), f"tls_key_file {locked_key}: is encrypted; give a key without a password"),
        (pair(garbage, good_key), f"tls_cert_file {garbage} or tls_key_file {good_key}: not a certificate"),
        (pair(good, tmp_path / "server.hcl"), f"tls_key_file {tmp_path}/server.hcl: is not a PEM file"),
        (pair(good, good_key) + f'\n tls_client_ca_file = "{missing}"', f"tls_client_ca_file {missing}: cannot be read"),
        (pair(good, good_key) + '\n tls_cipher_suites = "TLS_RSA_WITH_RC4_128_SHA"', "unknown or too weak"),
    ]  # fmt: skip
    for listener, expected in cases:
        assert expected in refused(config(tmp_path, port, listener), home=tmp_path)


def test_a_corrupt_database_is_left_alone_and_named(tmp_path: Path) -> None:
    database = tmp_path / "vault.db"
    database.write_bytes(b"this is not a database" * 100)
    database.chmod(0o600)
    line = refused(config(tmp_path, free_port()), home=tmp_path)
    assert line.startswith(f"storage {database}: ")
    assert "not a database" in line
    assert database.read_bytes() == b"this is not a database" * 100


def test_directories_that_are_missing_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "such"
    port = free_port()
    line = refused(
        config(tmp_path, port, storage=f'storage "sqlite" {{ path = "{missing}/x.db" }}'), home=tmp_path
    )
    assert line.startswith(f"storage {missing}/x.db: it cannot be created")
    line = refused(config(tmp_path, port, more=f'log_file = "{missing}/x.log"'), home=tmp_path)
    assert line.startswith(f"log_file {missing}/x.log: cannot be written: No such file or directory")
    line = refused(config(tmp_path, port, more=f'pid_file = "{missing}/pid"'), home=tmp_path)
    assert line.startswith(f"pid_file {missing}/pid: cannot be written")


def test_flags_that_are_wrong_are_refused_without_their_values(tmp_path: Path) -> None:
    for flags, expected in (
        (["-dev-root-tokn-id=hunter2"], "unknown flag; did you mean -dev-root-token-id?"),
        (["-dev", "-dev-listen-address=0.0.0.0:8200"], "must be a loopback address"),
        (["-dev", "-config=x"], "configuration x: cannot be read: No such file or directory"),
        (["-dev", "-log-level=hunter2"], "flag -log-level: must be one of"),
        (["hunter2"], "the server takes flags only"),
        (["-config"], "flag -config needs a value"),
        ([], "no configuration"),
    ):
        line = refused(*flags, home=tmp_path)
        assert expected in line
        assert "hunter2" not in line
