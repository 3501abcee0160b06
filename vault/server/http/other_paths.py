# SPDX-License-Identifier: EUPL-1.2
"""What answers outside `/v1/`: a page to sign in on, and the page for security teams where the configuration says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from vault.server.application import Answer, Message
from vault.server.http.consent_page import ConsentPage
from vault.ui.pages import Pages
from vault.ui.session.sessions import UiSessions
from vault.wire.answers import NO_STORE, TRANSPORT

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_DESCRIBED: Final = "/.well-known/oauth-authorization-server"
"""Where clients look for what an authorization server says of itself (RFC 8414, section 3.1), before its own path."""
_CONSENT: Final = "/ui/vault/{place:path}/authorize"
_PLAIN: Final = ("/", "/ui", "/ui/{rest:path}", "/robots.txt")
"""Paths that OpenBao answers in plain text when it serves no user interface."""


def routes(front: Answer, sessions: UiSessions | None) -> Sequence[BaseRoute]:
    """Return the routes of every page; they ask `front`. Without sessions nobody signs in."""
    headers = {name.decode(): value.decode() for name, value in (NO_STORE, TRANSPORT)}
    headers["x-content-type-options"] = "nosniff"
    page = PlainTextResponse("404 page not found\n", status_code=404, headers=headers)
    consent = Route(_CONSENT, ConsentPage(front).answer, methods=["GET", "POST"])
    pages = Pages(front, sessions).routes() if sessions is not None else ()
    described = Route(f"{_DESCRIBED}/v1/{{place:path}}", _ServerMetadata(front), methods=["GET"])
    return [consent, described, *pages, *(Route(path, page) for path in _PLAIN)]


class _ServerMetadata:
    """Asks the mount that a path names, with nothing of what came but where from."""

    def __init__(self, front: Answer) -> None:
        self._front = front

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        raw = scope["raw_path"][len(_DESCRIBED) :].rstrip(b"/") + _DESCRIBED.encode()
        kept = ("type", "http_version", "scheme", "client", "server", "state")
        asked = {name: scope[name] for name in kept if name in scope}
        about = {
            "method": "GET",
            "path": raw.decode("latin-1"),
            "raw_path": raw,
            "query_string": b"",
            "headers": [],
        }
        await self._front({**asked, **about}, receive, send)
