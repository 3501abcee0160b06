# SPDX-License-Identifier: EUPL-1.2
"""Workloads: a list, and a page for each with how it logs in and its credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from nhi.picture.node import cut
from vault.framework.fields import Json
from vault.ui.html.components import chooser, done, facts, further, row, state, table, when
from vault.ui.html.elements import Html, el
from vault.ui.html.layout import href, link, page
from vault.ui.html.times import millis
from vault.ui.session.api_client import segment
from vault.ui.session.visit import ApiRefusal, Visit, objects, text
from vault.ui.views.credentials import table_of
from vault.ui.views.registrations import logins

_PAGE: Final = 50
_MOST: Final = "1000"
"""Registrations that are searched for those of one workload."""
_LONGEST: Final = 160
"""Characters of a description in the list; the workload's own page has all of it."""
_HEADS: Final = ("Workload", "Owner", "State", "Ends (UTC)", "Description")


async def workloads(visit: Visit) -> Response:
    """Show all workloads, page by page: the owner of each, and when it ends."""
    names = sorted(await visit.names("workloads"))
    after = visit.text("after")
    shown = [name for name in names if name > after]
    rows = []
    for name in shown[:_PAGE]:
        found = await visit.get(f"workloads/{name}")
        rows.append(
            row(
                link(name, "workload", mount=visit.mount, name=name),
                text(found, "owner"),
                _state(visit, found),
                when(text(found, "expire_time")),
                cut(text(found, "description"), _LONGEST),
            )
        )
    more = shown[_PAGE - 1] if len(shown) > _PAGE else ""
    return page(
        "Workloads",
        chooser(visit, "workloads"),
        table(
            f"{len(names)} in all. A workload gets no tokens after its end. Its owner answers for it.",
            _HEADS,
            rows,
            empty="There are no workloads.",
        ),
        further(more, "workloads", mount=visit.mount),
        session=visit.session,
        mount=visit.mount,
        here="workloads",
    )


async def workload(visit: Visit) -> Response:
    """Show one workload, how it gets its tokens, and its credentials."""
    name = segment(visit.text("name"))
    found = await visit.get(f"workloads/{name}")
    try:
        report = await visit.get("report", limit=_MOST)
    except ApiRefusal:
        report = {}
    ways = [one for one in objects(report, "registrations") if text(one, "workload") == name]
    unknown = bool(text(report, "next"))
    credentials = await visit.get("credentials", workload=name, presented="any", after=visit.text("after"))
    disabled = bool(found.get("disabled"))
    return page(
        f"Workload {name}",
        done(visit),
        facts(
            ("Owner", text(found, "owner")),
            ("State", [_state(visit, found), " ", text(found, "reason") if disabled else None]),
            ("Ends (UTC)", when(text(found, "expire_time"))),
            ("Description", text(found, "description") or "—"),
        ),
        None if disabled else el("p", _end_all(visit, name)),
        el("h2", "How it logs in") if ways or unknown else None,
        logins(ways) if ways else None,
        el("p", f"Only registrations among the first {_MOST} are shown here.") if unknown else None,
        el("h2", "Credentials"),
        table_of(visit, credentials, empty="None is on record."),
        further(text(credentials, "next"), "workload", mount=visit.mount, name=name),
        session=visit.session,
        mount=visit.mount,
        here="workloads",
    )


def _end_all(visit: Visit, name: str) -> Html:
    there = href("revoke", mount=visit.mount, workload=name)
    return el("a", "Revoke all its tokens…", class_="button", href=there)


def _state(visit: Visit, found: Mapping[str, Json]) -> Html:
    if found.get("disabled"):
        return state("disabled")
    end = millis(text(found, "expire_time"))
    return state("expired" if end is not None and end <= visit.now else "active")
