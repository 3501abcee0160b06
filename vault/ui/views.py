# SPDX-License-Identifier: EUPL-1.2
"""Workloads, anomalies, secrets that are still in use. Each view asks for what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from nhi.picture.lineage import short_time
from nhi.picture.node import cut
from vault.framework.fields import Json
from vault.ui.credentials import listed
from vault.ui.frame import href, link, page
from vault.ui.html import Html, el
from vault.ui.inner import segment
from vault.ui.parts import chooser, done, facts, further, lines, row, short, state, table, when
from vault.ui.visit import Refused, Visit, objects, text

_PAGE: Final = 50
_LONGEST: Final = 160
"""Characters of a description among others; the workload's own page has all of it."""


async def workloads(visit: Visit) -> Response:
    """Show all workloads, some at a time: who answers for each, and when it ends."""
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
                state("revoked") if found.get("disabled") else state("active"),
                when(text(found, "expire_time")),
                cut(text(found, "description"), _LONGEST),
            )
        )
    more = shown[_PAGE - 1] if len(shown) > _PAGE else ""
    return page(
        "Workloads",
        chooser(visit, "workloads"),
        table(
            f"{len(names)} workloads, each with whoever answers for it. Times are UTC.",
            ("Workload", "Owner", "State", "Ends", "What it is"),
            rows,
            empty="There are no workloads, or none that this token may see.",
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
        report = await visit.get("report")
    except Refused:
        report = {}
    ways = [one for one in objects(report, "registrations") if text(one, "workload") == name]
    credentials = await visit.get("credentials", workload=name, after=visit.text("after"))
    disabled = bool(found.get("disabled"))
    return page(
        name,
        done(visit),
        facts(
            ("Owner", text(found, "owner")),
            ("State", [state("revoked"), f" {text(found, 'reason')}"] if disabled else state("active")),
            ("Ends", short_time(text(found, "expire_time"))),
            ("What it is", text(found, "description") or "—"),
        ),
        None
        if disabled
        else el(
            "p",
            el(
                "a",
                "End all its tokens…",
                class_="button",
                href=href("revoke", mount=visit.mount, workload=name),
            ),
        ),
        el("h2", "How it gets tokens") if ways else None,
        _ways(ways) if ways else None,
        el("h2", "Credentials"),
        listed(visit, credentials),
        further(text(credentials, "next"), "workload", mount=visit.mount, name=name),
        session=visit.session,
        mount=visit.mount,
        here="workloads",
    )


async def anomalies(visit: Visit) -> Response:
    """Show what is odd: tokens that nobody issued, and credentials with anything unusual."""
    orphans = await visit.get("orphans")
    found = await visit.get("credentials", anomaly="any", after=visit.text("after"))
    strangers = [
        row(
            short(text(one, "token_id")),
            text(one, "workload"),
            text(one, "kid"),
            when(text(one, "first_seen")),
            text(one, "source"),
        )
        for one in objects(orphans, "orphans")
    ]
    alarm = el(
        "p",
        "Tokens with a good signature that were not issued here: somebody else may have an issuer's key. "
        "Retire the key, destroy it, and find out.",
        class_="danger",
        role="alert",
    )
    return page(
        "Anomalies",
        chooser(visit, "anomalies"),
        el("h2", "Tokens that nobody issued"),
        alarm if strangers else None,
        table(
            "Not issued here, and signed by a key of ours.",
            ("Token", "Says that it is of", "Key", "First presented", "From"),
            strangers,
            empty="None: every token that was presented was issued here.",
        ),
        el("h2", "Credentials with something unusual"),
        listed(visit, found, empty="None."),
        further(text(found, "next"), "anomalies", mount=visit.mount),
        session=visit.session,
        mount=visit.mount,
        here="anomalies",
    )


async def secrets(visit: Visit) -> Response:
    """Show who still logs in by client secret, first, and everybody else."""
    found = await visit.get("report")
    return page(
        "Secrets in use",
        chooser(visit, "secrets"),
        el(
            "p",
            "Who still logs in by client secret comes first. A secret that nobody uses can be taken away.",
        ),
        _ways(objects(found, "registrations"), workload_link=visit.mount),
        session=visit.session,
        mount=visit.mount,
        here="secrets",
    )


def _ways(found: list[Mapping[str, Json]], workload_link: str = "") -> Html:
    rows = []
    for one in found:
        methods = one.get("methods")
        methods = methods if isinstance(methods, dict) else {}
        used = [
            f"{method}: {text(info, 'count')}, last {short_time(text(info, 'last'))}"
            for method, info in methods.items()
            if isinstance(info, dict)
        ]
        has = "in use" if one.get("uses_secret") else "not used" if one.get("has_secret") else "none"
        name = text(one, "workload")
        rows.append(
            row(
                text(one, "registration"),
                link(name, "workload", mount=workload_link, name=name) if workload_link else name,
                text(one, "owner"),
                el("span", has, class_="odd" if one.get("uses_secret") else ""),
                lines(used, "") or "no token yet",
            )
        )
    heads = ("Registration", "Workload", "Owner", "Client secret", "Tokens given")
    return table("Registrations: how tokens come about.", heads, rows, empty="There are no registrations.")
