# SPDX-License-Identifier: EUPL-1.2
"""The example of ``docs/terraform.md``: its policy as it is printed, and its resources."""

import re
from collections.abc import Mapping, Sequence

from tests.house.tree import ROOT
from tests.integration.terraform.calls import Client
from tests.integration.terraform.identity import GROUP
from tests.integration.terraform.model import Held, Resource, State
from tests.integration.terraform.mounts import AuthMount, Mount
from tests.integration.terraform.roles import APPROLE_ROLE
from tests.integration.terraform.secrets import KvSecretV2
from tests.integration.terraform.system import Policy

TEXT = (ROOT / "docs" / "terraform.md").read_text(encoding="utf-8")
POLICY, _CONFIGURATION = re.findall(r"^```hcl\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
_RESOURCE = re.compile(r'^resource "(\w+)" "\w+" \{\n(.*?)^\}$', re.MULTILINE | re.DOTALL)
_ATTRIBUTE = re.compile(r"^  (\w+) +=", re.MULTILINE)
EXAMPLE: Sequence[tuple[Resource, State]] = (
    (
        Mount(),
        {
            "path": "app",
            "type": "kv",
            "options": {"version": "2"},
            "description": "Secrets of the application",
        },
    ),
    (
        KvSecretV2(),
        {
            "mount": "app",
            "name": "database",
            "data_json": '{"user": "app", "password": "correct-horse"}',
            "delete_all_versions": True,
        },
    ),
    (Policy(), {"name": "app", "policy": 'path "app/data/*" {\n  capabilities = ["read"]\n}\n'}),
    (AuthMount(), {"type": "approle"}),
    (
        APPROLE_ROLE,
        {
            "backend": "approle",
            "role_name": "app",
            "token_policies": ["app"],
            "token_ttl": 1200,
            "token_max_ttl": 14400,
        },
    ),
    (GROUP, {"name": "operators", "policies": ["app"]}),
)


def printed() -> Sequence[tuple[str, Sequence[str]]]:
    """The resources of the example as it is printed: their kinds, and the names of their attributes."""
    return [(kind, _ATTRIBUTE.findall(body)) for kind, body in _RESOURCE.findall(_CONFIGURATION)]


def apply_example(client: Client) -> None:
    """Apply it, see that nothing is left to do, and destroy it in the order that Terraform does."""
    done: list[tuple[Resource, Held]] = []
    for resource, config in EXAMPLE:
        held = resource.apply(client, config)
        read = resource.refresh(client, held)
        assert read is not None, resource.name
        differs: Mapping[str, object] = {name: read.state[name] for name in resource.differs(config, read)}
        assert not differs, (resource.name, differs)
        done.append((resource, read))
    for resource, held in reversed(done):
        resource.delete(client, held)
