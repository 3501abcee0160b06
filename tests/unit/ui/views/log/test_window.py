# SPDX-License-Identifier: EUPL-1.2
"""The time that a page of the log shows, and how its picture leads to narrower ones."""

import re
from html import unescape
from urllib.parse import parse_qs

import pytest

from tests.unit.ui.house import shown
from tests.unit.ui.log_house import COUNTS, log_front
from vault.ui.views.log.search import log


def _bars(page: str) -> list[dict[str, list[str]]]:
    links = re.findall(r'<a href="([^"]*)" aria-label="[^"]*"><title>', page)
    return [parse_qs(unescape(one).partition("?")[2]) for one in links]


def test_a_bar_leads_to_its_own_time_with_the_same_filters() -> None:
    page = shown(log, log_front(), resource="secret/x", since="2026-11-27T08:00", until="2026-11-27T12:00")
    kept = {"mount": ["nhi"], "resource": ["secret/x"]}
    assert _bars(page) == [
        {**kept, "since": ["2026-11-27T09:00:00Z"], "until": ["2026-11-27T10:00:00Z"]},
        {**kept, "since": ["2026-11-27T10:00:00Z"], "until": ["2026-11-27T11:00:00Z"]},
    ]


def test_the_numbers_below_lead_to_records_of_one_outcome() -> None:
    page = shown(log, log_front(), outcome="denied", since="2026-11-27T08:00", until="2026-11-27T12:00")
    legend = re.findall(r'<a href="([^"]*)">(\d+ \w+|any outcome|the last day)</a>', page)
    assert [words for _, words in legend] == [
        "20 success",
        "3 denied",
        "1 failed",
        "any outcome",
        "the last day",
    ]
    asked = [parse_qs(unescape(there).partition("?")[2]).get("outcome", [""]) for there, _ in legend]
    assert asked == [["success"], ["denied"], ["failed"], [""], ["denied"]]
    assert "any outcome" not in shown(log, log_front())


@pytest.mark.parametrize(
    ("since", "until", "times", "buckets"),
    [
        ("", "", ("2026-11-26T12:30:00Z", "2026-11-27T12:30:00Z"), "48"),
        ("", "2026-11-20T10:00", ("2026-11-19T10:00:00Z", "2026-11-20T10:00:00Z"), "48"),
        ("2026-11-27T11:00", "", ("2026-11-27T11:00:00Z", "2026-11-27T12:30:00Z"), "60"),
        ("2026-11-27T11:00", "2026-11-27T11:00:30", ("2026-11-27T11:00:00Z", "2026-11-27T11:00:30Z"), "30"),
        ("2026-11-27T11:00", "2026-11-27T11:00:07", ("2026-11-27T11:00:00Z", "2026-11-27T11:00:07Z"), "60"),
        ("2026-11-26T13:30:00.25+01:00", "", ("2026-11-26T12:30:00.250Z", "2026-11-27T12:30:00Z"), "60"),
        (
            "9999-12-31T23:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            ("9999-12-31T23:00:00Z", "9999-12-31T23:59:59.999Z"),
            "60",
        ),
        ("48h", "", ("48h", "2026-11-27T12:30:00Z"), "48"),
    ],
)
def test_the_time_is_a_day_until_now_or_what_was_asked_for(
    since: str, until: str, times: tuple[str, str], buckets: str
) -> None:
    front = log_front()
    shown(log, front, since=since, until=until)
    asked = front.asked[-1][2]
    assert (asked["from"], asked["to"], asked["buckets"]) == ([times[0]], [times[1]], [buckets])


def test_parts_shorter_than_a_second_lead_nowhere() -> None:
    page = shown(log, log_front(), since="2026-11-27T11:00:00", until="2026-11-27T11:00:07")
    assert _bars(page) == []
    assert '<g aria-label="2026-11-27 11:00:01 to 2026-11-27 11:00:03: 20 success, 3 denied">' in page


def test_a_picture_of_which_the_end_was_not_counted_says_so() -> None:
    words = "Time ran out before all records were counted"
    front = log_front()
    assert words not in shown(log, front)
    front.answers["sys/log/counts"] = (200, {"data": {**COUNTS, "complete": False}})
    assert words in shown(log, front)
