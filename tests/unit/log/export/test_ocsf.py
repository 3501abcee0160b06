# SPDX-License-Identifier: EUPL-1.2
"""Records as events of OCSF: nothing of a record is lost, and its chain is one of OCSF too.

That events have what their classes ask for is the affair of `tests/log/export`.
"""

import json
from typing import Any

import pytest
from hypothesis import given

from tests.unit.log.export.records import READ, RECORDS, Record
from vault.log.export.ocsf import SERIALIZATION, event, record_of, unreadable
from vault.log.export.table import Json
from vault.log.format.canonical import encode_record

LEAF = "2W/ooTbzq7/i792mpWQOXy0IAxJFxtt74ygjVsQNCkw="


@given(RECORDS)
def test_a_record_of_any_shape_comes_back(record: Record) -> None:
    made = json.loads(json.dumps(event(record, LEAF)))
    assert encode_record(record_of(made)) == encode_record(record)


def test_a_read_is_api_activity_with_who_what_and_how_it_ended() -> None:
    made = event(READ, LEAF)
    assert (made["class_uid"], made["activity_id"], made["type_uid"]) == (6003, 2, 600302)
    assert made["api"]["operation"] == "esa.kv.read"
    assert made["api"]["request"] == {"data": READ["fields"]["request"], "uid": READ["request.id"]}
    assert made["api"]["response"] == {
        "code": 500, "data": READ["fields"]["response"], "error": "urn:coffre:error:internal",
    }  # fmt: skip
    assert made["actor"] == {
        "user": {"uid": "e-3", "type": "Service", "type_id": 4}, "session": {"uid": "acc"},
    }  # fmt: skip
    assert made["src_endpoint"] == {"ip": "192.0.2.7"}
    assert made["http_request"] == {
        "http_method": "GET", "uid": READ["request.id"], "url": {"path": "secret/data/équipe/x"},
    }  # fmt: skip
    assert made["resources"] == [
        {"role_id": 1, "type": "kv.secret", "uid": "secret/équipe/x", "version": "4"}
    ]
    assert (made["status"], made["status_code"], made["status_detail"]) == (
        "Failure", "urn:coffre:error:internal", "it broke",
    )  # fmt: skip
    assert (made["severity_id"], made["trace"]) == (3, {"uid": READ["trace_id"]})
    assert made["unmapped"] == {
        "actor": {"chain": ["e-1", "e-2"]},
        "client.address_source": "proxy",
        "credential": {"blocks": ["b0", "b1"], "bound": "dpop", "kind": "biscuit"},
        "span_id": READ["span_id"],
        "tenant_prev_hash": READ["tenant_prev_hash"],
        "tenant_seq": 44,
    }


def test_metadata_say_which_record_it_is_and_times_are_in_milliseconds() -> None:
    made = event(READ, LEAF)
    assert (made["time"], made["time_dt"]) == (1_795_953_600_123, READ["timestamp"])
    assert made["metadata"] == {
        "correlation_uid": READ["request.id"],
        "event_code": "esa.kv.read",
        "log_name": "0123abcd-0-1",
        "log_version": READ["schema"],
        "logged_time": 1_795_953_601_000,
        "logged_time_dt": READ["observed_timestamp"],
        "product": {"name": "Coffre", "vendor_name": "Coffre"},
        "profiles": ["datetime", "record_integrity", "security_control", "trace"],
        "sequence": 45,
        "tenant_uid": "root",
        "type": "outcome",
        "uid": "0123abcd-0-1:45",
        "version": "1.9.0",
    }


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"timestamp": "1970-01-01T00:00:00.007999999Z"}, 7),
        ({"observed_timestamp": "1970-01-01T00:00:00.008000000Z", "timestamp": "yesterday"}, 8),
        ({}, 0),
    ],
)
def test_a_time_is_that_of_the_event_else_that_of_the_record(times: Json, expected: int) -> None:
    assert event(times, LEAF)["time"] == expected


def test_the_attestation_names_the_record_before_and_both_hashes() -> None:
    (attestation,) = event(READ, LEAF)["attestation_list"]
    assert (attestation["chain_uid"], attestation["prev_event"]["uid"]) == ("0123abcd-0-1", "0123abcd-0-1:44")
    fingerprints = [attestation["fingerprint"], attestation["prev_event"]["fingerprint"]]
    assert [each.pop("value") for each in fingerprints] == [LEAF, READ["prev_hash"]]
    assert fingerprints[0] == fingerprints[1] == {
        "algorithm": "SHA-256", "algorithm_id": 3, "encoding": "Base64", "encoding_id": 2,
        "serialization": SERIALIZATION, "serialization_id": 99,
    }  # fmt: skip


def test_a_first_record_has_none_before_it() -> None:
    made = event({**READ, "seq": 0}, LEAF)
    assert "prev_event" not in made["attestation_list"][0]
    assert made["unmapped"]["prev_hash"] == READ["prev_hash"]


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("success", (1, "Success", None)),
        ("denied", (2, "Failure", 2)),
        ("failed", (2, "Failure", None)),
        ("new", (99, "new", None)),
        (None, (0, "Unknown", None)),
    ],
)
def test_an_outcome_has_its_status_and_a_refusal_is_told_from_a_failure(outcome: Any, said: object) -> None:
    record = {name: value for name, value in READ.items() if name not in {"policy", "outcome"}}
    made = event({**record, **({"outcome": outcome} if outcome else {})}, LEAF)
    assert (made["status_id"], made["status"], made.get("action_id")) == said


def test_the_rules_that_decided_are_authorizations() -> None:
    assert event(READ, LEAF)["action"] == "Allowed"
    refused = {
        **READ,
        "outcome": "denied",
        "policy": {"reason": "the rule denies", "by": [{"policy": "p", "rule": "sys/seal"}]},
    }
    made = event(refused, LEAF)
    assert (made["action"], made["status_detail"]) == ("Denied", "the rule denies")
    assert [each["decision"] for each in made["authorizations"]] == ["deny"]


def test_a_failure_beside_a_rule_that_refuses_is_not_said_to_be_allowed() -> None:
    assert "action" not in event({**READ, "policy": {"by": [{"policy": "p", "rule": "sys/seal"}]}}, LEAF)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("person", (1, "User")), ("root", (2, "Admin")), ("server", (3, "System")), ("workload", (4, "Service")),
        ("entity", (99, "entity")), ("User", (99, "User")),
    ],
)  # fmt: skip
def test_an_actor_has_its_type(kind: str, said: tuple[int, str]) -> None:
    made = event({**READ, "actor": {"type": kind}}, LEAF)
    assert made["actor"]["user"] == {"name": said[1], "type": said[1], "type_id": said[0]}
    assert record_of(made)["actor"] == {"type": kind}


@pytest.mark.parametrize(
    ("path", "auth", "user"),
    [
        ("auth/userpass/login/ann", {"entity_id": "e", "accessor": "a"}, {"name": "ann", "uid": "e"}),
        ("auth/userpass/login/ann", {"accessor": "a"}, {"name": "ann", "uid": "accessor:a"}),
        ("auth/userpass/login/ann", {}, {"name": "ann"}),
        ("auth/approle/login", {}, {"name": "unknown"}),
    ],
)
def test_a_login_says_who_logs_in(path: str, auth: Json, user: Json) -> None:
    made = event(_with_auth("esa.auth.login", auth, path), LEAF)
    assert (made["user"], made["service"]) == (user, {"name": "Coffre"})
    assert made.get("session") == ({"uid": "a"} if auth else None)


def test_a_token_says_which_privileges_it_has() -> None:
    auth = {"accessor": "a", "entity_id": "", "policies": ["p"]}
    made = event(_with_auth("esa.auth.token.issue", auth, "auth/token/create"), LEAF)
    assert (made["class_uid"], made["privileges"], made["user"]) == (3003, ["p"], {"uid": "accessor:a"})


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("esa.identity.group.write", "group"),
        ("esa.userpass.user.write", "user"),
        ("esa.jwt.role.delete", "iam_role"),
    ],
)
def test_a_change_says_whose(name: str, attribute: str) -> None:
    made = event({**READ, "event_name": name, "resource": {"id": "auth/x/users/ann", "type": "auth"}}, LEAF)
    assert made[attribute] == {"name": "ann", "uid": "auth/x/users/ann"}


def test_a_client_without_an_address_is_an_unknown_endpoint() -> None:
    made = event({**READ, "client.address": "a socket"}, LEAF)
    assert made["src_endpoint"] == {"name": "unknown"}
    assert made["unmapped"]["client.address"] == "a socket"


def test_a_line_that_is_no_record_is_an_event_with_the_reason_and_not_taken_back() -> None:
    made = unreadable(b"{\xff", "it is no JSON object")
    assert made == {
        "activity_id": 99,
        "activity_name": "unreadable",
        "category_uid": 0,
        "class_name": "Base Event",
        "class_uid": 0,
        "metadata": {"product": {"name": "Coffre", "vendor_name": "Coffre"}, "version": "1.9.0"},
        "raw_data": "{\\xff",
        "severity": "Medium",
        "severity_id": 3,
        "status": "Failure",
        "status_detail": "it is no JSON object",
        "status_id": 2,
        "time": 0,
        "type_uid": 99,
    }
    with pytest.raises(ValueError, match="no record"):
        record_of(made)


def _with_auth(name: str, auth: Json, path: str) -> Record:
    fields = {"fields": {"response": {"auth": auth}}} if auth else {}
    return {"event_name": name, "url.path": path, "outcome": "success", "phase": "outcome", **fields}
