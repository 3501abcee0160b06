# SPDX-License-Identifier: EUPL-1.2
"""The paths that are asked about come from a policy's rules, and are the same for the same seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from vaultctl.errors import CommandError
from vaultctl.port.decisions import Choices, compare, paths
from vaultctl.port.ground.server import Server

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


def test_an_answer_that_says_nothing_of_a_path_is_no_decision() -> None:
    class Silent:
        label = "one"

        def names(self, path: str) -> list[str]:
            return ["app"]

        def listing(self, path: str) -> list[object]:
            return []

        def read(self, path: str) -> dict[str, object]:
            return {"policy": _POLICY}

        @contextmanager
        def token(self, namespace: str, *, policy: str, ttl: str) -> Iterator[str]:
            yield "token"

        def write(self, path: str, body: object) -> dict[str, object]:
            return {"keys": []}

    server = cast("Server", Silent())
    with pytest.raises(CommandError, match="does not say what policy app decides"):
        compare(server, server, number=10, seed=0)


def test_the_same_seed_asks_the_same() -> None:
    assert paths(_POLICY, Choices(1), 50) == paths(_POLICY, Choices(1), 50) != paths(_POLICY, Choices(2), 50)
    assert paths("", Choices(1), 5)
