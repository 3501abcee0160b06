# SPDX-License-Identifier: EUPL-1.2
"""Records as OpenTelemetry logs: as the official definition has them, and nothing of a record is lost."""

import json
from typing import Any

import pytest
from hypothesis import given

from tests.unit.log.export.official import log_records, only_record, read_request
from tests.unit.log.export.records import LINE, READ, RECORDS, Record, nested
from vault.log.export.any_value import plain
from vault.log.export.otlp import export_request, log_record, record_of, records_of
from vault.log.format.canonical import encode_record


def _attributes(record: Record) -> dict[str, Any]:
    return {each["key"]: plain(each["value"]) for each in log_record(record)["attributes"]}


@given(RECORDS)
def test_a_record_of_any_shape_is_one_of_the_official_definition_and_comes_back(record: Record) -> None:
    line = encode_record(record)
    request = export_request([line])
    read_request(request)
    (back,) = records_of(json.loads(request))
    assert encode_record(back) == line


def test_a_log_record_has_what_opentelemetry_has_fields_for() -> None:
    record = only_record(export_request([LINE]))
    assert record.event_name == "esa.kv.read"
    assert (record.severity_number, record.severity_text) == (17, "ERROR")
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (
        1_795_953_600_123_456_789,
        1_795_953_601_000_000_002,
    )
    assert (record.trace_id.hex(), record.span_id.hex()) == (READ["trace_id"], READ["span_id"])
    assert [each.key for each in record.body.kvlist_value.values] == ["request", "response"]


def test_attributes_have_the_names_of_opentelemetry_and_of_its_draft_for_audit_logs() -> None:
    attributes = _attributes(READ)
    assert "coffre.unmapped" not in attributes
    assert {name: item for name, item in attributes.items() if not name.startswith("coffre.")} == {
        "audit.action": "READ",
        "audit.actor.id": "e-3",
        "audit.outcome": "failure",
        "audit.record.id": "0123abcd-0-1:45",
        "audit.schema.version": READ["schema"],
        "audit.sequence.number": 45,
        "audit.sequence.prev_hash": READ["prev_hash"],
        "audit.sequence.stream_id": "0123abcd-0-1",
        "audit.target.id": "secret/équipe/x",
        "audit.target.type": "kv.secret",
        "client.address": "192.0.2.7",
        "error.type": "urn:coffre:error:internal",
        "http.request.method": "GET",
        "http.response.status_code": 500,
        "url.path": "secret/data/équipe/x",
    }


@pytest.mark.parametrize(
    ("outcome", "status", "expected", "severity", "number"),
    [
        ("success", 200, "success", "INFO", 9),
        ("denied", 403, "failure", "WARN", 13),
        ("failed", 404, "failure", "WARN", 13),
        ("failed", 500, "failure", "ERROR", 17),
        ("new", 200, "unknown", "INFO", 9),
    ],
)
def test_the_outcome_is_that_of_the_draft_and_says_how_severe_it_is(
    outcome: str, status: int, expected: str, severity: str, number: int
) -> None:
    record = {**READ, "outcome": outcome, "status_code": status}
    made = log_record(record)
    assert _attributes(record)["audit.outcome"] == expected
    assert (made["severityText"], made["severityNumber"]) == (severity, number)


@pytest.mark.parametrize("method", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
def test_a_method_that_opentelemetry_knows_is_by_itself(method: str) -> None:
    attributes = _attributes({**READ, "http.request.method": method})
    assert attributes["http.request.method"] == method
    assert "http.request.method_original" not in attributes


def test_a_method_that_opentelemetry_does_not_know_is_beside_the_one_for_others() -> None:
    attributes = _attributes({**READ, "http.request.method": "LIST"})
    assert (attributes["http.request.method"], attributes["http.request.method_original"]) == (
        "_OTHER",
        "LIST",
    )


def test_what_has_no_attribute_is_delivered_in_one() -> None:
    record = {**READ, "new": {"a": [1]}, "actor": {**READ["actor"], "more": None}, "trace_id": "0" * 32}
    assert _attributes(record)["coffre.unmapped"] == {
        "actor": {"more": None}, "new": {"a": [1]}, "trace_id": "0" * 32,
    }  # fmt: skip


def test_each_log_is_a_resource_with_its_records_in_their_order() -> None:
    lines = [encode_record({**READ, "log": log, "seq": seq}) for seq in (1, 2) for log in ("a-0-1", "b-0-1")]
    first, second = read_request(export_request(lines)).resource_logs
    assert {each.key: each.value.string_value for each in first.resource.attributes} == {
        "service.name": "coffre",
        "service.instance.id": "a-0-1",
    }
    (scope,) = second.scope_logs
    assert scope.scope.name == "coffre.log"
    assert [
        each.value.int_value
        for record in scope.log_records
        for each in record.attributes
        if each.key.endswith(".number")
    ] == [1, 2]


def test_a_line_that_is_no_record_is_delivered_with_the_reason() -> None:
    torn = LINE[:-9] + b"\xff"
    resource = read_request(export_request([LINE, torn])).resource_logs[1]
    (record,) = resource.scope_logs[0].log_records
    assert record.body.bytes_value == torn
    assert [(each.key, each.value.string_value) for each in record.attributes] == [
        ("coffre.problem", "it is no JSON object")
    ]


def test_data_of_a_request_as_deep_as_requests_may_be_is_read() -> None:
    record = {**READ, "fields": {"request": nested(100)}, "new": nested(100)}
    request = export_request([encode_record(record)])
    read_request(request)
    assert records_of(json.loads(request)) == [record]


@pytest.mark.parametrize(
    "document", [{}, {"attributes": [1]}, {"attributes": [{"key": "a", "value": {"b": 1}}]}]
)
def test_what_was_not_exported_here_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="no record"):
        record_of(document)
    with pytest.raises(ValueError, match="no request"):
        records_of({"resourceLogs": 1})


def test_a_record_by_itself_says_which_log_it_is_of() -> None:
    (made,) = log_records(json.loads(export_request([LINE])))
    assert record_of(made) == READ
