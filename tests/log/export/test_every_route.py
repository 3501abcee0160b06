# SPDX-License-Identifier: EUPL-1.2
"""The records that every route leaves, in each form: as its standard has them, and every line comes back."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.log.export import ecs_fields, ocsf_schema
from tests.routes.canary import Furnished
from tests.routes.driver import TARGETS, Application
from tests.routes.test_canary import routes
from tests.unit.log.export.official import read_request
from tests.unit.log.export.records import LINE
from vault.log.export.forms import FORMS, batch, exported, native
from vault.log.format.tree import encode_hash, leaf_hash

_NARROW = 'path "*" { capabilities = ["read"] }\npath "sys/*" { capabilities = ["deny"] }'
_TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
_PROBLEMS = {"ecs": ecs_fields.problems, "ocsf": ocsf_schema.problems}


@pytest.fixture(scope="module")
def logs() -> list[list[bytes]]:
    """The lines of one log for each mount: each of its routes asked by root, by somebody refused, and without a token."""
    return [_lines(mount) for mount in sorted({target.mount for target in TARGETS})]


def _lines(mount: str) -> list[bytes]:
    with Furnished() as application:
        narrow = application.token(_NARROW)
        for target in routes(mount):
            body = {field.name: "x" for field in target.fields if field.kind.name in {"string", "any"}}
            for token in ("root", narrow, "wrong"):
                sent = body if target.bodied else None
                application.request(target.method, target.path(), sent, token=token, headers=_TRACE)
            application.reopen()
        _issue(application)
        return list(_written(application))


def _issue(application: Application) -> None:
    """Make a token with policies, and log in."""
    application.request("POST", "/v1/auth/token/create", {"policies": ["default"]}, token="root")
    application.request("POST", "/v1/auth/userpass/login/x", {"password": "x"})


def _written(application: Application) -> Iterator[bytes]:
    for path in sorted(application.history.rglob("*.jsonl")):
        yield from path.read_bytes().splitlines()


@pytest.mark.parametrize("form", FORMS)
def test_every_line_comes_back_byte_for_byte(logs: Sequence[Sequence[bytes]], form: str) -> None:
    lines = [line for log in logs for line in log]
    assert len(lines) > 2 * len(TARGETS)
    assert [line for line in lines if native(exported(line, form), form) != [line]] == []


@pytest.mark.parametrize("form", ["ecs", "ocsf"])
def test_every_document_is_as_its_standard_asks(logs: Sequence[Sequence[bytes]], form: str) -> None:
    found = {
        problem
        for log in logs
        for line in log
        for problem in _PROBLEMS[form](json.loads(exported(line, form)))
    }
    assert found == set()


def test_every_record_is_one_of_the_official_definition_of_otlp(logs: Sequence[Sequence[bytes]]) -> None:
    for log in logs:
        request = batch(log, "otlp")
        (resource,) = read_request(request).resource_logs
        assert len(resource.scope_logs[0].log_records) == len(log)
        assert native(request, "otlp") == log


def test_all_classes_of_requests_and_notices_of_a_start_are_there(logs: Sequence[Sequence[bytes]]) -> None:
    events = [json.loads(exported(line, "ocsf")) for log in logs for line in log]
    assert {event["class_uid"] for event in events} == ocsf_schema.CLASSES.keys() - {0}
    assert {event["status"] for event in events} == {"Failure", "Success", "Unknown"}
    assert {event.get("action") for event in events} == {"Allowed", "Denied", None}


def test_the_chain_of_a_log_is_that_of_its_exports(logs: Sequence[Sequence[bytes]]) -> None:
    for log in logs:
        attestations = [json.loads(exported(line, "ocsf"))["attestation_list"][0] for line in log]
        hashes = [each["fingerprint"]["value"] for each in attestations]
        assert hashes == [encode_hash(leaf_hash(line)) for line in log]
        assert [each["prev_event"]["fingerprint"]["value"] for each in attestations[1:]] == hashes[:-1]


def test_nothing_of_a_request_is_left_without_a_place_but_what_a_form_has_none_for(
    logs: Sequence[Sequence[bytes]],
) -> None:
    rests: dict[str, set[str]] = {form: set() for form in ("ecs", "ocsf", "otlp")}
    for line in (line for log in logs for line in log):
        rests["ecs"] |= {
            *json.loads(json.loads(exported(line, "ecs")).get("coffre", {}).get("unmapped", "{}"))
        }
        rests["ocsf"] |= {*json.loads(exported(line, "ocsf")).get("unmapped", {})}
        if b"coffre.unmapped" in exported(line, "otlp"):
            rests["otlp"].add(line.decode())
    assert rests == {
        "ecs": set(),
        "ocsf": {
            "actor", "credential", "fields", "http.request.method", "prev_hash", "resource", "span_id",
            "tenant_prev_hash", "tenant_seq", "trace_id",
        },
        "otlp": set(),
    }  # fmt: skip


@pytest.mark.parametrize("line", [LINE[:-1], b"", b"{}", b"[1]", b"\xff"])
@pytest.mark.parametrize("form", ["ecs", "ocsf"])
def test_a_line_that_is_no_record_is_as_its_standard_asks_too(form: str, line: bytes) -> None:
    assert _PROBLEMS[form](json.loads(exported(line, form))) == []


def _without(name: str) -> Callable[[Any], Any]:
    return lambda item: {key: each for key, each in item.items() if key != name}


@pytest.mark.parametrize(
    ("form", "change", "problem"),
    [
        ("ocsf", _without("time"), "6003.time: missing"),
        ("ocsf", lambda event: {**event, "time": "now"}, "6003.time: 'now'"),
        ("ocsf", lambda event: {**event, "more": 1}, "6003.more: unknown"),
        ("ocsf", lambda event: {**event, "status": "Success"}, "6003.status_id: 2 Success"),
        ("ocsf", lambda event: {**event, "severity_id": 7}, "6003.severity_id: 7 Medium"),
        ("ocsf", lambda event: {**event, "type_uid": 1}, "6003: category_uid or type_uid"),
        ("ocsf", lambda event: {**event, "activity_name": "x"}, "6003: activity_name"),
        ("ocsf", _without("class_name"), "6003: class_name"),
        ("ocsf", lambda event: {**event, "class_uid": 1}, "class_uid: 1"),
        ("ocsf", lambda event: {**event, "actor": {}}, "6003.actor: none of session user process iam_role app_name app_uid"),
        ("ocsf", lambda event: {**event, "api": []}, "6003.api: no object"),
        ("ocsf", lambda event: {**event, "resources": {}}, "6003.resources: no list"),
        ("ocsf", lambda event: {**event, "http_request": {"http_method": "LIST"}}, "6003.http_request.http_method: 'LIST'"),
        ("ocsf", lambda event: {**event, "src_endpoint": {"ip": "here"}}, "6003.src_endpoint.ip: 'here'"),
        (
            "ocsf",
            lambda event: {**event, "metadata": {**event["metadata"], "profiles": ["datetime", "record_integrity", "trace"]}},
            "profile security_control is not named: ",
        ),
        ("ecs", _without("@timestamp"), "@timestamp: missing"),
        ("ecs", lambda made: {**made, "more": 1}, "more: 1"),
        ("ecs", lambda made: {**made, "event": {**made["event"], "sequence": "1"}}, "event.sequence: '1'"),
        ("ecs", lambda made: {**made, "event": {**made["event"], "outcome": "denied"}}, "event.outcome: 'denied'"),
        ("ecs", lambda made: {**made, "event": {**made["event"], "type": ["protocol"]}}, "event.type: protocol"),
    ],
)  # fmt: skip
def test_what_a_standard_does_not_ask_for_is_found(
    form: str, change: Callable[[Any], Any], problem: str
) -> None:
    made = json.loads(exported(LINE, form))
    assert _PROBLEMS[form](made) == []
    assert [each for each in _PROBLEMS[form](change(made)) if each.startswith(problem)]
