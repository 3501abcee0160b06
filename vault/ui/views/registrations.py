# SPDX-License-Identifier: EUPL-1.2
"""How workloads log in: which still use a client secret, and which end soon. Both come from the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from starlette.responses import Response

from vault.framework.fields import Json
from vault.ui.html.components import chooser, further, lines, method, row, table, when
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import link, page
from vault.ui.html.times import millis
from vault.ui.session.visit import Visit, objects, text
from vault.values.times import DAY, Millis, Seconds, seconds_to_millis

SOON: Final = seconds_to_millis(Seconds(14 * DAY))
LIMIT: Final = 200
"""Registrations of one page."""


async def secrets(visit: Visit) -> Response:
    """Show all registrations; those that still log in by client secret come first."""
    found = await visit.get("report", limit=str(LIMIT), after=visit.text("after"))
    only = bool(visit.text("used"))
    ways = objects(found, "registrations")
    return page(
        "Client secrets",
        chooser(visit, "secrets"),
        el(
            "p",
            "A client secret can be stolen and used anywhere. Registrations that log in with one come first; "
            "a secret that was never used can be deleted without harm.",
        ),
        _choice(visit, only=only),
        logins(
            by_client_secret(ways) if only else ways,
            workload_link=visit.mount,
            more=bool(text(found, "next")),
        ),
        further(text(found, "next"), "secrets", mount=visit.mount, used="1" if only else ""),
        session=visit.session,
        mount=visit.mount,
        here="secrets",
    )


async def ending_soon(visit: Visit) -> Response:
    """Show the workloads that log in and end soon."""
    found = await visit.get("report", limit=str(LIMIT), after=visit.text("after"))
    rows = [
        row(
            link(text(one, "workload"), "workload", mount=visit.mount, name=text(one, "workload")),
            text(one, "owner"),
            when(text(one, "workload_expire_time")),
        )
        for one in soon(objects(found, "registrations"), visit.now)
    ]
    return page(
        "Workloads that end within 14 days",
        chooser(visit, "ending"),
        table(
            "The one that ends first comes first. After its end a workload gets no tokens; its owner can extend it.",
            ("Workload", "Owner", "Ends (UTC)"),
            rows,
            empty=_nobody(
                more=bool(text(found, "next")), none="No workload with a registration ends that soon."
            ),
        ),
        further(text(found, "next"), "ending", mount=visit.mount),
        session=visit.session,
        mount=visit.mount,
        here="workloads",
    )


def by_client_secret(ways: Iterable[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Return the registrations that have logged in with the client secret that they have."""
    return [one for one in ways if one.get("uses_secret")]


def soon(ways: Iterable[Mapping[str, Json]], now: Millis) -> Sequence[Mapping[str, Json]]:
    """Return one registration of each workload that is alive at `now` (ms) and ends soon, the earliest end first."""
    found: dict[str, tuple[int, Mapping[str, Json]]] = {}
    for one in ways:
        end = millis(text(one, "workload_expire_time"))
        if end is not None and now < end <= now + SOON and not one.get("workload_disabled"):
            found[text(one, "workload")] = (end, one)
    return [one for _, one in sorted(found.values(), key=lambda pair: pair[0])]


def logins(ways: Sequence[Mapping[str, Json]], workload_link: str = "", *, more: bool = False) -> Html:
    """Return a table of registrations, how each has logged in, and when its tokens were used.

    Without `workload_link` they are of one workload, whose own page has its name and owner. `more` says that another
    page follows.
    """
    rows = []
    for one in ways:
        methods = one.get("methods")
        methods = methods if isinstance(methods, dict) else {}
        given: list[Child] = [
            [f"{method(name)}: {text(info, 'count')}, last ", when(text(info, "last"))]
            for name, info in methods.items()
            if isinstance(info, dict)
        ]
        name = text(one, "workload")
        owner = el("span", text(one, "owner"), class_="why")
        whose = lines([link(name, "workload", mount=workload_link, name=name), owner], "")
        rows.append(
            row(
                text(one, "registration"),
                *([whose] if workload_link else ()),
                _secret(one),
                lines(given, "") or "none yet",
                f"{text(one, 'presented') or '0'} of {text(one, 'issued') or '0'}",
                when(text(one, "last_used")) if text(one, "last_used") else "never",
            )
        )
    heads = (
        *("Registration", *(("Workload, owner",) if workload_link else ()), "Client secret"),
        *("Tokens issued, by login method", "Tokens presented", "Last used (UTC)"),
    )
    caption = "A registration says how a workload logs in and what its tokens may do. Times are UTC, and the last use is true to the hour."
    return table(caption, heads, rows, empty=_nobody(more=more, none="There are none."))


def _secret(one: Mapping[str, Json]) -> Html:
    if one.get("uses_secret"):
        return el("span", "used", class_="odd medium")
    return el("span", "never used" if one.get("has_secret") else "none")


def _nobody(*, more: bool, none: str) -> str:
    return "None among those that were looked at; there are others on the next page." if more else none


def _choice(visit: Visit, *, only: bool) -> Html:
    every = link("all registrations", "secrets", mount=visit.mount)
    used = link("those that log in with a client secret", "secrets", mount=visit.mount, used="1")
    words = "those that log in with a client secret"
    return el("p", "Show: ", [every, " · ", words] if only else ["all registrations", " · ", used])
