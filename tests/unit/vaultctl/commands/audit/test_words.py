# SPDX-License-Identifier: EUPL-1.2
"""A record in words: who acted, how it ended, and by which rule or why not."""

import pytest

from vaultctl.commands.audit.words import actor_of, entity_of, line_of, no_names, outcome_of, row_of, why_of

_RULE = {"policy": "team", "rule": "secret/data/team/*"}


@pytest.mark.parametrize(
    ("actor", "told"),
    [
        ({"id": "e-1", "type": "entity"}, "e-1"),
        ({"id": "e-1", "type": "workload"}, "e-1"),
        ({"id": "accessor:a1", "type": "token"}, "token a1"),
        ({"id": "accessor:a1", "type": "root"}, "root a1"),
        ({"type": "anonymous"}, "anonymous"),
        ({"type": "server"}, "server"),
        ({}, ""),
    ],
)
def test_who_acted_is_told_by_what_identifies_them(actor: dict[str, str], told: str) -> None:
    assert actor_of({"actor": actor}, no_names) == told


def test_a_biscuit_is_no_token() -> None:
    actor = {"id": "accessor:a1", "type": "token"}
    credential = {"accessor": "a1", "kind": "biscuit", "blocks": ["b0", "a1"]}
    assert actor_of({"actor": actor, "credential": credential}, no_names) == "Biscuit a1"
    entity = {"actor": {"id": "e-1", "type": "entity"}, "credential": credential}
    assert actor_of(entity, no_names) == "e-1"


def test_an_entity_is_called_by_its_name_where_that_is_known() -> None:
    names = {"e-1": "ada", "accessor:a1": "nobody"}
    for kind, told in (("person", "ada"), ("token", "token a1")):
        actor = {"actor": {"id": "e-1" if kind == "person" else "accessor:a1", "type": kind}}
        assert actor_of(actor, lambda one: names.get(one, "")) == told
    assert entity_of({"actor": {"id": "e-2", "type": "entity"}}) == "e-2"
    assert actor_of({"actor": {"id": "e-2", "type": "entity"}}, lambda one: names.get(one, "")) == "e-2"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"policy": {"grant": [_RULE]}}, "team: secret/data/team/*"),
        ({"policy": {"grant": [{"policy": "root"}]}}, "root"),
        (
            {"policy": {"grant": [_RULE, {**_RULE, "policy": "ops"}, {"$omitted": 3}]}},
            "team, ops: secret/data/team/*, and 3 policies more",
        ),
        (
            {"policy": {"grant": [_RULE, {"policy": "ops", "rule": "secret/*"}]}},
            "team: secret/data/team/*; ops: secret/*",
        ),
        (
            {"policy": {"reason": "no rule covers this path"}, "error_type": "urn:x:forbidden"},
            "no rule covers this path",
        ),
        (
            {"policy": {"reason": "the rule denies", "by": [_RULE]}},
            "the rule denies (team: secret/data/team/*)",
        ),
        ({"error_type": "urn:coffre:error:not-found"}, "not found"),
        (
            {"error_type": "urn:coffre:error:not-found", "policy": {"grant": [_RULE]}},
            "not found (team: secret/data/team/*)",
        ),
        ({}, ""),
        ({"policy": {"grant": "x"}, "error_type": 5}, "5"),
    ],
)
def test_why_is_the_rule_or_the_reason_or_the_error(record: dict[str, object], why: str) -> None:
    assert why_of(record) == why


def test_an_attempt_has_no_outcome_of_its_own() -> None:
    assert outcome_of({"phase": "attempt"}) == "attempt"
    assert outcome_of({"phase": "outcome", "outcome": "denied"}) == "denied"


def test_a_record_with_members_of_no_kind_that_is_known_is_shown_as_far_as_it_goes() -> None:
    record = {
        "timestamp": 7,
        "event_name": ["x"],
        "actor": "me",
        "resource": {"id": None},
        "log": "l",
        "seq": 1,
    }
    assert row_of(record, no_names) == ("7Z", "", "", "", "", "", "l:1")
    assert line_of(record, no_names) == "7Z l:1"
