# SPDX-License-Identifier: EUPL-1.2
"""The time that a page of the log shows, and the picture of it, each part of which leads to a narrower one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from vault.framework.fields import Json
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import href, link
from vault.ui.html.timeline import OUTCOMES, Part, timeline
from vault.ui.html.times import millis, to_utc
from vault.ui.session.visit import Visit, objects
from vault.values.times import DAY, Millis, seconds_to_millis

_PARTS: Final = (48, 60, 30, 24, 40, 36, 50, 45)
"""Into how many parts a time is divided: the first of these that gives whole seconds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = Millis(253_402_300_799_999)
"""The last millisecond of the year 9999, after which RFC 3339 has no more."""
_SECOND: Final = 1000
_LATE: Final = "Time ran out before all records were counted: the end is missing."
_BEHIND_DAMAGE: Final = "Records behind damage are not counted."
_SLOT: Final = 1_800_000
"""Milliseconds; a time that nobody chose ends at a half hour."""


class Window(msgspec.Struct, frozen=True):
    """A time, by its beginning and its end as requests name them, and into how many parts a picture divides it."""

    begins: str
    ends: str
    parts: int


def window_of(visit: Visit) -> Window:
    """Return the time that a request names: a day until now, unless it names another."""
    since, until = (_spelled_out(visit.text(name)) for name in ("since", "until"))
    if not until:
        until = _spelled(Millis(-(-(visit.now + 1) // _SLOT) * _SLOT))
    ends = millis(until)
    if not since and ends is not None:
        since = _spelled(Millis(max(0, ends - seconds_to_millis(DAY))))
    begins = millis(since)
    length = ends - begins if ends is not None and begins is not None else 0
    return Window(since, until, next((one for one in _PARTS if length % (one * _SECOND) == 0), _PARTS[1]))


def drawn(visit: Visit, given: Mapping[str, str], window: Window, counts: Mapping[str, Json]) -> Child:
    """Return the picture of a time, the numbers of all its records, and what was not counted."""
    parts = _parts_of(window, objects(counts, "buckets"))
    numbers = {outcome: sum(part.counts.get(outcome, 0) for part in parts) for outcome in OUTCOMES}
    name = f"Records by outcome, {window.begins} to {window.ends}"

    def narrower(part: Part) -> str:
        there = {**given, "since": part.begins, "until": part.ends}
        return href("log", mount=visit.mount, **there) if _narrows(window) else ""

    picture = Html(timeline(parts, name, narrower))
    damaged = bool(counts.get("damaged"))
    less = el("p", _BEHIND_DAMAGE if damaged else _LATE, class_="note alarming")
    return [
        el("div", picture, class_="picture", tabindex="0", role="region", aria_label=name),
        _legend(visit, given, numbers),
        less if counts.get("complete") is False else None,
    ]


def _parts_of(window: Window, buckets: list[Mapping[str, Json]]) -> list[Part]:
    begins, ends = millis(window.begins), millis(window.ends)
    if begins is None or ends is None or not buckets:
        return []
    edges = [begins + (ends - begins) * number // len(buckets) for number in range(len(buckets) + 1)]
    return [
        Part(
            begins=_spelled(Millis(edges[number])),
            ends=_spelled(Millis(edges[number + 1])),
            counts={outcome: _number(one, outcome) for outcome in OUTCOMES},
        )
        for number, one in enumerate(buckets)
    ]


def _legend(visit: Visit, given: Mapping[str, str], numbers: Mapping[str, int]) -> Html:
    """Return how many records there are of each outcome, each a link to them."""
    kept = {**given, "since": visit.text("since"), "until": visit.text("until")}
    items = [
        el(
            "li",
            el("span", class_=f"key {outcome}"),
            link(f"{number} {outcome}", "log", mount=visit.mount, **{**kept, "outcome": outcome}),
        )
        for outcome, number in numbers.items()
    ]
    if given["outcome"]:
        items.append(el("li", link("any outcome", "log", mount=visit.mount, **{**kept, "outcome": ""})))
    if visit.text("since") or visit.text("until"):
        items.append(el("li", link("the last day", "log", mount=visit.mount, **given)))
    return el("ul", items, class_="legend")


def _narrows(window: Window) -> bool:
    """Whether the parts of a time are a second long at least: inputs of browsers have no less."""
    begins, ends = millis(window.begins), millis(window.ends)
    return begins is not None and ends is not None and ends - begins >= window.parts * _SECOND


def _number(found: Mapping[str, Json], name: str) -> int:
    value = found.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _spelled_out(text: str) -> str:
    """Return a time of a form with the seconds that the log wants; what is no time is for the log to refuse."""
    found = millis(text)
    return to_utc(text) if found is None else _spelled(found)


def _spelled(moment: Millis) -> str:
    """Return a moment in RFC 3339, without a fraction where it has none; the last of all where it is later."""
    moment = min(moment, _LAST)
    kind = "seconds" if moment % _SECOND == 0 else "milliseconds"
    said = (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec=kind)
    return said.removesuffix("+00:00") + "Z"
