# SPDX-License-Identifier: EUPL-1.2
"""Credentials: found, and each with its tree as a picture and what every hop took away."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from nhi.picture.lineage import ANOMALIES, grown, short_time
from nhi.picture.node import Node, State, walk
from nhi.picture.svg import as_svg
from vault.framework.fields import Json
from vault.ui.frame import href, link, page
from vault.ui.html import Child, Html, el
from vault.ui.inner import segment
from vault.ui.parts import chooser, done, facts, field, further, lines, odd, row, short, state, table, when
from vault.ui.visit import Visit, objects, text, texts


async def credentials(visit: Visit) -> Response:
    """Find credentials by workload, source, time and anomaly."""
    names = ("workload", "source", "since", "until", "anomaly")
    asked = {name: visit.text(name) for name in names}
    found = await visit.get("credentials", **asked, after=visit.text("after"))
    return page(
        "Credentials",
        chooser(visit, "credentials"),
        _filter(visit, asked),
        listed(visit, found),
        further(text(found, "next"), "credentials", mount=visit.mount, **asked),
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
    root = grown(answer)
    more = el(
        "p", "More was made of it than is kept here; the audit log has the rest.", class_="note alarming"
    )
    return page(
        f"Credential of {owner}",
        done(visit),
        facts(
            ("Id", el("span", name, class_="id")),
            ("Workload", link(owner, "workload", mount=visit.mount, name=owner)),
            ("Registration", text(found, "registration")),
            ("Obtained by", text(found, "method") or "—"),
            ("Policies", ", ".join(texts(found, "policies"))),
            ("State", state(text(found, "state"))),
            ("Issued", short_time(text(found, "issue_time"))),
            ("Expires", short_time(text(found, "expire_time"))),
        ),
        more if answer.get("more") else None,
        el("h2", "What was made from it, as far as it was presented here"),
        picture(root, f"Attenuation tree of a credential of {owner}"),
        el("h2", "Each hop"),
        _hops(visit, answer, root),
        _renewals(visit, answer),
        _tokens(answer),
        session=visit.session,
        mount=visit.mount,
        here="credentials",
    )


def picture(root: Node | None, name: str, *, links: bool = True) -> Html:
    """Return a tree that scrolls by itself, also by keyboard."""
    if root is None:
        return el("p", "Nothing of it was presented here.")
    drawn = Html(as_svg(root, name=name, alone=False, link=(lambda node: f"#b-{node.id}") if links else None))
    return el("div", drawn, class_="picture", tabindex="0", role="region", aria_label=name)


def _hops(visit: Visit, answer: Mapping[str, Json], root: Node | None) -> Html:
    """Return what each block says, in the order of the picture."""
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
                str(depth),
                lines(said) or "—",
                when(text(node, "first_seen")),
                lines(texts(node, "sources") or [text(node, "source")], "id"),
                [odd(texts(node, "anomalies")), f"refused: {refused}" if refused else None],
                _end(visit, block, node),
                id=f"b-{block.id}",
            )
        )
    heads = ("Block", "Hop", "What it takes away", "First presented", "From", "Anomalies", "Its end")
    caption = "Who attenuated a token nobody can know: this is who presented it first."
    return table(caption, heads, rows, empty="Nothing of it was presented here.")


def _renewals(visit: Visit, answer: Mapping[str, Json]) -> Child:
    """Return the tokens that were renewed from one; nothing where there are none."""
    rows = [
        row(
            el(
                "a",
                short(text(one, "token_id")),
                href=href("credential", mount=visit.mount, id=text(one, "token_id")),
            ),
            short(text(one, "parent")),
            state(text(one, "state")),
            when(text(one, "expire_time")),
            id=f"b-{text(one, 'id')}",
        )
        for one in objects(answer, "renewals")
    ]
    heads = ("Credential", "In place of block", "State", "Expires")
    caption = "Each is a token of its own. Revoking a token ends what was renewed from it as well."
    return [el("h2", "Renewed from it"), table(caption, heads, rows, empty="")] if rows else None


def _tokens(answer: Mapping[str, Json]) -> Child:
    """Return the service tokens that were made with one and live; nothing where there are none."""
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
    heads = ("Accessor", "Made with", "Name", "Policies", "Made", "Expires")
    caption = (
        "Service tokens with its checks. They end with the block, or the token, that each was made with."
    )
    return [el("h2", "Made with it"), table(caption, heads, rows, empty="")] if rows else None


def _end(visit: Visit, block: Node, node: Mapping[str, Json]) -> Child:
    """Return how a block ended, or the way to end it."""
    if node.get("revoked"):
        return [state("revoked"), f" {short_time(text(node, 'revoke_time'))} {text(node, 'reason')}"]
    if block.state is State.REVOKED:
        return el("span", "ended with what it was made from", class_="state ended")
    if block.state is State.EXPIRED:
        return state("expired")
    return el("a", "Revoke…", class_="act", href=href("revoke", mount=visit.mount, id=block.id))


def listed(
    visit: Visit, found: Mapping[str, Json], *, empty: str = "No credential that was presented fits."
) -> Html:
    """Return a table of credentials; `empty` says that there are none, which no page says that others follow."""
    if text(found, "next"):
        empty = "None among those that were looked at; there are further ones."
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
            text(one, "tokens") or "0",
            odd(texts(one, "anomalies")),
        )
        for one in objects(found, "credentials")
    ]
    heads = (
        *("Credential", "Workload", "State", "First presented", "Expires", "From", "Blocks", "Tokens made"),
        "Anomalies",
    )
    return table("The one first presented last comes first. Times are UTC.", heads, rows, empty=empty)


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
