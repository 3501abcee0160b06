# SPDX-License-Identifier: EUPL-1.2
"""The paths that are asked about come from a policy's rules, and are the same for the same seed."""

import pytest

from vaultctl.port.decisions import Choices, paths

_POLICY = 'path "secret/data/app/*" {\n}\n  path "db/+/creds" {\n}\npath "x/{{identity.entity.name}}" {\n}\n'


def test_paths_are_about_the_rules_and_their_neighbours() -> None:
    found = paths(_POLICY, Choices(1), 200)
    assert len(found) == len(set(found)) > 100
    assert any(path.startswith("secret/data/app/") for path in found)
    assert any(path.startswith("db/") and path.endswith("/creds") for path in found)
    assert any(not path.startswith(("secret/data/app/", "db/")) for path in found)
    assert not any("{{" in path or path.startswith("/") for path in found)


@pytest.mark.parametrize(
    "text",
    [
        '{"path": {"db/*": {"capabilities": ["read"]}, "x/{{identity.entity.name}}": {}}}',
        '{"path": [{"db/*": {"capabilities": ["read"]}}, {"db/a": {}}]}',
        'path "db/*" { capabilities = ["read"] } path "db/b" { capabilities = ["list"] }',
        '"path" "db/*" {}',
        'path "db/*"\n{}',
    ],
)
def test_the_rules_of_every_spelling_are_asked_about(text: str) -> None:
    found = paths(text, Choices(1), 100)
    assert sum(path.startswith("db") for path in found) > 50
    assert not any(path.startswith("secret/") or "{{" in path for path in found)


def test_the_same_seed_asks_the_same() -> None:
    assert paths(_POLICY, Choices(1), 50) == paths(_POLICY, Choices(1), 50) != paths(_POLICY, Choices(2), 50)
    assert paths("", Choices(1), 5)
