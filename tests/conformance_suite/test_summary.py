# SPDX-License-Identifier: EUPL-1.2
"""What people read of profiles: each that is claimed has a line, and it says which tests counted and why others did not."""

import io
from pathlib import Path
from typing import Any

import pytest

from esa_conformance.commands.judging import _conclusion
from esa_conformance.report.page import page
from esa_conformance.report.readme import readme
from esa_conformance.report.summary import claimed, counted, in_order, notes
from esa_conformance.report.verification import faults
from esa_conformance.run.outcomes import Result
from tests.conformance_suite.made import all_results, finished, report


def _of(made: dict[str, Any], name: str) -> tuple[str, str, list[str]]:
    (one,) = [one for one in made["profiles"] if one["name"] == name]
    return one["result"], counted(one), list(notes(made, one))


def _printed(folder: Path, results: list[Result], *claim: str) -> tuple[int, str]:
    out = io.StringIO()
    code = _conclusion(finished(results), report(folder, results, claim=claim), out, io.StringIO())
    return code, out.getvalue()


def test_a_claimed_profile_without_tests_has_a_line_of_its_own(tmp_path: Path) -> None:
    code, text = _printed(tmp_path, all_results(), "X-hsm")
    (line,) = [line for line in text.splitlines() if line.startswith("X-hsm")]
    assert line == "X-hsm (claimed): partial; no test of its core was run"
    assert "no test of it counts here, as it is seen at the device" in text
    assert "kv-consume (claimed with X-hsm): success" in text
    assert "X-port" not in text, "nobody claims it, and it has no test"
    assert code == 6


def test_a_report_with_such_a_profile_is_whole(tmp_path: Path) -> None:
    made = report(tmp_path, all_results(), claim=("X-hsm",))
    assert list(faults(made)) == []
    made["profiles"] = [one for one in made["profiles"] if one["name"] != "X-hsm"]
    assert list(faults(made)) == ["profiles.X-hsm: not what the tests say"]


def test_a_profile_that_nobody_claims_and_nothing_judged_does_not_belong_there(tmp_path: Path) -> None:
    made = report(tmp_path, all_results())
    made["profiles"].append({**made["profiles"][0], "name": "X-port"})
    assert list(faults(made)) == ["profiles.X-port: not what the tests say"]


def test_a_success_that_stands_on_no_success_says_so(tmp_path: Path) -> None:
    made = report(tmp_path, all_results(health_tells_state="disabled"), claim=("X-ns",))
    result, _, said = _of(made, "X-ns")
    assert result == "success"
    assert said[0] == "needs kv-manage, which is partial: no claim to X-ns holds without it"
    assert not any("needs" in note for note in _of(made, "X-wrap")[2])
    assert said[0] in page([made])
    assert said[0] in readme(made, "")


def test_the_tests_that_counted_are_told_and_the_others_with_their_reason(tmp_path: Path) -> None:
    made = report(tmp_path, all_results(health_tells_state="disabled"))
    result, told, said = _of(made, "kv-manage")
    assert result == "partial"
    assert told.endswith("pass, 1 disabled") and told.startswith(f"{told.split(': ')[1].split()[0]} tests")
    assert "health_tells_state: disabled, why" in said
    _, _, of_log = _of(made, "log")
    assert any(note.startswith("did not count: ") and note.endswith(": provisional") for note in of_log)
    aside = report(tmp_path, all_results(second_unwrapping_is_in_the_file="disabled"))
    assert _of(aside, "X-wrap")[2] == [
        "did not count: second_unwrapping_is_in_the_file: disabled, why, and its requirement was judged by another"
    ]


def test_many_with_one_reason_are_a_few_names_and_a_number(tmp_path: Path) -> None:
    some = [one for one in all_results() if "admin" not in one.test.needs and one.test.cls == "mutating"]
    made = report(tmp_path, all_results(**{one.test.id: "disabled" for one in some}))
    note = next(one for one in _of(made, "kv-consume")[2] if one.endswith(": disabled, why"))
    assert note.count(", ") == 6
    assert " more: disabled, why" in note


@pytest.mark.parametrize(
    ("name", "how"), [("X-ns", "claimed"), ("kv-manage", "claimed with X-ns"), ("X-wrap", "not claimed")]
)
def test_how_a_profile_is_claimed_is_told(name: str, how: str, tmp_path: Path) -> None:
    made = report(tmp_path, all_results(), claim=("X-ns",))
    assert claimed(made, name) == how
    order = [claimed(made, one["name"]) == "not claimed" for one in in_order(made)]
    assert order == sorted(order)
