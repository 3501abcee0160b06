# SPDX-License-Identifier: EUPL-1.2
"""Traces of requests: what is in them, and in whose trace they are. `test_canary` looks for what clients sent in them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.otlp_receiver import attributes, awaited, receiving
from tests.routes.driver import Application
from tests.routes.traced import said, spans, traced, waiting
from vault.server.config.settings import Telemetry
from vault.server.config.telemetry.collector import Collector

pytestmark = pytest.mark.asked_alone("reads what one process is about to send")
_TRACE, _SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with traced(Application) as made:
        yield made


def test_a_write_is_a_span_with_what_it_asked_of_storage_and_audit_below_it(application: Application) -> None:
    answer = application.request("POST", "/v1/secret/data/hunter2", {"data": {"a": "hunter2"}}, token="root")
    assert answer.status == 200
    request, *parts = spans(waiting(application))
    assert request.name == "POST /v1/secret/data/{path}"
    told = attributes(request)
    assert told.pop("coffre.request.id") == answer.json()["request_id"]
    assert told == {
        "http.request.method": "POST", "http.route": "/v1/secret/data/{path}", "http.response.status_code": 200,
        "coffre.mount": "secret/", "coffre.mount.kind": "kv", "coffre.namespace": "", "coffre.operation": "create",
    }  # fmt: skip
    assert {"storage get", "storage begin", "storage put", "storage commit"} <= {part.name for part in parts}
    assert any(part.name.startswith("audit ") for part in parts)
    for part in parts:
        assert (part.parent_span_id, part.trace_id) == (request.span_id, request.trace_id)
        assert request.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= request.end_time_unix_nano
        assert not part.attributes


def test_a_refusal_says_its_kind_and_only_a_failure_of_the_server_is_an_error(
    application: Application,
) -> None:
    for path, token, status, error in (
        ("secret/data/none", "root", 404, "NotFound"),
        ("secret/data/x", "none", 403, "Forbidden"),
        ("nowhere/x", "root", 404, "NotFound"),
    ):
        application.request("GET", f"/v1/{path}", token=token)
        request = spans(waiting(application))[0]
        told = attributes(request)
        assert told["http.response.status_code"] == status
        assert told["error.type"] in {error, "Unauthenticated", "UnsupportedPath"}
        assert request.status.code == 0
        assert ("http.route" in told) == (path != "nowhere/x")


def asked(
    application: Application, parent: str, token: str = "root", path: str = "secret/data/x"
) -> list[Any]:
    application.request("GET", f"/v1/{path}", token=token, headers={"traceparent": parent})
    return spans(waiting(application))


def test_a_request_is_in_the_trace_of_its_caller(application: Application) -> None:
    for flag in ("01", "00"):  # who does not trace cannot keep others from it
        request = asked(application, f"00-{_TRACE}-{_SPAN}-{flag}")[0]
        assert (request.trace_id.hex(), request.parent_span_id.hex()) == (_TRACE, _SPAN)
    request = asked(application, "hunter2")[0]
    assert (request.trace_id.hex() != _TRACE, request.parent_span_id) == (True, b"")


def test_only_who_has_a_good_token_can_have_a_request_traced() -> None:
    wish = f"00-{_TRACE}-{_SPAN}-01"
    with traced(Application, ratio=0) as made:
        for _ in range(3):  # the second read is one that was planned
            request = asked(made, wish)[0]
            assert (request.trace_id.hex(), request.parent_span_id.hex()) == (_TRACE, _SPAN)
        assert asked(made, wish, path="secret/data/none")
        assert asked(made, f"00-{_TRACE}-{_SPAN}-00") == []
        for token, path in (
            ("", "secret/data/x"),
            ("none", "secret/data/x"),
            ("", "sys/health"),
            ("", "sys/seal-status"),
        ):
            assert asked(made, wish, token, path) == []
        login = {"password": "x"}
        headers = {"traceparent": wish}
        assert made.request("POST", "/v1/auth/userpass/login/x", login, headers=headers).status == 200
        assert waiting(made) == []


def test_who_is_not_taken_leaves_nothing_and_is_answered_alike() -> None:
    with traced(Application, ratio=0) as made:
        assert made.request("GET", "/v1/secret/data/x", token="root").status == 200
        assert waiting(made) == []


def test_real_requests_reach_a_real_receiver() -> None:
    with receiving() as receiver:
        telemetry = Telemetry(otlp=Collector(endpoint=receiver.endpoint, metrics_interval=1))
        with Application(telemetry=telemetry) as made:
            answer = made.request("GET", "/v1/secret/data/x", token="root")
            wanted = answer.json()["request_id"]
            found = awaited(
                lambda: [s for s in receiver.spans if attributes(s).get("coffre.request.id") == wanted],
                also=lambda: made.request("GET", "/v1/sys/health"),
            )
            assert found[0].name == "GET /v1/secret/data/{path}"


def test_all_words_of_a_span_are_among_what_is_looked_through_for_secrets(application: Application) -> None:
    application.request("GET", "/v1/secret/data/hunter2", token="root")
    found = waiting(application)
    words = said(found)
    for span in spans(found):
        assert [word for word in attributes(span).values() if str(word) not in words] == []
        assert span.name.removeprefix("GET ") in words
    assert "hunter2" not in words
