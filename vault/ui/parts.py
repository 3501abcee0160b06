# SPDX-License-Identifier: EUPL-1.2
"""What pages are made of: tables, lists of facts, forms, states in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from nhi.picture.lineage import ANOMALIES, short_time
from nhi.picture.node import SHORT
from vault.ui.frame import href, link
from vault.ui.html import Child, Html, el
from vault.ui.visit import Visit

_STATES: Final = {
    "active": ("active", "active"),
    "expired": ("expired", "expired"),
    "revoked": ("revoked", "revoked"),
    "workload-ended": ("ended with its workload", "ended"),
    "mount-gone": ("ended with its mount", "ended"),
    "key-destroyed": ("ended with its key", "ended"),
}


def table(caption: str, heads: Sequence[str], rows: Iterable[Html], *, empty: str) -> Html:
    """Return a table that scrolls by itself where it is too wide; what to say when there are no rows."""
    found = list(rows)
    if not found:
        return el("p", empty)
    head = el("tr", [el("th", one, scope="col") for one in heads])
    whole = el("table", el("caption", caption), el("thead", head), el("tbody", found))
    return el("div", whole, class_="wide")


def row(first: Child, *cells: Child, id: str = "") -> Html:
    """Return a row; its first cell says what it is about."""
    cell = [one if isinstance(one, Html) and one.startswith("<td") else el("td", one) for one in cells]
    return el("tr", el("th", first, scope="row"), cell, id=id or False)


def facts(*pairs: tuple[str, Child]) -> Html:
    """Return a list of things and what they are."""
    return el("dl", [[el("dt", name), el("dd", value)] for name, value in pairs], class_="facts")


def when(time: str) -> Html:
    """Return a cell with a time in UTC."""
    return el("td", el("time", short_time(time), datetime=time) if time else "—", class_="time")


def state(word: str) -> Html:
    """Return the state of a credential in words."""
    text, kind = _STATES.get(word, (word, "ended"))
    return el("span", text, class_=f"state {kind}")


def short(name: str) -> Html:
    """Return the beginning of an id; all of it for whoever points at it."""
    return el("span", name[:SHORT], class_="id", title=name)


def lines(texts: Iterable[str], kind: str = "says") -> Child:
    """Return texts one below the other."""
    found = [el("li", text, class_=kind) for text in texts]
    return el("ul", found) if found else None


def odd(names: Iterable[str]) -> Child:
    """Return anomalies in words."""
    return lines([f"⚠ {ANOMALIES.get(name, name)}" for name in names], "odd")


def field(label: str, name: str, *, hint: str = "", **attributes: str | bool) -> Html:
    """Return an input with its label."""
    small = el("small", hint) if hint else None
    return el("label", label, small, el("input", name=name, **attributes))


def chooser(visit: Visit, here: str) -> Child:
    """Return the way to other engines, where there are several."""
    if len(visit.mounts) < 2:
        return None
    links: list[Child] = ["Engines: "]
    for mount in visit.mounts:
        current = "true" if mount == visit.mount else False
        links += [el("a", f"{mount}/", href=href(here, mount=mount), aria_current=current), " "]
    return el("p", links)


def further(after: str, here: str, **fields: str) -> Child:
    """Return the way to the next page, where there is one."""
    return el("p", link("Further ones", here, **fields, after=after)) if after else None


def done(visit: Visit) -> Child:
    """Say that something was revoked, to whoever has just done it."""
    if not visit.text("done"):
        return None
    return el("p", "Revoked. It ends with the next request, on every node.", class_="note", role="status")
