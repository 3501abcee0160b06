# SPDX-License-Identifier: EUPL-1.2
"""Terraform and OpenTofu: what the provider asks for is answered as OpenBao answers it, through the life of each resource."""

from collections.abc import Iterator

import pytest

from tests.integration.terraform.readings import READINGS, Reading, read
from tests.integration.terraform.sides import Sides, both
from tests.integration.terraform.starts import STARTS, Start, begin
from tests.integration.terraform.stories import Story, play
from tests.integration.terraform.table import STORIES


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """OpenBao and ours, which all tests here share: each keeps to names of its own."""
    with both() as servers:
        yield servers


@pytest.mark.parametrize("how", STARTS, ids=lambda how: how.__name__)
def test_the_provider_begins_alike(sides: Sides, how: Start) -> None:
    outcome = sides.play(lambda where: begin(how, where))
    assert outcome.problems == []


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_a_resource_lives_alike_and_as_it_is_configured(sides: Sides, story: Story) -> None:
    outcome = sides.play(lambda where: play(story, where), story.divergences)
    assert outcome.problems == []


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.key)
def test_a_source_is_read_alike(sides: Sides, reading: Reading) -> None:
    outcome = sides.play(lambda where: read(reading, where))
    assert outcome.problems == []
