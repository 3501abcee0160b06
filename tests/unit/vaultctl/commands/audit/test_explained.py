# SPDX-License-Identifier: EUPL-1.2
"""One record explained: each row says what the record does, and no more."""

from vaultctl.commands.audit.explained import explained
from vaultctl.commands.audit.words import no_names

_READ = {
    "actor": {"id": "e-1", "type": "workload", "chain": ["e-9"]},
    "client.address": "10.2.0.9",
    "client.address_source": "proxy",
    "credential": {"accessor": "acc", "kind": "biscuit", "blocks": ["b0", "b1"], "bound": "dpop"},
    "event_name": "esa.kv.read",
    "fields": {
        "request": {"version": 3, "$h:k1:aa": {"$h": "k1:bb"}},
        "response": {
            "data": {"$h:k1:cc": {"$h": "k1:dd"}, "$h:k1:ee": [{"$h": "k1:ff"}]},
            "wrap": {"ttl": 60},
        },
        "changed": {"policies": ["team"]},
    },
    "http.request.method": "GET",
    "log": "5f3a9c1e-0-0",
    "observed_timestamp": "2026-11-24T09:30:00.000000002Z",
    "outcome": "success",
    "phase": "outcome",
    "policy": {"grant": [{"policy": "team", "rule": "secret/data/team/*"}]},
    "prev_hash": "abc=",
    "request.id": "r-1",
    "resource": {"id": "secret/team/db", "type": "kv.secret", "version": 3},
    "seq": 7,
    "status_code": 200,
    "tenant": "root",
    "timestamp": "2026-11-24T09:30:00.000000001Z",
    "trace_id": "t-1",
    "url.path": "secret/data/team/db",
}


def test_a_read_is_explained_with_its_rule_and_what_was_hashed() -> None:
    assert explained(_READ, lambda entity: {"e-1": "billing"}.get(entity, "")) == [
        ("When", "2026-11-24T09:30:00.000000001Z, recorded 2026-11-24T09:30:00.000000002Z"),
        ("Who", "entity e-1, billing, for e-9"),
        ("With", "a Biscuit, accessor acc, bound to a key (DPoP), blocks b0, b1"),
        ("Did", "esa.kv.read: GET secret/data/team/db"),
        ("Of", "kv.secret secret/team/db, version 3"),
        ("Namespace", "root"),
        ("Outcome", "success: it was done, status 200"),
        ("Allowed by", "team: secret/data/team/*"),
        ("From", "10.2.0.9, as a proxy said that is trusted"),
        ("Request", "r-1"),
        ("Trace", "t-1"),
        ("Request data", '{"version":3}, 1 value hashed'),
        ("Answer data", '{"wrap":{"ttl":60}}, 2 values hashed'),
        ("Details", '{"changed":{"policies":["team"]}}'),
        ("Record", "5f3a9c1e-0-0:7"),
        ("After", "the record with the hash abc="),
    ]


def test_a_refusal_is_explained_with_its_reason_and_the_rule_that_decided() -> None:
    record = {
        "actor": {"id": "accessor:a1", "type": "token"},
        "error_type": "urn:coffre:error:forbidden",
        "event_name": "esa.kv.read",
        "outcome": "denied",
        "policy": {"reason": "the rule denies", "by": [{"policy": "team", "rule": "secret/data/*"}]},
        "log": "l",
        "seq": 0,
        "prev_hash": "x",
    }
    assert explained(record, no_names) == [
        ("Who", "a token without an entity, accessor a1"),
        ("Did", "esa.kv.read"),
        ("Outcome", "denied: it was refused"),
        ("Why not", "the rule denies"),
        ("Decided by", "team: secret/data/*"),
        ("Error", "urn:coffre:error:forbidden"),
        ("Record", "l:0"),
        ("After", "nothing"),
    ]


def test_who_has_no_token_and_what_has_too_many_values_is_said() -> None:
    record = {"actor": {"type": "anonymous"}, "phase": "attempt", "fields": {"request": {"$omitted": 500}}}
    rows = dict(explained(record, no_names))
    assert rows["Who"] == "nobody: no token was sent, or none that is valid"
    assert (
        rows["Outcome"]
        == "attempt: not said here: the outcome is a record of its own, with the same request id"
    )
    assert rows["Request data"] == "500 values, too many to be recorded one by one"
    assert dict(explained({"actor": {"type": "server"}}, no_names))["Who"] == "the server itself"
    root = dict(explained({"actor": {"type": "root", "id": "accessor:a"}}, no_names))
    assert root["Who"] == "the holder of a root token, accessor a"


def test_a_credential_is_called_what_it_is() -> None:
    actor = {"id": "accessor:acc", "type": "token"}
    for kind, who, what in (
        ("service", "a token without an entity", "a service token"),
        ("batch", "a token without an entity", "a batch token"),
        ("biscuit", "a Biscuit without an entity", "a Biscuit"),
    ):
        credential = {"accessor": "acc", "kind": kind}
        rows = dict(explained({"actor": actor, "credential": credential}, no_names))
        assert (rows["Who"], rows["With"]) == (f"{who}, accessor acc", f"{what}, accessor acc")
