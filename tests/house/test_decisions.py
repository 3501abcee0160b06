# SPDX-License-Identifier: EUPL-1.2
"""Each decision has a number of its own, and stands in the list of all."""

import re

from tests.house.tree import ROOT

ADR = ROOT / "docs" / "adr"
_ROW = re.compile(r"^\| \[(\d{4})\]\(([^)]+)\) \| .+ \|$", re.MULTILINE)


def test_each_decision_has_a_number_and_is_in_the_list_in_its_order() -> None:
    files = sorted(path.name for path in ADR.glob("[0-9]*.md"))
    assert len(files) > 30
    numbers = [name[:4] for name in files]
    assert len(set(numbers)) == len(numbers), (
        "two decisions have one number: give the later one the next free"
    )
    assert _ROW.findall((ADR / "README.md").read_text()) == [(name[:4], name) for name in files]


def test_a_decision_says_its_number_first() -> None:
    for path in ADR.glob("[0-9]*.md"):
        assert path.read_text().startswith(f"# {path.name[:4]}: "), path.name
