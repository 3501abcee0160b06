# SPDX-License-Identifier: EUPL-1.2
"""Records as documents of ECS: nothing of a record is lost, and no client makes a field of an index."""

import json
from typing import Any

import pytest
from hypothesis import given

from tests.unit.log.export.records import READ, RECORDS, Record
from vault.log.export.ecs import document, record_of, unreadable
from vault.log.format.canonical import encode_record

LEAF = "2W/ooTbzq7/i792mpWQOXy0IAxJFxtt74ygjVsQNCkw="


@given(RECORDS)
def test_a_record_of_any_shape_comes_back(record: Record) -> None:
    made = json.loads(json.dumps(document(record, LEAF)))
    assert encode_record(record_of(made)) == encode_record(record)


def test_a_document_has_the_fields_of_ecs() -> None:
    made = document(READ, LEAF)
    own = made.pop("coffre")
    assert "unmapped" not in own
    assert json.loads(own["fields"]) == READ["fields"]
    assert made == {
        "@timestamp": READ["timestamp"],
        "ecs": {"version": "9.4.0"},
        "error": {"type": "urn:coffre:error:internal"},
        "event": {
            "action": "esa.kv.read",
            "category": ["api"],
            "created": READ["observed_timestamp"],
            "dataset": "coffre.log",
            "hash": LEAF,
            "id": "0123abcd-0-1:45",
            "kind": "event",
            "module": "coffre",
            "outcome": "failure",
            "reason": "it broke",
            "sequence": 45,
            "type": ["access"],
        },
        "http": {"request": {"id": READ["request.id"], "method": "GET"}, "response": {"status_code": 500}},
        "log": {"level": "error"},
        "organization": {"id": "root"},
        "service": {"name": "coffre", "node": {"name": "0123abcd-0-1"}, "type": "coffre"},
        "source": {"address": "192.0.2.7", "ip": "192.0.2.7"},
        "span": {"id": READ["span_id"]},
        "trace": {"id": READ["trace_id"]},
        "url": {"path": "secret/data/équipe/x"},
        "user": {"id": "e-3"},
    }


@pytest.mark.parametrize(
    ("event", "phase", "categories", "types"),
    [
        ("esa.kv.write", "outcome", ["api"], ["change"]),
        ("esa.kv.delete", "outcome", ["api"], ["deletion"]),
        ("esa.auth.login", "outcome", ["api", "authentication"], ["start"]),
        ("esa.auth.token.issue", "outcome", ["api", "iam"], ["creation"]),
        ("esa.policy.write", "attempt", ["api", "iam"], ["change"]),
        ("esa.mount.enable", "outcome", ["api", "configuration"], ["creation"]),
        ("esa.wrap.unwrap", "outcome", ["api"], ["info"]),
        ("esa.server.start", "notice", ["process"], ["start"]),
        ("esa.seal.closed", "notice", ["configuration"], ["info"]),
        ("esa.future.noted", "notice", ["process"], ["info"]),
        ("other", "outcome", ["api"], ["info"]),
    ],
)
def test_an_event_has_its_categories_and_types(
    event: str, phase: str, categories: list[str], types: list[str]
) -> None:
    made = document({**READ, "event_name": event, "phase": phase}, LEAF)["event"]
    assert (made["category"], made["type"]) == (categories, types)


@pytest.mark.parametrize(
    ("outcome", "expected", "types", "level"),
    [
        ("success", "success", ["access"], "info"),
        ("denied", "failure", ["access", "denied"], "warning"),
        ("failed", "failure", ["access"], "error"),
        ("new", "unknown", ["access"], "info"),
    ],
)
def test_an_outcome_is_one_of_ecs_and_a_refusal_is_told(
    outcome: str, expected: str, types: list[str], level: str
) -> None:
    made = document({**READ, "outcome": outcome}, LEAF)
    assert (made["event"]["outcome"], made["event"]["type"], made["log"]["level"]) == (expected, types, level)


@pytest.mark.parametrize("address", ["a socket", "fe80::1%eth0", ""])
def test_an_address_that_an_index_would_refuse_is_a_text_only(address: str) -> None:
    assert document({**READ, "client.address": address}, LEAF)["source"] == {"address": address}


def test_what_has_no_field_is_one_text() -> None:
    record = {**READ, "new": {"a": 1}, "seq": "7", "actor": {"id": 5}}
    assert json.loads(document(record, LEAF)["coffre"]["unmapped"]) == {
        "actor": {"id": 5}, "new": {"a": 1}, "seq": "7",
    }  # fmt: skip


@given(RECORDS)
def test_a_field_has_the_same_type_in_every_document(record: Record) -> None:
    by = ("policy", "rule", "$omitted")
    types = {**_types(document(READ, LEAF)), "coffre.unmapped": str}
    types |= {f"coffre.policy.by.{name}": types[f"coffre.policy.grant.{name}"] for name in by}
    assert [
        (name, kind) for name, kind in _types(document(record, LEAF)).items() if types.get(name) != kind
    ] == []


def _types(made: Any, name: str = "") -> dict[str, Any]:
    """The type of each field of a document; that of what is in a list is the field's."""
    if isinstance(made, dict):
        inner = [_types(each, f"{name}.{key}" if name else key) for key, each in made.items()]
        return {field: kind for each in inner for field, kind in each.items()}
    if isinstance(made, list):
        return {field: kind for each in made for field, kind in _types(each, name).items()}
    return {name: type(made)}


@pytest.mark.parametrize("timestamp", [None, "2026-11-29T12:00:00Z"])
def test_a_record_without_a_time_has_one_that_is_none_of_the_log(timestamp: str | None) -> None:
    record = {"seq": 1, **({"timestamp": timestamp} if timestamp else {})}
    made = document(record, LEAF)
    assert made["@timestamp"] == "1970-01-01T00:00:00Z"
    assert record_of(made) == record


def test_a_line_that_is_no_record_is_an_error_of_the_pipeline_and_not_taken_back() -> None:
    made = unreadable(b"{\xff", "it is no JSON object")
    assert made == {
        "@timestamp": "1970-01-01T00:00:00Z",
        "ecs": {"version": "9.4.0"},
        "error": {"message": "it is no JSON object"},
        "event": {
            "dataset": "coffre.log", "kind": "pipeline_error", "module": "coffre", "original": "{\\xff",
        },
        "log": {"level": "error"},
        "service": {"name": "coffre", "type": "coffre"},
    }  # fmt: skip
    for other in (made, {}, {"event": {"kind": "event"}, "coffre": {"unmapped": "{"}}):
        with pytest.raises(ValueError, match="no record"):
            record_of(other)
