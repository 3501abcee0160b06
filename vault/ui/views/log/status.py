# SPDX-License-Identifier: EUPL-1.2
"""How the log is: how far it is written, signed and indexed, the keys that verify it, and what it is sent to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from vault.framework.fields import Json
from vault.ui.html.components import counted, facts, row, table
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import page
from vault.ui.session.visit import ApiRefusal, Visit, objects, text
from vault.ui.views.log.asking import ask, places, whole_only
from vault.ui.views.log.proof import length
from vault.ui.views.log.words import within
from vault.values.times import Seconds

_WELL: Final = "healthy"
_LATE: Final = frozenset({"behind", "retrying"})


async def status(visit: Visit) -> Response:
    """Show how the log is."""
    try:
        found = await ask(visit, "status")
    except ApiRefusal as refused:
        return whole_only(visit, refused, "Status of the log")
    trouble = text(found, "trouble")
    return page(
        "Status of the log",
        places(visit, "log/status"),
        el("p", f"The log reader is in trouble: {trouble}.", class_="problem", role="alert")
        if trouble
        else None,
        el("p", "The index is being made anew: what is not yet in it is not found.", class_="note alarming")
        if found.get("rebuilding") is True
        else None,
        el("h2", "The log that this process writes"),
        facts(
            ("Log", el("span", text(found, "log"), class_="id")),
            ("Written", f"{text(found, 'records')} records"),
            ("Signed", _signed(found)),
            ("Key", el("span", text(found, "key") or "none while sealed", class_="id")),
            *_hsm(found),
            *_witnessed(found),
            ("Index", f"{text(found, 'index_bytes')} bytes"),
        ),
        el("h2", "All logs"),
        _logs(found),
        _witnesses(found),
        _devices(found),
        session=visit.session,
        mount=visit.mount,
        here="log",
    )


def _signed(found: Mapping[str, Json]) -> str:
    signed = text(found, "signed")
    return f"{signed} records" if signed and not signed.startswith("-") else "nothing yet by this process"


def _hsm(found: Mapping[str, Json]) -> list[tuple[str, Child]]:
    """Return the key in an HSM that signs checkpoints too, or why it does not, where there is one."""
    state = within(found, "hsm")
    if not state:
        return []
    key, trouble = text(within(state, "keys"), text(found, "log")), text(state, "trouble")
    if trouble:
        return [("Key in an HSM", el("span", f"does not sign: {trouble}", class_="odd high"))]
    return [("Key in an HSM", el("span", key or "has not signed yet", class_="id"))]


def _witnessed(found: Mapping[str, Json]) -> list[tuple[str, Child]]:
    """Return what enough witnesses have cosigned, where there are any."""
    report = within(found, "witnessed")
    if not report:
        return []
    records, age = text(report, "records"), report.get("age")
    if records.startswith("-") or not isinstance(age, int | float):
        return [("Witnessed", "nothing yet")]
    said = f"{records} records, {length(Seconds(int(age)))} ago, by {text(report, 'quorum')} at least"
    return [("Witnessed", said)]


def _witnesses(found: Mapping[str, Json]) -> Child:
    """Return how each witness is, where there are any."""
    rows = [
        row(
            el("span", text(one, "name"), class_="id"),
            "none" if text(one, "records").startswith("-") else text(one, "records"),
            text(one, "trouble") or "none",
            el("span", text(one, "key"), class_="id"),
        )
        for one in objects(within(found, "witnessed"), "witnesses")
    ]
    heads = ("Witness", "Records that it cosigned", "Trouble", "Key that verifies it")
    caption = "They see that the log only grows. What they cosigned cannot be made anew unseen."
    return [el("h2", "Witnesses"), table(caption, heads, rows, empty="")] if rows else None


def _logs(found: Mapping[str, Json]) -> Html:
    keys = within(found, "keys")
    rows = [
        row(
            el("span", text(one, "log"), class_="id"),
            text(one, "first"),
            text(one, "indexed_through"),
            text(one, "behind"),
            text(one, "segments"),
            "whole" if one.get("proofs") is True else el("span", "hashes are lost", class_="odd high"),
            el("span", text(one, "damage"), class_="odd high") if text(one, "damage") else "none",
            el("span", text(keys, text(one, "log")), class_="id"),
        )
        for one in objects(found, "logs")
    ]
    heads = (
        *("Log", "Oldest record", "Indexed through", "Not indexed", "Segments", "Proofs", "Damage"),
        "Key that verifies it",
    )
    return table(
        "One for each process that writes, and each of its epochs.", heads, rows, empty="There is none."
    )


def _devices(found: Mapping[str, Json]) -> Child:
    """Return what the log is sent to, where the status tells of it."""
    rows = [
        row(
            el("span", text(one, "name"), class_="id"),
            text(one, "kind"),
            text(one, "policy").replace("_", " "),
            _state(text(one, "state")),
            _lag(one),
            text(one, "error"),
        )
        for one in objects(found, "devices")
    ]
    if not rows:
        return None
    heads = ("Device", "Kind", "Policy", "State", "Behind", "Why")
    caption = "Where records are sent. What a device missed while it was away is sent from the log."
    return [el("h2", "Devices"), table(caption, heads, rows, empty="")]


def _state(word: str) -> Html:
    if word == _WELL:
        return el("span", word, class_="state active")
    return el("span", word or "unknown", class_="odd medium" if word in _LATE else "state revoked")


def _lag(one: Mapping[str, Json]) -> str:
    """Return how far a device is behind, in records and in time."""
    count, seconds = text(one, "lag_records"), one.get("lag_seconds")
    if count in {"", "0"}:
        return "nothing" if count else ""
    old = f", the oldest {length(Seconds(int(seconds)))} old" if isinstance(seconds, int | float) else ""
    return counted(count, "record", "records") + old
