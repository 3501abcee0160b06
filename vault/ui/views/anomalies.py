# SPDX-License-Identifier: EUPL-1.2
"""Anomalies: Biscuits without an issuance record, and unusual credentials, each with its severity and reason."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from vault.framework.fields import Json
from vault.ui.html.components import chooser, further, lines, row, short, state, table, when
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import href, link, page
from vault.ui.html.times import time_field, to_utc
from vault.ui.session.visit import Visit, objects, text, texts
from vault.ui.views.credentials import anomaly_field, link_to
from vault.ui.views.severity import explained, tally, worst

_STRANGERS = "strangers"


async def anomalies(visit: Visit) -> Response:
    """Show Biscuits without an issuance record, and unusual credentials, the most severe first."""
    names = ("anomaly", "since", "until")
    given = {name: visit.text(name) for name in names}
    given["anomaly"] = given["anomaly"] or "any"
    orphans = await visit.get("orphans")
    wanted = {**given, "since": to_utc(given["since"]), "until": to_utc(given["until"])}
    found = await visit.get("credentials", **wanted, after=visit.text("after"))
    more = text(found, "next")
    return page(
        "Anomalies",
        chooser(visit, "anomalies"),
        el("h2", "Tokens that were not issued here", id=_STRANGERS),
        _strangers(orphans),
        el("h2", "Credentials with something unusual"),
        _filter(visit, given),
        _unusual(visit, found),
        further(more, "anomalies", mount=visit.mount, **given),
        session=visit.session,
        mount=visit.mount,
        here="anomalies",
    )


def _strangers(orphans: Mapping[str, Json]) -> Child:
    """Return the Biscuits without an issuance record, as an alarm."""
    rows = [
        row(
            short(text(one, "token_id")),
            text(one, "workload"),
            text(one, "kid"),
            when(text(one, "first_seen")),
            el("span", text(one, "source"), class_="id"),
        )
        for one in objects(orphans, "orphans")
    ]
    if not rows:
        return el("p", "None: this server issued every token that was presented to it.")
    alarm = el(
        "p",
        "High: these tokens are signed with one of our keys, and this server has no record of issuing them. It refused "
        "them. Somebody else may have the key: retire it, destroy it, and find out how they got it. A server that was "
        "restored from an old backup has no record of what it issued after that backup either.",
        class_="danger",
        role="alert",
    )
    caption = "The first ones; there were others." if orphans.get("more") else "All that were seen."
    heads = ("Token", "Claims to be", "Key number", "First seen (UTC)", "From address")
    return [alarm, table(caption, heads, rows, empty="")]


def _unusual(visit: Visit, found: Mapping[str, Json]) -> Child:
    """Return the credentials of one page, the most severe first, each with what to do about it."""
    shown = sorted(objects(found, "credentials"), key=lambda one: worst(texts(one, "anomalies")))
    others = bool(text(found, "next"))
    rows = [
        row(
            link_to(visit, one),
            explained(texts(one, "anomalies")),
            link(text(one, "workload"), "workload", mount=visit.mount, name=text(one, "workload")),
            state(text(one, "state")),
            when(text(one, "first_seen")),
            lines(texts(one, "sources"), "id"),
            _actions(visit, one),
        )
        for one in shown
    ]
    count = tally(texts(one, "anomalies") for one in shown)
    caption = f"{'On this page' if others else 'In all'}: {count}. The gravest come first, then the newest."
    heads = (
        *("Credential", "Severity, and why", "Workload", "State", "First seen (UTC)", "From address"),
        "Actions",
    )
    empty = "None among those that were looked at; there are others on the next page." if others else "None."
    return table(caption, heads, rows, empty=empty)


def _actions(visit: Visit, one: Mapping[str, Json]) -> Html:
    name, owner = text(one, "token_id"), text(one, "workload")
    look = href("credential", mount=visit.mount, id=name)
    end = href("revoke", mount=visit.mount, workload=owner)
    return el(
        "ul",
        el("li", el("a", "Look at it", href=look, aria_label=f"Look at credential {name}")),
        el("li", el("a", "Revoke all tokens of the workload…", href=end)),
    )


def _filter(visit: Visit, given: Mapping[str, str]) -> Html:
    return el(
        "form",
        el("input", type="hidden", name="mount", value=visit.mount),
        anomaly_field(given["anomaly"]),
        time_field("First seen from", name="since", text=given["since"]),
        time_field("First seen before", name="until", text=given["until"]),
        el("button", "Find", class_="main"),
        method="get",
        action="/ui/anomalies",
        class_="filter",
        role="search",
    )
