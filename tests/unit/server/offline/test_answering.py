# SPDX-License-Identifier: EUPL-1.2
"""Who answers, and who does not."""

import http.server
import socket
import socketserver
import ssl
from pathlib import Path

import pytest

from tests.integration.processes import certificate
from tests.served import served
from vault.server.config.settings import Listener
from vault.server.offline.answering import silent

pytestmark = pytest.mark.loopback

_SECONDS = 20.0


class _Sealed(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/v1/sys/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:
        """Say nothing."""


class _OnAFile(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def test_a_sealed_server_answers_by_every_way_that_names_it() -> None:
    with served(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sealed)) as server:
        port = server.server_address[1]
        named = [f"127.0.0.1:{port}", f"0.0.0.0:{port}", f":{port}"]
        listeners = [Listener(kind="tcp", address=name, tls_disable=True) for name in named]
        assert silent(listeners, _SECONDS) == []


def test_a_listener_that_is_a_file_is_asked(tmp_path: Path) -> None:
    name = str(tmp_path / "socket")
    listener = Listener(kind="unix", address=name, tls_disable=True)
    assert silent([listener], _SECONDS) == [f"listener {name} does not answer: No such file or directory"]
    with served(_OnAFile(name, _Sealed)):
        assert silent([listener], _SECONDS) == []


@pytest.mark.parametrize("required", [False, True])
def test_one_with_tls_is_asked_over_it_whatever_its_certificate_says(
    tmp_path: Path, *, required: bool
) -> None:
    cert, key = certificate(tmp_path, "expired", days=(-9, -2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if required:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cert)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sealed)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client without a certificate is no news
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with served(server):
        listener = Listener(
            kind="tcp",
            address=f"127.0.0.1:{server.server_address[1]}",
            tls_cert_file=str(cert),
            tls_require_and_verify_client_cert=required,
        )
        assert silent([listener], _SECONDS) == []


def test_one_that_takes_connections_and_says_nothing_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        for more in ({"tls_disable": True}, {"tls_cert_file": "any"}):
            listener = Listener(kind="tcp", address=address, **more)
            assert silent([listener], 0.1) == [f"listener {address} does not answer: TimeoutError"]


def test_each_listener_counts() -> None:
    with (
        served(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sealed)) as server,
        socket.socket() as closed,
    ):
        closed.bind(("127.0.0.1", 0))
        ports = [server.server_address[1], closed.getsockname()[1]]
        listeners = [Listener(kind="tcp", address=f"127.0.0.1:{port}", tls_disable=True) for port in ports]
        assert silent(listeners, _SECONDS) == [
            f"listener 127.0.0.1:{ports[1]} does not answer: Connection refused"
        ]
