# SPDX-License-Identifier: EUPL-1.2
"""A server that answers pages as it was told to, and somebody who is signed in and looks at one."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response

from vault.framework.secret import Secret
from vault.ui.html.times import millis
from vault.ui.session.api_client import ApiClient
from vault.ui.session.sessions import Session
from vault.ui.session.visit import Visit
from vault.values.times import Millis

BLOCK = "ab" * 16
MOUNTS = {
    "data": {"secret": {"nhi/": {"type": "nhi"}, "kv/": {"type": "kv"}, "more/": {"type": "nhi"}}, "auth": {}}
}
CREDENTIAL = {
    "token_id": BLOCK,
    "workload": "w",
    "state": "key-destroyed",
    "first_seen": "2026-11-26T18:00:01.5Z",
    "expire_time": "",
    "sources": ["10.0.0.7", "10.0.0.8"],
    "blocks": 3,
    "depth": 3,
    "tokens": 4711,
    "anomalies": ["several-sources", "something-new"],
}


class Front:
    """Answers by path, as it was told to; everything else is missing."""

    def __init__(self, **answers: tuple[int, object]) -> None:
        self.answers = {path.replace("__", "/"): answer for path, answer in answers.items()}
        self.asked: list[tuple[str, str, Mapping[str, list[str]], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As the server behind `/v1/`."""
        path = scope["path"].removeprefix("/v1/").removeprefix("nhi/")
        body = (await receive())["body"]
        query = parse_qs(scope["query_string"].decode())
        self.asked.append((scope["method"], path, query, json.loads(body) if body else None))
        status, answer = self.answers.get(path, (404, {"type": "urn:coffre:error:not-found"}))
        await send({"type": "http.response.start", "status": status, "headers": []})
        sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        await send({"type": "http.response.body", "body": sent})


NOW = "2026-11-27T12:00:00Z"


def shown(view: Callable[[Visit], Awaitable[Response]], front: Front, **fields: str) -> str:
    """The text of a page, for a signed-in visitor of `nhi`."""
    page = answered(view, front, **fields)
    return bytes(page.body).decode() or page.headers["location"]


def answered(view: Callable[[Visit], Awaitable[Response]], front: Front, **fields: str) -> Response:
    """What such a visitor is answered."""
    session = Session(Secret("s.x"), "", "ann", Secret("form"), 0, 0)
    visit = Visit(
        ApiClient(front, {}, session.token), session, fields, ["more", "nhi"], "nhi", Millis(in_millis(NOW))
    )

    async def asked() -> Response:
        return await view(visit)

    return asyncio.run(asked())


def in_millis(time: str) -> int:
    """A time that there is, in milliseconds."""
    found = millis(time)
    assert found is not None
    return found
