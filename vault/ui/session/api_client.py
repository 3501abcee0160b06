# SPDX-License-Identifier: EUPL-1.2
"""Requests that a page sends to `/v1/` for its user. Each goes through the whole request path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from vault.framework import schema
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.limits import JsonLimits
from vault.framework.secret import Secret

Message = MutableMapping[str, Any]
Answer = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
_JSON: Final = (b"content-type", b"application/json")
_NATIVE: Final = (b"accept", b"application/problem+json")
_LINES: Final = b"application/x-ndjson, application/problem+json"
"""Asks for records as lines where there is a choice, and for refusals in the native profile."""
_NO_TOKEN: Final = Secret("")
_ANSWER: Final = JsonLimits(strings=1_000_000)
"""Limits on our own answers, wider than those on requests: a tree of 256 blocks has some thousand strings."""


class ApiAnswer(msgspec.Struct, frozen=True):
    """The status and the JSON object of an answer; `raw` are its bytes, where it is a text of its own kind."""

    status: int
    body: Mapping[str, Json]
    raw: bytes = b""

    @property
    def auth(self) -> Mapping[str, Json]:
        """The `auth` of a login's answer."""
        return self._part("auth")

    @property
    def data(self) -> Mapping[str, Json]:
        """The `data` of any other answer."""
        return self._part("data")

    @property
    def kind(self) -> str:
        """The kind of a refusal in the native profile."""
        return self.text("type").rpartition(":")[2]

    def text(self, name: str) -> str:
        """Return a text of the answer; empty where there is none."""
        found = self.body.get(name)
        return found if isinstance(found, str) else ""

    def _part(self, name: str) -> Mapping[str, Json]:
        found = self.body.get(name)
        return found if isinstance(found, dict) else {}


class ApiClient:
    """A client of this server for one page, on the connection of its user.

    With a `token` refusals come in the native profile, which says what was missing.
    """

    def __init__(self, front: Answer, scope: Message, token: Secret = _NO_TOKEN, namespace: str = "") -> None:
        self._front = front
        self._client = scope.get("client")
        self._state = scope.get("state", {})
        self._token = token
        self._headers = [_NATIVE] if token else []
        if namespace:
            self._headers.append((b"x-vault-namespace", namespace.encode()))

    async def get(self, path: str, fields: Mapping[str, str]) -> ApiAnswer:
        """Read a path."""
        return await self._send("GET", path, b"", urlencode(fields).encode(), self._token.reveal())

    async def names(self, path: str) -> ApiAnswer:
        """List a path."""
        return await self._send("GET", path, b"", b"list=true", self._token.reveal())

    async def read_text(self, path: str) -> ApiAnswer:
        """Read a path whose answer is no JSON: it is in `raw`, unless it was refused."""
        return await self._send("GET", path, b"", b"", self._token.reveal(), _LINES)

    async def post(self, path: str, fields: Mapping[str, object], token: str = "") -> ApiAnswer:
        """Write to a path."""
        return await self._send("POST", path, schema.encode(fields), b"", token or self._token.reveal())

    async def _send(
        self, method: str, path: str, body: bytes, query: bytes, token: str, accept: bytes = b""
    ) -> ApiAnswer:
        raw = b"/v1/" + quote(path, safe="/").encode()
        headers = [_JSON, *self._headers]
        if accept:
            headers = [(name, value) for name, value in headers if name != b"accept"]
            headers.append((b"accept", accept))
        if token:
            headers.append((b"x-vault-token", token.encode("latin-1", "replace")))
        scope: Message = {
            "type": "http",
            "method": method,
            "path": f"/v1/{path}",
            "raw_path": raw,
            "query_string": query,
            "headers": headers,
            "client": self._client,
            "state": self._state,
        }
        status, parts = 0, []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.append(message.get("body", b""))

        await self._front(scope, receive, send)
        answer = b"".join(parts)
        return ApiAnswer(status, _object(answer), answer)


def _object(body: bytes) -> Mapping[str, Json]:
    try:
        return schema.decode_object(body, limits=_ANSWER)
    except Malformed:
        return {}


def segment(text: str) -> str:
    """Return a text as one segment of a path. Raises `Malformed` where that is impossible."""
    if not text or "/" in text or text in {".", ".."}:
        raise Malformed("this is no name")
    return text
