# SPDX-License-Identifier: EUPL-1.2
"""Outcomes that did not come about, as their commits failed: which record takes the place of which."""

from __future__ import annotations

from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import link
from vault.ui.session.visit import ApiRefusal, Visit, objects, text
from vault.ui.views.log.asking import ask
from vault.ui.views.log.words import Record


async def superseding(visit: Visit, record: Record) -> str:
    """Return the number of the later record that takes the place of an outcome; empty where a search finds none."""
    if text(record, "phase") != "outcome":
        return ""
    times = {"from": text(record, "observed_timestamp"), "order": "asc"}
    try:
        found = await ask(visit, "records", request_id=text(record, "request.id"), **times)
    except ApiRefusal:
        return ""
    log, seq = text(record, "log"), text(record, "seq")
    later = (one for one in objects(found, "records") if text(one, "log") == log)
    return next((text(one, "seq") for one in later if text(one, "supersedes") == seq), "")


def superseded_note(visit: Visit, record: Record, later: str) -> Html | None:
    """Return what is to be read before an outcome that did not come about; nothing where `later` is empty."""
    if not later:
        return None
    return el(
        "p",
        "What this record says did not come about: the commit failed. ",
        _to(visit, record, later),
        " takes its place.",
        class_="note alarming",
        role="status",
    )


def instead_of(visit: Visit, record: Record) -> Child:
    """Return the record whose place this one takes; nothing where there is none."""
    earlier = text(record, "supersedes")
    return [_to(visit, record, earlier), ", which did not come about: its commit failed"] if earlier else None


def _to(visit: Visit, record: Record, seq: str) -> Html:
    return link(f"Record {seq}", "log/record", mount=visit.mount, log=text(record, "log"), seq=seq)
