# SPDX-License-Identifier: EUPL-1.2
"""What the published reports say of implementations, side by side: annex E."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tests.api_spec.requirements import FOLDER

REPORTS = FOLDER / "reports" / "1.0"
Report = Mapping[str, Any]
_WORDS = {
    "pass": "passes", "warning": "a SHOULD is missed", "fail": "does not pass", "unsupported": "is not there",
    "disabled": "was not asked", "skipped": "was not reached", "flaky": "is not steady", "error": "could not be judged",
    "expected-failure": "does not pass",
}  # fmt: skip


def reports() -> list[Report]:
    """All reports, by name and version of the implementation."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(REPORTS.glob("*/*/report.json"))]


def name_of(report: Report) -> str:
    """What an implementation is called."""
    return f"{report['implementation']['project']} {report['implementation']['version']}"


def reasons() -> Mapping[str, Mapping[str, str]]:
    """By implementation, then by requirement and feature, what is there instead."""
    found: Mapping[str, Mapping[str, str]] = yaml.safe_load(
        (REPORTS / "reasons.yaml").read_text(encoding="utf-8")
    )
    return found


def grouped(report: Report) -> dict[str, list[Mapping[str, Any]]]:
    """The tests of a report by `requirement feature`, as the reasons name them."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for test in report["tests"]:
        found.setdefault(f"{test['requirements'][0]} {test['feature']}", []).append(test)
    return found


def missed(report: Report) -> dict[str, list[Mapping[str, Any]]]:
    """Of `grouped` what has an outcome that is no plain pass."""
    return {
        key: tests
        for key, tests in grouped(report).items()
        if any(test["outcome"] != "pass" for test in tests)
    }


def profile_rows(found: Sequence[Report]) -> list[list[str]]:
    """A row for each profile: its name, and for each report what came of it."""
    names = list(dict.fromkeys(one["name"] for report in found for one in report["profiles"]))
    return [[name, *(_result(report, name) for report in found)] for name in names]


def _result(report: Report, name: str) -> str:
    for one in report["profiles"]:
        if one["name"] == name:
            return f"{one['result']}{'' if name in report['claim'] else ', not claimed'}"
    return "was not asked"


def feature_rows(found: Sequence[Report]) -> list[list[str]]:
    """A row for each feature: its name, and for each report whether it was found."""
    names = sorted({name for report in found for name in report["features"]})
    words = {True: "yes", False: "no", None: "was not asked"}
    return [
        [name, *(words[report["features"].get(name, {}).get("inferred")] for report in found)]
        for name in names
    ]


def difference_rows(found: Sequence[Report]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """A row where not all pass: requirement, feature, and for each report the outcome and the reason for it."""
    keys = sorted({key for report in found for key in missed(report)})
    return [(*_parts(key), [_told(report, key) for report in found]) for key in keys]


def _parts(key: str) -> tuple[str, str]:
    requirement, _, feature = key.partition(" ")
    return requirement, feature


def _told(report: Report, key: str) -> tuple[str, str]:
    tests = grouped(report).get(key, [])
    outcomes = dict.fromkeys(test["outcome"] for test in tests if test["outcome"] != "pass")
    if not outcomes:
        return (_WORDS["pass"], "") if tests else (_WORDS["disabled"], "")
    provisional = all(test["provisional"] for test in tests if test["outcome"] != "pass")
    said = ", ".join(dict.fromkeys(_WORDS[outcome] for outcome in outcomes))
    why = reasons().get(report["implementation"]["project"], {}).get(key, "")
    return f"{said}{' (provisional)' if provisional else ''}", why
