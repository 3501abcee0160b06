# SPDX-License-Identifier: EUPL-1.2
"""Requests that a page of ours sends to `/v1/` for whom it serves: the whole request path stands before each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from vault.framework import schema
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.server.application import Answer, Message

_JSON: Final = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Told:
    """A status, and the JSON object that came with it."""

    status: int
    body: Mapping[str, Json]

    @property
    def auth(self) -> Mapping[str, Json]:
        """What a login answers."""
        found = self.body.get("auth")
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        """Return a text of the answer; empty where there is none."""
        found = self.body.get(name)
        return found if isinstance(found, str) else ""


class Inner:
    """The server as a page asks it, from the address of whoever looks at the page."""

    def __init__(self, front: Answer, scope: Message) -> None:
        self._front = front
        self._client = scope.get("client")

    async def get(self, path: str, fields: Mapping[str, str]) -> Told:
        """Read something that needs no token."""
        return await self._send("GET", path, b"", urlencode(fields).encode(), "")

    async def post(self, path: str, fields: Mapping[str, object], token: str = "") -> Told:
        """Write something."""
        return await self._send("POST", path, schema.encode(fields), b"", token)

    async def _send(self, method: str, path: str, body: bytes, query: bytes, token: str) -> Told:
        raw = b"/v1/" + quote(path, safe="/").encode()
        headers = [_JSON]
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
            "state": {},
        }
        status, parts = 0, []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.append(message.get("body", b""))

        await self._front(scope, receive, send)
        return Told(status, _object(b"".join(parts)))


def _object(body: bytes) -> Mapping[str, Json]:
    try:
        return schema.decode_object(body)
    except Malformed:
        return {}


def segment(text: str) -> str:
    """Return a text that is to be one part of a path. Raises `Malformed` where it can be none."""
    if not text or "/" in text or text in {".", ".."}:
        raise Malformed("this is no name")
    return text
