# SPDX-License-Identifier: EUPL-1.2
"""An outcome whose commit failed says so on its page, and so does the record that takes its place."""

from tests.unit.ui.house import Front, shown
from tests.unit.ui.log_house import FORBIDDEN, LOG, RECORD, page_of, record_front
from vault.ui.views.log.record import record

LATER = {**RECORD, "outcome": "failed", "policy": {}, "seq": 9, "supersedes": 7}


def _front(*found: object) -> Front:
    front = record_front(RECORD, 30)
    front.answers["sys/log/records"] = page_of(*found)
    return front


def test_an_outcome_that_did_not_come_about_leads_to_what_takes_its_place() -> None:
    front = _front(RECORD, LATER)
    page = shown(record, front, log=LOG, seq="7")
    assert "did not come about: the commit failed." in page
    assert f'<a href="/ui/log/record?mount=nhi&amp;log={LOG}&amp;seq=9">Record 9</a> takes its place.' in page
    (asked,) = [query for _, path, query, _ in front.asked if path == "sys/log/records"]
    assert asked == {"request_id": ["r-1"], "from": [RECORD["observed_timestamp"]], "order": ["asc"]}


def test_what_takes_its_place_leads_back() -> None:
    page = shown(record, record_front(LATER, 30), log=LOG, seq="9")
    there = f'<a href="/ui/log/record?mount=nhi&amp;log={LOG}&amp;seq=7">Record 7</a>'
    assert f"<dt>Instead of</dt><dd>{there}, which did not come about: its commit failed</dd>" in page
    assert "takes its place" not in page


def test_an_outcome_that_nothing_supersedes_says_nothing_of_it() -> None:
    others = ({**LATER, "supersedes": 6}, {**LATER, "log": "0123abcd-0-2"})
    for front in (_front(RECORD), _front(*others), record_front(RECORD, 30)):
        page = shown(record, front, log=LOG, seq="7")
        assert "did not come about" not in page


def test_who_may_not_search_sees_the_record() -> None:
    front = record_front(RECORD, 30)
    front.answers["sys/log/records"] = (403, FORBIDDEN)
    assert "did not come about" not in shown(record, front, log=LOG, seq="7")


def test_an_attempt_is_superseded_by_nothing() -> None:
    attempt = {**RECORD, "phase": "attempt", "outcome": None}
    front = record_front(attempt, 30)
    shown(record, front, log=LOG, seq="7")
    assert "sys/log/records" not in {path for _, path, _, _ in front.asked}
