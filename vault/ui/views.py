# SPDX-License-Identifier: EUPL-1.2
"""Workloads, credentials, trees, anomalies, secrets that are still in use. Each view asks for what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from nhi.picture.lineage import ANOMALIES, grown, short_time
from nhi.picture.node import Node
from nhi.picture.svg import as_svg
from vault.framework.fields import Json
from vault.ui.frame import href, link, page
from vault.ui.html import Child, Html, el
from vault.ui.inner import segment
from vault.ui.parts import facts, field, lines, odd, row, short, state, table, when
from vault.ui.visit import Refused, Visit, objects, text, texts

_PAGE: Final = 50


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
                text(found, "description"),
            )
        )
    more = shown[_PAGE - 1] if len(shown) > _PAGE else ""
    return page(
        "Workloads",
        _chooser(visit, "workloads"),
        table(
            f"{len(names)} workloads, each with whoever answers for it. Times are UTC.",
            ("Workload", "Owner", "State", "Ends", "What it is"),
            rows,
            empty="There are no workloads, or none that this token may see.",
        ),
        _further(more, "workloads", mount=visit.mount),
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
        _done(visit),
        facts(
            ("Owner", text(found, "owner")),
            ("State", state("revoked") if disabled else state("active")),
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
        _credentials(visit, credentials),
        _further(text(credentials, "next"), "workload", mount=visit.mount, name=name),
        session=visit.session,
        mount=visit.mount,
        here="workloads",
    )


async def credentials(visit: Visit) -> Response:
    """Find credentials by workload, source, time and anomaly."""
    names = ("workload", "source", "since", "until", "anomaly")
    asked = {name: visit.text(name) for name in names}
    found = await visit.get("credentials", **asked, after=visit.text("after"))
    return page(
        "Credentials",
        _chooser(visit, "credentials"),
        _filter(visit, asked),
        _credentials(visit, found),
        _further(text(found, "next"), "credentials", mount=visit.mount, **asked),
        session=visit.session,
        mount=visit.mount,
        here="credentials",
    )


async def credential(visit: Visit) -> Response:
    """Show one credential: its tree as a picture, and each block with what it took away."""
    name = segment(visit.text("id"))
    answer = await visit.get(f"credentials/{name}")
    found = answer.get("credential")
    found = found if isinstance(found, dict) else {}
    owner = text(found, "workload")
    more = el(
        "p", "More was made of it than is kept here; the audit log has the rest.", class_="note alarming"
    )
    return page(
        f"Credential of {owner}",
        _done(visit),
        facts(
            ("Id", el("span", name, class_="id")),
            ("Workload", link(owner, "workload", mount=visit.mount, name=owner)),
            ("Registration", text(found, "registration")),
            ("Given for", text(found, "method") or "—"),
            ("Policies", ", ".join(texts(found, "policies"))),
            ("State", state(text(found, "state"))),
            ("Issued", short_time(text(found, "issue_time"))),
            ("Expires", short_time(text(found, "expire_time"))),
        ),
        more if answer.get("more") else None,
        el("h2", "What was made from it, as far as it was presented here"),
        picture(grown(answer), f"Attenuation tree of a credential of {owner}"),
        el("h2", "Each hop"),
        _hops(visit, answer),
        session=visit.session,
        mount=visit.mount,
        here="credentials",
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
        _chooser(visit, "anomalies"),
        el("h2", "Tokens that nobody issued"),
        alarm if strangers else None,
        table(
            "Not issued here, and signed by a key of ours.",
            ("Token", "Says that it is of", "Key", "First presented", "From"),
            strangers,
            empty="None: every token that was presented was issued here.",
        ),
        el("h2", "Credentials with something unusual"),
        _credentials(visit, found, empty="None."),
        _further(text(found, "next"), "anomalies", mount=visit.mount),
        session=visit.session,
        mount=visit.mount,
        here="anomalies",
    )


async def secrets(visit: Visit) -> Response:
    """Show who still logs in by client secret, first, and everybody else."""
    found = await visit.get("report")
    return page(
        "Secrets in use",
        _chooser(visit, "secrets"),
        el(
            "p",
            "Who still logs in by client secret comes first. A secret that nobody uses can be taken away.",
        ),
        _ways(objects(found, "registrations"), workload_link=visit.mount),
        session=visit.session,
        mount=visit.mount,
        here="secrets",
    )


def picture(root: Node | None, name: str, *, links: bool = True) -> Html:
    """Return a tree that scrolls by itself, also by keyboard."""
    if root is None:
        return el("p", "Nothing of it was presented here.")
    drawn = Html(as_svg(root, name=name, alone=False, link=(lambda node: f"#b-{node.id}") if links else None))
    return el("div", drawn, class_="picture", tabindex="0", role="region", aria_label=name)


def _hops(visit: Visit, answer: Mapping[str, Json]) -> Html:
    rows = []
    for node in objects(answer, "nodes"):
        name, approver = text(node, "id"), text(node, "approver")
        revoked = bool(node.get("revoked"))
        said = [*texts(node, "narrowing"), *([f"signed by {approver}"] if approver else [])]
        refused, reason = text(node, "refused"), text(node, "reason")
        ended = [state("revoked"), f" {short_time(text(node, 'revoke_time'))} {reason}"]
        stop = link("Revoke…", "revoke", mount=visit.mount, id=name)
        rows.append(
            row(
                short(name),
                text(node, "index"),
                lines(said) or "—",
                when(text(node, "first_seen")),
                ", ".join(texts(node, "sources")) or text(node, "source"),
                [odd(texts(node, "anomalies")), f"refused: {refused}" if refused else None],
                ended if revoked else stop,
                id=f"b-{name}",
            )
        )
    heads = ("Block", "Hop", "What it takes away", "First presented", "From", "Anomalies", "")
    caption = "Who attenuated a token nobody can know: this is who presented it first."
    return table(caption, heads, rows, empty="Nothing of it was presented here.")


def _credentials(
    visit: Visit, found: Mapping[str, Json], *, empty: str = "No credential that was presented fits."
) -> Html:
    rows = [
        row(
            el(
                "a",
                short(text(one, "token_id")),
                href=href("credential", mount=visit.mount, id=text(one, "token_id")),
            ),
            link(text(one, "workload"), "workload", mount=visit.mount, name=text(one, "workload")),
            state(text(one, "state")),
            when(text(one, "first_seen")),
            when(text(one, "expire_time")),
            lines(texts(one, "sources"), "id"),
            f"{text(one, 'blocks')}, {text(one, 'depth')} deep" if text(one, "depth") != "1" else "1",
            odd(texts(one, "anomalies")),
        )
        for one in objects(found, "credentials")
    ]
    heads = ("Credential", "Workload", "State", "First presented", "Expires", "From", "Blocks", "Anomalies")
    return table("The one first presented last comes first. Times are UTC.", heads, rows, empty=empty)


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


def _filter(visit: Visit, asked: Mapping[str, str]) -> Html:
    chosen = asked["anomaly"]
    options = [("", "all"), ("any", "with any"), *ANOMALIES.items()]
    choice = el(
        "select",
        [el("option", words, value=name, selected=name == chosen) for name, words in options],
        name="anomaly",
    )
    return el(
        "form",
        el("input", type="hidden", name="mount", value=visit.mount),
        field("Workload", "workload", value=asked["workload"]),
        field("Presented from", "source", value=asked["source"], placeholder="10.0.0.7"),
        field("First presented since", "since", value=asked["since"], placeholder="2026-12-01T00:00:00Z"),
        field("and before", "until", value=asked["until"], placeholder="2026-12-02T00:00:00Z"),
        el("label", "Anomalies", choice),
        el("button", "Find", class_="main"),
        method="get",
        action="/ui/credentials",
        class_="filter",
        role="search",
    )


def _chooser(visit: Visit, here: str) -> Child:
    """Return the way to other engines, where there are several."""
    if len(visit.mounts) < 2:
        return None
    links: list[Child] = ["Engines: "]
    for mount in visit.mounts:
        current = "true" if mount == visit.mount else False
        links += [el("a", f"{mount}/", href=href(here, mount=mount), aria_current=current), " "]
    return el("p", links)


def _further(after: str, here: str, **fields: str) -> Child:
    return el("p", link("Further ones", here, **fields, after=after)) if after else None


def _done(visit: Visit) -> Child:
    if not visit.text("done"):
        return None
    return el("p", "Revoked. It ends with the next request, on every node.", class_="note", role="status")
