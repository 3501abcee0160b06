# SPDX-License-Identifier: Apache-2.0
"""A report as JUnit XML, for systems that show test results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

_NOT_RUN: Final = frozenset({"unsupported", "disabled", "skipped", "expected-failure"})


def junit(report: Mapping[str, Any]) -> str:
    """One suite with a case for each test; provisional tests never fail it."""
    cases = [_case(test) for test in report["tests"]]
    counts = {
        name: sum(case.find(name) is not None for case in cases) for name in ("failure", "error", "skipped")
    }
    suite = ET.Element(
        "testsuite",
        name=f"European Secrets API {report['spec']}",
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=str(report["run"]["seconds"]),
        timestamp=report["run"]["started"],
    )
    suite.extend(cases)
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _case(test: Mapping[str, Any]) -> ET.Element:
    case = ET.Element(
        "testcase", classname=test["requirements"][0], name=test["id"], time=f"{test['ms'] / 1000:.3f}"
    )
    outcome, said = test["outcome"], test["detail"] or ""
    if outcome in _NOT_RUN or (test["provisional"] and outcome not in {"pass", "warning"}):
        ET.SubElement(case, "skipped", message=f"{outcome}: {said}")
    elif outcome in {"fail", "flaky"} or test["unexpected"]:
        ET.SubElement(case, "failure", message=f"{outcome}: {said}")
    elif outcome == "error":
        ET.SubElement(case, "error", message=said)
    elif outcome == "warning":
        ET.SubElement(case, "system-out").text = f"warning: {said}"
    return case
