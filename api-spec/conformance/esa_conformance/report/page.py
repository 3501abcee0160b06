# SPDX-License-Identifier: Apache-2.0
"""One report, or several side by side, as one HTML file without script and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from esa_conformance.report.summary import claimed, counted, in_order, notes
from esa_conformance.requirements import requirements

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #ccc}
thead th{border-bottom:2px solid #555}
.o{white-space:nowrap;font-weight:600}
.pass,.success{color:#116329}.warning,.partial{color:#7a4b00}.fail,.failure,.error,.flaky{color:#a40e26}
.unsupported,.disabled,.skipped,.expected-failure{color:#555}
small{color:#444}code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
h2{margin-top:2.5rem}
@media (prefers-color-scheme:dark){body{background:#15181c;color:#e6e6e6}small{color:#b0b0b0}th,td{border-color:#444}
.pass,.success{color:#6fdd8b}.warning,.partial{color:#f0b429}.fail,.failure,.error,.flaky{color:#ff8a8a}
.unsupported,.disabled,.skipped,.expected-failure{color:#aaa}}
@media (max-width:46rem){h1{font-size:1.5rem;line-height:1.25}table,tbody,tr,td{display:block}td{border:0;padding:.1rem 0}
thead{position:absolute;clip-path:inset(50%)}tr{border-bottom:1px solid #888;padding:.5rem 0}td:empty{display:none}
td[data-of]::before{content:attr(data-of) ": "}}
"""
_MARKS: Final[Mapping[str, str]] = {
    "pass": "✓", "success": "✓", "warning": "!", "partial": "!", "fail": "✗", "failure": "✗", "flaky": "✗", "error": "✗",
}  # fmt: skip
Report = Mapping[str, Any]


def page(reports: Sequence[Report]) -> str:
    """A whole HTML document; with several reports each has a column."""
    return "\n".join(_page(reports)) + "\n"


def _page(reports: Sequence[Report]) -> Iterator[str]:
    title = f"European Secrets API {reports[0]['spec']}: " + " and ".join(_name(one) for one in reports)
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>"
    yield _table(["", *(_name(one) for one in reports)], _facts(reports), several=len(reports))
    yield "<h2>Profiles</h2>"
    yield _table(["Profile", *(_name(one) for one in reports)], _profiles(reports), several=len(reports))
    yield "<h2>Features</h2>"
    yield _table(["Feature", *(_name(one) for one in reports)], _features(reports), several=len(reports))
    yield "<h2>Requirements and their tests</h2>"
    yield _table(
        ["Requirement", "Test", *(_name(one) for one in reports)], _tests(reports), several=len(reports)
    )
    yield "</body>\n</html>"


def _name(report: Report) -> str:
    return f"{report['implementation']['project']} {report['implementation']['version']}"


def _table(head: Sequence[str], rows: Iterator[Sequence[str]], *, several: int = 0) -> str:
    """A table; cells of rows are HTML already, those of the head are text.

    The last `several` columns are of one report each: where there is no room for columns, cells say of which.
    """
    of = ["", *(f' data-of="{escape(one)}"' for one in head[1:])] if several > 1 else [""] * len(head)
    of[: len(head) - several] = [""] * (len(head) - several)
    lines = [
        "<table>",
        "<thead><tr>" + "".join(f'<th scope="col">{escape(one)}</th>' for one in head) + "</tr></thead>",
    ]
    lines += [
        "<tr>" + "".join(f"<td{one}>{cell}</td>" for one, cell in zip(of, row, strict=True)) + "</tr>"
        for row in rows
    ]
    return "\n".join([*lines, "</table>"])


def _facts(reports: Sequence[Report]) -> Iterator[Sequence[str]]:
    yield ["Made by", *(escape(one["implementation"]["organization"]) for one in reports)]
    yield [
        "Run",
        *(f"<code>{escape(one['run']['id'])}</code><br>{escape(one['run']['started'])}" for one in reports),
    ]
    yield ["Mode", *(escape(f"{one['run']['mode']}, {one['run']['network']}") for one in reports)]
    yield [
        "Suite",
        *(
            f"{escape(one['suite']['version'])}<br><code>{escape(one['suite']['sha256'])}</code>"
            for one in reports
        ),
    ]
    yield [
        "Made and left",
        *(f"{one['cleanup']['created']} made, {one['cleanup']['left']} left" for one in reports),
    ]


def _profiles(reports: Sequence[Report]) -> Iterator[Sequence[str]]:
    names = dict.fromkeys(profile["name"] for one in reports for profile in in_order(one))
    for name in names:
        yield [f"<strong>{escape(name)}</strong>", *(_profile(one, name) for one in reports)]


def _profile(report: Report, name: str) -> str:
    for one in report["profiles"]:
        if one["name"] == name:
            said = [f"{claimed(report, name)}; {counted(one)}", *notes(report, one)]
            return _outcome(one["result"]) + "".join(f"<br><small>{escape(line)}</small>" for line in said)
    return "not run"


def _features(reports: Sequence[Report]) -> Iterator[Sequence[str]]:
    for name in sorted({name for one in reports for name in one["features"]}):
        yield [f"<code>{escape(name)}</code>", *(_feature(one["features"].get(name)) for one in reports)]


def _feature(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not asked"
    told = "told" if found["told"] else "not told"
    inferred = {True: "found", False: "not found", None: "not asked"}[found["inferred"]]
    return f"{told}, {inferred}"


def _tests(reports: Sequence[Report]) -> Iterator[Sequence[str]]:
    known = requirements()
    found = [{test["id"]: test for test in one["tests"]} for one in reports]
    ids = dict.fromkeys(id_ for tests in found for id_ in tests)
    before = ""
    for id_ in sorted(ids, key=lambda one: _requirement(one, found)):
        requirement = _requirement(id_, found)
        text = escape(known[requirement].text) if requirement in known else ""
        head = f'<strong id="{escape(requirement)}">{escape(requirement)}</strong><br><small>{text}</small>'
        yield [
            head if requirement != before else "",
            f"<code>{escape(id_)}</code>",
            *(_test(tests.get(id_)) for tests in found),
        ]
        before = requirement


def _requirement(id_: str, found: Sequence[Mapping[str, Any]]) -> str:
    return str(next(tests[id_]["requirements"][0] for tests in found if id_ in tests))


def _test(test: Mapping[str, Any] | None) -> str:
    if test is None:
        return "not run"
    provisional = " <small>provisional</small>" if test["provisional"] else ""
    detail = f"<br><small>{escape(test['detail'])}</small>" if test["detail"] else ""
    return _outcome(test["outcome"]) + provisional + detail


def _outcome(outcome: str) -> str:
    mark = _MARKS.get(outcome, "-")
    return f'<span class="o {escape(outcome)}">{mark} {escape(outcome)}</span>'
