# SPDX-License-Identifier: EUPL-1.2
"""A tree for terminals, one line for each block; and for Graphviz."""

from __future__ import annotations

from typing import Final

from nhi.picture.node import Node, State, shown, walk, wrapped

_DOT_COLUMNS: Final = 44
_COLOURS: Final = {
    State.ACTIVE: "#1f5fa8",
    State.EXPIRED: "#6b7280",
    State.REVOKED: "#b3261e",
    State.DYING: "#b3261e",
}


def as_text(root: Node) -> str:
    """Return the lines of a tree, each with its line break."""
    lines = []
    waiting = [(root, "", "", "")]
    while waiting:
        node, before, branch, below = waiting.pop()
        lines.append(f"{before}{branch}{line(node)}\n")
        last = len(node.children) - 1
        for place, child in reversed(list(enumerate(node.children))):
            ends = place == last
            waiting.append((child, before + below, "└─ " if ends else "├─ ", "   " if ends else "│  "))
    return "".join(lines)


def line(node: Node) -> str:
    """Return a block on one line: id (all of it: that is what it is revoked by), title, what it takes away, its state, who presented it, alarms."""
    text = " · ".join(part for part in (node.title, "; ".join(node.says), node.seen) if part)
    state = f" [{node.state}]" if node.state is not State.ACTIVE else ""
    return shown(f"{node.id}  {text}".rstrip() + state + "".join(f" !! {alarm}" for alarm in node.alarms))


def as_dot(root: Node) -> str:
    """Return a tree in Graphviz' language, with every text in quotes that it cannot end."""
    lines = [
        "digraph credential {",
        '  graph [rankdir="LR"];',
        '  node [shape="box", style="rounded", fontname="sans-serif", fontsize="10"];',
    ]
    edges = []
    numbers: dict[int, int] = {}
    for node, _ in walk(root):
        number = numbers[id(node)] = len(numbers)
        dashed = "" if node.state is State.ACTIVE else ', style="rounded,dashed"'
        lines.append(
            f'  n{number} [label={_quoted(_label(node))}, color="{_COLOURS[node.state]}"{dashed}, '
            f"tooltip={_quoted([shown(node.id)])}];"
        )
    for node, _ in walk(root):
        edges += [f"  n{numbers[id(node)]} -> n{numbers[id(child)]};" for child in node.children]
    return "\n".join([*lines, *edges, "}\n"])


def _label(node: Node) -> list[str]:
    head = f"{node.short}  {node.title}".rstrip()
    head += f" [{node.state}]" if node.state is not State.ACTIVE else ""
    parts = [head, *node.says, *([node.seen] if node.seen else []), *(f"!! {one}" for one in node.alarms)]
    return [line for part in parts for line in wrapped(shown(part), _DOT_COLUMNS)]


def _quoted(lines: list[str]) -> str:
    """Return lines of a label, left-aligned, in quotes; a backslash would begin an escape of Graphviz'."""
    texts = [line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines]
    return '"' + "".join(f"{text}\\l" for text in texts) + '"' if len(texts) > 1 else f'"{"".join(texts)}"'
