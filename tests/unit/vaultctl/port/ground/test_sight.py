# SPDX-License-Identifier: EUPL-1.2
"""A token whose policies filter lists, or may not be read, is told from one that sees all."""

from collections.abc import Mapping

import pytest

from vaultctl.errors import ApiError
from vaultctl.port.ground.server import Server
from vaultctl.port.ground.sight import why_not_whole

_PLAIN = 'path "*" { capabilities = ["read", "list"] }'
_FILTER = 'path "kv/*" {\n capabilities = ["list"]\n list_scan_response_keys_filter_path = "{{.path}}"\n}'


class _Server(Server):
    """A server with a token and policies; None refuses."""

    def __init__(self, token: dict[str, object] | None, namespace: str = "") -> None:
        super().__init__(lambda: pytest.fail("nothing is asked over the network"))
        self._token, self._namespace = token, namespace

    @property
    def namespace(self) -> str:
        return self._namespace

    def read(self, path: str, query: Mapping[str, str | list[str]] | None = None) -> dict[str, object] | None:
        name = path.rpartition("/")[2]
        if path == "auth/token/lookup-self" and self._token is not None:
            return self._token
        if name in ("plain", "filter"):
            return {"policy": _PLAIN if name == "plain" else _FILTER}
        if name == "none":
            return None
        raise ApiError("GET", "", path, status=403, errors=[], raw="")


@pytest.mark.parametrize(
    ("token", "namespace", "words", "certain"),
    [
        ({"policies": ["root"]}, "", "", False),
        ({"policies": ["root"], "namespace_path": ""}, "team", "", False),
        ({"policies": ["plain", "none"], "namespace_path": ""}, "", "", False),
        ({"policies": ["plain"], "namespace_path": "team/"}, "team", "", False),
        ({"policies": ["plain"], "namespace_path": ""}, "team", "is not known", False),
        ({"policies": ["plain"], "external_namespace_policies": {"x": ["y"]}}, "", "is not known", False),
        ({"policies": ["plain", "filter"]}, "", "policy filter filters lists", True),
        ({"policies": ["plain"], "identity_policies": ["filter"]}, "", "policy filter filters lists", True),
        ({"policies": ["closed"]}, "", "is not known", False),
        ({}, "", "is not known", False),
        (None, "", "is not known", False),
    ],
)
def test_a_token_sees_whole_lists_or_it_is_said(
    token: dict[str, object] | None, namespace: str, words: str, certain: bool
) -> None:
    why, found = why_not_whole(_Server(token, namespace))
    assert (bool(why), found) == (bool(words), certain)
    assert words in why
