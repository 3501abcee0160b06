# SPDX-License-Identifier: EUPL-1.2
"""The keys in use: what each protects, how strong and how old it is, where it lies, and what national guidance says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from vault.framework.fields import Json
from vault.ui.html.components import TableRow, counted, further, lines, row, table
from vault.ui.html.elements import Child, el
from vault.ui.html.layout import href, page
from vault.ui.session.visit import Visit, objects, require, text

_INVENTORY: Final = "sys/crypto/inventory"
_PAGE: Final = "100"
_PROFILES: Final = (("", "none"), ("anssi", "ANSSI"), ("bsi", "BSI"))
_HEADS: Final = ("Key", "Protects", "Algorithm", "Where", "State", "Age", "Post-quantum")
_STATES: Final = {"active": "active", "next": "expired", "retired": "expired", "unreachable": "revoked"}
"""How each state is coloured."""
_DAY: Final = 86_400
_INTRODUCTION: Final = "No key is ever shown here, and a namespace sees its own keys alone."


async def keys(visit: Visit) -> Response:
    """Show the inventory, page by page."""
    profile = visit.text("profile")
    asked = {"limit": _PAGE, "profile": profile, "after": visit.text("after")}
    given = {name: value for name, value in asked.items() if value}
    found = require(await visit.api.get(_INVENTORY, given)).data
    shown = objects(found, "inventory")
    heads = (*_HEADS, "Findings") if profile else _HEADS
    return page(
        "Keys",
        _chooser(visit, profile),
        table(
            _INTRODUCTION,
            heads,
            [_row(one, checked=bool(profile)) for one in shown],
            empty="There are no keys of its own here.",
        ),
        _to_plan_by(shown),
        further(text(found, "next"), "keys", mount=visit.mount, profile=profile),
        session=visit.session,
        mount=visit.mount,
        here="keys",
    )


def _chooser(visit: Visit, profile: str) -> Child:
    links: list[Child] = ["Held against the guidance of: "]
    for name, shown in _PROFILES:
        current = "true" if name == profile else False
        links += [
            el("a", shown, href=href("keys", mount=visit.mount, profile=name), aria_current=current),
            " ",
        ]
    return el("p", links)


def _row(key: Mapping[str, Json], *, checked: bool) -> TableRow:
    count, bits, state = text(key, "count"), text(key, "bits"), text(key, "state")
    origin = "HSM: " if text(key, "origin") == "hsm" else ""
    cells: list[Child] = [
        text(key, "protects"),
        f"{text(key, 'algorithm') or '—'}{f', {bits} bits' if bits else ''}",
        origin + text(key, "location"),
        el("span", state, class_=f"state {_STATES.get(state, 'ended')}"),
        _age(key),
        _strength(key),
    ]
    name = text(key, "id") + (f" ({count})" if count not in {"", "1"} else "")
    return row(name, *cells, *([_findings(key)] if checked else []))


def _age(key: Mapping[str, Json]) -> str:
    age = key.get("age")
    if not isinstance(age, int):
        return "not noted"
    days = age // _DAY
    return "1 day" if days == 1 else f"{days} days"


def _strength(key: Mapping[str, Json]) -> str:
    day = text(key, "at_risk_after")
    return text(key, "pq") + (f", at risk after {day}" if day else "")


def _findings(key: Mapping[str, Json]) -> Child:
    return lines((el("strong", one) for one in _found(key, "warning")), "") or "ok"


def _found(key: Mapping[str, Json], level: str) -> list[str]:
    check = key.get("check")
    found = objects(check, "findings") if isinstance(check, dict) else []
    return [_told(one) for one in found if text(one, "level") == level]


def _to_plan_by(shown: Sequence[Mapping[str, Json]]) -> Child:
    """Return what is no reason to act today, once for all keys that it is said of."""
    found = Counter(told for key in shown for told in _found(key, "information"))
    said = [f"{told}: {counted(str(number), 'key', 'keys')} here" for told, number in found.items()]
    return [el("h2", "To plan by"), lines(said, "")] if said else None


def _told(finding: Mapping[str, Json]) -> str:
    source = text(finding, "source")
    return text(finding, "reason") + (f" ({source})" if source else "")
