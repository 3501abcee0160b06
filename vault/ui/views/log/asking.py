# SPDX-License-Identifier: EUPL-1.2
"""How pages of the log ask for it, and what they say to whom no rule lets read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import link, page
from vault.ui.session.api_client import ApiAnswer, segment
from vault.ui.session.visit import ApiRefusal, Visit, require

LOG: Final = "sys/log"
_NO_MOUNT: Final = "This token sees no mount of the kind nhi here either: a policy may hide it, or it is in another namespace."
_LONGEST: Final = 19
"""Digits of the longest number of a record."""
_PLACES: Final = (("log", "Search"), ("log/status", "Status"))


async def ask(visit: Visit, path: str, **fields: str) -> Mapping[str, Json]:
    """Read a path of the log. Raises `ApiRefusal`."""
    given = {name: value for name, value in fields.items() if value}
    return require(await visit.api.get(f"{LOG}/{path}", given)).data


def place_of(visit: Visit) -> tuple[str, str]:
    """Return the log and the number of the record that a request names. Raises `Malformed`."""
    log, seq = segment(visit.text("log")), visit.text("seq")
    if not (seq.isascii() and seq.isdecimal() and len(seq) <= _LONGEST):
        raise Malformed("a record has a number")
    return log, seq


def whole_only(visit: Visit, refused: ApiRefusal, title: str) -> Response:
    """As `forbidden`, for what only those see who may read the whole log: in a namespace it cannot be asked for."""
    if refused.answer.kind not in {"forbidden", "malformed"} or not visit.session.namespace:
        return forbidden(visit, refused, title)
    return page(
        title,
        el(
            "p",
            "This is about the logs of all namespaces: only those see it who may read the log in the root namespace.",
            class_="problem",
            role="alert",
        ),
        session=visit.session,
        mount=visit.mount,
        here="log",
        status=403,
    )


def forbidden(visit: Visit, refused: ApiRefusal, title: str) -> Response:
    """Return the page that says which rule is missing. Raises `refused` where it is another refusal."""
    if refused.answer.kind != "forbidden":
        raise refused
    return page(
        title,
        el("p", f"This token may not read {_asked(refused.answer)}.", class_="problem", role="alert"),
        el(
            "p",
            "The right to read the log is one of its own: one of the token's policies needs a rule that names ",
            el("code", f"{LOG}/"),
            ". A wider rule, as one for ",
            el("code", "*"),
            " or the root policy, does not include it. This rule lets read all of it in its namespace:",
        ),
        el("pre", f'path "{LOG}/*" {{\n  capabilities = ["read"]\n}}'),
        None if visit.mounts else el("p", _NO_MOUNT),
        session=visit.session,
        mount=visit.mount,
        here="log",
        status=refused.answer.status,
    )


def places(visit: Visit, here: str) -> Html:
    """Return links to the pages of the log; in a namespace there is no status."""
    links: list[Child] = []
    for path, words in _PLACES:
        if path == "log/status" and visit.session.namespace:
            continue
        links += [el("strong", words) if path == here else link(words, path, mount=visit.mount), " "]
    return el("p", links, class_="places")


def _asked(answer: ApiAnswer) -> str:
    return answer.text("path") or LOG
