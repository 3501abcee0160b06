# SPDX-License-Identifier: EUPL-1.2
"""A tree as SVG: alone, with its own colours for light and dark, or within a page that has them."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

from nhi.picture.layout import BOX, HEAD, MARGIN, Box, Layout, place
from nhi.picture.node import Node, State, cut, shown, wrapped

COLUMNS: Final = 35
"""Characters of fixed pitch that a box is wide."""
MOST_LINES: Final = 5
"""Lines about what a hop takes away; the title of the box has the rest."""
STYLE: Final = """
.tree{font:12px/1.4 system-ui,sans-serif;--box:#fff;--edge:#9aa3ad;--ink:#1b1f24;--dim:#57606a;--good:#1f5fa8;
--bad:#b3261e;--over:#6b7280;--alarm:#8a4b00;--glow:#fff4e5;--doom:#fdecea}
.tree .back{fill:#f6f8fa}.tree .hop{fill:var(--dim);font-weight:600}
.tree .line{fill:none;stroke:var(--edge);stroke-width:1.5}
.tree .box{fill:var(--box);stroke:var(--edge)}.tree .bar{fill:var(--good)}
.tree text{fill:var(--ink)}.tree .id,.tree .says{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:11px}
.tree .id{fill:var(--dim)}.tree .title{font-weight:600}.tree .state,.tree .seen{fill:var(--dim);font-size:11px}
.tree .alarm{fill:var(--alarm);font-weight:600;font-size:11px}.tree .alarmed .box{fill:var(--glow);stroke:var(--alarm)}
.tree .revoked .bar,.tree .ends .bar{fill:var(--bad)}
.tree .revoked .state,.tree .ends .state{fill:var(--bad);font-weight:600}
.tree .ends .box{stroke:var(--bad);stroke-width:2;fill:var(--doom)}
.tree .revoked .box,.tree .expired .box{stroke-dasharray:4 3}.tree .expired .bar{fill:var(--over)}
.tree .revoked .id{text-decoration:line-through}
.tree a:focus .box,.tree a:hover .box{stroke:var(--good);stroke-width:2.5}.tree a{outline:none}
@media(prefers-color-scheme:dark){.tree{--box:#1c2128;--edge:#5b6673;--ink:#e6edf3;--dim:#a2adb9;--good:#6cb0ff;
--bad:#ff8a80;--over:#8b949e;--alarm:#ffb86b;--glow:#332613;--doom:#3a1714}.tree .back{fill:#0f1318}}
"""
"""The colours and types of a tree, for a style sheet."""
_BOLD: Final = 30
"""Characters of a title, which is bold."""
_ASIDE: Final = 26
"""Characters beside an id."""
_LINE: Final = 16
_PADDING: Final = 10
_TITLE: Final = 20


def as_svg(root: Node, *, name: str, alone: bool = True, link: Callable[[Node], str] | None = None) -> str:
    """Return a tree; `name` says what it shows, for screen readers. `link` gives boxes an address to lead to."""
    layout = place(root, _height)
    size = f'width="{layout.width}" height="{layout.height}" viewBox="0 0 {layout.width} {layout.height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tree" role="group" aria-label="{_text(name)}" {size}>',
        f"<style>{STYLE}</style>" if alone else "",
        f'<rect class="back" width="{layout.width}" height="{layout.height}" rx="6"/>',
        *(_hop(depth, layout) for depth in range(layout.columns)),
        *(_line(layout.boxes[box.parent], box) for box in layout.boxes if box.parent >= 0),
        *(_box(box, link(box.node) if link is not None else "") for box in layout.boxes),
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _hop(depth: int, layout: Layout) -> str:
    x = next(box.x for box in layout.boxes if box.depth == depth)
    count = sum(box.depth == depth for box in layout.boxes)
    title = "issued" if not depth else f"hop {depth}"
    return f'<text class="hop" x="{x}" y="{MARGIN + HEAD // 2}">{title} · {count}</text>'


def _line(parent: Box, child: Box) -> str:
    start, end = parent.x + BOX, child.x
    top, down = parent.y + _PADDING + _TITLE // 2, child.y + _PADDING + _TITLE // 2
    middle = (start + end) // 2
    bend = f"H{middle - 6}q6 0 6 6V{down - 6}q0 6 6 6H{end}" if down > top else f"H{end}"
    return f'<path class="line" d="M{start} {top}{bend}"/>'


def _box(box: Box, href: str) -> str:
    node = box.node
    classes = f"{node.state}{' alarmed' if node.alarms else ''}"
    tag, attributes = ("a", f' href="{_text(href)}"') if href else ("g", "")
    x, y = box.x, box.y
    state = node.state if node.state is not State.ACTIVE else ""
    parts = [
        f'<{tag} class="{classes}"{attributes}><title>{_whole(node)}</title>',
        f'<rect class="box" x="{x}" y="{y}" width="{BOX}" height="{box.height}" rx="5"/>',
        f'<rect class="bar" x="{x}" y="{y + 4}" width="4" height="{box.height - 8}" rx="2"/>',
        f'<text class="id" x="{x + 14}" y="{y + 23}">{_text(node.short)}</text>',
    ]
    kind, aside = ("state", state) if state else ("seen", cut(_seen(node), _ASIDE))
    if aside:
        parts.append(
            f'<text class="{kind}" x="{x + BOX - 8}" y="{y + 23}" text-anchor="end">{_text(aside)}</text>'
        )
    for number, (kind, line) in enumerate(_lines(node), 1):
        parts.append(
            f'<text class="{kind}" x="{x + 14}" y="{y + 23 + number * _LINE + 2}">{_text(line)}</text>'
        )
    return "".join(parts) + f"</{tag}>"


def _lines(node: Node) -> list[tuple[str, str]]:
    """Return what stands in a box below its title, by kind."""
    says = [line for one in node.says for line in wrapped(shown(one), COLUMNS)]
    if len(says) > MOST_LINES:
        says = [*says[: MOST_LINES - 1], f"… {len(says) - MOST_LINES + 1} more lines"]
    lines = [("title", cut(shown(node.title), _BOLD))] if node.title else []
    lines += [("says", line) for line in says]
    lines += [("alarm", cut(f"⚠ {shown(alarm)}", COLUMNS)) for alarm in node.alarms]
    if node.state is not State.ACTIVE and node.time:
        lines.append(("seen", cut(_seen(node), COLUMNS)))
    return lines


def _seen(node: Node) -> str:
    """Return who presented a block first and when, without the year."""
    return shown(f"{node.source or '?'}, {node.time[5:]}") if node.time else "not presented yet"


def _height(node: Node) -> int:
    count = len(_lines(node))
    return 2 * _PADDING + _TITLE - 6 + _LINE * count + (2 if count else 0)


def _whole(node: Node) -> str:
    """Return all that is known of a node: its tooltip, which screen readers read."""
    parts = [f"{node.id} {node.title}".rstrip() + f", {node.state}", *node.says, *node.alarms, node.seen]
    return "\n".join(_text(part) for part in parts if part)


def _text(text: str) -> str:
    """Return a text as it stands in XML, which does not take every character."""
    return escape(shown(text), quote=True)
