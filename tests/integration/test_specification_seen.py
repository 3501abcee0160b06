# SPDX-License-Identifier: EUPL-1.2
"""The page of the specification in a real browser: without scripts, and with room for everything on it."""

from pathlib import Path

from tests.api_spec.requirements import FOLDER, requirements
from tests.integration.openid import visit


def test_the_page_is_whole_in_a_browser_and_nothing_on_it_is_cut_off(tmp_path: Path) -> None:
    seen = visit((FOLDER / "spec.html").as_uri(), folder=tmp_path)
    (shown,) = seen.pages
    assert shown["title"] == "European Secrets API 1.0"
    assert (shown["clipped"], seen.complaints) == ([], [])
    assert [each.id for each in requirements() if each.id not in shown["text"]] == []
