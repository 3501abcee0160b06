# SPDX-License-Identifier: Apache-2.0
"""What stands beside a published report: what holds, and how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esa_conformance.report.summary import claimed, counted, in_order, notes


def readme(report: Mapping[str, Any], reproduce: str) -> str:
    """Markdown; `reproduce` are the commands."""
    return "\n".join(_lines(report, reproduce)) + "\n"


def _lines(report: Mapping[str, Any], reproduce: str) -> Iterator[str]:
    made = report["implementation"]
    yield f"# {made['project']} {made['version']}: European Secrets API {report['spec']}"
    yield ""
    yield f"Run {report['run']['started'][:10]} with suite {report['suite']['version']}, as the suite wrote it."
    yield ""
    yield "| profile | result | core | features found | features not found |"
    yield "|---|---|---|---|---|"
    for one in in_order(report):
        extended = one["extended"]
        said = "<br>".join([counted(one), *notes(report, one)]).replace("|", "\\|")
        yield (
            f"| {one['name']}, {claimed(report, one['name'])} | {one['result']} | {said} | "
            f"{', '.join(extended['supported']) or '-'} | {', '.join(extended['unsupported']) or '-'} |"
        )
    yield ""
    others = [test for test in report["tests"] if test["outcome"] != "pass"]
    if others:
        yield "What is not a plain pass:"
        yield ""
        yield "| requirement | test | outcome | what was found |"
        yield "|---|---|---|---|"
        for test in others:
            provisional = ", provisional" if test["provisional"] else ""
            said = (test["detail"] or "").replace("|", "\\|")
            yield f"| {test['requirements'][0]} | `{test['id']}` | {test['outcome']}{provisional} | {said} |"
        yield ""
    yield "To repeat it:"
    yield ""
    yield "```sh"
    yield reproduce.strip()
    yield "```"
