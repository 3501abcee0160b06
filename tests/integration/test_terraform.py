# SPDX-License-Identifier: EUPL-1.2
"""Terraform and OpenTofu: what the provider asks for is answered as OpenBao answers it, through the life of each resource."""

from collections.abc import Iterator

import pytest

from tests.integration.terraform.calls import start
from tests.integration.terraform.readings import READINGS, Reading, read
from tests.integration.terraform.sides import Sides, both
from tests.integration.terraform.starts import STARTS, Start, begin
from tests.integration.terraform.stories import Story, play
from tests.integration.terraform.table import LEFT, STORIES


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


def test_kinds_that_are_left_out_are_refused_as_the_guide_says(sides: Sides) -> None:
    client = start(sides.subject)
    plugin = {"type": "secret", "name": "mine", "command": "mine", "sha256": "a" * 64, "version": ""}
    asked: dict[str, tuple[str, object]] = {
        "vault_identity_mfa_duo": ("identity/mfa/method/duo", {"api_hostname": "duo.example"}),
        "vault_identity_mfa_okta": ("identity/mfa/method/okta", {"org_name": "one"}),
        "vault_identity_mfa_pingid": ("identity/mfa/method/pingid", {"settings_file_base64": "YQ=="}),
        "vault_plugin": ("sys/plugins/catalog/secret/mine", plugin),
    }
    assert {name for _, name in LEFT} == asked.keys()
    assert {name: client.send("PUT", *call).status for name, call in asked.items()} == dict.fromkeys(
        asked, 400
    )
    assert client.send("PUT", "aws/config/root", {"region": "eu-west-3"}).status == 404
