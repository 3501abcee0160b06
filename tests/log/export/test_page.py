# SPDX-License-Identifier: EUPL-1.2
"""The page on exports says of each member where it is, and of each form which there are."""

from collections.abc import Mapping

from tests.house.tree import ROOT
from vault.log.export import ecs, ocsf, otlp
from vault.log.export.forms import FORMS
from vault.log.export.ocsf_rows import ALL
from vault.log.export.table import Path, Table

_PAGE = (ROOT / "docs" / "audit-export.md").read_text(encoding="utf-8")
_BY_HAND = {"actor.type", "fields", "outcome", "prev_hash"}
"""Members whose place in OCSF no row of the table says, or more than one."""


def _cells(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without the code marks."""
    lines = _PAGE.partition(heading)[2].partition("\n|")[2].splitlines()[2:]
    table = lines[: next(number for number, line in enumerate([*lines, ""]) if not line.startswith("|"))]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table]


def _places(table: Table) -> dict[str, str]:
    return {".".join(row.member): _place(row.target) for row in table.rows}


def _place(target: Path) -> str:
    """A place as the page writes it: an attribute of OTLP by its name alone, and what is in a list of one with its index."""
    name = ".".join(target[1:] if target[0] == "attributes" else target)
    return name.replace("resources.", "resources[0].")


def test_every_member_stands_where_the_page_says() -> None:
    rows = _cells("## Members and their places")
    forms = (_places(otlp.TABLE), _places(ALL), _places(ecs.TABLE))
    assert {member: native for member, *native in rows} == {
        member: [forms[0][member], _ocsf(member, forms[1]), forms[2][member]] for member in forms[0]
    }
    assert forms[0].keys() == forms[2].keys()
    assert forms[1].keys() - forms[0].keys() == {"fields.request", "fields.response"}


def _ocsf(member: str, places: Mapping[str, str]) -> str:
    return "below" if member in _BY_HAND else places.get(member, "\N{EN DASH}")


def test_every_form_is_on_the_page_with_its_version() -> None:
    rows = _cells("# The log in other forms")
    assert {form for form, *_ in rows} == {*FORMS}
    said = {form: what for form, what, _ in rows}
    assert said["ocsf"].endswith(ocsf.VERSION)
    assert ecs.VERSION.startswith(said["ecs"].rpartition(" ")[2])
