# SPDX-License-Identifier: EUPL-1.2
"""The log's table: what is asked of the log, what each row says, how far the index reaches, how pages go on."""

import re
from html import unescape
from urllib.parse import parse_qs

from tests.unit.ui.house import Front, answered, shown
from tests.unit.ui.log_house import COUNTS, DENIED, FORBIDDEN, LOG, RECORD, log_front
from vault.ui.views.log.search import FILTERS, log


def _cells(page: str) -> list[list[str]]:
    rows = re.findall(r'<tr role="row">(<th scope="row".*?)</tr>', page)
    return [
        [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r'data-label="[^"]*">(.*?)</t[hd]>', row)]
        for row in rows
    ]


def test_every_filter_is_asked_for_with_the_time_and_kept_by_the_form() -> None:
    front = log_front()
    given = {name: f"{name}-<&>" for name in FILTERS}
    page = shown(log, front, **given, since="2026-11-26T10:00", until="2026-11-26T11:00")
    times = {"from": ["2026-11-26T10:00:00Z"], "to": ["2026-11-26T11:00:00Z"]}
    wanted = {name: [value] for name, value in given.items()}
    assert [(path, query) for _, path, query, _ in front.asked] == [
        ("sys/log/records", {**wanted, **times, "limit": ["25"]}),
        ("sys/log/counts", {**wanted, **times, "buckets": ["48"]}),
    ]
    for name in set(FILTERS) - {"outcome", "phase"}:
        assert re.search(f'name="{name}" value="{name}-&lt;&amp;&gt;"', page), name
    assert "<details open>" in page
    assert "<details>" in shown(log, front, resource="secret/x")


def test_without_an_end_records_that_a_clock_was_ahead_for_are_shown_and_it_is_said() -> None:
    words = "1 of these have a time of the log that is yet to come"
    late = {**RECORD, "observed_timestamp": "2026-11-27T13:00:00.000000001Z"}
    front = log_front(late, RECORD)
    assert words in shown(log, front)
    asked = {path: query.get("to") for _, path, query, _ in front.asked}
    assert (asked["sys/log/records"], asked["sys/log/counts"]) == (None, ["2026-11-27T12:30:00Z"])
    assert "yet to come" not in shown(log, log_front(RECORD))


def test_attempts_are_left_out_unless_they_are_asked_for() -> None:
    for chosen, phase in (("", ["outcome,notice"]), ("attempt", ["attempt"]), ("any", None)):
        front = log_front()
        page = shown(log, front, phase=chosen)
        assert [query.get("phase") for _, _, query, _ in front.asked] == [phase, phase]
        assert f'<option value="{chosen}" selected>' in page.rpartition("Attempts")[2]


def test_a_row_says_who_did_what_and_by_which_rule_or_why_not() -> None:
    page = shown(log, log_front(RECORD, DENIED))
    first, second = _cells(page)
    assert first == [
        *("2026-11-27 11:00:00", "e-1", "esa.kv.read", "secret/shop/pin, version 3", "success"),
        *("app: secret/data/shop/*", "10.0.0.7"),
    ]
    assert second[1] == "a token without an entityacc"
    assert second[4:6] == ["denied", "the rule does not grant delete (app: secret/*)"]
    assert f'href="/ui/log/record?mount=nhi&amp;log={LOG}&amp;seq=7"' in page


def test_an_entity_has_its_name_beside_its_id_where_the_reader_may_know_it() -> None:
    front = log_front(RECORD, RECORD)
    front.answers["identity/entity/id/e-1"] = (200, {"data": {"name": "ann <b>"}})
    page = shown(log, front)
    assert _cells(page)[0][1] == "ann &lt;b&gt;e-1"
    assert '<span class="id short" title="e-1">e-1</span>' in page
    assert [path for _, path, *_ in front.asked].count("identity/entity/id/e-1") == 1


def test_a_page_says_how_far_the_index_reaches_and_whether_it_is_complete() -> None:
    whole = shown(log, log_front(RECORD, indexed_through={LOG: 50177}, complete=True))
    assert f"The index reaches through record 50177 of log {LOG}." in whole
    assert "incomplete" not in whole
    cut = shown(log, log_front(indexed_through={LOG: {"n1": 12}}, complete=False, next="c1.x"))
    assert f"record 12 of n1 in log {LOG}" in cut
    assert "This page is incomplete" in cut
    assert "None among those that were looked at" in cut
    assert "No record fits." in shown(log, log_front())


def test_a_page_says_which_log_is_damaged_and_from_where() -> None:
    front = log_front(RECORD, indexed_through={LOG: 41}, complete=False, damaged={LOG: 42, "<b>": 0})
    front.answers["sys/log/counts"] = (200, {"data": {**COUNTS, "complete": False, "damaged": {LOG: 42}}})
    page = shown(log, front)
    assert f"Nothing of log {LOG} is shown from record 42 on" in page
    assert "log &lt;b&gt; is shown from record 0 on" in page
    assert "This page is incomplete" not in page
    assert "Records behind damage are not counted." in page
    assert "Time ran out" not in page
    late = log_front(indexed_through={LOG: 41}, complete=False, damaged={LOG: 42}, next="c1.x")
    assert "This page is incomplete" in shown(log, late)


def test_the_next_page_goes_on_by_cursor_with_the_same_filters_and_time() -> None:
    front = log_front(RECORD, next="c1.6Y")
    page = shown(log, front, resource="secret/shop/*")
    there = re.search(r'<a href="([^"]*)">Next page</a>', page)
    assert there
    kept = {name: value for name, (value,) in parse_qs(unescape(there[1]).partition("?")[2]).items()}
    assert kept == {
        "mount": "nhi",
        "resource": "secret/shop/*",
        "cursor": "c1.6Y",
        "since": "2026-11-26T12:30:00Z",
        "until": "2026-11-27T12:30:00Z",
    }
    front.asked.clear()
    shown(log, front, **kept)
    records, counts = [query for _, path, query, _ in front.asked if path.startswith("sys/log/")]
    assert (records["cursor"], "from" in records, "to" in records) == (["c1.6Y"], False, False)
    assert (counts["from"], counts["to"]) == (["2026-11-26T12:30:00Z"], ["2026-11-27T12:30:00Z"])


def test_who_may_not_read_the_log_is_told_which_rule_is_missing() -> None:
    page = answered(log, Front(sys__log__records=(403, FORBIDDEN)))
    text = bytes(page.body).decode()
    assert page.status_code == 403
    assert "This token may not read sys/log/records." in text
    assert "path &quot;sys/log/*&quot; {" in text
    assert page.headers["cache-control"] == "no-store"


def test_nothing_of_a_record_is_markup() -> None:
    nasty = "\"'><script>alert(1)</script>\u202e"
    record = {
        **DENIED,
        "actor": {"id": nasty, "type": nasty},
        "client.address": nasty,
        "event_name": nasty,
        "log": nasty,
        "outcome": nasty,
        "policy": {"reason": nasty, "by": [{"policy": nasty, "rule": nasty}]},
        "resource": {"id": nasty, "type": nasty},
        "timestamp": nasty,
    }
    front = log_front(record, indexed_through={nasty: {nasty: 1}}, next=nasty)
    front.answers["sys/log/counts"] = (200, {"data": {**COUNTS, "buckets": [{nasty: 1, "denied": nasty}]}})
    page = shown(log, front, **dict.fromkeys((*FILTERS, "since", "until"), nasty))
    assert "<script" not in page and "\u202e" not in page
    assert "&lt;script&gt;" in page
