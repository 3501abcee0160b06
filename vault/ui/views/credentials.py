# SPDX-License-Identifier: EUPL-1.2
"""Credentials: a search, and a page for each with its tree as a picture and the restrictions of every block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from nhi.picture.lineage import grown
from nhi.picture.node import Node, State, walk
from nhi.picture.svg import as_svg
from vault.framework.fields import Json
from vault.ui.html.components import (
    chooser,
    counted,
    done,
    facts,
    field,
    further,
    lines,
    method,
    row,
    short,
    state,
    table,
    when,
)
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import href, link, page
from vault.ui.html.times import time_field, to_utc
from vault.ui.session.api_client import segment
from vault.ui.session.visit import Visit, objects, text, texts
from vault.ui.views.severity import odd, options

ACTIVE: Final = "active"
"""A state that can be searched for: presented here, and valid now."""
UNUSED: Final = "never-presented"
"""Another one: valid, and never presented here."""
_PRESENTED: Final = {ACTIVE: "yes", UNUSED: "no"}


async def credentials(visit: Visit) -> Response:
    """Find credentials by workload, source, time, anomaly and state."""
    names = ("workload", "source", "since", "until", "anomaly")
    given = {name: visit.text(name) for name in names}
    wanted = {**given, "since": to_utc(given["since"]), "until": to_utc(given["until"])}
    chosen = visit.text("state") if visit.text("state") in _PRESENTED else ""
    wanted["presented"] = _PRESENTED.get(chosen, "any")
    found = await visit.get("credentials", **wanted, after=visit.text("after"))
    return page(
        "Credentials",
        chooser(visit, "credentials"),
        _filter(visit, given, chosen),
        table_of(visit, found, active=chosen == ACTIVE, empty="No credential fits."),
        further(text(found, "next"), "credentials", mount=visit.mount, **given, state=chosen),
        session=visit.session,
        mount=visit.mount,
        here="credentials",
    )


async def credential(visit: Visit) -> Response:
    """Show one credential: its tree as a picture, and the restrictions of each block."""
    name = segment(visit.text("id"))
    answer = await visit.get(f"credentials/{name}")
    found = answer.get("credential")
    found = found if isinstance(found, dict) else {}
    owner = text(found, "workload")
    root = grown(answer)
    more = el(
        "p",
        "More copies were made of it than are kept here; the audit log has the rest.",
        class_="note alarming",
    )
    return page(
        f"Credential of {owner}",
        done(visit),
        facts(
            ("Id", el("span", text(found, "token_id") or name, class_="id")),
            ("Workload", link(owner, "workload", mount=visit.mount, name=owner)),
            ("Registration", text(found, "registration")),
            ("Obtained by", method(text(found, "method"))),
            ("Policies", ", ".join(texts(found, "policies"))),
            ("State", state(text(found, "state"))),
            ("Issued (UTC)", when(text(found, "issue_time"))),
            ("Expires (UTC)", when(text(found, "expire_time"))),
            ("First seen (UTC)", when(text(found, "first_seen"))),
            ("Last seen (UTC)", when(text(found, "last_seen"))),
        ),
        more if answer.get("more") else None,
        el("h2", "How it was handed on"),
        el(
            "p",
            "Whoever holds a token may narrow it and hand the copy on, without asking this server. "
            "So this shows the copies that were presented here, and no others.",
        ),
        picture(root, f"The credential of {owner}, and the copies that were made of it"),
        el("h2", "Each block"),
        _hops(visit, answer, root),
        _renewals(visit, answer),
        _tokens(answer),
        session=visit.session,
        mount=visit.mount,
        here="credentials",
    )


def picture(root: Node | None, name: str, *, links: bool = True) -> Html:
    """Return the tree in an area that scrolls, by keyboard too."""
    if root is None:
        return el("p", "Nothing of it was presented here.")
    drawn = Html(as_svg(root, name=name, alone=False, link=(lambda node: f"#b-{node.id}") if links else None))
    return el("div", drawn, class_="picture", tabindex="0", role="region", aria_label=name)


def _hops(visit: Visit, answer: Mapping[str, Json], root: Node | None) -> Html:
    """Return the content of each block, in the order of the picture."""
    known = {text(node, "id"): node for node in objects(answer, "nodes")}
    rows = []
    for block, depth in walk(root) if root is not None else ():
        node = known.get(block.id)
        if node is None:
            continue  # a token of its own, that was renewed from this one
        approver, refused = text(node, "approver"), text(node, "refused")
        said = [*texts(node, "narrowing"), *([f"signed by {approver}"] if approver else [])]
        rows.append(
            row(
                short(block.id),
                "issued" if not depth else f"hop {depth}",
                lines(said) or "nothing",
                when(text(node, "first_seen")),
                lines(texts(node, "sources") or [text(node, "source")], "id"),
                [odd(texts(node, "anomalies")), f"refused: {refused}" if refused else None],
                [_end(visit, block, node), " ", _acts(visit, block, node)],
                id=f"b-{block.id}",
            )
        )
    heads = (
        *("Block", "Hop", "Limits that it adds", "First seen (UTC)", "From address", "Anomalies"),
        "State or action",
    )
    caption = (
        "Each copy has a block more: the limits of whoever narrowed it. Nobody can know who that was; "
        "the address is from where it was presented."
    )
    return table(caption, heads, rows, empty="Nothing of it was presented here.")


def _renewals(visit: Visit, answer: Mapping[str, Json]) -> Child:
    """Return the Biscuits that were renewed from this one, if there are any."""
    rows = [
        row(
            link_to(visit, one),
            short(text(one, "parent")),
            state(text(one, "state")),
            when(text(one, "expire_time")),
            id=f"b-{text(one, 'id')}",
        )
        for one in objects(answer, "renewals")
    ]
    heads = ("Credential", "Replaces block", "State", "Expires (UTC)")
    caption = "Each is a token of its own. Revoking a token ends its renewals as well."
    return [el("h2", "Renewals of it"), table(caption, heads, rows, empty="")] if rows else None


def _tokens(answer: Mapping[str, Json]) -> Child:
    """Return the live service tokens that were issued with this Biscuit, if there are any."""
    rows = [
        row(
            el("span", text(one, "accessor"), class_="id"),
            short(text(one, "parent")),
            text(one, "display_name"),
            ", ".join(texts(one, "policies")),
            when(text(one, "issue_time")),
            when(text(one, "expire_time")),
            id=f"b-{text(one, 'accessor')}",
        )
        for one in objects(answer, "tokens")
    ]
    heads = ("Accessor", "Made with", "Name", "Policies", "Made (UTC)", "Expires (UTC)")
    caption = "They have its limits, and end with the block or the token that each was made with."
    return [el("h2", "Service tokens made with it"), table(caption, heads, rows, empty="")] if rows else None


def _end(visit: Visit, block: Node, node: Mapping[str, Json]) -> Child:
    """Return how a block ended, or a link to revoke it."""
    if node.get("revoked"):
        return [state("revoked"), " ", when(text(node, "revoke_time")), " ", text(node, "reason")]
    if block.state is State.REVOKED:
        return el("span", "ended with the block that it was made from", class_="state ended")
    if block.state is State.EXPIRED:
        return state("expired")
    return el("a", "Revoke…", class_="act", href=href("revoke", mount=visit.mount, id=block.id))


def _acts(visit: Visit, block: Node, node: Mapping[str, Json]) -> Html:
    """Return a link to the records of what was done with a block, and with what was made from it."""
    there = href("log", mount=visit.mount, credential=block.id, since=text(node, "first_seen")[:16])
    return el("a", "What it did", class_="act", href=there, aria_label=f"What block {block.short} did")


def link_to(visit: Visit, one: Mapping[str, Json]) -> Html:
    """Return a link to a credential, with its id."""
    name = text(one, "token_id")
    return el("a", short(name), href=href("credential", mount=visit.mount, id=name))


def table_of(visit: Visit, found: Mapping[str, Json], *, empty: str, active: bool = False) -> Html:
    """Return a table of credentials, or of those that are valid now.

    `empty` is the text for none; it is left out on a page that others follow.
    """
    if text(found, "next"):
        empty = "None among those that were looked at; there are others on the next page."
    rows = [
        row(
            link_to(visit, one),
            link(text(one, "workload"), "workload", mount=visit.mount, name=text(one, "workload")),
            _until(one),
            when(text(one, "first_seen")) if text(one, "first_seen") else "never",
            when(text(one, "last_seen")) if text(one, "first_seen") else "never",
            lines(texts(one, "sources"), "id"),
            lines([_copies(one), *_service_tokens(one)], ""),
            odd(texts(one, "anomalies")),
        )
        for one in objects(found, "credentials")
        if not active or text(one, "state") == ACTIVE
    ]
    heads = (
        *("Credential", "Workload", "State", "First seen (UTC)", "Last seen (UTC)", "From address"),
        *("Made from it", "Anomalies"),
    )
    return table(
        "The newest comes first. When it was last seen is true to the hour.", heads, rows, empty=empty
    )


def _until(one: Mapping[str, Json]) -> Child:
    """Return the state of a credential, with its expiry while it is valid."""
    word, end = text(one, "state"), text(one, "expire_time")
    shown = state(word)
    return [shown, " until ", when(end)] if word == ACTIVE and end else shown


def _copies(one: Mapping[str, Json]) -> str:
    """Return how many attenuated copies of a credential were seen, and how many blocks deep."""
    blocks, depth = one.get("blocks"), one.get("depth")
    if not isinstance(blocks, int) or not isinstance(depth, int) or blocks < 2:
        return "no copies"
    return f"{counted(str(blocks - 1), 'copy', 'copies')}, over {counted(str(depth - 1), 'hop', 'hops')}"


def _service_tokens(one: Mapping[str, Json]) -> list[str]:
    """Return how many service tokens were made with a credential and live, where there are any."""
    number = text(one, "tokens")
    return [counted(number, "service token", "service tokens")] if number not in {"", "0"} else []


def _filter(visit: Visit, given: Mapping[str, str], chosen: str) -> Html:
    states = (("", "any"), (ACTIVE, "active"), (UNUSED, "never presented"))
    return el(
        "form",
        el("input", type="hidden", name="mount", value=visit.mount),
        field("Workload", "workload", value=given["workload"]),
        field("From address", "source", value=given["source"], placeholder="10.0.0.7"),
        time_field("First seen from", name="since", text=given["since"]),
        time_field("First seen before", name="until", text=given["until"]),
        anomaly_field(given["anomaly"], "with or without"),
        el(
            "label",
            "State",
            el(
                "select",
                [el("option", words, value=name, selected=name == chosen) for name, words in states],
                name="state",
            ),
        ),
        el("button", "Find", class_="main"),
        method="get",
        action="/ui/credentials",
        class_="filter",
        role="search",
    )


def anomaly_field(chosen: str, without: str = "") -> Html:
    """Return a choice of anomalies; `without` is the text for no choice."""
    known = [*([("", without)] if without else []), ("any", "any"), *options()]
    found = [el("option", words, value=name, selected=name == chosen) for name, words in known]
    return el("label", "Anomaly", el("select", found, name="anomaly"))
