# SPDX-License-Identifier: EUPL-1.2
"""Revocation in two steps: a preview shows what would end, and a form confirms it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from nhi.picture.lineage import grown, line_of
from nhi.picture.node import SHORT
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.ui.html.components import counted, field, lines, row, short, table
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import elsewhere, href, page, secret_field
from vault.ui.session.api_client import segment
from vault.ui.session.visit import ApiRefusal, Visit, objects, text, texts
from vault.ui.views.credentials import picture
from vault.values.ids import TokenId


async def preview(visit: Visit) -> Response:
    """Show what the revocation of a block, or of a workload, would end."""
    what = _what(visit)
    found = await visit.post("revoke/preview", **what)
    dying = objects(found, "dying")
    drawn: Child = None
    if "id" in what and dying:
        drawn = await _drawn(visit, TokenId(text(dying[0], "token_id")), {text(one, "id") for one in dying})
    subject = f"block {what['id'][:SHORT]}" if "id" in what else f"all tokens of {what['workload']}"
    return page(
        f"Revoke {subject}?",
        el("p", _sentence(what, found), class_="danger"),
        _question(visit, what, text(found, "blocks")),
        drawn,
        table(
            "Blocks that would end" + (": the first of them." if found.get("more") else "."),
            ("Block", "Workload", "Hop", "Limits that it adds", "From address"),
            [
                row(
                    short(text(one, "id")),
                    text(one, "workload"),
                    "issued" if text(one, "index") == "0" else f"hop {text(one, 'index')}",
                    lines(texts(one, "narrowing")),
                    lines(texts(one, "sources"), "id"),
                )
                for one in dying
            ],
            empty="Nothing of it was presented here. It can be revoked all the same.",
        ),
        session=visit.session,
        mount=visit.mount,
    )


async def revoke(visit: Visit) -> Response:
    """Revoke it, and show its credential or workload again."""
    what = _what(visit)
    found = await visit.post("revoke", **what, reason=visit.text("reason"))
    if "workload" in what:
        return elsewhere("workload", mount=visit.mount, name=what["workload"], done="1")
    token = next((text(one, "token_id") for one in objects(found, "dying")), visit.text("token"))
    return elsewhere("credential" if token else "credentials", mount=visit.mount, id=token, done="1")


def _what(visit: Visit) -> dict[str, str]:
    """Return the parameters that name what to revoke. Raises `Malformed`."""
    found = {name: visit.text(name) for name in ("id", "workload") if visit.text(name)}
    if len(found) != 1:
        raise Malformed("name a block or a workload")
    return {name: segment(value) for name, value in found.items()}


async def _drawn(visit: Visit, token_id: TokenId, dying: set[str]) -> Child:
    try:
        answer = await visit.get(f"credentials/{token_id}")
    except ApiRefusal:
        return None
    root = grown(answer, dying)
    name = "What would end, and the blocks before it"
    return [el("h2", name), picture(line_of(root, dying), name, links=False)] if root is not None else None


def _sentence(what: Mapping[str, str], found: Mapping[str, Json]) -> str:
    blocks, credentials, made = (text(found, name) or "0" for name in ("blocks", "credentials", "tokens"))
    tokens = f", and {counted(made, 'service token', 'service tokens')} made with them" if made != "0" else ""
    ends = (
        f"This ends {counted(blocks, 'block', 'blocks')} of {counted(credentials, 'credential', 'credentials')} "
        f"known here{tokens}. It also ends every copy, renewal and service token made from them that was not seen here "
        "yet. Every node refuses all of it from the next request on. It cannot be undone."
    )
    if "workload" in what:
        return ends + " The workload is disabled: it gets no other tokens until somebody writes it again."
    if any(text(one, "id") == what["id"] and text(one, "index") == "0" for one in objects(found, "dying")):
        return ends + " This is the credential as it was issued: its workload can log in for another one."
    return ends + " Whoever holds the block before it can make another copy: to stop them, revoke that block."


def _question(visit: Visit, what: Mapping[str, str], blocks: str) -> Html:
    back = (
        href("workload", mount=visit.mount, name=what["workload"])
        if "workload" in what
        else href("credentials", mount=visit.mount)
    )
    return el(
        "form",
        secret_field(visit.session.form.reveal()),
        el("input", type="hidden", name="mount", value=visit.mount),
        [el("input", type="hidden", name=name, value=value) for name, value in what.items()],
        field(
            "Reason", "reason", hint="Shown beside what was revoked, to whoever looks later.", maxlength="200"
        ),
        el(
            "div",
            el("button", f"Revoke {counted(blocks or '0', 'block', 'blocks')}", class_="stop"),
            el("a", "Cancel", href=back),
            class_="actions",
        ),
        method="post",
        action="/ui/revoke",
        class_="question",
    )
