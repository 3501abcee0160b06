# SPDX-License-Identifier: EUPL-1.2
"""Pages that say why something is not shown, with a link that leads on."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from vault.ui.html.elements import el
from vault.ui.html.layout import link, page
from vault.ui.session.api_client import ApiAnswer
from vault.ui.session.sessions import Session

_TITLES: Final = {
    400: "That was not understood",
    403: "Not permitted",
    404: "Not found",
    405: "Not possible",
    429: "Too many requests",
    503: "Not available now",
}


def refused_page(status: int, why: str, session: Session | None, mount: str = "") -> Response:
    """Return the page for a refusal; it leads back to the first page, or to the sign-in."""
    back = link(
        "Back to the overview" if session is not None else "Sign in",
        "overview" if session is not None else "",
        mount=mount,
    )
    return page(
        _TITLES.get(status, "Something went wrong"),
        el("p", why, class_="problem", role="alert"),
        el("p", back),
        session=session,
        mount=mount,
        status=status,
    )


def reason(answer: ApiAnswer) -> str:
    """Return what a refusal means for the user of the page."""
    if answer.kind == "sealed":
        return "The vault is sealed. Nobody can sign in until an operator unseals it."
    if answer.kind == "forbidden":
        path, capability = answer.text("path"), answer.text("capability")
        return f"This token may not {capability} {path}." if path else "This token may not do that."
    if answer.kind == "limited":
        return "Too many requests; try again in a moment."
    if answer.kind == "not-found":
        return "There is nothing of this name."
    return sentence(answer.text("detail") or "the server could not do it; its log says why")


def sentence(text: str) -> str:
    """Return a message as a sentence."""
    return text[:1].upper() + text[1:] + "."
