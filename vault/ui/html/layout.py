# SPDX-License-Identifier: EUPL-1.2
"""The layout of every page: head, navigation, and headers that restrict what a browser does with it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from nhi.picture.node import cut
from nhi.picture.svg import STYLE
from vault.framework.display.page import come_again
from vault.ui.html.elements import Child, Html, el
from vault.ui.session.sessions import Session

_COMMON: Final = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
HEADERS: Final = {
    **_COMMON,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",  # a stricter policy would hide where a form comes from
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PLACES: Final = (
    ("overview", "Overview"),
    ("workloads", "Workloads"),
    ("credentials", "Credentials"),
    ("anomalies", "Anomalies"),
    ("secrets", "Client secrets"),
    ("failures", "Failed logins"),
    ("keys", "Keys"),
    ("log", "Log"),
)
_LONGEST: Final = 48
"""Characters of a name in the head."""


def page(
    title: str,
    *content: Child,
    session: Session | None = None,
    mount: str = "",
    here: str = "",
    status: int = 200,
) -> Response:
    """Return a page. Without a session it has no navigation."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("title", f"{title} · Coffre"),
        el("meta", name="viewport", content="width=device-width,initial-scale=1"),
        el("link", rel="stylesheet", href="/ui/style.css"),
    )
    body = el(
        "body",
        el("a", "Skip to the content", class_="skip", href="#content"),
        _bar(session, mount, here),
        el("main", el("h1", title), content, id="content", class_="" if session is not None else "narrow"),
    )
    text = Html("<!DOCTYPE html>") + el("html", head, body, lang="en") + "\n"
    return Response(
        text,
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers={**HEADERS, **come_again(status)},
    )


def style() -> Response:
    """Return the style sheet of all pages."""
    headers = {**_COMMON, "Cache-Control": "no-cache"}
    return Response(_sheet(), media_type="text/css; charset=utf-8", headers=headers)


def elsewhere(path: str, **fields: str) -> Response:
    """Send the browser to another page, by a GET."""
    headers = {**HEADERS, "Location": href(path, **fields)}
    return Response(b"", status_code=303, headers=headers)


def href(path: str, **fields: str) -> str:
    """Return the address of a page."""
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"/ui/{path}" + (f"?{query}" if query else "")


def link(text: Child, path: str, **fields: str) -> Html:
    """Return a link to a page."""
    return el("a", text, href=href(path, **fields))


def secret_field(secret: str) -> Html:
    """Return the hidden input that every form must carry: no other site knows its value."""
    return el("input", type="hidden", name="form", value=secret)


def _bar(session: Session | None, mount: str, here: str) -> Html:
    if session is None:
        return el("header", el("strong", "Coffre"), el("span", "Workload identities"))
    links = [
        el("a", text, href=href(path, mount=mount), aria_current="page" if path == here else False)
        for path, text in _PLACES
    ]
    who = session.name + (f" in {session.namespace}" if session.namespace else "")
    out = el(
        "form",
        secret_field(session.form.reveal()),
        el("span", cut(who, _LONGEST), class_="who", title=who),
        el("button", "Sign out"),
        method="post",
        action="/ui/sign-out",
    )
    return el("header", el("strong", "Coffre"), el("nav", links, aria_label="Pages"), out)


@cache
def _sheet() -> str:
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8") + STYLE
