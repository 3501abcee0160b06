# SPDX-License-Identifier: EUPL-1.2
"""What the page asks of the server's own API."""

import asyncio

import pytest

from vault.framework.secret import Secret
from vault.ui.session.api_client import ApiClient
from vault.wire.options import within


@pytest.mark.parametrize("namespace", ["team/", "équipe/", "チーム/"])
def test_a_namespace_of_any_name_is_named_as_the_server_reads_it(namespace: str) -> None:
    asked: list[dict[bytes, bytes]] = []

    async def front(scope: object, receive: object, send: object) -> None:
        assert isinstance(scope, dict)
        asked.append(dict(scope["headers"]))

    asyncio.run(ApiClient(front, {}, Secret("s.x"), namespace).get("sys/health", {}))
    assert within(asked[0][b"x-vault-namespace"]) == namespace
