# SPDX-License-Identifier: EUPL-1.2
"""What answers outside `/v1/`: a page to sign in on, and the page for security teams where the configuration says so."""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from vault.server.application import Answer
from vault.server.consent import ConsentPage
from vault.ui.pages import Pages
from vault.ui.sessions import Sessions

_HEADERS: Final = {
    "cache-control": "no-store",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}
_CONSENT: Final = "/ui/vault/{place:path}/authorize"
_PLAIN: Final = ("/", "/ui", "/ui/{rest:path}", "/robots.txt")
"""Paths that the field answers in plain text when it serves no user interface."""


def elsewhere(front: Answer, sessions: Sessions | None) -> Starlette:
    """Return the application for every path outside `/v1/`, which `front` answers; without sessions nobody signs in."""
    page = PlainTextResponse(
        "404 page not found\n", status_code=404, headers={**_HEADERS, "x-content-type-options": "nosniff"}
    )
    consent = Route(_CONSENT, ConsentPage(front).answer, methods=["GET", "POST"])
    pages = Pages(front, sessions).routes() if sessions is not None else ()
    routes = [consent, *pages, *(Route(path, page) for path in _PLAIN)]
    return Starlette(routes=routes, exception_handlers={404: _nothing})


async def _nothing(request: Request, error: Exception) -> Response:
    del request, error
    return Response(b'{"errors":[]}\n', status_code=404, media_type="application/json", headers=_HEADERS)
