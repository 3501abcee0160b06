# SPDX-License-Identifier: EUPL-1.2
"""Terraform and OpenTofu: what the provider asks for is answered as OpenBao answers it, through the life of each resource."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.terraform.calls import Client, start
from tests.integration.terraform.identity import ENTITY, GROUP
from tests.integration.terraform.model import Resource, State
from tests.integration.terraform.readings import Reading, read
from tests.integration.terraform.roles import APPROLE_ROLE
from tests.integration.terraform.secrets import KvSecret
from tests.integration.terraform.sides import Sides, both
from tests.integration.terraform.starts import STARTS, Start, begin
from tests.integration.terraform.stories import Story, play
from tests.integration.terraform.stories_secrets import enabled, mounted
from tests.integration.terraform.system import Policy
from tests.integration.terraform.table import LEFT, READINGS, STORIES


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


def test_ten_resources_at_once_settle(sides: Sides) -> None:
    """As many as Terraform makes at once unless it is told otherwise."""
    kinds: list[tuple[Resource, State]] = [
        *((ENTITY, {"name": f"tf-many-{n}", "policies": ["one", f"many-{n}"]}) for n in range(15)),
        *(
            (GROUP, {"name": f"tf-many-{n}", "policies": ["one"], "metadata": {"n": str(n)}})
            for n in range(15)
        ),
        *((KvSecret(), {"path": f"tf-many/a/{n}", "data_json": f'{{"n": {n}}}'}) for n in range(15)),
        *((APPROLE_ROLE, {"backend": "tf-many", "role_name": f"app-{n}", "token_ttl": n}) for n in range(15)),
        *((Policy(), {"name": f"tf-many-{n}", "policy": f'path "a/{n}" {{}}'}) for n in range(15)),
    ]
    for server in (sides.reference, sides.subject):
        client = start(server)
        mounted("tf-many", version="1")(client)
        enabled("tf-many", "approle")(client)

        def settle(pair: tuple[Resource, State], client: Client = client) -> set[str]:
            resource, config = pair
            held = resource.refresh(client, resource.apply(client, config))
            assert held is not None
            shown = resource.differs(config, held)
            resource.delete(client, held)
            return (
                shown
                if resource.refresh(client, held) is None or resource.name == "vault_policy"
                else {"left"}
            )

        with ThreadPoolExecutor(10) as together:
            assert {*together.map(frozenset, together.map(settle, kinds))} == {frozenset()}, server.kind


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
