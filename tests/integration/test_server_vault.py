# SPDX-License-Identifier: EUPL-1.2
"""The whole server: process, listeners and vault together, as an operator runs them."""

import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.fuzz.process import wait_until
from tests.integration.processes import (
    PATIENCE,
    VAULT,
    Running,
    certificate,
    config,
    connect,
    get,
    pair,
    refused,
    running,
)
from tests.ports import free_port

WRITERS = 8


class Client:
    """One kept connection with a token."""

    def __init__(self, port: int, *, token: str = "", trust: Path | None = None) -> None:
        self.connection = connect(port, trust=trust)
        self.token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send one request below `/v1/`; return status and decoded body."""
        sent = None if body is None else json.dumps(body)
        self.connection.request(method, f"/v1/{path}", body=sent, headers={"X-Vault-Token": self.token})
        answer = self.connection.getresponse()
        text = answer.read()
        kind = answer.headers.get("content-type", "")
        return answer.status, json.loads(text) if kind.startswith("application/json") and text else text


@contextmanager
def opened(
    folder: Path, listener: str = "tls_disable = true", more: str = ""
) -> Iterator[tuple[Running, int, Client]]:
    """Start a vault, initialise and unseal it, and mount KV v1 at `kv/`."""
    port = free_port()
    audit = f'audit "file" "main" {{ options {{ file_path = "{folder}/audit.log" }} }}'
    with running(config(folder, port, listener, f"{audit}\n{more}"), home=folder, module=VAULT) as server:
        trust = folder / "server.crt" if "tls_cert_file" in listener else None
        with Client(port, trust=trust) as client:
            made = client.ask("POST", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[1]
            (folder / "key").write_text(made["keys"][0])
            client.ask("POST", "sys/unseal", {"key": made["keys"][0]})
            client.token = made["root_token"]
            assert client.ask("POST", "sys/mounts/kv", {"type": "kv"})[0] == 204
            yield server, port, client


def test_sighup_opens_audit_file_certificate_and_log_level_anew(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    with opened(tmp_path, pair(cert, key)) as (server, port, client):
        audit, rotated = tmp_path / "audit.log", tmp_path / "audit.log.1"
        audit.rename(rotated)
        new_cert, new_key = certificate(tmp_path, "newer")
        declared = f'audit "file" "main" {{ options {{ file_path = "{audit}" }} }}'
        config(tmp_path, port, pair(new_cert, new_key), f'{declared}\nlog_level = "error"')
        server.send(signal.SIGHUP)
        wait_until(audit.exists, lambda: "SIGHUP did not open the audit file again")
        before = len(rotated.read_bytes())
        assert client.ask("POST", "kv/after", {"a": "b"})[0] == 204
        assert [json.loads(line)["request"]["path"] for line in audit.read_text().splitlines()] == [
            "kv/after"
        ] * 2
        assert len(rotated.read_bytes()) == before
        with Client(port, trust=new_cert, token=client.token) as other:
            assert other.ask("GET", "kv/after")[0] == 200
        assert server.end() == 0
    assert not [line for line in server.lines if "server: reloaded" in line or "server: stopped" in line]


def test_an_audit_file_that_cannot_be_opened_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    more = f'audit "file" "main" {{ options {{ file_path = "{tmp_path}/folder" }} }}'
    line = refused(config(tmp_path, free_port(), more=more), home=tmp_path, module=VAULT)
    assert line == f'audit device "main/": cannot open {tmp_path}/folder: it is a directory; name a file'


def _write(port: int, token: str, number: int, done: dict[str, int], begun: threading.Barrier) -> None:
    begun.wait()
    with Client(port, token=token) as client:
        for count in range(10_000):
            try:
                status, _ = client.ask("POST", f"kv/w{number}-{count}", {"n": count})
            except (OSError, http.client.HTTPException):
                return
            if status != 204:
                return
            done[f"w{number}-{count}"] = count


def test_sigterm_during_requests_loses_no_acknowledged_write(tmp_path: Path) -> None:
    done: dict[str, int] = {}
    with opened(tmp_path) as (server, port, client):
        begun = threading.Barrier(WRITERS + 1)
        writers = [
            threading.Thread(target=_write, args=(port, client.token, number, done, begun))
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        begun.wait()
        while len(done) < 200:
            assert client.ask("GET", "sys/health")[0] == 200
        assert server.end() == 0
        for writer in writers:
            writer.join()
    assert not [line for line in server.lines if "cut off" in line]
    port = free_port()
    with running(config(tmp_path, port), home=tmp_path, module=VAULT):
        with Client(port, token=client.token) as again:
            again.ask("POST", "sys/unseal", {"key": (tmp_path / "key").read_text()})
            for name, count in done.items():
                assert again.ask("GET", f"kv/{name}")[1]["data"] == {"n": count}
    for line in (tmp_path / "audit.log").read_text().splitlines():
        json.loads(line)


def test_limits_and_headers_are_those_of_the_listener(tmp_path: Path) -> None:
    listener = """tls_disable = true
        max_request_size = 5000
        max_request_json_strings = 20
        max_request_json_memory = 3000
        custom_response_headers { "default" = { "X-A" = ["one", "two"] } "4xx" = { "X-B" = ["b"] } "404" = { "X-C" = ["c"] } }
    """
    with opened(tmp_path, listener) as (_, port, client):
        assert client.ask("POST", "kv/x", {"a": "x" * 6000}) == (
            413,
            {"errors": ["http: request body too large"]},
        )
        too_many = "refused JSON input due to high complexity: exceeded maximum number of strings"
        assert client.ask("POST", "kv/x", {"a": ["x"] * 30}) == (400, {"errors": [too_many]})
        too_big = "refused JSON input due to high complexity: exceeded maximum estimated memory limits"
        assert client.ask("POST", "kv/x", {"a": [1] * 400}) == (400, {"errors": [too_big]})
        headers = get(port, "/v1/kv/none")[2]
        assert (headers["x-a"], headers["x-b"], headers["x-c"]) == ("one; two", "b", None)
        headers = get(port, "/none")[2]
        assert (headers["x-a"], headers["x-b"], headers["x-c"]) == ("one; two", "b", "c")


def test_more_strings_are_taken_where_the_listener_allows_them(tmp_path: Path) -> None:
    with opened(tmp_path, "tls_disable = true\n max_request_json_strings = 5000") as (_, _port, client):
        assert client.ask("POST", "kv/x", {"a": ["x"] * 2000})[0] == 204
        assert len(client.ask("GET", "kv/x")[1]["data"]["a"]) == 2000


def test_metrics_are_served_as_the_listener_says(tmp_path: Path) -> None:
    only, none = free_port(), free_port()
    more = f"""
        listener "tcp" {{ address = "127.0.0.1:{only}" tls_disable = true
            telemetry {{ metrics_only = true unauthenticated_metrics_access = true }} }}
        listener "tcp" {{ address = "127.0.0.1:{none}" tls_disable = true telemetry {{ disallow_metrics = true }} }}
    """
    with opened(tmp_path, more=more) as (_, port, client):
        assert get(port, "/v1/sys/metrics")[0] == 403
        status, text, headers = get(only, "/v1/sys/metrics?format=prometheus")
        assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert 'vault_core_unsealed{cluster=""} 1.0' in text
        assert "vault_core_handle_request_count " in text
        assert "vault_route_update_sys__count " in text
        assert "vault_audit_log_response_count " in text
        assert "vault_audit_log_response_failure 0" in text
        assert get(only, "/v1/sys/health")[:2] == (404, "this listener only serves the metrics endpoint\n")
        assert get(only, "/")[:2] == (404, "this listener only serves the metrics endpoint\n")
        with Client(none, token=client.token) as refusing:
            disabled = b"metrics endpoint is disabled for this listener\n"
            assert refusing.ask("GET", "sys/metrics") == (403, disabled)
            assert refusing.ask("GET", "sys/mounts")[0] == 200
        assert client.ask("GET", "sys/metrics")[1]["Gauges"]


def test_outside_v1_nothing_is_there_and_every_verb_is_told_so(tmp_path: Path) -> None:
    with opened(tmp_path) as (_, port, client):
        for path in ("/", "/ui", "/ui/", "/robots.txt"):
            status, body, headers = get(port, path)
            assert (status, body) == (404, "404 page not found\n")
            assert headers["content-type"] == "text/plain; charset=utf-8"
        for path in ("/v1", "/v2/x", "/.well-known/x"):
            assert get(port, path)[:2] == (404, '{"errors":[]}\n')
        for method in ("HEAD", "POST", "DELETE"):
            client.connection.request(method, "/")
            answer = client.connection.getresponse()
            assert (answer.status, answer.headers["content-length"]) == (404, "19")
            assert answer.read() == (b"" if method == "HEAD" else b"404 page not found\n")


def test_a_development_server_on_a_file_makes_the_root_token_that_its_second_start_asks_for(
    tmp_path: Path,
) -> None:
    port = free_port()
    flags = ("-dev", f"-dev-storage={tmp_path}/dev.db", f"-dev-listen-address=127.0.0.1:{port}")
    with running(*flags, "-dev-root-token-id=first", home=tmp_path, module=VAULT) as server:
        with Client(port, token="first") as client:
            assert client.ask("POST", "secret/data/a", {"data": {"b": "c"}})[0] == 200
        assert server.end() == 0
    with (
        running(*flags, "-dev-root-token-id=second", home=tmp_path, module=VAULT),
        Client(port, token="second") as client,
    ):
        assert client.ask("GET", "secret/data/a")[1]["data"]["data"] == {"b": "c"}
        assert client.ask("GET", "auth/token/lookup-self")[1]["data"]["policies"] == ["root"]
        client.token = "first"
        assert client.ask("GET", "secret/data/a")[0] == 200


def test_a_policy_ends_when_its_time_has_come(tmp_path: Path) -> None:
    with opened(tmp_path) as (_, _port, client):
        body = {"policy": 'path "kv/*" { capabilities = ["read"] }', "ttl": "1s"}
        assert client.ask("POST", "sys/policies/acl/short", body)[0] == 204
        listed = ["short"]
        deadline = time.monotonic() + PATIENCE
        while "short" in listed and time.monotonic() < deadline:
            listed = client.ask("LIST", "sys/policies/acl")[1]["data"]["keys"]
        assert "short" not in listed


def test_the_log_tells_when_a_vault_is_made_opened_and_closed_and_of_refused_shares(tmp_path: Path) -> None:
    with opened(tmp_path) as (server, _, client):
        assert client.ask("PUT", "sys/seal")[0] == 204
        status, answer = client.ask("PUT", "sys/unseal", {"key": "ab" * 32})
        assert status == 400
        (why,) = answer["errors"]
        server.wait_for("core: an unseal request was refused")
        server.end()
    notes = [line.split("core: ", 1)[1] for line in server.lines if "core: " in line]
    assert notes == [
        "vault is initialized",
        "vault is unsealed",
        "vault is sealed",
        f'an unseal request was refused: reason="{why}"',
    ]
    assert not [line for line in server.lines if "abab" in line]


def test_a_lockout_in_the_configuration_locks_names(tmp_path: Path) -> None:
    more = 'user_lockout "all" { lockout_threshold = 2 }\nuser_lockout "approle" { lockout_threshold = 3 }'
    with opened(tmp_path, more=more) as (_, _, client):
        for kind in ("userpass", "approle"):
            assert client.ask("POST", f"sys/auth/{kind}", {"type": kind})[0] == 204
        client.ask("POST", "auth/userpass/users/ada", {"password": "right"})
        client.ask("POST", "auth/approle/role/web", {"role_id": "web"})
        tries = [client.ask("POST", "auth/userpass/login/ada", {"password": "wrong"})[0] for _ in range(3)]
        assert tries == [400, 400, 403]
        wrong = {"role_id": "web", "secret_id": "wrong"}
        assert [client.ask("POST", "auth/approle/login", wrong)[0] for _ in range(4)] == [400] * 3 + [403]
        assert client.ask("GET", "sys/locked-users")[1]["data"]["total"] == 2
