# SPDX-License-Identifier: EUPL-1.2
"""Receivers that are blocked, slow, full or gone: what the device says, what the server answers, and that all comes in the end.

`tests/log/devices/plays.py` plays each; docs/audit-devices.md has the table.
"""

import pytest

from tests.house.tree import ROOT
from tests.log.devices.plays import FAILED, POLICIES, TROUBLES, Outcome, play
from tests.log.devices.site import KINDS
from vault.log.forward.settings import Kind

pytestmark = pytest.mark.loopback

_DEADLINE = 1.0
_LATE = 3.0
"""Seconds until a report is written and read, and a busy machine has noticed; what fails is told within five (LOG-031)."""
_LONGEST_WAIT = 2.0
"""Seconds between two attempts for a required device; one that is not had failed for a few seconds only."""
_ERRORS = {
    "blocked": {"the receiver does not take records in time", "the receiver does not answer in time"},
    "slow": {"the receiver does not take records in time", "the receiver does not answer in time"},
    "full": {"the receiver is full", "the receiver ended the connection"},
    "vanished": {"nobody listens at the receiver's address", "the receiver ended the connection"},
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_in_trouble_costs_no_record_and_a_required_one_the_requests_meanwhile(
    kind: Kind, trouble: str
) -> None:
    outcome = play(kind, trouble, deadline=_DEADLINE)
    for policy in POLICIES:
        assert outcome.states[policy] & FAILED, outcome
        assert outcome.errors[policy] in _ERRORS[trouble]
        assert outcome.told[policy] < _DEADLINE + _LATE
    assert _DEADLINE / 2 < outcome.refused["required"] < _DEADLINE + _LATE
    assert "best_effort" not in outcome.refused
    assert outcome.refusal.startswith("the required log device required does not have")
    _check_recovery(outcome)


def _check_recovery(outcome: Outcome) -> None:
    for policy in POLICIES:
        assert outcome.recovered[policy] < _LONGEST_WAIT + 4 * _LATE
    assert outcome.open_again < _LONGEST_WAIT + 5 * _LATE


def test_the_table_in_the_documents_has_each_of_them() -> None:
    page = (ROOT / "docs" / "audit-devices.md").read_text(encoding="utf-8")
    rows = {
        tuple(cell.strip() for cell in line.split("|")[1:4]) for line in page.splitlines() if line[:1] == "|"
    }
    assert {(trouble, kind, policy) for trouble in TROUBLES for kind in KINDS for policy in POLICIES} <= rows
