# SPDX-License-Identifier: EUPL-1.2
"""The HTTP client against a server of the test's own: retries, redirects, and nothing secret in errors."""

from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pytest_socket import enable_socket

from tests.served import served
from vaultctl.errors import ApiError, CommandError, RequestError
from vaultctl.http.client import Client
from vaultctl.http.explanation import explain, explain_refusal
from vaultctl.http.settings import Settings

pytestmark = pytest.mark.loopback
_TOKEN = "s.hunter2hunter2hunter2"


class _Script(ThreadingHTTPServer):
    """Answers requests from a list, and keeps what it was asked."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes, dict[str, str]]] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.peers: set[object] = set()
        self.clients: list[Client] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Script

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers.items())))
        self.server.peers.add(self.client_address)
        status, body, headers = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815  # names that the base class calls

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def script() -> Generator[_Script]:
    enable_socket()
    with served(_Script()) as server:
        yield server
        for client in server.clients:
            client.close()


def _client(
    script: _Script, retries: str = "0", flags: dict[str, object] | None = None, **bounds: int
) -> Client:
    address = f"http://127.0.0.1:{script.server_port}"
    settings = Settings({"address": address, **(flags or {})}, {"BAO_MAX_RETRIES": retries}, _TOKEN)
    client = Client(settings, **bounds)
    script.clients.append(client)
    return client


def test_two_requests_share_one_connection(script: _Script) -> None:
    script.answers = [(200, b'{"data":{}}', {}), (204, b"", {})]
    client = _client(script)
    assert client.send("GET", "/a b").json() == {"data": {}}
    assert client.send("DELETE", "x").json() == {}
    assert [entry[:2] for entry in script.asked] == [("GET", "/v1/a%20b"), ("DELETE", "/v1/x")]
    assert len(script.peers) == 1


def test_every_request_carries_the_token_and_the_marker(script: _Script) -> None:
    script.answers = [(200, b"", {})]
    _client(script, flags={"namespace": "ns1", "wrap-ttl": 30 * 10**9}).send("PUT", "x", body={"a": "b"})
    headers = script.asked[0][2]
    assert headers["X-Vault-Token"] == _TOKEN
    assert headers["X-Vault-Request"] == "true"
    assert headers["X-Vault-Namespace"] == "ns1/"
    assert headers["X-Vault-Wrap-TTL"] == "30s"


def test_a_media_type_is_asked_for_and_headers_are_answered(script: _Script) -> None:
    script.answers = [(200, b"x", {"X-Size": "7"}), (404, b"", {"Retry-After": "1"})]
    client = _client(script, flags={"namespace": "ns1"})
    found = client.send("GET", "x", accept="application/x-ndjson")
    assert (found.header("x-size"), found.header("X-None"), found.body) == ("7", "", b"x")
    assert client.send("GET", "x", accept_missing=True).header("Retry-After") == "1"
    assert [headers.get("Accept") for *_, headers in script.asked] == ["application/x-ndjson", None]
    assert (client.timeout, client.namespace) == (60.0, "ns1")


def test_sl_59_an_error_holds_neither_token_nor_body(script: _Script) -> None:
    script.answers = [(400, b'{"errors":["bad field"]}', {}), (502, f"proxy saw {_TOKEN}".encode(), {})]
    for _ in range(2):
        with pytest.raises(ApiError) as caught:
            _client(script).send("PUT", "x", body={"password": "hunter3"})
        assert "hunter" not in str(caught.value) + repr(caught.value) + repr(vars(caught.value))
        assert caught.value.code == 2


@pytest.mark.parametrize("status", [412, 429, 500, 503])
def test_a_passing_failure_is_tried_again(
    script: _Script, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("vaultctl.http.client.time.sleep", pauses.append)
    script.answers = [(status, b"", {}), (status, b"", {}), (200, b"", {})]
    assert _client(script, "2").send("GET", "x").status == 200
    assert len(pauses) == 2
    assert all(1 <= pause <= 1.5 for pause in pauses)


@pytest.mark.parametrize("status", [400, 403, 404, 501])
def test_a_lasting_failure_is_not_tried_again(script: _Script, status: int) -> None:
    script.answers = [(status, b"{}", {})]
    with pytest.raises(ApiError):
        _client(script, "2").send("GET", "x")
    assert len(script.asked) == 1


def test_one_redirect_is_followed_unless_forbidden(script: _Script) -> None:
    away = {"Location": f"http://127.0.0.1:{script.server_port}/v1/y?a=b"}
    script.answers = [(307, b"", away), (200, b"", {})]
    _client(script).send("GET", "x")
    assert script.asked[1][1] == "/v1/y?a=b"
    script.answers = [(307, b"", away)]
    assert _client(script, flags={"disable-redirects": True}).send("GET", "x").status == 307


def test_no_redirect_leads_from_https_to_http() -> None:
    client = Client(Settings({"address": "https://h:1"}, {}, _TOKEN))
    with pytest.raises(CommandError, match="from https to http") as caught:
        client._follow("http://h:1/v1/x")
    assert caught.value.code == 2
    assert client._follow("/v1/y?a=b") == "/v1/y?a=b"


def test_an_answer_that_is_not_json_is_told(script: _Script) -> None:
    script.answers = [(200, b"<html>hunter2</html>", {})]
    with pytest.raises(CommandError, match="is not JSON: is this address a vault") as caught:
        _client(script).send("GET", "x").json()
    assert "hunter2" not in str(caught.value)


def test_a_server_that_comes_back_answers_the_next_attempt(
    script: _Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _client(script, "1")
    there, client._address = client._address, "http://127.0.0.1:1"

    def back(seconds: float) -> None:
        client._address = there

    monkeypatch.setattr("vaultctl.http.client.time.sleep", back)
    script.answers = [(200, b"", {})]
    assert client.send("GET", "x").status == 200


def test_a_missing_path_can_be_an_answer(script: _Script) -> None:
    script.answers = [(404, b'{"errors":[]}', {})]
    assert _client(script).send("GET", "x", accept_missing=True).status == 404


def test_no_server_is_a_remote_error_with_advice() -> None:
    enable_socket()
    client = Client(Settings({"address": "http://127.0.0.1:1"}, {"BAO_MAX_RETRIES": "0"}, _TOKEN))
    with pytest.raises(RequestError, match="BAO_ADDR"):
        client.send("GET", "x")


@pytest.mark.parametrize("address", ["ftp://x", "http://", "http://x:port", "nonsense"])
def test_a_wrong_address_is_a_local_error(address: str) -> None:
    with pytest.raises(CommandError, match="-address") as caught:
        Client(Settings({"address": address}, {}, "")).send("GET", "x")
    assert caught.value.code == 1


def test_a_refusal_is_explained_by_path_and_capability() -> None:
    def explained(path: str, *errors: str, has_token: bool = True) -> str:
        error = ApiError(
            "GET", "http://h/v1/" + path, path, status=403, errors=errors, raw="", query="list=true"
        )
        return explain_refusal(error, has_token=has_token)

    assert '"list" on path "a/b"' in explained("a/b", "1 error occurred:\n\t* permission denied\n\n")
    assert "Most likely the token" in explained("a/b", "permission denied")
    assert '"sudo"' in explained("sys/raw/x", "1 error occurred:\n\t* permission denied\n\n")
    log = explained("sys/log/records", "1 error occurred:\n\t* permission denied\n\n")
    assert 'a rule that names "sys/log/"' in log and "root_reads" in log
    assert "mounted" in explained("sys/internal/ui/mounts/a", "preflight capability check returned 403")
    assert "locked" in explained("auth/nhi/login", "permission denied", has_token=False)
    assert explained("auth/nhi/login", "invalid client id or proof", has_token=False) == ""
    assert explained("nhi/login", "invalid client id or proof") == ""
    assert "login" in explained("a/b", "permission denied", has_token=False)
    denied = ["1 error occurred:\n\t* permission denied\n\n"]
    refusal = ApiError("GET", "http://x/v1/a/b", "a/b", status=403, errors=denied, raw="")
    assert "a check of its own" in explain(refusal, has_token=True, is_biscuit=True)
    assert "a check of its own" not in explain(refusal, has_token=True)
    assert explain(refusal, has_token=True).endswith("and for the reason `vaultctl policy explain a/b`.")


def test_a_sealed_server_and_a_wrong_share_are_explained() -> None:
    def explained(path: str, status: int, words: str) -> str:
        error = ApiError("PUT", "http://a", path, status=status, errors=[words], raw="")
        return explain(error, has_token=True)

    assert "operator unseal" in explained("a/b", 503, "Vault is sealed")
    assert "begin again" in explained("sys/unseal", 400, "unable to retrieve stored keys: invalid key")
    pending = "migrate option not provided and seal migration is pending"
    assert "`vaultctl operator unseal -migrate`" in explained("sys/unseal", 400, pending)
    assert explained("a/b", 400, "some other refusal") == ""


def test_a_refusal_in_the_words_of_oauth_is_shown(script: _Script) -> None:
    for body, shown in (
        (
            b'{"error": "invalid_scope", "error_description": "scope must name policies"}',
            "invalid_scope: scope must name policies",
        ),
        (b'{"error": "invalid_client"}', "invalid_client"),
        (b'{"error": {"a": 1}, "error_description": 3}', "Raw Message:\n\n"),
        (b'{"errors": ["no"], "error": "other"}', "no"),
    ):
        script.answers = [(400, body, {})]
        with pytest.raises(CommandError) as caught:
            _client(script).send("PUT", "nhi/oauth2/token")
        assert str(caught.value).endswith(
            f"Code: 400. {shown}" if shown.startswith("Raw") else f"\n* {shown}"
        )


def test_what_stops_beginners_is_explained() -> None:
    def explained(path: str, status: int, *words: str, warnings: tuple[object, ...] = ()) -> str:
        error = ApiError("PUT", "http://a", path, status=status, errors=words, raw="", warnings=warnings)
        return explain(error, has_token=True)

    assert explained("nhi/issue/nobody", 404) == 'There is nothing at "nhi/issue/nobody".'
    assert explained("secret/app", 404, warnings=("Invalid path",)) == ""
    assert explained("a/b", 404, "no handler for route") == ""
    assert "`audit_blocked`" in explained("a/b", 500, "internal error")
    assert "`vaultctl plugin list`" in explained("sys/mounts/x", 400, "type: plugin not found in the catalog")
    none = "workload: there is none of this name"
    assert "`vaultctl nhi workload write " in explained("nhi/registrations/x", 400, none)
    assert explained("nhi/revoke", 400, none) == ""
    assert "no line break" in explained("secret/data/a\nb", 400)
    assert explained("secret/data/a b", 400) == ""
    assert "`vaultctl namespace list`" in explained("secret/data/a", 404, "namespace not found")


@pytest.mark.parametrize(
    "flags", [{"header": {"a b": "c"}}, {"namespace": "a\nb"}, {"namespace": "a\udcffb"}]
)
def test_what_no_header_can_carry_is_refused(script: _Script, flags: dict[str, object]) -> None:
    with pytest.raises(CommandError, match="no header can carry") as caught:
        _client(script, flags=flags).send("GET", "x")
    assert caught.value.code == 2
    assert not script.asked


def test_a_header_is_sent_as_utf8(script: _Script) -> None:
    script.answers = [(200, b"", {})]
    _client(script, flags={"namespace": "日本"}).send("GET", "x")
    assert script.asked[0][2]["X-Vault-Namespace"].encode("latin-1").decode() == "日本/"


def test_no_redirect_takes_the_token_to_another_server(script: _Script) -> None:
    script.answers = [(307, b"", {"Location": "http://127.0.0.2:1/v1/x"})]
    with pytest.raises(CommandError, match="refused a redirect to another server"):
        _client(script).send("GET", "x")
    assert len(script.asked) == 1


def test_an_answer_without_an_end_is_not_kept(script: _Script) -> None:
    script.answers = [(200, b"x" * 100, {}), (200, b"x" * 101, {})]
    assert len(_client(script, longest=100).send("GET", "x").body) == 100
    with pytest.raises(CommandError, match="longer than 64 MiB"):
        _client(script, longest=100).send("GET", "x")
