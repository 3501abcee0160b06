# SPDX-License-Identifier: EUPL-1.2
"""What answers outside `/v1/`: there is no user interface here, and clients are told so as they expect it."""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_HEADERS: Final = {
    "cache-control": "no-store",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}
_PLAIN: Final = ("/", "/ui", "/ui/{rest:path}", "/robots.txt")
"""Paths that the field answers in plain text when it serves no user interface."""


def elsewhere() -> Starlette:
    """Return the application for every path outside `/v1/`; nothing is there, whatever the verb."""
    page = PlainTextResponse(
        "404 page not found\n", status_code=404, headers={**_HEADERS, "x-content-type-options": "nosniff"}
    )
    routes = [Route(path, page) for path in _PLAIN]
    return Starlette(routes=routes, exception_handlers={404: _nothing})


async def _nothing(request: Request, error: Exception) -> Response:
    del request, error
    return Response(b'{"errors":[]}\n', status_code=404, media_type="application/json", headers=_HEADERS)
