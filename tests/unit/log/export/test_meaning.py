# SPDX-License-Identifier: EUPL-1.2
"""What is derived of a record: what was done, and how serious it is."""

import pytest

from tests.house.tree import ROOT
from vault.log.export.meaning import Action, Severity, action, record_id, said, severity

REQUESTS = sorted(
    {
        line.split()[0]
        for line in (ROOT / "api-spec" / "log" / "events.txt").read_text().splitlines()
        if not line.endswith("NOTICE")
    }
)
ACTS = {
    "authorize", "decode", "login", "mfa", "random", "reload", "seal", "share", "start", "step_down", "unseal", "unwrap",
    "wrap",
}  # fmt: skip
"""Last words of the names of requests that neither make, read, change nor remove something."""


def test_of_every_request_it_is_known_what_it_does_or_that_it_is_an_act_of_its_own() -> None:
    others = {verb for done, verb in map(action, REQUESTS) if done is Action.OTHER}
    assert others == ACTS


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("esa.kv.read", (Action.READ, "read")),
        ("esa.kv.write", (Action.UPDATE, "write")),
        ("esa.kv.destroy", (Action.DELETE, "destroy")),
        ("esa.nhi.key.create", (Action.CREATE, "create")),
        ("esa.mount.enable", (Action.CREATE, "enable")),
        ("esa.auth.token.issue", (Action.CREATE, "issue")),
        ("esa.lease.revoke.prefix", (Action.DELETE, "revoke")),
        ("esa.mount.move.status", (Action.READ, "status")),
        ("esa.future.flies", (Action.OTHER, "flies")),
        ("", (Action.OTHER, "")),
        ("esa." + "x" * 200 + ".read", (Action.OTHER, "")),
    ],
)
def test_the_last_word_that_is_known_says_what_was_done(event: str, expected: tuple[Action, str]) -> None:
    assert action(event) == expected


@pytest.mark.parametrize(
    ("outcome", "status", "expected"),
    [
        ("success", 200, Severity.INFO), (None, None, Severity.INFO), ("denied", 403, Severity.WARN),
        ("failed", 404, Severity.WARN), ("failed", 500, Severity.ERROR), ("failed", "500", Severity.WARN),
        (["denied"], 403, Severity.INFO),
    ],
)  # fmt: skip
def test_only_what_failed_by_the_server_is_an_error(
    outcome: object, status: object, expected: Severity
) -> None:
    assert severity({"outcome": outcome, "status_code": status}) is expected


def test_a_record_is_called_by_its_log_and_its_number() -> None:
    assert record_id("0123abcd-0-1", 7) == "0123abcd-0-1:7"


def test_a_text_is_found_within_a_member() -> None:
    record = {"a": {"b": "c"}, "d": 1, "e": "f"}
    assert [said(record, "a", "b"), said(record, "e")] == ["c", "f"]
    assert {said(record, "a"), said(record, "d"), said(record, "e", "x"), said(record, "none")} == {""}
