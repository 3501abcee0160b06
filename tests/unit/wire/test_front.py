# SPDX-License-Identifier: EUPL-1.2
"""The edge of HTTP: heads, bodies, both profiles of refusals, and what no request can do."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.routes.driver import ELSEWHERE, Application


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application() as application:
        yield application


PROBLEM = {"accept": "application/problem+json"}


def test_a_refusal_is_a_problem_document_when_asked_for(application: Application) -> None:
    token = application.token(ELSEWHERE)
    answer = application.request("GET", "/v1/secret/data/x", token=token, headers=PROBLEM)
    assert (answer.status, answer.headers["content-type"]) == (403, "application/problem+json")
    document = answer.json()
    assert document["type"] == "urn:coffre:error:forbidden" and document["status"] == 403
    assert (document["path"], document["capability"]) == ("secret/data/x", "read")


@pytest.mark.parametrize(
    ("accept", "is_problem"),
    [
        ("application/json, application/problem+json", True),
        ("Application/Problem+JSON; charset=utf-8;q=0.5, text/html", True),
        ("application/problem+json;q=odd", True),
        ("*/*;q=0.1, application/json;q=0.2, application/problem+json;q=0.2", True),
        ("application/problem+json;q=0, application/json", False),
        ("application/problem+json;q=0.000", False),
        ("application/json, application/problem+json;q=0.9", False),
        ("application/problem+json;q=0.9, application/*", False),
        ("application/problem+json;q=0.9, */*", False),
        ("application/problem+jsonx", False),
        (["text/html", "application/problem+json"], True),
        (["application/problem+json;q=0.5", "application/json"], False),
    ],
)
def test_a_problem_is_for_who_prefers_it(
    application: Application, accept: str | Sequence[str], is_problem: bool
) -> None:
    for token, path in (
        ("none", "secret/data/x"),
        ("root", "secret/data/none"),
        ("root", "sys/policies/acl/none"),
    ):
        answer = application.request("GET", f"/v1/{path}", token=token, headers={"accept": accept})
        kind = "application/problem+json" if is_problem else "application/json"
        assert answer.headers["content-type"] == kind, path


@pytest.mark.parametrize("token", ["", "s.nobodyHasThisToken000000"])
def test_a_stranger_is_not_told_what_was_missing(application: Application, token: str) -> None:
    document = application.request("GET", "/v1/secret/data/x", token=token, headers=PROBLEM).json()
    assert document["detail"] == "permission denied"
    assert "path" not in document and "capability" not in document


def test_a_token_comes_in_either_header_and_vaults_own_goes_first(application: Application) -> None:
    target = "/v1/auth/token/lookup-self"
    assert application.request("GET", target, headers={"authorization": "Bearer root"}).status == 200
    assert application.request("GET", target, headers={"authorization": "Basic root"}).status == 403
    both = {"authorization": "Bearer root"}
    assert application.request("GET", target, token="s.x", headers=both).status == 403


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (["Basic eDp5", "Bearer root"], 200),
        (["Bearer", "bearer s.x", "Bearer root"], 200),
        (["Bearer root", "Bearer s.x"], 200),
        (["Bearer s.x", "Bearer root"], 403),
    ],
)
def test_of_several_the_first_that_can_hold_a_token_counts(
    application: Application, values: Sequence[str], status: int
) -> None:
    answer = application.request("GET", "/v1/auth/token/lookup-self", headers={"authorization": values})
    assert answer.status == status


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("OPTIONS", "/v1/secret/data/x", 400),
        ("TRACE", "/v1/secret/data/x", 405),
        ("HEAD", "/v1/sys/health", 200),
        ("HEAD", "/v1/secret/data/x", 405),
        ("POST", "/v1/secret/data/", 400),
        ("GET", "/v1/secret/metadata?list=maybe", 400),
        ("GET", "/v1/secret/metadata?list=true&scan=true", 400),
        ("GET", "/v1/secret/metadata?list=true", 200),
        ("GET", "/v1/secret/metadata?scan=1", 200),
        ("GET", "/v1/secret/data/x?list=false", 200),
        ("GET", "/v1/secret/data/x?help=1", 200),
        ("GET", "/v1/secret/data/x?a=%ff", 200),
        ("GET", "/v1/secret//data/x", 307),
        ("GET", "/v1/secret/%2e%2e/x", 400),
        ("GET", "/v1/secret/%00", 400),
        ("GET", "/v2/secret", 404),
        ("GET", "/", 404),
    ],
)
def test_sl_14_a_head_is_understood_or_refused(
    application: Application, method: str, target: str, status: int
) -> None:
    answer = application.request(method, target, token="root")
    assert answer.status == status, answer.body
    assert not (method == "HEAD" and answer.body)


def test_a_redirect_keeps_the_query_and_bytes_that_are_no_ascii(application: Application) -> None:
    answer = application.request("GET", "/v1/secret//data/x?version=1", token="root")
    assert answer.headers["location"] == "/v1/secret/data/x?version=1"
    assert application.request("GET", "/v1/secret//é", token="root").status == 307


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": ""}, 400),
        ({"content-type": "application/json"}, 415),
        ({"content-type": "application/merge-patch+json; charset=utf-8"}, 200),
    ],
)
def test_patch_wants_its_media_type(application: Application, headers: dict[str, str], status: int) -> None:
    body = {"data": {"b": 2}}
    answer = application.request("PATCH", "/v1/secret/data/x", body, token="root", headers=headers)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("ttl", "status"), [("60", 200), ("1h", 200), ("-1", 400), ("x", 400), ("9" * 40, 400)]
)
def test_a_wrapping_time_is_a_duration(application: Application, ttl: str, status: int) -> None:
    headers = {"x-vault-wrap-ttl": ttl}
    answer = application.request("GET", "/v1/secret/data/x", token="root", headers=headers)
    assert answer.status == status
    if status == 200:
        assert answer.json()["wrap_info"]["token"] and answer.json()["data"] is None


def test_a_namespace_that_does_not_exist_is_refused(application: Application) -> None:
    for name, status in (("", 200), ("root", 200), ("/", 200), ("team", 404)):
        headers = {"x-vault-namespace": name}
        assert application.request("GET", "/v1/secret/data/x", token="root", headers=headers).status == status


async def _send_parts(application: Application, parts: list[Any]) -> list[Any]:
    out: list[Any] = []
    waiting = iter(parts)

    async def receive() -> Any:
        return next(waiting)

    async def send(message: Any) -> None:
        out.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/sys/tools/random",
        "raw_path": b"/v1/sys/tools/random",
        "query_string": b"",
        "headers": [(b"x-vault-token", b"root")],
        "client": None,
        "state": application.state(),
    }
    await asyncio.wait_for(application.vault(scope, receive, send), 60)
    return out


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_arrives_in_parts_or_not_at_all(application: Application) -> None:
    whole = [_part(b'{"bytes"', more=True), _part(b": 4}", more=False)]
    assert application.run(_send_parts(application, whole))[0]["status"] == 200
    broken = [_part(b'{"bytes"', more=True), {"type": "http.disconnect"}]
    assert application.run(_send_parts(application, broken))[0]["status"] == 400
    big = [_part(b"x" * (1 << 20), more=True)] * 40
    assert application.run(_send_parts(application, big))[0]["status"] == 413
    assert (
        application.run(_send_parts(application, [_part(b"x" * (33 << 20), more=False)]))[0]["status"] == 413
    )


def test_sl_58_sl_60_no_answer_is_kept_by_anybody_and_markup_in_it_is_inert(application: Application) -> None:
    body = {"data": {"a": "<script>&"}}
    application.request("POST", "/v1/secret/data/markup", body, token="root")
    answer = application.request("GET", "/v1/secret/data/markup", token="root")
    assert answer.headers["cache-control"] == "no-store"
    assert b"<script>" not in answer.body and answer.json()["data"]["data"] == body["data"]


@pytest.mark.parametrize(("tokens", "status"), [(("root", "s.x"), 200), (("s.x", "root"), 403)])
def test_of_a_header_that_comes_twice_the_first_counts(
    application: Application, tokens: tuple[str, str], status: int
) -> None:
    async def ask() -> int:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/auth/token/lookup-self",
            "raw_path": b"/v1/auth/token/lookup-self",
            "query_string": b"",
            "headers": [(b"x-vault-token", token.encode()) for token in tokens],
            "client": ("127.0.0.1", 4711),
            "state": application.state(),
        }
        out: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            out.append(message)

        await application.vault(scope, receive, send)
        return int(out[0]["status"])

    assert application.run(ask()) == status
