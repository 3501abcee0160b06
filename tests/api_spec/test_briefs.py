# SPDX-License-Identifier: EUPL-1.2
"""The briefs have room on two pages, say the same numbers as the registries, and the French one is set as French is."""

import re
from typing import Final

import pytest

from tests.api_spec.requirements import FOLDER, registry, requirements

_WORDS: Final = 1000
"""What two pages take."""


def _text(language: str) -> str:
    return (FOLDER / f"brief.{language}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_brief_has_two_pages_and_the_numbers_of_the_text(language: str) -> None:
    text = _text(language)
    assert len(text.split()) <= _WORDS
    assert re.findall(r"^- \*\*(\d+) ", text, re.MULTILINE) == [
        str(sum(not each.until for each in requirements())),
        str(len(registry("profiles"))),
    ]
    assert sum(bool(each.get("reserved")) for each in registry("profiles")) == 1
    judged = re.findall(r"(?:judge|jugent) (\d+)", text)
    assert judged == [str(sum(not each.until and not each.untested for each in requirements()))]


def test_what_is_quoted_is_a_requirement() -> None:
    quoted = re.search(r'For example: "([^"]+)"', _text("en"))
    assert quoted is not None
    assert " ".join(quoted[1].split()) in {each.text for each in requirements()}


def test_both_briefs_have_the_same_sections() -> None:
    english, french = (
        [line.split()[0] for line in _text(one).splitlines() if line.startswith("#")] for one in ("en", "fr")
    )
    assert english == french


def test_the_french_brief_is_set_as_french_is() -> None:
    text = re.sub(r"\]\([^)]*\)", "]", _text("fr"))
    assert re.findall(r"'|\"|(?: |\w)[;:!?»](?=\s|$)|« ", text) == []
    assert "«\u00a0" in text
