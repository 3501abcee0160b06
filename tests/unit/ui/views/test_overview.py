# SPDX-License-Identifier: EUPL-1.2
"""Numbers that lead to what they count, and anomalies with their severity."""

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import parse_qs

import pytest

from nhi.biscuit.records.model import LONGEST_TTL
from nhi.picture.lineage import ANOMALIES
from tests.house.tree import ROOT
from tests.unit.ui.house import BLOCK, CREDENTIAL, NOW, Front, shown
from vault.ui.html.elements import joined
from vault.ui.session.visit import ApiRefusal
from vault.ui.views import anomalies, credentials, overview, registrations
from vault.ui.views.severity import explained, severity
from vault.values.times import DAY


def _seen(name: str, first_seen: str, *anomalies: str, state: str = "active") -> Mapping[str, object]:
    return {**CREDENTIAL, "token_id": name, "first_seen": first_seen, "anomalies": anomalies, "state": state}


def _registered(name: str, **more: object) -> Mapping[str, object]:
    ends = {"workload_disabled": False, "workload_expire_time": "2027-11-27T12:00:00Z"}
    return {"registration": name, "workload": name, "owner": "team", "methods": {}, **ends, **more}


def test_the_overview_counts_and_each_number_leads_to_what_it_counts() -> None:
    found = [
        _seen("a", "2026-11-27T11:00:00Z", "no-op", "reserved-fact"),
        _seen("b", "2026-11-27T10:00:00Z", "several-sources", state="revoked"),
        _seen("c", "2026-11-01T10:00:00Z", "no-op", state="expired"),
    ]
    ways = [
        _registered("w1", uses_secret=True, has_secret=True),
        _registered("w2", workload="soon", workload_expire_time="2026-12-11T11:59:59Z", has_secret=True),
        _registered("w3", workload="soon", workload_expire_time="2026-12-11T11:59:59Z"),
        _registered("w4", workload_expire_time="2026-12-11T12:00:01Z"),
        _registered("w5", workload_expire_time="2026-11-27T12:00:00Z"),
        _registered("w6", workload_expire_time="2026-11-28T12:00:00Z", workload_disabled=True),
    ]
    front = Front(
        credentials=(200, {"data": {"credentials": found, "next": ""}}),
        report=(200, {"data": {"registrations": ways, "next": ""}}),
        orphans=(200, {"data": {"orphans": [{"token_id": BLOCK}], "more": True}}),
        failures=(200, {"data": {"failures": [{"count": 3, "message": "it is wrong"}, {"count": 2}]}}),
    )
    page = shown(overview.overview, front)
    assert _numbers(page) == [
        ("1", "active credentials", {"mount": "nhi", "state": "active", "since": "2026-11-26T12:00"}),
        ("3", "credentials never presented", {"mount": "nhi", "state": "never-presented"}),
        ("2", "new credentials with anomalies", {"mount": "nhi", "since": "2026-11-26T12:00"}),
        ("3", "credentials with anomalies in all", {"mount": "nhi"}),
        ("1+", "tokens that were not issued here", {"mount": "nhi"}),
        ("1", "workloads that end within 14 days", {"mount": "nhi"}),
        ("1", "registrations that log in by client secret", {"mount": "nhi", "used": "1"}),
        ("5", "failed logins", {"mount": "nhi"}),
    ]
    assert "The last reason: it is wrong." in page
    assert "By severity: 1 high, 1 medium." in page
    assert "By severity: 1 high, 1 medium, 1 low." in page
    ending = shown(registrations.ending_soon, front)
    assert [name for name in ("soon", "w4", "w5", "w6") if f">{name}</a>" in ending] == ["soon"]
    used = shown(registrations.secrets, front, used="1")
    assert [name for name in ("w1", "w2", "w4") if f">{name}</div>" in used] == ["w1"]
    active = shown(credentials.credentials, front, state="active")
    assert [name for name in "abc" if f"id={name}" in active] == ["a"]


def test_the_overview_asks_for_one_page_of_each_list_and_says_where_there_are_more() -> None:
    found = [_seen(f"{number:032x}", "2026-11-27T11:00:00Z", "no-op") for number in range(100)]
    front = Front(
        credentials=(200, {"data": {"credentials": found, "next": "00-1"}}),
        report=(200, {"data": {"registrations": [_registered("w", uses_secret=True)], "next": "w"}}),
        orphans=(200, {"data": {"orphans": [], "more": False}}),
        failures=(200, {"data": {"failures": []}}),
    )
    numbers = [number for number, *_ in _numbers(shown(overview.overview, front))]
    assert numbers == ["100+", "100+", "100+", "100+", "0", "0+", "1+", "0"]
    assert [(path, query.get("limit")) for _, path, query, _ in front.asked] == [
        ("credentials", ["100"]),
        ("credentials", ["100"]),
        ("credentials", ["100"]),
        ("report", ["200"]),
        ("orphans", None),
        ("failures", None),
    ]
    older = [*found[:99], _seen("f" * 32, "2026-11-20T11:00:00Z", "no-op")]
    front.answers["credentials"] = (200, {"data": {"credentials": older, "next": "00-1"}})
    numbers = [number for number, *_ in _numbers(shown(overview.overview, front))]
    assert numbers[2:4] == ["99", "100+"]


def test_a_number_that_a_token_may_not_know_is_said_to_be_that_and_the_others_are_there() -> None:
    front = Front(
        credentials=(200, {"data": {"credentials": [], "next": ""}}),
        report=(403, {"type": "urn:coffre:error:forbidden"}),
        orphans=(200, {"data": {"orphans": [], "more": False}}),
        failures=(403, {"type": "urn:coffre:error:forbidden"}),
    )
    page = shown(overview.overview, front)
    assert [number for number, *_ in _numbers(page)] == ["0", "0", "0", "0", "0"]
    assert "This token may not read nhi/failures." in page
    assert page.count("This token may not read nhi/report.") == 2
    front.answers["orphans"] = (429, {"type": "urn:coffre:error:limited"})
    with pytest.raises(ApiRefusal):
        shown(overview.overview, front)


def _numbers(page: str) -> list[tuple[str, str, Mapping[str, str]]]:
    """The numbers of the overview that lead anywhere, with what they count and what they ask for."""
    found = re.findall(
        r'<h2><a href="/ui/[a-z]+\?([^"]*)"><span class="number">([^<]*)</span> ([^<]*)</a>', page
    )
    return [
        (number, name, {key: value for key, (value,) in parse_qs(unescape(query)).items()})
        for query, number, name in found
    ]


def test_anomalies_come_with_their_severity_and_the_reason_in_words_the_gravest_first() -> None:
    found = [
        _seen("a", NOW, "no-op"),
        _seen("b", NOW, "several-sources", "no-op", "used-after-revocation"),
        _seen("c", NOW, "something-new"),
    ]
    front = Front(
        orphans=(200, {"data": {"orphans": []}}),
        credentials=(200, {"data": {"credentials": found, "next": ""}}),
    )
    page = shown(anomalies.anomalies, front)
    assert front.asked[-1][2] == {"anomaly": ["any"]}
    assert re.findall(r'<th scope="row".*?id=(\w)"', page) == ["b", "c", "a"]
    assert re.findall(r'class="odd (\w+)">(\w+): ([^<]*)<', page) == [
        ("high", "High", "used after it was revoked"),
        ("medium", "Medium", "came from several addresses"),
        ("low", "Low", "takes nothing away"),
        ("medium", "Medium", "something-new"),
        ("low", "Low", "takes nothing away"),
    ]
    assert page.count('<p class="why">') == 5
    assert "1 high, 1 medium, 1 low" in page
    assert '<option value="used-after-revocation">high: used after it was revoked</option>' in page
    assert page.count("Revoke all tokens of the workload…") == 3


def test_every_anomaly_that_the_server_knows_has_a_severity_and_a_reason() -> None:
    unknown = "This page does not know"
    for name in ANOMALIES:
        assert unknown not in joined(explained([name])), name
    assert unknown in joined(explained(["something-new"]))


def test_the_guide_says_how_grave_each_anomaly_is() -> None:
    guide = (ROOT / "docs" / "nhi.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([a-z-]+)` \| .* \| (high|medium|low) \|$", guide, re.MULTILINE))
    assert told == {name: severity(name).word for name in ANOMALIES}


def test_no_token_lasts_longer_than_the_day_in_which_active_ones_are_looked_for() -> None:
    assert LONGEST_TTL <= DAY
