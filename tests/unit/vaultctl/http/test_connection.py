# SPDX-License-Identifier: EUPL-1.2
"""How the client reaches a server: TLS, Unix sockets, proxies; and what it says when it does not."""

import contextlib
import datetime as dt
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_socket import enable_socket

from tests.integration.processes import CA_USAGE
from tests.served import served
from vaultctl.errors import CommandError, RequestError
from vaultctl.http.client import Client
from vaultctl.http.connection import reason
from vaultctl.http.settings import Settings

pytestmark = pytest.mark.loopback

Start = Callable[..., int]


class _Handler(BaseHTTPRequestHandler):
    """Answers with what it was asked; as a proxy it answers for whoever was asked for."""

    def do_GET(self) -> None:
        body = f'{{"data": {{"path": "{self.path}"}}}}'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        host, _, port = self.path.partition(":")
        if host == "refused.test":
            self.send_error(502, "Not There")
            return
        self.send_response(200)
        self.end_headers()
        with socket.create_connection((host, int(port))) as there:
            self.wfile.flush()
            back = threading.Thread(target=_pour, args=(there, self.connection))
            back.start()
            _pour(self.connection, there)
            back.join()

    def address_string(self) -> str:
        return "somebody"

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one side may be gone
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


class _Quiet(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A handshake that the client refused is what these tests are about."""


@pytest.fixture
def start() -> Generator[Start]:
    """Start servers, with TLS when a certificate is given, and `ask` for one; each returns its port."""
    enable_socket()
    running = ExitStack()

    def begin(issued: Issued | None = None, *, ask: bool = False) -> int:
        server = _Quiet(("127.0.0.1", 0), _Handler)
        if issued is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(issued.cert, issued.key)
            if ask:
                context.load_verify_locations(issued.ca)
                context.verify_mode = ssl.CERT_REQUIRED
            server.socket = context.wrap_socket(server.socket, server_side=True)
        return running.enter_context(served(server)).server_port

    with running:
        yield begin


@dataclass(frozen=True)
class Issued:
    """A server's certificate and key, and the CA certificate to trust."""

    ca: Path
    cert: Path
    key: Path


def _issued(folder: Path, *, days: int = 30, usage: bool = True, password: bytes = b"") -> Issued:
    """A certificate for house.test that is valid until `days` from now; `usage`: whether its CA has a key usage."""
    now = dt.datetime.now(dt.UTC)
    own, signing = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of the house")])

    def builder(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=60))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    ca = builder(issuer, signing).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    ca = ca.add_extension(CA_USAGE, critical=True) if usage else ca
    leaf = (
        builder(x509.Name([]), own)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("house.test")]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
    )
    secret = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    made = Issued(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    made.ca.write_bytes(ca.sign(signing, hashes.SHA256()).public_bytes(pem))
    made.cert.write_bytes(leaf.sign(signing, hashes.SHA256()).public_bytes(pem))
    made.key.write_bytes(own.private_bytes(pem, serialization.PrivateFormat.PKCS8, secret))
    return made


def _asked(address: str, flags: dict[str, object], environ: dict[str, str] | None = None) -> object:
    client = Client(Settings({"address": address, **flags}, {"BAO_MAX_RETRIES": "0", **(environ or {})}, ""))
    try:
        return client.send("GET", "sys/health").json()["data"]
    finally:
        client.close()


def test_a_certificate_is_checked_against_the_name_that_was_given(start: Start, tmp_path: Path) -> None:
    issued = _issued(tmp_path)
    address = f"https://127.0.0.1:{start(issued)}"
    trusted: dict[str, object] = {"ca-cert": str(issued.ca)}
    found = {"path": "/v1/sys/health"}
    assert _asked(address, {**trusted, "tls-server-name": "house.test"}) == found
    with pytest.raises(RequestError, match=r"for another name.*-tls-server-name"):
        _asked(address, trusted)
    with pytest.raises(RequestError, match=r"for another name.*-tls-server-name"):
        _asked(address, {**trusted, "tls-server-name": "other.test"})
    with pytest.raises(RequestError, match=r"not trusted.*-ca-cert"):
        _asked(address, {"tls-server-name": "house.test"})
    assert _asked(address, {"tls-skip-verify": True}) == found


def test_an_expired_certificate_is_told_as_such(start: Start, tmp_path: Path) -> None:
    issued = _issued(tmp_path, days=-1)
    with pytest.raises(RequestError, match=r"not valid now .*expired.*renew it"):
        _asked(
            f"https://127.0.0.1:{start(issued)}", {"ca-cert": str(issued.ca), "tls-server-name": "house.test"}
        )


def test_a_ca_certificate_that_newer_pythons_refuse_is_explained(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ssl.create_default_context

    def strict(**files: str | None) -> ssl.SSLContext:
        """As Python 3.13 makes it."""
        context = make(cafile=files["cafile"])
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    issued = _issued(tmp_path, usage=False)
    with pytest.raises(RequestError, match=r"Python 3.13.*CA certificate anew.*keyUsage") as caught:
        _asked(
            f"https://127.0.0.1:{start(issued)}", {"ca-cert": str(issued.ca), "tls-server-name": "house.test"}
        )
    assert "key usage extension" in str(caught.value)


def test_the_wrong_scheme_is_told(start: Start, tmp_path: Path) -> None:
    plain, encrypted = start(), start(_issued(tmp_path))
    with pytest.raises(RequestError, match="does not speak TLS: use http://"):
        _asked(f"https://127.0.0.1:{plain}", {})
    with pytest.raises(RequestError, match=r"closed the connection without an answer.*https://"):
        _asked(f"http://127.0.0.1:{encrypted}", {})


def test_files_that_cannot_be_used_are_named_by_their_flag(start: Start, tmp_path: Path) -> None:
    issued = _issued(tmp_path, password=b"hunter2")
    address = f"https://127.0.0.1:{start()}"
    empty = tmp_path / "empty"
    empty.mkdir()
    for flags, told in (
        ({"ca-cert": f"{tmp_path}/missing"}, rf"^-ca-cert \(BAO_CACERT\): {tmp_path}/missing: No such file"),
        (
            {"ca-cert": str(issued.key)},
            rf"^-ca-cert \(BAO_CACERT\): {issued.key}: it holds no PEM certificate",
        ),
        ({"ca-path": f"{tmp_path}/missing"}, rf"^-ca-path \(BAO_CAPATH\): {tmp_path}/missing: No such file"),
        ({"ca-path": str(empty)}, rf"^-ca-path \(BAO_CAPATH\): {empty}: it holds no PEM certificate"),
        ({"client-cert": str(issued.cert)}, "^-client-cert and -client-key must be given together"),
        ({"client-cert": str(issued.cert), "client-key": str(issued.key)}, "the key without a passphrase"),
    ):
        with pytest.raises(CommandError, match=told) as caught:
            _asked(address, dict(flags))
        assert caught.value.code == 1


def test_a_file_that_is_not_the_flags_is_named_itself(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = _issued(tmp_path)
    address = f"https://127.0.0.1:{start()}"
    folder = tmp_path / "trusted"
    folder.mkdir()
    (folder / "gone").symlink_to(tmp_path / "missing")
    with pytest.raises(
        CommandError, match=rf"^-ca-path \(BAO_CAPATH\): {folder}: {folder}/gone: No such file"
    ):
        _asked(address, {"ca-path": str(folder)})
    monkeypatch.setenv("SSLKEYLOGFILE", f"{tmp_path}/none/keys")
    for flags in ({}, {"ca-cert": str(issued.ca)}):
        with pytest.raises(CommandError, match=rf"^SSLKEYLOGFILE: {tmp_path}/none/keys: No such file"):
            _asked(address, dict(flags))


def test_a_directory_of_certificates_needs_no_names_of_a_kind(start: Start, tmp_path: Path) -> None:
    issued = _issued(tmp_path)
    folder = tmp_path / "trusted"
    (folder / "below").mkdir(parents=True)
    (folder / "readme").write_bytes(b"those we trust \xe9")
    (folder / "below" / "house.pem").write_bytes(b"# the house's \xe9\n" + issued.ca.read_bytes())
    address = f"https://127.0.0.1:{start(issued)}"
    flags: dict[str, object] = {"ca-path": str(folder), "tls-server-name": "house.test"}
    assert _asked(address, flags) == {"path": "/v1/sys/health"}


def test_a_client_certificate_is_shown_to_the_server(start: Start, tmp_path: Path) -> None:
    issued = _issued(tmp_path)
    address = f"https://127.0.0.1:{start(issued, ask=True)}"
    flags: dict[str, object] = {"ca-cert": str(issued.ca), "tls-server-name": "house.test"}
    own = {"client-cert": str(issued.cert), "client-key": str(issued.key)}
    assert _asked(address, {**flags, **own}) == {"path": "/v1/sys/health"}
    with pytest.raises(RequestError):
        _asked(address, flags)


def test_a_unix_socket_is_an_address(tmp_path: Path) -> None:
    enable_socket()
    file = tmp_path / "vault.sock"
    with served(UnixStreamServer(str(file), _Handler)):
        assert _asked(f"unix://{file}", {}) == {"path": "/v1/sys/health"}
    with pytest.raises(RequestError, match="refused"):
        _asked(f"unix://{file}", {})


def test_a_proxy_carries_the_connection_and_sees_no_request(start: Start, tmp_path: Path) -> None:
    issued = _issued(tmp_path)
    port, proxy = start(issued), start()
    through = {"BAO_PROXY_ADDR": f"http://127.0.0.1:{proxy}"}
    flags: dict[str, object] = {"ca-cert": str(issued.ca)}
    named = {**flags, "tls-server-name": "house.test"}
    assert _asked(f"https://127.0.0.1:{port}", named, through) == {"path": "/v1/sys/health"}
    with pytest.raises(RequestError, match="for another name"):
        _asked(f"https://127.0.0.1:{port}", flags, through)


def test_without_tls_a_proxy_is_given_the_whole_address(start: Start) -> None:
    through = {"BAO_PROXY_ADDR": f"http://127.0.0.1:{start()}"}
    whole = "http://house.test:8200/v1/sys/health"
    assert _asked("http://house.test:8200", {}, through) == {"path": whole}
    assert _asked("http://house.test:8200", {}, {"HTTP_PROXY": through["BAO_PROXY_ADDR"]}) == {"path": whole}
    assert _asked("http://house.test:8200", {}, {"http_proxy": f"127.0.0.1:{start()}"}) == {"path": whole}


@pytest.mark.parametrize(
    ("address", "unproxied", "way"),
    [
        ("https://house.test", "", "proxy.test"),
        ("https://localhost:8200", "", ""),
        ("https://127.0.0.9:8200", "", ""),
        ("https://[::1]:8200", "", ""),
        ("https://house.test:8200", "*", ""),
        ("https://house.test:8200", "a.test, House.test", ""),
        ("https://inner.house.test:8200", "house.test", ""),
        ("https://inner.house.test:8200", "*.house.test", ""),
        ("https://house.test:8200", ".house.test", "proxy.test"),
        ("https://mouse.test:8200", "use.test", "proxy.test"),
        ("https://house.test:8200", "house.test:8200", ""),
        ("https://house.test", "house.test:8200", "proxy.test"),
        ("https://10.1.2.3:8200", "10.0.0.0/8", ""),
        ("https://10.1.2.3:8200", "10.1.2.3", ""),
        ("https://house.test:8200", "10.0.0.0/8,10.0.0.0/x", "proxy.test"),
        ("https://11.1.2.3:8200", "10.0.0.0/8", "proxy.test"),
        ("http://house.test:8200", "", ""),
    ],
)
def test_the_usual_variables_name_a_proxy_but_for_this_machine_and_what_is_excepted(
    address: str, unproxied: str, way: str
) -> None:
    environ = {"HTTPS_PROXY": "http://ann:pa%20ss@proxy.test:3128", "NO_PROXY": unproxied}
    parts = urlsplit(address)
    found = Settings({}, environ, "").proxy_to(parts.scheme, parts.hostname or "", parts.port)
    assert (found.host if found else "") == way
    if found:
        assert found.port == 3128
        assert found.headers == {"Proxy-Authorization": "Basic YW5uOnBhIHNz"}


def test_a_proxy_that_refuses_is_told(start: Start) -> None:
    with pytest.raises(RequestError, match=r": the proxy refused: 502 Not There$"):
        _asked("https://refused.test", {}, {"BAO_PROXY_ADDR": f"http://127.0.0.1:{start()}"})


def test_a_server_may_be_below_a_path(start: Start) -> None:
    assert _asked(f"http://127.0.0.1:{start()}/inner/vault/", {}) == {"path": "/inner/vault/v1/sys/health"}


def test_an_authority_can_be_given_as_text(start: Start, tmp_path: Path) -> None:
    issued = _issued(tmp_path)
    address, flags = f"https://127.0.0.1:{start(issued)}", {"tls-server-name": "house.test"}
    text = issued.ca.read_text(encoding="ascii")
    assert _asked(address, dict(flags), {"BAO_CACERT_BYTES": text}) == {"path": "/v1/sys/health"}
    with pytest.raises(CommandError, match=r"^BAO_CACERT_BYTES: it holds no PEM certificate"):
        _asked(address, dict(flags), {"BAO_CACERT_BYTES": "hunter2"})


@pytest.mark.parametrize("address", ["http://[::1", "http://x:port", "http://[x]:1"])
def test_an_address_that_cannot_be_read_is_a_local_error(address: str) -> None:
    with pytest.raises(CommandError, match=r"^-address \(BAO_ADDR\): host or port cannot be read") as caught:
        _asked(address, {})
    assert caught.value.code == 1


@pytest.mark.parametrize("proxy", ["127.0.0.1:3128", "http://", "http://x:port", "socks5://x:1"])
def test_a_proxy_that_is_no_http_proxy_is_a_local_error(proxy: str) -> None:
    with pytest.raises(CommandError, match=r"BAO_PROXY_ADDR .* must look like") as caught:
        _asked("http://127.0.0.1:1", {}, {"BAO_PROXY_ADDR": proxy})
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host name is unknown"),
        (TimeoutError("timed out"), "no answer in time"),
        (http.client.BadStatusLine("hunter2"), "closed the connection without an answer"),
        (OSError(113, "No route to host"), "No route to host"),
        (http.client.IncompleteRead(b"hunter2"), "IncompleteRead"),
    ],
)
def test_what_went_wrong_is_told_without_what_was_received(error: Exception, words: str) -> None:
    told = reason(error, plain=False)
    assert words in told
    assert "hunter2" not in told
