# SPDX-License-Identifier: EUPL-1.2
"""Annex E: every outcome of a published report that is no plain pass has a reason, and every reason an outcome."""

import re

from tests.api_spec.implementations import (
    difference_rows,
    feature_rows,
    grouped,
    missed,
    profile_rows,
    reasons,
    reports,
)
from tests.api_spec.pieces import piece

_JUDGING = re.compile(
    r"\b(only|unfortunately|fails?|wrong|lacks?|still|bad|poor|better|worse|should|must)\b", re.IGNORECASE
)


def test_every_outcome_that_is_no_pass_has_a_reason_and_every_reason_an_outcome() -> None:
    found = {report["implementation"]["project"]: set(missed(report)) for report in reports()}
    assert {name: set(of) for name, of in reasons().items()} == found


def test_a_reason_says_what_is_there_and_judges_nobody() -> None:
    texts = [text for of in reasons().values() for text in of.values()]
    assert [text for text in texts if _JUDGING.search(text) or not text.endswith(".")] == []


def test_a_row_stands_where_one_of_them_differs_and_nowhere_else() -> None:
    found = reports()
    rows = difference_rows(found)
    assert {f"{requirement} {feature}" for requirement, feature, _ in rows} == {
        key for report in found for key in missed(report)
    }
    for requirement, feature, cells in rows:
        for report, (said, why) in zip(found, cells, strict=True):
            tests = grouped(report).get(f"{requirement} {feature}", [])
            plain = {test["outcome"] for test in tests} == {"pass"}
            assert (said == "passes") is plain
            assert bool(why) is not plain


def test_profiles_and_features_are_those_of_the_reports() -> None:
    found = reports()
    assert len(found) >= 2
    by_name = {name: cells for name, *cells in profile_rows(found)}
    for place, report in enumerate(found):
        for one in report["profiles"]:
            assert by_name[one["name"]][place].startswith(one["result"])
        told = {name for name, *cells in feature_rows(found) if cells[place] == "yes"}
        assert told == {name for name, one in report["features"].items() if one["inferred"]}


def test_the_annex_has_a_cell_for_each() -> None:
    text = piece("implementations differences")
    assert text.count("<tr>") == len(difference_rows(reports())) + 1
    assert "openbao 2.7.2" in text
