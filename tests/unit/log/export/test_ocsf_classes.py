# SPDX-License-Identifier: EUPL-1.2
"""Which class of OCSF each event is."""

from typing import Any

import pytest

from tests.house.tree import ROOT
from vault.log.export.ocsf_classes import BY_EVENT, event_class, granted_policies, issued

NAMES = {line.split()[0] for line in (ROOT / "api-spec" / "log" / "events.txt").read_text().splitlines()}


def test_every_event_that_has_a_class_of_its_own_is_one_that_there_is() -> None:
    assert BY_EVENT.keys() - NAMES == set()


def test_every_activity_that_is_used_has_its_caption() -> None:
    assert [event for event, (kind, activity) in BY_EVENT.items() if activity not in kind.activities] == []


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("esa.kv.read", (6003, 2, "Read")),
        ("esa.kv.write", (6003, 3, "Update")),
        ("esa.kv.delete", (6003, 4, "Delete")),
        ("esa.seal.init", (6003, 1, "Create")),
        ("esa.policy.write", (6003, 3, "Update")),
        ("esa.wrap.unwrap", (6003, 99, "unwrap")),
        ("esa.auth.login", (3002, 1, "Logon")),
        ("esa.auth.login.start", (3002, 6, "Preauth")),
        ("esa.auth.token.issue", (6003, 1, "Create")),
        ("esa.identity.group.write", (3006, 9, "Update")),
        ("esa.identity.group.read", (6003, 2, "Read")),
        ("esa.identity.entity.delete", (3007, 3, "Delete")),
        ("esa.userpass.password.write", (3007, 8, "Password Change")),
        ("esa.approle.role.write", (3008, 2, "Update")),
        ("esa.approle.secret_id.issue", (3008, 10, "Add Programmatic Credentials")),
        ("esa.server.start", (6002, 3, "Start")),
        ("esa.seal.closed", (6002, 7, "Disable")),
        ("esa.future.flies", (6003, 99, "flies")),
    ],
)
def test_an_event_has_its_class_and_activity(event: str, expected: tuple[int, int, str]) -> None:
    kind, activity, called = event_class({"event_name": event, "phase": "outcome"})
    assert (kind.uid, activity, called) == expected


def test_a_token_with_policies_is_privileges_for_a_session() -> None:
    record = _issue({"accessor": "a", "policies": ["p", "q"]})
    assert event_class(record)[0].uid == 3003
    assert granted_policies(record) == ["p", "q"]


@pytest.mark.parametrize("auth", [None, [], {"policies": []}, {"policies": "p"}, {"policies": [1]}])
def test_an_answer_that_names_no_policies_is_none(auth: Any) -> None:
    assert event_class(_issue(auth))[0].uid == 6003


def test_a_notice_that_is_not_known_is_a_base_event() -> None:
    kind, activity, called = event_class({"event_name": "esa.log.device.failed", "phase": "notice"})
    assert (kind.uid, kind.category, activity, called) == (0, 0, 99, "failed")


def test_what_is_no_record_is_an_event_too() -> None:
    assert event_class({})[0].uid == 6003
    assert issued({"fields": {"response": 7}}) == {}


def _issue(auth: Any) -> dict[str, Any]:
    return {"event_name": "esa.auth.token.issue", "fields": {"response": {"auth": auth}}}
