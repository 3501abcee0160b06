# SPDX-License-Identifier: EUPL-1.2
"""What pages are made of: tables, lists of facts, forms, states in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from nhi.picture.lineage import short_time
from nhi.picture.node import SHORT
from vault.ui.html.elements import Child, Html, el, joined
from vault.ui.html.layout import href, link
from vault.ui.session.visit import Visit

_STATES: Final = {
    "active": ("active", "active"),
    "disabled": ("disabled", "revoked"),
    "expired": ("expired", "expired"),
    "revoked": ("revoked", "revoked"),
    "workload-ended": ("ended with its workload", "ended"),
    "mount-gone": ("ended: its login mount was removed", "ended"),
    "key-destroyed": ("ended: its signing key was destroyed", "ended"),
}
_METHODS: Final = {
    "client_secret": "client secret",
    "private_key_jwt": "signed assertion (private_key_jwt)",
    "jwt": "JWT of another issuer",
    "kubernetes": "Kubernetes service account",
    "cert": "TLS certificate",
    "approle": "AppRole",
    "issue": "issued by an operator",
    "renewal": "renewal of another token",
}


class TableRow(msgspec.Struct, frozen=True):
    """A row of a table; its first cell is its heading. Links lead to `id`."""

    first: Child
    cells: Sequence[Child]
    id: str


def row(first: Child, *cells: Child, id: str = "") -> TableRow:
    """Return a row."""
    return TableRow(first, cells, id)


def table(caption: str, heads: Sequence[str], rows: Iterable[TableRow], *, empty: str) -> Html:
    """Return a table, or the text for an empty one. On narrow screens each row is shown as a card.

    A browser drops the table semantics of cards, so every element has its role, and each cell carries its heading.
    """
    found = list(rows)
    if not found:
        return el("p", empty)
    head = el("tr", [el("th", one, scope="col", role="columnheader") for one in heads], role="row")
    body = [_row(heads, one) for one in found]
    return el(
        "table",
        el("caption", caption),
        el("thead", head, role="rowgroup"),
        el("tbody", body, role="rowgroup"),
        role="table",
    )


def _row(heads: Sequence[str], one: TableRow) -> Html:
    first = el("th", el("div", one.first), scope="row", role="rowheader", data_label=heads[0])
    cells = [_cell(head, cell) for head, cell in zip(heads[1:], one.cells, strict=True)]
    return el("tr", first, cells, role="row", id=one.id or False)


def _cell(head: str, child: Child) -> Html:
    content = joined(child)
    return el("td", el("div", content) if content else None, role="cell", data_label=head)


def facts(*pairs: tuple[str, Child]) -> Html:
    """Return a description list."""
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in pairs], class_="facts")


def when(time: str) -> Child:
    """Return a time in UTC."""
    return el("time", short_time(time), datetime=time) if time else "—"


def state(word: str) -> Html:
    """Return the state of a credential or a workload in words."""
    text, kind = _STATES.get(word, (word, "ended"))
    return el("span", text, class_=f"state {kind}")


def method(name: str) -> str:
    """Return how a token was obtained, in words."""
    return _METHODS.get(name, name) or "—"


def short(name: str) -> Html:
    """Return the beginning of an id, with all of it as the tooltip."""
    return el("span", name[:SHORT], class_="id short", title=name)


def lines(texts: Iterable[Child], kind: str = "says") -> Child:
    """Return texts one below the other."""
    found = [el("li", text, class_=kind) for text in texts]
    return el("ul", found) if found else None


def counted(number: str, one: str, several: str) -> str:
    """Return how many there are of something."""
    return f"{number} {one if number == '1' else several}"


def field(label: str, name: str, *, hint: str = "", **attributes: str | bool) -> Html:
    """Return an input with its label."""
    small = el("small", hint) if hint else None
    return el("label", label, small, el("input", name=name, **attributes))


def chooser(visit: Visit, here: str) -> Child:
    """Return links to other engines, where there are several."""
    if len(visit.mounts) < 2:
        return None
    links: list[Child] = ["Mounts: "]
    for mount in visit.mounts:
        current = "true" if mount == visit.mount else False
        links += [el("a", f"{mount}/", href=href(here, mount=mount), aria_current=current), " "]
    return el("p", links)


def further(after: str, here: str, **fields: str) -> Child:
    """Return the link to the next page, where there is one."""
    return el("p", link("Next page", here, **fields, after=after)) if after else None


def done(visit: Visit) -> Child:
    """Return the note that something was revoked, after the revocation."""
    if not visit.text("done"):
        return None
    return el("p", "Revoked. Every node refuses it from its next request on.", class_="note", role="status")
