# SPDX-License-Identifier: EUPL-1.2
"""Names that say what a thing is, and where: none that the glossary retired, no bare participle, no hall of modules."""

import ast
import re
from typing import Final

import pytest

from tests.house import report
from tests.house.tree import ROOT

_RETIRED: Final = re.compile(r"`(\w+)`")
_UNNAMED: Final = re.compile(
    r"\b[Tt]he field(?:'s (?:words|own|scan)| (?:does|shows|writes|prints|counts|answers|has it)\b)|\b(?:as|by) (?:in )?the field\b(?! of)"
)
"""OpenBao, in words that only we would understand."""


def _retired() -> set[str]:
    """The names in the last column of the glossary's tables, but for those that it retires for one meaning alone."""
    rows = [
        line.split("|")
        for line in (ROOT / "docs" / "glossary.md").read_text().splitlines()
        if line.startswith("|")
    ]
    cells = [cells[3] for cells in rows if len(cells) > 4]
    return {
        name
        for cell in cells
        for part in cell.split(",")
        if " for " not in part
        for name in _RETIRED.findall(part)
    }


def test_no_module_or_class_has_a_name_that_the_glossary_retired() -> None:
    retired = _retired()
    assert len(retired) > 15
    found = report.modules(ROOT)
    names = {
        name
        for module in found
        for name in (module.name, *_qualified(module))
        if name.rpartition(".")[2] in retired
    }
    assert names == set()


def test_openbao_is_called_by_its_name() -> None:
    files = [
        file
        for folder in ("vault", "nhi", "hsm", "cli", "docs")
        for file in (ROOT / folder).rglob("*.[pm][yd]")
    ]
    assert len(files) > 300
    found = {str(file.relative_to(ROOT)) for file in files if _UNNAMED.search(file.read_text())}
    assert found == set()


def _qualified(module: report.Module) -> list[str]:
    return [f"{module.name}.{name}" for name in report.classes(module)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Known", True), ("_Held", True), ("Gathering", True), ("unsealing", True), ("Remembered", True),
        ("KnownHosts", False), ("Listing", False), ("encoding", False), ("Seed", False), ("Ring", False), ("store", False),
    ],
)  # fmt: skip
def test_a_bare_participle_is_told_from_a_noun(name: str, told: bool) -> None:
    assert report.bare(name.strip("_")) is told


def test_no_folder_has_more_modules_than_one_can_take_in() -> None:
    assert [folder for folder, number in report.folders(ROOT).items() if number > report.MOST_MODULES] == []


def test_every_unit_test_stands_where_its_module_does() -> None:
    mirrored, tests = report.mirrored_tests(ROOT, report.modules(ROOT))
    assert mirrored == tests > 200


def test_no_class_is_named_by_a_bare_participle() -> None:
    assert report.bare_classes(report.modules(ROOT)) == []


def test_an_exception_may_say_what_is_the_case() -> None:
    tree = ast.parse("class VaultError(Exception): ...\nclass Sealed(VaultError): ...\nclass Held: ...\n")
    assert report.bare_classes([report.Module("m", ROOT, tree, "")]) == ["m.Held"]
