# SPDX-License-Identifier: EUPL-1.2
"""What records say, in words."""

import pytest

from vault.ui.views.log.words import actor_of, members, outcome_of, resource_of, rules, sentence_of, why_of


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"actor": {"id": "e-1", "type": "entity"}}, "e-1"),
        ({"actor": {"id": "e-2", "type": "entity"}}, "ann"),
        ({"actor": {"id": "accessor:a", "type": "root"}}, "a root token"),
        ({"actor": {"type": "anonymous"}}, "nobody: no valid token was sent"),
        ({"actor": {"type": "server"}}, "the server itself"),
        (
            {"actor": {"id": "accessor:b", "type": "token"}, "credential": {"blocks": ["a", "b"]}},
            "a Biscuit",
        ),
        ({}, ""),
    ],
)
def test_who_acted_is_told_by_name_or_by_kind(record: dict[str, object], words: str) -> None:
    assert actor_of(record, {"e-2": "ann"}) == words


def test_a_rule_that_several_policies_have_is_said_once() -> None:
    grant = [
        {"policy": "a", "rule": "x/*"},
        {"policy": "b", "rule": "x/*"},
        {"policy": "root"},
        {"$omitted": 7},
    ]
    assert rules({"grant": grant}, "grant") == "a, b: x/*; root, and 7 policies more"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"policy": {"grant": [{"policy": "a", "rule": "x"}], "reason": "no"}}, "a: x"),
        ({"policy": {"reason": "no rule"}}, "no rule"),
        ({"policy": {"reason": "no", "by": [{"policy": "a", "rule": "x"}]}}, "no (a: x)"),
        ({"error_type": "urn:coffre:error:not-found"}, "not found"),
        ({}, ""),
    ],
)
def test_why_is_a_rule_or_a_reason_or_an_error(record: dict[str, object], words: str) -> None:
    assert why_of(record) == words


def test_what_a_record_does_not_say_is_left_out_of_the_sentence() -> None:
    start = {"actor": {"type": "server"}, "event_name": "esa.server.start", "phase": "notice"}
    assert (
        sentence_of(start, {})
        == "the server itself asked for esa.server.start: the server says it of itself."
    )
    assert (outcome_of({"phase": "attempt"}), resource_of({})) == ("attempt", "")


def test_members_within_others_are_named_by_both_and_very_deep_ones_are_not_opened() -> None:
    deep: dict[str, object] = {"end": 1}
    for _ in range(20):
        deep = {"a": deep}
    found = list(members({"x": {"y": False, "z": ""}, "deep": deep}))
    assert found[:2] == [("x → y", "false"), ("x → z", "—")]
    assert len(found) == 3 and found[2][0].count("→") == 8
