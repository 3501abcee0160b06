# SPDX-License-Identifier: EUPL-1.2
"""The tree of a credential, from what `credentials/TOKEN_ID` answers. What is not as it should be is left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from nhi.picture.node import SHORT, Node, State

_DEEPEST: Final = 64
"""Blocks upon blocks that are drawn; a token has 16 at most."""
ANOMALIES: Final = {
    "several-sources": "came from several addresses",
    "used-after-revocation": "used after it was revoked",
    "reserved-fact": "states what only the issuer may",
    "refused-block": "a block that is refused",
    "too-deep": "deeper than its registration allows",
    "no-op": "takes nothing away",
    "outlives-parent": "says that it outlives its parent",
    "more-than-recorded": "more was made of it than is kept",
}
"""What is odd, in words."""


def grown(answer: Mapping[str, object], dying: Collection[str] = ()) -> Node | None:
    """Return the tree of a credential, with the blocks named in `dying` marked; None where it has no blocks."""
    credential = _map(answer.get("credential"))
    nodes = [_map(one) for one in _list(answer.get("nodes"))]
    if nodes:
        nodes += [renewal(_map(one), _text(nodes[0], "id")) for one in _list(answer.get("renewals"))]
        nodes += [token(_map(one)) for one in _list(answer.get("tokens"))]
    children: dict[str, list[Mapping[str, object]]] = {}
    known: set[str] = set()
    first: Mapping[str, object] | None = None
    for node in nodes:
        name, parent = _text(node, "id"), _text(node, "parent")
        if not name or name in known:
            continue
        known.add(name)
        if first is None:
            first = node
        elif parent in known and parent != name:
            children.setdefault(parent, []).append(node)
    if first is None:
        return None
    above = _ended(_text(credential, "state") or "active")
    root = _grown(first, children, _text(credential, "workload"), above, frozenset(dying), 0)
    policies = ", ".join(_texts(credential, "policies"))
    return replace(root, says=(f"policies: {policies}", *root.says)) if policies else root


def renewal(told: Mapping[str, object], first: str) -> Mapping[str, object]:
    """Return a token that came of the one with block `first` by renewing as a node directly below that."""
    parent = _text(told, "parent")
    whence = "" if parent == first else f" from {parent[:SHORT]}"
    says = f"renewed{whence}: another token, until {short_time(_text(told, 'expire_time'))}".rstrip()
    return {**told, "parent": first, "narrowing": [says], "renewed": True}


def token(told: Mapping[str, object]) -> Mapping[str, object]:
    """Return a service token that was made with a chain as a node below the chain's last block, or its own parent."""
    policies, until = ", ".join(_texts(told, "policies")), short_time(_text(told, "expire_time"))
    made = short_time(_text(told, "issue_time"))
    says = f"service token with its checks, made {made}, until {until}; policies: {policies}"
    return {**told, "id": _text(told, "accessor"), "narrowing": [says]}


def line_of(root: Node, dying: Collection[str]) -> Node:
    """Return what leads to the blocks that are named, and them with all below: the rest of a tree is left out."""
    if root.id in dying:
        return root
    kept = [line_of(child, dying) for child in root.children]
    return replace(root, children=tuple(child for child in kept if child.children or child.id in dying))


def _grown(
    node: Mapping[str, object],
    children: Mapping[str, Sequence[Mapping[str, object]]],
    title: str,
    above: State,
    dying: frozenset[str],
    depth: int,
) -> Node:
    name = _text(node, "id")
    state = State.REVOKED if node.get("revoked") else above
    if node.get("renewed"):  # it ends by itself
        state = _ended(_text(node, "state"))
    below = children.get(name, ()) if depth < _DEEPEST else ()
    shown = State.DYING if name in dying else state
    return Node(
        id=name,
        title=title,
        says=_says(node),
        source=_source(node),
        time=short_time(_text(node, "first_seen"))[:16],
        state=shown,
        alarms=tuple(ANOMALIES.get(one, one) for one in _texts(node, "anomalies")),
        children=tuple(_grown(child, children, "", state, dying, depth + 1) for child in below),
    )


def _ended(state: str) -> State:
    """Return how a credential is drawn that is in a state of those that the server tells."""
    return State.ACTIVE if state == "active" else State.EXPIRED if state == "expired" else State.REVOKED


def _says(node: Mapping[str, object]) -> tuple[str, ...]:
    says = _texts(node, "narrowing")
    approver, refused, reason = (_text(node, name) for name in ("approver", "refused", "reason"))
    more = (f"signed by {approver}" if approver else "", f"refused: {refused}" if refused else "",
            f"revoked: {reason}" if reason else "")  # fmt: skip
    return (*says, *(one for one in more if one))


def _source(node: Mapping[str, object]) -> str:
    """Return whence a block was first presented, and how many other addresses there were."""
    source = _text(node, "source")
    others = len(set(_texts(node, "sources")) - {source})
    return f"{source or '?'} and {others} more" if others else source


def short_time(time: str) -> str:
    """Return a time in short: 2026-11-26T18:00:01.5Z as 2026-11-26 18:00:01."""
    return time[:19].replace("T", " ")


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _text(node: Mapping[str, object], name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _texts(node: Mapping[str, object], name: str) -> tuple[str, ...]:
    return tuple(one for one in _list(node.get(name)) if isinstance(one, str))
