# SPDX-License-Identifier: EUPL-1.2
"""What a browser sends to a page: a query, or a form that comes from that page."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request

from vault.framework import schema
from vault.framework.errors import Malformed

_LARGEST: Final = 65_536


def _from_here(headers: Headers) -> bool:
    """Whether a page of this origin sent a form. Browsers say so in `Sec-Fetch-Site`, in `Origin`, or in both.

    Where both are there `Sec-Fetch-Site` decides, because a proxy that changes the host does not affect it.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    host = headers.get("host", "")
    return bool(host) and headers.get("origin") in {f"https://{host}", f"http://{host}"}


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a request. Raises `Malformed` for a field that comes twice."""
    if request.method != "POST":
        found = schema.decode_query(request.scope["query_string"])
    else:
        if not _from_here(request.headers):
            raise Malformed("this form is sent from this page only")
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise Malformed("this is no form")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST:
                raise Malformed("the form is too large")
        found = schema.decode_query(body)
    if not all(isinstance(value, str) for value in found.values()):
        raise Malformed("a field comes twice")
    return {name: str(value) for name, value in found.items()}
