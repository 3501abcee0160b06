# SPDX-License-Identifier: EUPL-1.2
"""The log as a table that can be searched, under a picture of its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from vault.framework.fields import Json
from vault.ui.html.components import field, row, short, table, when
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import href, link, page
from vault.ui.html.times import millis, time_field
from vault.ui.session.visit import ApiRefusal, Visit, objects, text
from vault.ui.views.log.asking import ask, forbidden, places
from vault.ui.views.log.names import names_of, workloads_of
from vault.ui.views.log.window import Window, drawn, window_of
from vault.ui.views.log.words import Record, actor_id, actor_of, outcome_of, resource_of, why_of, within

_SKEW: Final = 2_000
"""Milliseconds that clocks of two processes may differ, as they are read."""
LIMIT: Final = "25"
"""Records of one page."""
FILTERS: Final = (
    *("resource", "actor", "event", "outcome", "credential", "policy", "rule", "address"),
    *("request_id", "trace_id", "phase"),
)
"""What can be searched for, by the names that the log has for it."""
_PHASES: Final = (("", "no attempts"), ("attempt", "attempts alone"), ("any", "any"))
_ASKED: Final = {"": "outcome,notice", "any": ""}
"""By the phase that was chosen what the log is asked for: an attempt is said again by its outcome."""
_OUTCOMES: Final = (("", "any"), ("success", "success"), ("denied", "denied"), ("failed", "failed"))
_DAMAGE: Final = "that record, or the one before it, is not as it should be. Verify a copy of the log."
_LATE: Final = (
    "This page is incomplete: the time for it was over before it was full. The next page goes on from here."
)
_RARE: Final = ("policy", "rule", "address", "request_id", "trace_id", "phase")
"""Filters that are folded up while they are empty."""


async def log(visit: Visit) -> Response:
    """Find records by resource, actor, event, outcome, credential, policy, rule and time."""
    given = {name: visit.text(name) for name in FILTERS}
    window = window_of(visit)
    cursor = visit.text("cursor")
    times = {"from": window.begins, "to": window.ends}
    searched = times if visit.text("until") else {"from": window.begins}
    wanted = {**given, "phase": _ASKED.get(given["phase"], given["phase"])}
    try:
        found = await ask(
            visit, "records", **wanted, **({} if cursor else searched), limit=LIMIT, cursor=cursor
        )
        counts = await ask(visit, "counts", **wanted, **times, buckets=str(window.parts))
    except ApiRefusal as refused:
        return forbidden(visit, refused, "Log")
    records = objects(found, "records")
    names = await names_of(visit, records, await workloads_of(visit, records))
    return page(
        "Log",
        places(visit, "log"),
        _form(visit, given),
        el("h2", "Over this time"),
        drawn(visit, given, window, counts),
        el("h2", "Records"),
        _told(found),
        _ahead(visit, records),
        _table(visit, records, names, more=bool(text(found, "next"))),
        _further(visit, given, window, found),
        session=visit.session,
        mount=visit.mount,
        here="log",
    )


def _form(visit: Visit, given: Mapping[str, str]) -> Html:
    rare = [
        field("Policy", "policy", value=given["policy"]),
        field("Rule", "rule", value=given["rule"], placeholder="secret/data/shop/*"),
        field("From address", "address", value=given["address"]),
        field("Request", "request_id", value=given["request_id"]),
        field("Trace", "trace_id", value=given["trace_id"]),
        _choice("Attempts", "phase", _PHASES, given["phase"]),
    ]
    opened = any(given[name] for name in _RARE)
    return el(
        "form",
        el("input", type="hidden", name="mount", value=visit.mount) if visit.mount else None,
        field("Resource", "resource", value=given["resource"], placeholder="secret/shop/*"),
        field("Actor", "actor", value=given["actor"], placeholder="id of an entity"),
        field("Event", "event", value=given["event"], placeholder="esa.kv.*"),
        _choice("Outcome", "outcome", _OUTCOMES, given["outcome"]),
        field("Credential", "credential", value=given["credential"], placeholder="accessor or block"),
        time_field("From", name="since", text=visit.text("since")),
        time_field("Before", name="until", text=visit.text("until")),
        el("details", el("summary", "More filters"), el("div", rare, class_="rare"), open=opened),
        el("button", "Find", class_="main"),
        method="get",
        action="/ui/log",
        class_="filter",
        role="search",
    )


def _choice(label: str, name: str, known: Sequence[tuple[str, str]], chosen: str) -> Html:
    options = [el("option", words, value=value, selected=value == chosen) for value, words in known]
    return el("label", label, el("select", options, name=name))


def _told(found: Mapping[str, Json]) -> Child:
    """Return how far the index reaches, which logs are damaged, and whether time ran out before the page was full."""
    damaged = within(found, "damaged")
    words = [
        f"Nothing of log {log} is shown from record {text(damaged, log)} on: {_DAMAGE}" for log in damaged
    ]
    full = len(objects(found, "records")) >= int(LIMIT) or not text(found, "next")
    if found.get("complete") is False and not (damaged and full):
        words.append(_LATE)
    reaches = list(_reaches(within(found, "indexed_through")))
    said = f"The index reaches through {'; '.join(reaches)}." if reaches else "The index has no record yet."
    alarms = [el("p", one, class_="note alarming", role="status") for one in words]
    return [alarms, el("p", said, class_="why")]


def _ahead(visit: Visit, records: Sequence[Record]) -> Child:
    """Return that records have a time that is yet to come, where a clock is or was ahead."""
    times = (millis(text(one, "observed_timestamp")) for one in records)
    late = sum(time is not None and time - visit.now > _SKEW for time in times)
    if not late:
        return None
    said = f"{late} of these have a time of the log that is yet to come: a clock was ahead. The picture is of the time until now."
    return el("p", said, class_="note", role="status")


def _reaches(through: Record) -> Sequence[str]:
    """Return by log the last record that a search can find; for a tenant in the number of its own chain."""
    said = []
    for name, last in through.items():
        if isinstance(last, dict):
            said += [f"record {text(last, tenant)} of {tenant} in log {name}" for tenant in last]
        else:
            said.append(f"record {text(through, name)} of log {name}")
    return said


def _table(visit: Visit, records: Sequence[Record], names: Mapping[str, str], *, more: bool) -> Html:
    rows = [
        row(
            el("a", when(text(one, "timestamp")), href=record_href(visit, one)),
            _who(visit, one, names),
            el("span", text(one, "event_name"), class_="id short"),
            el("span", resource_of(one), class_="id about"),
            outcome(outcome_of(one)),
            el("span", why_of(one), class_="id"),
            el("span", text(one, "client.address"), class_="id"),
        )
        for one in records
    ]
    heads = (
        *("When (UTC)", "Who", "What", "Resource", "Outcome", "Policy and rule, or why not"),
        "From",
    )
    empty = (
        "None among those that were looked at; there are others on the next page."
        if more
        else "No record fits."
    )
    return table("The newest comes first.", heads, rows, empty=empty)


def _who(visit: Visit, record: Record, names: Mapping[str, str]) -> Child:
    """Return who acted, as a link to what else they did, and the id that the record has."""
    actor, said = text(within(record, "actor"), "id"), actor_of(record, names)
    if not actor:
        return said
    there = link(said, "log", mount=visit.mount, actor=actor, **times_of(visit))
    return there if said == actor else [there, el("div", short(actor_id(record)), class_="why")]


def record_href(visit: Visit, record: Record) -> str:
    """Return the address of the page of one record."""
    return href("log/record", mount=visit.mount, log=text(record, "log"), seq=text(record, "seq"))


def times_of(visit: Visit) -> dict[str, str]:
    """Return the time that the request names, to be named again."""
    return {name: value for name in ("since", "until") if (value := visit.text(name))}


def outcome(word: str) -> Html:
    """Return an outcome, or a phase, so that it is seen."""
    return el(
        "span", word, class_=f"outcome {word}" if word in {"success", "denied", "failed"} else "outcome"
    )


def _further(visit: Visit, given: Mapping[str, str], window: Window, found: Mapping[str, Json]) -> Child:
    """Return the link to the next page, which names the time of this one: the picture stays."""
    after = text(found, "next")
    if not after:
        return None
    there = {**given, "since": window.begins, "until": window.ends, "cursor": after}
    return el("p", link("Next page", "log", mount=visit.mount, **there))
