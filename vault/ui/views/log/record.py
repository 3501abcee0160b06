# SPDX-License-Identifier: EUPL-1.2
"""One record of the log: in words, with all that it says, whether it is proven, and what to look at next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.responses import Response

from vault.ui.html.components import facts, row, short, table
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import href, link, page
from vault.ui.html.times import millis
from vault.ui.session.visit import ApiRefusal, Visit, objects, text
from vault.ui.views.log.asking import ask, forbidden, place_of, places
from vault.ui.views.log.names import names_of, workloads_of
from vault.ui.views.log.proof import state_of
from vault.ui.views.log.search import outcome
from vault.ui.views.log.superseding import instead_of, superseded_note, superseding
from vault.ui.views.log.words import (
    ENDS,
    Record,
    actor_id,
    actor_of,
    blocks_of,
    members,
    outcome_of,
    resource_of,
    rules,
    sentence_of,
    within,
)

_AROUND: Final = 43_200_000
"""Milliseconds before and after a record in which its links search."""
_MOST: Final = 500
"""Members of a record that are shown."""
_BOUND: Final = {"dpop": "bound to a key (DPoP)", "mtls": "bound to a client certificate"}


async def record(visit: Visit) -> Response:
    """Show one record."""
    log, seq = place_of(visit)
    try:
        found = await ask(visit, f"records/{log}/{seq}")
    except ApiRefusal as refused:
        return forbidden(visit, refused, "Record")
    shown = next(iter(objects(found, "records")), {})
    workloads = await workloads_of(visit, [shown])
    names = await names_of(visit, [shown], workloads)
    return page(
        f"Record {seq} of log {log}",
        places(visit, ""),
        el("p", sentence_of(shown, names), class_="says-all"),
        superseded_note(visit, shown, await superseding(visit, shown)),
        _facts(visit, shown, names, next(iter(workloads.values()), "")),
        el("h2", "What else"),
        _links(visit, shown),
        el("h2", "Proof"),
        await state_of(visit, log, int(seq)),
        el("h2", "All members"),
        _members(shown),
        session=visit.session,
        mount=visit.mount,
        here="log",
    )


def _facts(visit: Visit, shown: Record, names: Mapping[str, str], workload: str) -> Html:
    policy, credential, ends = within(shown, "policy"), within(shown, "credential"), outcome_of(shown)
    pairs: list[tuple[str, Child]] = [
        ("When (UTC)", _moment(text(shown, "timestamp"))),
        ("Recorded (UTC)", _moment(text(shown, "observed_timestamp"))),
        ("Who", _who(shown, names)),
        ("Workload", link(workload, "workload", mount=visit.mount, name=workload) if workload else None),
        ("With", _credential(credential)),
        ("Blocks", _blocks(visit, blocks_of(shown))),
        ("What", el("span", text(shown, "event_name"), class_="id")),
        ("Request", _span(text(shown, "http.request.method"), text(shown, "url.path"))),
        ("Resource", _span(text(within(shown, "resource"), "type"), resource_of(shown))),
        ("Outcome", [outcome(ends), f": {ENDS.get(ends, 'this word is new to this page')}", _status(shown)]),
        ("Instead of", instead_of(visit, shown)),
        ("Allowed by", rules(policy, "grant")),
        ("Why not", text(policy, "reason")),
        ("Decided by", rules(policy, "by")),
        ("Error", text(shown, "error_type")),
        ("From address", _address(shown)),
        ("Namespace", text(shown, "tenant")),
    ]
    return facts(*((name, value) for name, value in pairs if value))


def _moment(time: str) -> Child:
    return el("time", time, datetime=time) if time else None


def _span(*words: str) -> Child:
    """Return words of the log one after the other; nothing where there are none."""
    said = " ".join(word for word in words if word)
    return el("span", said, class_="id") if said else None


def _who(shown: Record, names: Mapping[str, str]) -> Child:
    said, actor = actor_of(shown, names), actor_id(shown)
    return said if said == actor else [said, " ", el("span", actor, class_="id why")]


def _credential(credential: Record) -> str:
    kind, accessor = text(credential, "kind"), text(credential, "accessor")
    bound = _BOUND.get(text(credential, "bound"), "")
    return ", ".join(part for part in (f"a {kind} token, accessor {accessor}" if kind else "", bound) if part)


def _blocks(visit: Visit, blocks: list[str]) -> Child:
    """Return the blocks of a Biscuit; each leads to its place in the picture of the credential."""
    if not blocks or not visit.mount:
        return [[short(one), " "] for one in blocks] or None
    there = href("credential", mount=visit.mount, id=blocks[0])
    return [[el("a", short(one), href=f"{there}#b-{one}"), " "] for one in blocks]


def _status(shown: Record) -> str:
    status = text(shown, "status_code")
    return f", status {status}" if status else ""


def _address(shown: Record) -> str:
    address, source = text(shown, "client.address"), text(shown, "client.address_source")
    return f"{address}, as a trusted proxy said" if source == "proxy" else address


def _links(visit: Visit, shown: Record) -> Child:
    """Return links to the records that have something in common with this one, of half a day before and after."""
    credential = within(shown, "credential")
    blocks = blocks_of(shown)
    wanted = (
        ("the same request", "request_id", text(shown, "request.id")),
        ("the same trace", "trace_id", text(shown, "trace_id")),
        ("the same actor", "actor", text(within(shown, "actor"), "id")),
        ("the same credential", "credential", blocks[-1] if blocks else text(credential, "accessor")),
        ("the same resource", "resource", text(within(shown, "resource"), "id")),
    )
    times = _around(text(shown, "timestamp"))
    found = [
        el("li", link(f"Records of {words}", "log", mount=visit.mount, **{name: value}, **times))
        for words, name, value in wanted
        if value
    ]
    return el("ul", found) if found else el("p", "It has nothing in common with others.")


def _around(time: str) -> dict[str, str]:
    middle = millis(time)
    if middle is None:
        return {}
    moments = (
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=middle + by) for by in (-_AROUND, _AROUND)
    )
    since, until = (moment.isoformat(timespec="seconds").removesuffix("+00:00") + "Z" for moment in moments)
    return {"since": since, "until": until}


def _members(shown: Record) -> Html:
    found = list(members(shown))
    rows = [
        row(el("span", name, class_="id"), el("span", value, class_="id")) for name, value in found[:_MOST]
    ]
    caption = (
        f"The first {_MOST} of {len(found)}."
        if len(found) > _MOST
        else "As they are in the log. What begins with $h stands for a value, which is nowhere in it."
    )
    return table(caption, ("Member", "Value"), rows, empty="")
