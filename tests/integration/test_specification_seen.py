# SPDX-License-Identifier: EUPL-1.2
"""The page of the specification, and reports, in a real browser: without scripts, and with room for everything on them."""

from pathlib import Path

import pytest

from tests.api_spec.implementations import REPORTS
from tests.api_spec.requirements import FOLDER, requirements
from tests.integration.conformance_pictures import WIDTHS, pages
from tests.integration.openid import visit


def test_the_page_is_whole_in_a_browser_and_nothing_on_it_is_cut_off(tmp_path: Path) -> None:
    seen = visit((FOLDER / "spec.html").as_uri(), folder=tmp_path)
    (shown,) = seen.pages
    assert shown["title"] == "European Secrets API 1.0"
    assert (shown["clipped"], seen.complaints) == ([], [])
    assert [each.id for each in requirements() if each.id not in shown["text"]] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "path", sorted(REPORTS.rglob("*.html")), ids=lambda path: path.parent.name + path.stem
)
def test_nothing_of_a_report_is_cut_off(path: Path, width: int, tmp_path: Path) -> None:
    """A narrow window has a line for each cell, which says of which implementation it is where there are several."""
    seen = visit(path.as_uri(), folder=tmp_path, width=width, dark=width < 500)
    (shown,) = seen.pages
    assert (shown["clipped"], seen.complaints) == ([], [])
    assert "kv-consume" in shown["text"]


def test_every_picture_is_of_a_page_that_there_is() -> None:
    assert {"text", "requirements", "differences", "comparison", "coffre", "openbao"} == set(pages())
    assert "ESA-" in pages()["differences"]
