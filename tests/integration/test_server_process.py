# SPDX-License-Identifier: EUPL-1.2
"""The process around the application: what it refuses to start with, how it serves, reloads and ends."""

import os
import shutil
import signal
import socket
import ssl
import stat
import threading
import time
from pathlib import Path

import pytest

from tests.integration.processes import certificate, connect, free_port, get, refused, running
from vault.server.run import DRAIN_SECONDS


def config(
    folder: Path, port: int, listener: str = "tls_disable = true", more: str = "", storage: str = ""
) -> str:
    file = folder / "server.hcl"
    file.write_text(
        f"""
        {storage or f'storage "sqlite" {{ path = "{folder}/vault.db" }}'}
        listener "tcp" {{ address = "127.0.0.1:{port}" {listener} }}
        disable_mlock = true
        {more}
        """
    )
    return f"-config={file}"


def pair(cert: Path, key: Path) -> str:
    return f'tls_cert_file = "{cert}"\n tls_key_file = "{key}"'


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
        (["-dev", "-config=x"], "-dev takes no -config"),
        (["-dev", "-log-level=hunter2"], "flag -log-level: must be one of"),
        (["hunter2"], "the server takes flags only"),
        (["-config"], "flag -config needs a value"),
        ([], "no configuration"),
    ):
        line = refused(*flags, home=tmp_path)
        assert expected in line
        assert "hunter2" not in line


def test_answers_carry_a_date_and_no_server_header(tmp_path: Path) -> None:
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path) as server:
        status, body, headers = get(port)
        assert status == 200
        assert body == f"('127.0.0.1', '127.0.0.1:{port}', None)"
        assert headers["date"].endswith("GMT")
        assert "server" not in headers
        assert server.end() == 0
    assert [line for line in server.lines if "GET" in line or "uvicorn" in line] == []


def test_what_a_client_says_about_its_address_is_not_believed(tmp_path: Path) -> None:
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path):
        client = connect(port)
        client.request("GET", "/", headers={"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https"})
        assert client.getresponse().read().startswith(b"('127.0.0.1', ")
        client.close()


def test_an_exception_is_logged_by_type_and_place_and_never_by_its_message(tmp_path: Path) -> None:
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path) as server:
        assert get(port, "/crash")[:2] == (500, "Internal Server Error")
        line = server.wait_for("exception=ValueError")
        assert "stub_server.py:" in line
        server.end()
    assert "hunter2" not in "\n".join(server.lines)


def test_tls_is_1_2_and_1_3_with_aead_only(tmp_path: Path) -> None:
    port = free_port()
    cert, key = certificate(tmp_path, "server")
    with running(config(tmp_path, port, pair(cert, key)), home=tmp_path):
        assert _handshake(port, cert, ssl.TLSVersion.TLSv1_3) == ("TLSv1.3", "http/1.1")
        assert _handshake(port, cert, ssl.TLSVersion.TLSv1_2) == ("TLSv1.2", "http/1.1")
        with pytest.raises(OSError):
            _handshake(port, cert, ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-SHA")


def _handshake(
    port: int, trust: Path, version: ssl.TLSVersion, ciphers: str = ""
) -> tuple[str | None, str | None]:
    context = ssl.create_default_context(cafile=trust)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    if ciphers:
        context.set_ciphers(ciphers)
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        return tls.version(), tls.selected_alpn_protocol()


def test_client_certificates_are_required_and_reach_the_application(tmp_path: Path) -> None:
    port = free_port()
    cert, key = certificate(tmp_path, "server")
    own, own_key = certificate(tmp_path, "client")
    listener = (
        pair(cert, key) + f'\n tls_client_ca_file = "{own}"\n tls_require_and_verify_client_cert = true'
    )
    with running(config(tmp_path, port, listener), home=tmp_path):
        with pytest.raises(OSError):
            get(port, trust=cert)
        context = ssl.create_default_context(cafile=cert)
        context.load_cert_chain(own, own_key)
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: tls.recv(4096), b""))
        size = len(ssl.PEM_cert_to_DER_cert(own.read_text()))
        assert answer.endswith(f"{size})".encode())


def test_sighup_changes_the_certificate_and_drops_no_connection(tmp_path: Path) -> None:
    port = free_port()
    first, first_key = certificate(tmp_path, "first")
    second, second_key = certificate(tmp_path, "second")
    live, live_key = tmp_path / "live.crt", tmp_path / "live.key"
    shutil.copy(first, live)
    shutil.copy(first_key, live_key)
    with running(config(tmp_path, port, pair(live, live_key)), home=tmp_path) as server:
        kept = connect(port, trust=first)
        kept.request("GET", "/")
        assert kept.getresponse().read()
        shutil.copy(second, live)
        shutil.copy(second_key, live_key)
        server.send(signal.SIGHUP)
        server.wait_for("server: reloaded")
        assert get(port, trust=second)[0] == 200
        with pytest.raises(ssl.SSLError):
            get(port, trust=first)
        kept.request("GET", "/")
        assert kept.getresponse().status == 200
        kept.close()


def test_a_certificate_that_cannot_be_used_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    port = free_port()
    cert, key = certificate(tmp_path, "server")
    trust = tmp_path / "trust.crt"
    shutil.copy(cert, trust)
    with running(config(tmp_path, port, pair(cert, key)), home=tmp_path) as server:
        cert.write_text("nothing")
        server.send(signal.SIGHUP)
        line = server.wait_for("going on with the previous one")
        assert "tls_cert_file" in line
        server.wait_for("application reloaded")
        assert get(port, trust=trust)[0] == 200


def test_sighup_takes_the_log_level_and_keeps_what_it_cannot_change(tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "server.log"
    with running(config(tmp_path, port), home=tmp_path) as server:
        config(tmp_path, port + 1, more='log_level = "debug"')
        server.send(signal.SIGHUP)
        server.wait_for("storage and addresses of listeners change at the next start only")
        assert server.wait_for("application reloaded").endswith("level=debug")
        config(tmp_path, port, more="nonsense = 1")
        server.send(signal.SIGHUP)
        assert "unknown setting nonsense" in server.wait_for("setting=configuration")
        config(tmp_path, port, more=f'log_file = "{log}"')
        server.send(signal.SIGHUP)
        server.wait_for("server: reloaded", times=2)
        assert get(port)[0] == 200
        server.end()
    assert "server: stopped" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_request_in_flight_is_finished_before_the_end(tmp_path: Path) -> None:
    port = free_port()
    answers: list[int] = []
    with running(config(tmp_path, port, more=f'pid_file = "{tmp_path}/pid"'), home=tmp_path) as server:
        assert (tmp_path / "pid").read_text() == f"{server.process.pid}\n"
        idle = connect(port)
        idle.connect()
        client = threading.Thread(target=lambda: answers.append(get(port, "/slow")[0]))
        client.start()
        server.wait_for("stub: slow began")
        assert server.end() == 0
        client.join()
        idle.close()
    assert answers == [200]
    assert not (tmp_path / "pid").exists()
    order = [line.rpartition("] ")[2].strip() for line in server.lines]
    assert order.index("stub: application stopped") < order.index("server: stopped")


def test_a_second_signal_ends_without_waiting(tmp_path: Path) -> None:
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path) as server:
        stuck = connect(port)
        stuck.request("GET", "/stuck")
        server.wait_for("stub: stuck began")
        server.send(signal.SIGTERM)
        server.wait_for("stopping")
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < DRAIN_SECONDS / 2
        server.wait_for("requests took too long and were cut off: count=1")
        stuck.close()


def test_heads_that_are_too_long_and_clients_that_stall_are_turned_away(tmp_path: Path) -> None:
    port = free_port()
    listener = 'tls_disable = true\n http_read_header_timeout = "1s"\n http_read_timeout = "1s"'
    with running(config(tmp_path, port, listener), home=tmp_path):
        with socket.create_connection(("127.0.0.1", port)) as long:
            long.sendall(b"GET / HTTP/1.1\r\n" + (b"x-filler: " + b"y" * 1000 + b"\r\n") * 65)
            assert long.recv(100).startswith(b"HTTP/1.1 431 ")
        for start in (
            b"",
            b"GET / HTTP/1.1\r\nx-a: b",
            b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
                slow.sendall(start)
                assert _closed(slow)
        assert get(port)[0] == 200


def _closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(10) == b""
    except ConnectionResetError:
        return True


def test_a_unix_socket_is_private_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    file = tmp_path / "server.hcl"
    file.write_text(f'storage "inmem" {{}}\nlistener "unix" {{ address = "{path}" }}\ndisable_mlock = true\n')
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with running(f"-config={file}", home=tmp_path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert "another process listens there" in refused(f"-config={file}", home=tmp_path)
        server.end()
    assert not path.exists()
    path.write_text("mine")
    assert "is a file, not a socket" in refused(f"-config={file}", home=tmp_path)
    assert path.read_text() == "mine"


def test_a_core_dump_is_impossible_and_new_files_are_private(tmp_path: Path) -> None:
    with running(config(tmp_path, free_port()), home=tmp_path) as server:
        limits = _limits_of(server.process.pid)
        assert limits == ["0", "0"]
        assert stat.S_IMODE((tmp_path / "vault.db").stat().st_mode) == 0o600


def _limits_of(pid: int) -> list[str]:
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4:6]
    raise AssertionError("no limit of core files")


def test_dev_mode_prints_its_keys_and_stores_the_token(tmp_path: Path) -> None:
    port = free_port()
    with running("-dev", f"-dev-listen-address=127.0.0.1:{port}", home=tmp_path) as server:
        server.wait_for("should NOT be used in production installations!")
        assert "Unseal Key: made-key" in server.lines
        assert "Root Token: made-token" in server.lines
        assert f"    $ export BAO_ADDR='http://127.0.0.1:{port}'" in server.lines
        token = tmp_path / ".vault-token"
        assert token.read_text() == "made-token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_dev_mode_takes_its_token_from_the_environment_and_stores_none_when_asked_not_to(
    tmp_path: Path,
) -> None:
    environment = {"VAULT_DEV_ROOT_TOKEN_ID": "mine", "BAO_DEV_LISTEN_ADDRESS": f"127.0.0.1:{free_port()}"}
    with running("--dev", "-dev-no-store-token", home=tmp_path, environment=environment) as server:
        server.wait_for("should NOT be used in production installations!")
        assert "Root Token: mine" in server.lines
    assert not (tmp_path / ".vault-token").exists()


def test_a_second_dev_start_on_the_same_file_has_the_same_keys(tmp_path: Path) -> None:
    database = tmp_path / "dev.db"
    flags = [
        f"-dev-storage={database}",
        f"-dev-listen-address=127.0.0.1:{free_port()}",
        "-dev-no-store-token",
    ]
    for more in (["-dev-root-token-id=mine"], []):
        with running(*flags, *more, home=tmp_path) as server:
            server.wait_for("whoever copies both files reads every secret.")
            server.wait_for("should NOT be used in production installations!")
            assert "Root Token: mine" in server.lines
            assert server.end() == 0
    kept = Path(f"{database}.dev-keys")
    assert kept.read_text() == '{"unseal_key":"made-key","root_token":"mine"}'
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.chmod(0o644)
    assert "others may read the keys in it" in refused(*flags, home=tmp_path)
    kept.chmod(0o600)
    kept.write_text("hunter2")
    assert "the keys of this database cannot be read" in refused(*flags, home=tmp_path)


def test_dev_tls_makes_certificates_that_clients_can_verify(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "tls"
    folder.mkdir()
    flags = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-listen-address=127.0.0.1:{port}"]
    with running(*flags, home=tmp_path) as server:
        server.wait_for(f"export BAO_CACERT='{folder}/vault-ca.pem'")
        assert get(port, trust=folder / "vault-ca.pem")[0] == 200
    assert [stat.S_IMODE(os.stat(file).st_mode) for file in folder.iterdir()] == [0o600] * 3
    line = refused("-dev-tls", f"-dev-tls-cert-dir={tmp_path}/none", home=tmp_path)
    assert line.startswith(f"-dev-tls-cert-dir {tmp_path}/none/vault-ca.pem: cannot be written")


def test_the_log_is_json_when_asked_for(tmp_path: Path) -> None:
    with running(config(tmp_path, free_port()), "-log-format=json", home=tmp_path) as server:
        assert server.lines[0].startswith(
            '{"@level":"info","@message":"application started","@module":"stub"'
        )
