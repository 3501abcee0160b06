# SPDX-License-Identifier: EUPL-1.2
"""vaultctl login: the sign-ins of machines and people, against a server of the test's own."""

import io
import json
import re
import socket
import threading
import urllib.request
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_socket import enable_socket

from tests.ports import free_port
from tests.served import served
from vaultctl.main import run
from vaultctl.text.json import as_map

pytestmark = pytest.mark.loopback
_AUTH: dict[str, object] = {"auth": {"client_token": "s.made", "policies": ["default"]}}
_URL = "https://idp.test/authorize?state=st_good&nonce=n"


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: dict[str, object] = {"auth_url": _URL}
        self.polls: list[tuple[int, dict[str, object]]] = []
        self.asked: list[tuple[str, str, object]] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _answer(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path)
        self.server.asked.append(
            (self.command, path.path, json.loads(text) if text else parse_qs(path.query))
        )
        status = 200
        body: dict[str, object] = dict(_AUTH)
        if path.path.endswith("/auth_url"):
            body = {"data": self.server.told}
        elif path.path.endswith("/poll"):
            status, body = self.server.polls.pop(0)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = _answer  # noqa: N815  # names that the base class calls

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class _Terminal(io.StringIO):
    """Standard error that a browser reads along: it comes back with what the test says."""

    def __init__(self, port: int, query: str) -> None:
        super().__init__()
        self.port, self.query = port, query
        self.browser: threading.Thread | None = None

    def write(self, text: str) -> int:
        if _URL in text and self.browser is None:
            self.browser = threading.Thread(target=self._come_back)
            self.browser.start()
        return super().write(text)

    def _come_back(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/oidc/callback?{self.query}") as page:
            assert b"close this page" in page.read()


@pytest.fixture
def server() -> Generator[_Server]:
    enable_socket()
    with served(_Server()) as made:
        yield made


def log_in(
    server: _Server, home: Path, *words: str, stderr: io.StringIO | None = None
) -> tuple[int, str, str]:
    """Run `vaultctl login`; return the exit code and what was shown."""
    out, err = io.StringIO(), stderr or io.StringIO()
    environ = {"BAO_ADDR": f"http://127.0.0.1:{server.server_port}", "HOME": str(home)}
    code = run(["login", "-token-only", *words], stdin=io.StringIO(), stdout=out, stderr=err, environ=environ)
    return code, out.getvalue(), err.getvalue()


def test_a_browser_that_comes_back_is_logged_in(server: _Server, tmp_path: Path) -> None:
    port = free_port()
    terminal = _Terminal(port, "state=st_good&code=c0de")
    words = ("-method=oidc", "role=r", f"port={port}", "listenaddress=127.0.0.1", "skip_browser=true")
    code, out, err = log_in(server, tmp_path, *words, stderr=terminal)
    assert (code, out) == (0, "s.made"), err
    begun, back = server.asked
    assert begun[:2] == ("PUT", "/v1/auth/oidc/oidc/auth_url")
    assert isinstance(begun[2], dict)
    assert begun[2]["redirect_uri"] == f"http://localhost:{port}/oidc/callback"
    assert re.fullmatch(r"[\w-]{32}", begun[2]["client_nonce"])
    assert back == (
        "GET",
        "/v1/auth/oidc/oidc/callback",
        {"state": ["st_good"], "code": ["c0de"], "client_nonce": [begun[2]["client_nonce"]]},
    )
    assert "c0de" not in err


def test_sl_35_an_answer_without_a_code_ends_the_sign_in_and_goes_nowhere(
    server: _Server, tmp_path: Path
) -> None:
    port = free_port()
    words = ("-method=oidc", f"port={port}", "listenaddress=127.0.0.1", "skip_browser=true")
    terminal = _Terminal(port, "state=st_good&error=access_denied&error_description=%3Cb%3Epwned")
    code, out, err = log_in(server, tmp_path, *words, stderr=terminal)
    assert (code, out) == (2, "")
    assert "the provider has refused the sign-in" in err
    assert "pwned" not in err
    assert len(server.asked) == 1


def _raw(port: int, text: bytes) -> bytes:
    """What the port answers to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(text)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def _idle(port: int, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]


class _Crowd(_Terminal):
    """Before the browser comes back, others do what they like with the port."""

    def __init__(self, port: int, others: Callable[[int], object]) -> None:
        super().__init__(port, "state=st_good&code=c0de")
        self._others = others
        self.seen: object = None

    def _come_back(self) -> None:
        self.seen = self._others(self.port)
        super()._come_back()


@pytest.mark.parametrize("count", [1, 200])
@pytest.mark.timeout(60)
def test_whoever_connects_and_says_nothing_holds_nobody_up(
    server: _Server, tmp_path: Path, count: int
) -> None:
    port = free_port()
    terminal = _Crowd(port, lambda port: _idle(port, count))
    words = ("-method=oidc", f"port={port}", "listenaddress=127.0.0.1", "skip_browser=true")
    code, out, err = log_in(server, tmp_path, *words, stderr=terminal)
    assert (code, out) == (0, "s.made"), err
    assert isinstance(terminal.seen, list)
    for one in terminal.seen:
        one.close()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /oidc/callback?state=st_other&code=bad HTTP/1.1", b"400 Bad Request"),
        (b"GET /oidc/callback HTTP/1.1", b"400 Bad Request"),
        (b"GET /oidc/callback?state=st_g%C3%B6od&error=x HTTP/1.1", b"400 Bad Request"),
        (b"GET /oidc/callback?state=st_good&" + b"a=b&" * 40 + b" HTTP/1.1", b"404 Not Found"),
        (b"POST /oidc/callback?state=st_good&code=bad HTTP/1.1", b"404 Not Found"),
        (b"GET /else?state=st_good&code=bad HTTP/1.1", b"404 Not Found"),
        (b"GET //[ HTTP/1.1", b"404 Not Found"),
        (b"\xff", b"404 Not Found"),
    ],
)
@pytest.mark.timeout(60)
def test_sl_35_only_the_answer_of_this_sign_in_ends_it(
    server: _Server, tmp_path: Path, request_line: bytes, status: bytes
) -> None:
    port = free_port()
    terminal = _Crowd(port, lambda port: _raw(port, request_line + b"\r\nHost: localhost\r\n\r\n"))
    words = ("-method=oidc", f"port={port}", "listenaddress=127.0.0.1", "skip_browser=true")
    code, out, err = log_in(server, tmp_path, *words, stderr=terminal)
    assert (code, out) == (0, "s.made"), err
    assert isinstance(terminal.seen, bytes)
    assert terminal.seen.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"st_" not in terminal.seen
    assert server.asked[-1][2] == {
        "state": ["st_good"],
        "code": ["c0de"],
        "client_nonce": [as_map(server.asked[0][2])["client_nonce"]],
    }


@pytest.mark.timeout(60)
def test_a_request_that_has_no_end_is_cut_off(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaultctl.commands.login.callback._SECONDS", 0.05)
    port = free_port()

    def others(port: int) -> object:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /oidc/callback?")
            silent = connection.recv(1)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            try:
                while True:
                    connection.sendall(b"a" * 65_536)
            except OSError as error:
                return silent, error

    terminal = _Crowd(port, others)
    words = ("-method=oidc", f"port={port}", "listenaddress=127.0.0.1", "skip_browser=true")
    code, _, err = log_in(server, tmp_path, *words, stderr=terminal)
    assert code == 0, err
    assert isinstance(terminal.seen, tuple)
    assert terminal.seen[0] == b""
    assert isinstance(terminal.seen[1], ConnectionError)


def test_nobody_who_signs_in_is_waited_for_no_longer_than_said(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaultctl.commands.login.oidc._WAIT_SECONDS", 0.05)
    words = ("-method=oidc", f"port={free_port()}", "listenaddress=127.0.0.1", "skip_browser=true")
    code, _, err = log_in(server, tmp_path, *words)
    assert (code, "nobody has signed in within" in err) == (2, True)


@pytest.mark.parametrize("port", ["eighty", "-1", "65536", "99999999999999999999", "8²"])
def test_a_port_that_is_none_is_said(server: _Server, tmp_path: Path, port: str) -> None:
    code, _, err = log_in(server, tmp_path, "-method=oidc", f"port={port}", "listenaddress=127.0.0.1")
    assert (code, "port is a number from 0 to 65535" in err) == (2, True)
    assert server.asked == []


def test_sl_35_a_sign_in_without_a_state_is_none(server: _Server, tmp_path: Path) -> None:
    port = free_port()
    server.told = {"auth_url": "https://idp.test/authorize?nonce=n"}
    words = ("-method=oidc", f"port={port}", "listenaddress=127.0.0.1", "skip_browser=true")
    code, _, err = log_in(server, tmp_path, *words)
    assert (code, "the server names no state" in err) == (2, True)


def test_a_port_that_is_taken_is_said_before_anybody_is_asked(server: _Server, tmp_path: Path) -> None:
    words = ("-method=oidc", f"port={server.server_port}", "listenaddress=127.0.0.1")
    code, _, err = log_in(server, tmp_path, *words)
    assert (code, "choose another port=" in err) == (2, True)
    assert server.asked == []


@pytest.mark.parametrize("interval", ["nan", "1e300", "soon", "-1"])
def test_a_server_cannot_say_how_long_a_device_sleeps(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    server.told = {"auth_url": _URL, "state": "st_device", "poll_interval": interval}
    server.polls = [(400, {"errors": ["authorization_pending"]}), (200, _AUTH)]
    assert log_in(server, tmp_path, "-method=oidc", "callbackmode=device")[0] == 0
    assert len(slept) == 1
    assert 1.0 <= slept[0] <= 60.0


def test_a_role_that_does_not_let_the_browser_come_back_is_named(server: _Server, tmp_path: Path) -> None:
    server.told = {"auth_url": ""}
    words = ("-method=oidc", "role=r", f"port={free_port()}", "listenaddress=127.0.0.1")
    code, _, err = log_in(server, tmp_path, *words)
    assert code == 2
    assert 'role "r" does not let the browser come back to http://localhost:' in err


def test_a_server_cannot_make_the_terminal_open_anything_but_a_web_page(
    server: _Server, tmp_path: Path
) -> None:
    server.told = {"auth_url": "file:///etc/passwd"}
    words = ("-method=oidc", f"port={free_port()}", "listenaddress=127.0.0.1")
    code, _, err = log_in(server, tmp_path, *words)
    assert (code, "no web address" in err) == (2, True)


def test_a_device_waits_until_the_user_has_signed_in(server: _Server, tmp_path: Path) -> None:
    server.told = {"auth_url": _URL, "state": "st_device", "poll_interval": "1", "user_code": "AB-CD"}
    server.polls = [(400, {"errors": ["authorization_pending"]}), (200, _AUTH)]
    code, out, err = log_in(server, tmp_path, "-method=oidc", "callbackmode=device", "role=d")
    assert (code, out) == (0, "s.made")
    assert "AB-CD" in err
    assert [path for _, path, _ in server.asked[1:]] == ["/v1/auth/oidc/oidc/poll"] * 2


def test_a_device_that_is_refused_waits_no_longer(server: _Server, tmp_path: Path) -> None:
    server.told = {"auth_url": _URL, "state": "st_device", "poll_interval": "1"}
    server.polls = [(400, {"errors": ["OpenBao login failed. Expired or missing OAuth state."]})]
    code, _, err = log_in(server, tmp_path, "-method=oidc", "callbackmode=direct")
    assert (code, "Expired or missing" in err) == (2, True)


def test_machines_log_in_with_what_they_have(server: _Server, tmp_path: Path) -> None:
    account = tmp_path / "token"
    account.write_text("account.jwt\n")
    given = tmp_path / "given"
    given.write_text("given.jwt")
    assert log_in(server, tmp_path, "-method=jwt", "role=r", f"jwt=@{given}")[0] == 0
    assert log_in(server, tmp_path, "-method=kubernetes", "role=r", f"token_file={account}")[0] == 0
    assert log_in(server, tmp_path, "-method=cert", "-path=machines", "name=r")[0] == 0
    assert server.asked == [
        ("PUT", "/v1/auth/jwt/login", {"role": "r", "jwt": "given.jwt"}),
        ("PUT", "/v1/auth/kubernetes/login", {"role": "r", "jwt": "account.jwt"}),
        ("PUT", "/v1/auth/machines/login", {"name": "r"}),
    ]


def test_what_is_missing_is_said_before_anybody_is_asked(server: _Server, tmp_path: Path) -> None:
    assert "JWT is needed" in log_in(server, tmp_path, "-method=jwt", "role=r")[2]
    assert "'role' must be specified" in log_in(server, tmp_path, "-method=kubernetes")[2]
    absent = log_in(server, tmp_path, "-method=kubernetes", "role=r", f"token_file={tmp_path / 'absent'}")
    assert "cannot be read" in absent[2]
    assert server.asked == []
