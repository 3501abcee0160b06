# SPDX-License-Identifier: EUPL-1.2
"""sys/quotas in the whole application: limits come before everything that costs, and leave no trace by default."""

from collections.abc import Iterator

import pytest

from tests.routes.driver import Answer, Application

Q = "/v1/sys/quotas/rate-limit"
CONFIG = "/v1/sys/quotas/config"
FREE = ["sys/quotas"]


@pytest.fixture
def server() -> Iterator[Application]:
    with Application() as application:
        yield application


def _set(server: Application, name: str = "q", **body: object) -> Answer:
    return server.request("POST", f"{Q}/{name}", body, token="root")


def test_a_client_that_asks_too_often_is_refused_before_its_token_is_looked_at(server: Application) -> None:
    assert _set(server, rate=2, path="plain", interval="1h").status == 204
    assert [
        server.request("GET", "/v1/plain/x", token=token).status for token in ("root", "wrong", "root")
    ] == [
        200,
        403,
        429,
    ]
    refused = server.request("POST", "/v1/plain/x", b"{not json", token="wrong")
    assert refused.json() == {"errors": ['request path "plain/x": rate limit quota exceeded']}
    assert (
        refused.headers["retry-after"] == "2"
    )  # no client is to sleep for an hour; who asked for headers is told all
    assert server.request("GET", "/v1/secret/data/x", token="root").status == 200


def test_reads_that_are_planned_count_too(server: Application) -> None:
    for _ in range(3):
        assert server.request("GET", "/v1/plain/x", token="root").status == 200
    _set(server, rate=3, path="plain", interval="1h")
    assert [server.request("GET", "/v1/plain/x", token="root").status for _ in range(5)] == [
        200,
        200,
        200,
        429,
        429,
    ]


def test_a_refusal_is_recorded_only_when_that_is_wanted(server: Application) -> None:
    _set(server, rate=1, path="plain", interval="1h")
    server.request("GET", "/v1/plain/x", token="root")
    server.records()
    assert server.request("GET", "/v1/plain/x", token="root").status == 429
    assert server.records() == []
    body = {"enable_rate_limit_audit_logging": True, "rate_limit_exempt_paths": FREE}
    server.request("POST", CONFIG, body, token="root")
    server.records()
    assert server.request("GET", "/v1/plain/x", token="root").status == 429
    assert "rate limit quota exceeded" in server.records()[-1]["error"]


def test_answers_and_refusals_say_how_much_is_left(server: Application) -> None:
    server.request("POST", CONFIG, {"enable_rate_limit_response_headers": True}, token="root")
    _set(server, rate=2, path="plain", interval="1h", block_interval="2h")
    found = [
        server.request("GET", "/v1/plain/x", token=token).headers for token in ("root", "bad", "root", "root")
    ]
    assert [one.get("x-ratelimit-remaining") for one in found] == ["1", "0", "0", None]
    assert [one.get("retry-after") for one in found] == [None, None, "7199", "7199"]
    problem = server.request("GET", "/v1/plain/x", headers={"accept": "application/problem+json"})
    assert problem.status == 429
    assert "x-ratelimit-limit" not in server.request("GET", "/v1/secret/data/x", token="root").headers


def test_a_quota_is_kept_shown_and_follows_its_mount(server: Application) -> None:
    assert server.request("LIST", Q, token="root").status == 404
    assert _set(server, rate=10.5, path="/plain/a/", interval=60, block_interval="1m").status == 204
    shown = server.request("GET", f"{Q}/q", token="root").json()["data"]
    assert shown == {
        "block_interval": 60,
        "inheritable": False,
        "interval": 60,
        "name": "q",
        "path": "plain/a",
        "rate": 10.5,
        "role": "",
        "type": "rate-limit",
    }
    assert server.request("LIST", Q, token="root").json()["data"] == {"keys": ["q"]}
    same = _set(server, "other", rate=1, path="plain/a")
    assert same.json() == {"errors": ['quota rule with similar properties exists under the name "q"']}
    server.request("DELETE", "/v1/sys/mounts/plain", token="root")
    assert server.request("GET", f"{Q}/q", token="root").status == 404
    assert server.request("LIST", Q, token="root").status == 404
    assert _set(server, "other", rate=5, path="secret").status == 204
    assert server.request("GET", f"{Q}/other", token="root").json()["data"]["rate"] == 5
    assert server.request("DELETE", f"{Q}/other", token="root").status == 204
    assert server.request("GET", f"{Q}/other", token="root").status == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "'rate' is invalid"),
        ({"rate": -1}, "'rate' is invalid"),
        ({"rate": "Inf"}, "'rate' is invalid"),
        ({"rate": "nan"}, "'rate' is invalid"),
        ({"rate": "many"}, "cannot parse value as 'float64': strconv.ParseFloat: invalid syntax"),
        ({"rate": [1]}, "expected type 'float64', got unconvertible type '[]interface {}'"),
        ({"rate": 1, "path": "nope"}, 'invalid mount path "nope/"'),
        ({"rate": 1, "path": "plain/x", "role": "r"}, "cannot contain both a path suffix and a role"),
        ({"rate": 1, "path": "plain", "role": "r"}, 'Mount path "plain/" is not a valid auth method'),
        ({"rate": 1, "role": "r"}, 'Mount path "" is not a valid auth method'),
        ({"rate": 1, "path": "auth/token", "role": "r"}, "does not support use with role-based quotas"),
    ],
)
def test_what_is_no_quota_is_refused(server: Application, body: dict[str, object], words: str) -> None:
    answer = server.request("POST", f"{Q}/q", body, token="root")
    assert (answer.status, words in answer.json()["errors"][0]) == (400, True)


def test_a_namespace_has_a_quota_and_none_once_it_is_gone(server: Application) -> None:
    server.request("POST", "/v1/sys/namespaces/team", {}, token="root")
    assert _set(server, rate=2, path="team", interval="1h").status == 204
    assert server.request("GET", f"{Q}/q", token="root").json()["data"]["path"] == "team/"
    asked = [server.request("GET", "/v1/team/sys/mounts", token="root").status for _ in range(3)]
    assert asked == [200, 200, 429]
    server.request("DELETE", "/v1/sys/namespaces/team", token="root")
    assert server.request("GET", f"{Q}/q", token="root").status == 404


def test_settings_are_kept_and_sealing_forgets_nothing_of_them(server: Application) -> None:
    assert (
        "sys/health" in server.request("GET", CONFIG, token="root").json()["data"]["rate_limit_exempt_paths"]
    )
    server.request("POST", CONFIG, {"rate_limit_exempt_paths": FREE}, token="root")
    _set(server, rate=1, path="plain", interval="1h")
    server.request("PUT", "/v1/sys/seal", token="root")
    server.reopen()
    assert server.request("GET", CONFIG, token="root").json()["data"] == {
        "enable_rate_limit_audit_logging": False,
        "enable_rate_limit_response_headers": False,
        "rate_limit_exempt_paths": FREE,
    }
    assert [server.request("GET", "/v1/plain/x", token="root").status for _ in range(2)] == [200, 429]
