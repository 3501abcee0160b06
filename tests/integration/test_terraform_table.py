# SPDX-License-Identifier: EUPL-1.2
"""Every kind of the Terraform provider that asks for a path of ours is played, or there is a reason."""

import re
from collections import Counter

from tests.house.tree import ROOT
from tests.integration.terraform.guide import EXAMPLE, printed
from tests.integration.terraform.table import LEFT, PLAYED, READINGS, STORIES, inventory, touching

_GUIDE = (ROOT / "docs" / "terraform.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(vault_\w+)` \| (resource|data|ephemeral) \|", re.MULTILINE)


def test_every_kind_that_asks_for_a_path_of_ours_is_played_or_has_a_reason() -> None:
    assert sorted({*touching()} - PLAYED - LEFT.keys()) == []


def test_what_is_played_or_has_a_reason_is_a_kind_of_the_provider() -> None:
    assert sorted((PLAYED | LEFT.keys()) - inventory().keys()) == []
    assert sorted(PLAYED & LEFT.keys()) == []
    assert sorted(LEFT.keys() - {*touching()}) == []


def test_the_guide_lists_what_is_played_and_why_the_rest_is_not() -> None:
    assert sorted((kind, name) for name, kind in _ROW.findall(_GUIDE)) == sorted(PLAYED)
    assert [name for (_, name), reason in LEFT.items() if f"| `{name}` | {reason} |" not in _GUIDE] == []


def test_stories_and_readings_have_names_of_their_own() -> None:
    assert [key for key, times in Counter(story.key for story in STORIES).items() if times > 1] == []
    assert [key for key, times in Counter(one.key for one in READINGS).items() if times > 1] == []


def test_the_guides_example_is_what_is_played() -> None:
    assert printed() == [(resource.name, list(config)) for resource, config in EXAMPLE]
