# SPDX-License-Identifier: Apache-2.0
"""What stands beside a published report: what holds, and how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def readme(report: Mapping[str, Any], reproduce: str) -> str:
    """Markdown; `reproduce` are the commands."""
    return "\n".join(_lines(report, reproduce)) + "\n"


def _lines(report: Mapping[str, Any], reproduce: str) -> Iterator[str]:
    made = report["implementation"]
    yield f"# {made['project']} {made['version']}: European Secrets API {report['spec']}"
    yield ""
    yield f"Run {report['run']['started'][:10]} with suite {report['suite']['version']}, as the suite wrote it."
    yield ""
    yield "| profile | claimed | result | core | features found | features not found |"
    yield "|---|---|---|---|---|---|"
    for one in report["profiles"]:
        counts = ", ".join(f"{number} {outcome}" for outcome, number in one["core"].items() if number)
        extended = one["extended"]
        claimed = "yes" if one["name"] in report["claim"] else "no"
        yield (
            f"| {one['name']} | {claimed} | {one['result']} | {counts or '-'} | {', '.join(extended['supported']) or '-'} | "
            f"{', '.join(extended['unsupported']) or '-'} |"
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
