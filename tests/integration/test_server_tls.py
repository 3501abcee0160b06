# SPDX-License-Identifier: EUPL-1.2
"""TLS of the process: versions, client certificates, exchange of certificates while running."""

import re
import shutil
import signal
import socket
import ssl
from pathlib import Path

import pytest

from tests.integration.processes import certificate, config, connect, get, pair, running
from tests.ports import free_port


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


def test_a_certificate_that_went_away_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    port = free_port()
    cert, key = certificate(tmp_path, "server")
    trust = tmp_path / "trust.crt"
    shutil.move(cert, trust)
    shutil.copy(trust, cert)
    with running(config(tmp_path, port, pair(cert, key)), home=tmp_path) as server:
        cert.unlink()
        server.send(signal.SIGHUP)
        assert f"{cert}: cannot be read" in server.wait_for("going on with the previous one")
        server.wait_for("server: reloaded in part")
        assert get(port, trust=trust)[0] == 200


def test_a_certificate_that_ends_soon_is_told_of_at_the_start(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server", days=(-1, 5))
    with running(config(tmp_path, free_port(), pair(cert, key)), home=tmp_path) as server:
        line = server.wait_for("attention: reason=")
        assert re.search(rf"tls_cert_file {cert} expires on \d{{4}}-\d\d-\d\d; renew it", line)


def test_a_key_that_every_user_may_read_is_told_of_at_a_reload(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    key.chmod(0o600)
    with running(config(tmp_path, free_port(), pair(cert, key)), home=tmp_path) as server:
        key.chmod(0o644)
        server.send(signal.SIGHUP)
        assert f"chmod o-rwx {key}" in server.wait_for("attention: reason=")
        server.wait_for("server: reloaded")
        key.unlink()
        server.send(signal.SIGHUP)
        server.wait_for("server: reloaded in part")
        assert server.end() == 0
    assert sum("reload failed" in line for line in server.lines) == 1
