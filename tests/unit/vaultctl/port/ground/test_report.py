# SPDX-License-Identifier: EUPL-1.2
"""A report counts entries once, names what did not move, and takes over what an export left."""

from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Name, Outcome
from vaultctl.port.ground.report import Report

_ONE, _TWO = Name("kv2", "", "secret/a"), Name("kv2", "team/", "kv/b")


def test_an_entry_that_a_later_pass_finds_unchanged_stays_written() -> None:
    report = Report()
    report.count(_ONE, WRITTEN)
    report.count(_TWO, Outcome("refused", "status 400: no"))
    report.begin_pass()
    report.count(_ONE, UNCHANGED)
    report.count(_TWO, Outcome("written", remarks=("rounded",)))
    assert report.document() == {
        "entries": {"kv2": {"written": 2}},
        "not_moved": [],
        "not_kept": [{"kind": "kv2", "path": "team/kv/b", "what": "rounded"}],
    }
    assert report.complete
    assert report.written == 2


def test_what_is_not_as_it_was_is_not_all_and_what_is_said_last_counts() -> None:
    report = Report()
    report.count(_ONE, Outcome("written", notes=("its policy a is another",), remarks=("rounded",)))
    complete = [report.complete]
    report.count(_ONE, Outcome("left", "it is another"))
    assert report.document()["not_kept"] == []
    report.count(_ONE, UNCHANGED)
    assert [*complete, report.complete] == [False, True]
    assert report.document() == {
        "entries": {"kv2": {"unchanged": 1}},
        "not_moved": [],
        "not_kept": [],
    }


def test_what_an_export_left_stays_named() -> None:
    report, other = Report(), Report()
    report.leave(_ONE, "status 403")
    report.note(_TWO, "without its value")
    other.take(report.document())
    assert other.document() == report.document()
    assert not other.complete


def test_a_long_list_is_cut_and_says_so() -> None:
    report = Report()
    for number in range(30):
        report.leave(Name("kv1", "", f"old/{number}"), "status 403")
    text = report.text()
    assert "Did not move (30):" in text
    assert "and 10 more; -format=json names all" in text
    assert text.count("status 403") == 20


def test_facts_are_written_as_people_read_them() -> None:
    report = Report()
    report.facts.update(
        {
            "passes": [3, 0],
            "switch-over": {"seconds": 0.5, "equal": True},
            "differences": [],
            "other": [{"path": "a", "n": 1}],
        }
    )
    assert report.text().splitlines() == [
        "passes: 3, 0",
        "switch-over:",
        "  seconds: 0.5",
        "  equal: yes",
        "differences: none",
        "other:",
        "  path a, n 1",
    ]
